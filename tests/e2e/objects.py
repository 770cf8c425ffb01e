"""Objects of the API server, read and watched without a program for each look: `kubectl` would take the machine."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.cluster.access import Access

ANSWER = 20.0  # seconds
AGAIN = 0.1


class Objects:
    """Reads as the admin. One connection for each thread, opened inside the cluster's network."""

    def __init__(self, access: Access) -> None:
        config = json.loads(Path(access.kubeconfig).read_text())
        cluster = config["clusters"][0]["cluster"]
        self.access = access
        self._server = urlsplit(cluster["server"])
        self._trusted = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        self._own = threading.local()
        self._opened: list[http.client.HTTPSConnection] = []

    def close(self) -> None:
        """Close what threads opened to read."""
        for connection in self._opened:
            connection.close()

    def get(self, path: str) -> dict[str, Any]:
        """What is at a path; empty where there is nothing."""
        for last in (False, True):
            try:
                answer = self._ask(path)
            except (OSError, http.client.HTTPException):
                # The server closes connections that were idle for long.
                if (connection := getattr(self._own, "connection", None)) is not None:
                    connection.close()
                self._own.connection = None
                if last:
                    raise
                continue
            body: dict[str, Any] = json.loads(answer.read())
            if answer.status == http.HTTPStatus.NOT_FOUND:
                return {}
            if answer.status != http.HTTPStatus.OK:
                raise AssertionError(f"GET {path}: {answer.status} {body.get('message')}")
            return body
        raise AssertionError("unreachable")

    def connect(self) -> http.client.HTTPSConnection:
        """A new connection to the API server."""
        with self.access.inside():
            host, port = self._server.hostname or "", self._server.port
            connection = http.client.HTTPSConnection(host, port, timeout=ANSWER, context=self._trusted)
            connection.connect()
        return connection

    def ask(self, connection: http.client.HTTPSConnection, path: str) -> http.client.HTTPResponse:
        """One GET on a connection."""
        connection.request("GET", path, headers=self._headers)
        return connection.getresponse()

    def _ask(self, path: str) -> http.client.HTTPResponse:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self.connect()
            self._opened.append(connection)
        return self.ask(connection, path)


class Watch:
    """Every form that the objects at a path take, in order, each with the time it was told. Ends with its block.

    A `lasting` one begins anew wherever it ends, as with an API server that is restarted: what stands then is told
    once more, and forms in between may be missed.
    """

    def __init__(self, objects: Objects, path: str, *, lasting: bool = False) -> None:
        self._objects = objects
        self._path = f"{path}{'&' if '?' in path else '?'}watch=1&timeoutSeconds=600"
        self._lasting = lasting
        self._open()
        self._seen: list[tuple[float, str, dict[str, Any]]] = []
        self._ended: str | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[float, str, dict[str, Any]]]:
        if self._ended is not None:
            raise AssertionError(f"the watch ended by itself: {self._ended}")
        return iter(list(self._seen))

    def close(self) -> None:
        """Stop watching; what was seen stays."""
        self._closing = True
        stream = self._answer.fp
        if stream is not None:
            # A blocked read ends with its connection, not with its file.
            raw = getattr(stream.raw, "_sock", None)
            if raw is not None:
                raw.shutdown(2)
        self._thread.join(10)
        self._connection.close()

    def _open(self) -> None:
        self._connection = self._objects.connect()
        self._answer = self._objects.ask(self._connection, self._path)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(None)

    def _follow(self) -> None:
        said = self._read()
        while self._lasting and not self._closing:
            self._connection.close()
            time.sleep(AGAIN)  # another process starts again: there is nothing to wait on
            with suppress(OSError, http.client.HTTPException):
                self._open()
                # Whoever closes meanwhile closes either what was open before, or this.
                said = said if self._closing else self._read()
        if not self._closing:
            self._ended = said

    def _read(self) -> str:
        try:
            while line := self._answer.readline():
                event = json.loads(line)
                self._seen.append((time.time(), event["type"], event["object"]))
        except (OSError, ValueError, KeyError, http.client.HTTPException, AttributeError) as error:
            return repr(error)
        return "no more"
