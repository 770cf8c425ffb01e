"""Services that lead out of the cluster, to processes of the test on the node's address; and one such process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.access import Access


def leading_out(namespace: str, name: str, url: str, *, port: int) -> list[dict[str, Any]]:
    """A Service of that port, and the EndpointSlice that leads to where the URL says."""
    place, labels = urlsplit(url), {"kubernetes.io/service-name": name}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"ports": [{"name": "http", "port": port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": place.port}],
            "endpoints": [{"addresses": [place.hostname], "conditions": {"ready": True}}],
        },
    ]


class Heard:
    """What was posted, oldest first: the JSON of each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: list[dict[str, Any]] = []

    def take(self, body: dict[str, Any]) -> None:
        """One more."""
        with self._lock:
            self._bodies.append(body)

    def all(self) -> list[dict[str, Any]]:
        """So far."""
        with self._lock:
            return list(self._bodies)


@contextmanager
def receiver(access: Access, namespace: str, name: str) -> Iterator[Heard]:
    """Takes JSON by POST at `http://<name>.<namespace>.svc.cluster.local`, until the block ends."""
    heard = Heard()

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the library's name)
            """Says nothing."""

    with listening(access, namespace, name, Taker):
        yield heard


@contextmanager
def listening(access: Access, namespace: str, name: str, handler: type[BaseHTTPRequestHandler]) -> Iterator[None]:
    """Have this handler answer at `http://<name>.<namespace>.svc.cluster.local`, until the block ends."""
    with access.inside():  # sockets and threads stay in the network that they were made in
        server = ThreadingHTTPServer((urlsplit(access.gateway_url).hostname or "", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
    try:
        address, port = server.server_address[:2]
        access.apply(leading_out(namespace, name, f"http://{address!s}:{port}", port=80))
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
