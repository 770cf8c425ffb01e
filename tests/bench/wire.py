"""Objects of the API server, read and written on a kept connection: a program for each write would be measured too."""

import http.client
import json
from typing import Any

from tests.e2e.objects import Objects

MERGE = "application/merge-patch+json"
_BAD = 400


class Editor(Objects):
    """Reads and writes as the admin. One connection for each thread."""

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A merge patch; the object as it is then."""
        return self._write("PATCH", path, body, MERGE)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A new object in a collection; the object as it is then."""
        return self._write("POST", path, body, "application/json")

    def text(self, path: str) -> str:
        """What is at a path that has no JSON, such as `/metrics`."""
        return self._ask(path).read().decode()

    def _write(self, method: str, path: str, body: dict[str, Any], content: str) -> dict[str, Any]:
        connection = self._kept()
        headers = {**self._headers, "Content-Type": content}
        try:
            connection.request(method, path, body=json.dumps(body).encode(), headers=headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            # The next one gets a new connection; this one may have been done or not.
            connection.close()
            self._own.connection = None
            raise
        told: dict[str, Any] = json.loads(answer.read())
        if answer.status >= _BAD:
            raise AssertionError(f"{method} {path}: {answer.status} {told.get('message')}")
        return told

    def _kept(self) -> http.client.HTTPSConnection:
        if getattr(self._own, "connection", None) is None:
            self.get("/api")
        kept: http.client.HTTPSConnection = self._own.connection
        return kept
