"""Metrics pages of pods that nobody runs, each on a loopback address of its own, as a model server would count."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Requests a second that each pod is given.
RATE = 100.0
METRIC, LABEL = "requests_total", "code"


class Page:
    """One pod's page: `RATE` good answers a second since it was made, and bad ones from `turn` on."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self._made = time.time()
        self._bad: float | None = None
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = page.text(time.time()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: it is read every second."""

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"page {address}", daemon=True)
        self._thread.start()

    def turn(self) -> float:
        """Answer everything with 500 from now on; the moment (since the epoch)."""
        self._bad = time.time()
        return self._bad

    def text(self, now: float) -> str:
        """The page at a moment."""
        turned = now if self._bad is None else self._bad
        good, bad = int(RATE * (turned - self._made)), int(RATE * (now - turned))
        return (
            f"# TYPE {METRIC} counter\n"
            f'{METRIC}{{{LABEL}="200"}} {good}\n'
            f'{METRIC}{{{LABEL}="500"}} {bad}\n'
            f"# TYPE process_start_time_seconds gauge\n"
            f"process_start_time_seconds {self._made:.3f}\n"
        )

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Pages:
    """A stable's and a canary's page for one object after another, all on one port: an object's pods share theirs."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._addresses: Iterator[str] = (f"127.77.{a}.{b}" for a, b in itertools.product(range(256), range(1, 255)))

    def pair(self) -> tuple[Page, Page]:
        """Pages of one stable and one canary pod."""
        stable, canary = (Page(next(self._addresses), self.port) for _ in range(2))
        return stable, canary

    @property
    def serving(self) -> dict[str, Any]:
        """The `spec.serving` whose pods have such pages."""
        return {
            "replicas": 1,
            "runtime": "custom",
            "metrics": {"port": self.port, "path": "/metrics", "requests": {"metric": METRIC, "codeLabel": LABEL}},
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "model",
                            "image": "example.invalid/model:1",
                            "ports": [{"name": "http", "containerPort": 8000}],
                        }
                    ]
                }
            },
        }
