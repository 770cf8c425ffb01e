"""The ASGI application: routes, the life of a request, and what it counts for."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor
from enum import StrEnum
from typing import Any, Final, Protocol

from tidegate_runtime.answers import Answer, failure
from tidegate_runtime.metrics import CONTENT_TYPE, Metrics

Scope = dict[str, Any]
Message = dict[str, Any]

REVISION_HEADER: Final = b"x-tidegate-revision"
# Requests that wait for a thread while a model hangs; more are refused at once, so that memory stays bounded.
MOST_IN_FLIGHT: Final = 1024


class Phase(StrEnum):
    """What the server is about. Only ``Ready`` answers 200 on ``/ready``; ``Draining`` still serves what comes."""

    LOADING = "Loading"
    WARMING_UP = "WarmingUp"
    READY = "Ready"
    DRAINING = "Draining"


class Answering(Protocol):
    """A model, as far as the application is concerned."""

    def answer(self, body: bytes, content_type: str) -> Answer:
        """Answer one request; called in a worker thread, never raises."""
        ...


class Receive(Protocol):
    """ASGI's receive."""

    async def __call__(self) -> Message:
        """Wait for the next event of the connection."""
        ...


class Send(Protocol):
    """ASGI's send."""

    async def __call__(self, message: Message) -> None:
        """Send an event to the client."""
        ...


class ClientGoneError(Exception):
    """The client went away before its request had arrived."""


class Application:
    """The runtime as an ASGI 3 application.

    A request to ``/invocations`` starts when its body has arrived, so that a client on a slow line is not taken for a
    slow model, and is finished when its answer is known, whether or not the client still waits for it.

    Args:
        revision: Sent with every answer.
        metrics: Counted into, and rendered at ``/metrics``.
        executor: Where the model runs.
        max_body_bytes: The longest body taken.
        mlflow_version: What ``/version`` says.
    """

    def __init__(
        self,
        *,
        revision: str,
        metrics: Metrics,
        executor: Executor,
        max_body_bytes: int,
        mlflow_version: str,
    ) -> None:
        self.phase = Phase.LOADING
        self.model: Answering | None = None
        self._metrics = metrics
        self._executor = executor
        self._max_body_bytes = max_body_bytes
        self._mlflow_version = mlflow_version
        self._revision = (REVISION_HEADER, revision.encode("ascii"))
        self._routes: dict[str, Callable[[], Answer]] = {
            "/ping": _alive,
            "/health": _alive,
            "/livez": _alive,
            "/ready": self._ready,
            "/version": self._version,
            "/metrics": self._scrape,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            answer = await self._answer(scope, receive)
        except ClientGoneError:
            return
        await self._send(answer, send, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        if path == "/invocations":
            if method != "POST":
                return failure(405, "METHOD_NOT_ALLOWED", "/invocations takes POST", allow="POST")
            return await self._invoke(scope, receive)
        route = self._routes.get(path)
        if route is None:
            return failure(404, "ENDPOINT_NOT_FOUND", f"there is no {path} here; predictions are at /invocations")
        if method not in {"GET", "HEAD"}:
            return failure(405, "METHOD_NOT_ALLOWED", f"{path} takes GET", allow="GET, HEAD")
        return route()

    async def _invoke(self, scope: Scope, receive: Receive) -> Answer:
        body = await self._body(receive)
        ticket = self._metrics.start()
        answer = await self._predict(body, _content_type(scope))
        self._metrics.finish(ticket, answer.status)
        if answer.predictions is not None:
            self._metrics.add_predictions(answer.predictions)
        return answer

    async def _predict(self, body: bytes | None, content_type: str | None) -> Answer:
        if body is None:
            return failure(413, "PAYLOAD_TOO_LARGE", f"the body is longer than {self._max_body_bytes} bytes")
        if self.model is None:
            return failure(503, "TEMPORARILY_UNAVAILABLE", f"the model is not ready: {self.phase.value}")
        if content_type is None:
            return failure(415, "BAD_REQUEST", "the request has no Content-Type: send application/json or text/csv")
        if self._metrics.in_flight > MOST_IN_FLIGHT:
            return failure(503, "TEMPORARILY_UNAVAILABLE", f"{MOST_IN_FLIGHT} requests wait for the model already")
        answering = asyncio.get_running_loop().run_in_executor(self._executor, self.model.answer, body, content_type)
        try:
            return await answering
        except asyncio.CancelledError:
            # Nothing but the end of the drain cancels a request; the client is told rather than cut off.
            return failure(503, "TEMPORARILY_UNAVAILABLE", "the server ended before the model had answered")

    async def _body(self, receive: Receive) -> bytes | None:
        """Read the body; None where it is longer than the server takes."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                return None
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def _send(self, answer: Answer, send: Send, *, head: bool) -> None:
        headers = [
            (b"content-type", answer.media_type.encode("ascii")),
            (b"content-length", str(len(answer.body)).encode("ascii")),
            self._revision,
        ]
        if answer.allow is not None:
            headers.append((b"allow", answer.allow.encode("ascii")))
        if self.phase is Phase.DRAINING:
            # The gateway is to open its next connection elsewhere.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else answer.body})

    def _ready(self) -> Answer:
        ready = self.phase is Phase.READY
        body = json.dumps({"ready": ready, "reason": self.phase.value}).encode()
        return Answer(status=200 if ready else 503, body=body)

    def _version(self) -> Answer:
        return Answer(status=200, body=self._mlflow_version.encode())

    def _scrape(self) -> Answer:
        return Answer(status=200, body=self._metrics.render(), media_type=CONTENT_TYPE)


def _alive() -> Answer:
    return Answer(status=200, body=b"\n")


def _content_type(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return str(value.decode("latin-1"))
    return None
