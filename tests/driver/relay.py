"""A relay before an API server: it notes what one client asks, and can hold or cut what it likes."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
GRACE = 0.2  # seconds
_DROPPED = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: when it came (seconds since the epoch), what it was, and its body."""

    at: float
    method: str
    path: str
    body: str

    @property
    def writes(self) -> bool:
        return self.method in WRITES

    @property
    def lease(self) -> bool:
        return "/leases" in self.path


class Relay:
    """Listens on a loopback port of its own, in a thread.

    `before` is called with each request before it goes on; what it is false for gets no answer at all. `after` is
    called once the API server has answered; while it is false the answer is held. From `cut` to `mend` every connection
    is broken, those that are open first. `expired` are the paths of watches that were told that they come too late.
    """

    def __init__(self, server: str, *, ca_file: Path, token: str) -> None:
        self.asked: list[Asked] = []
        self.expired: list[str] = []
        self.before: Callable[[Asked], bool] = lambda _: True
        self.after: Callable[[Asked], bool] = lambda _: True
        self.url = ""
        self._is_cut = False
        self._open: set[asyncio.Transport] = set()
        self._server = server
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._token = token
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="relay", daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def cut(self) -> None:
        """Break every connection, also those that are tried from now on; returns when nothing passes any more."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def mend(self) -> None:
        """Let everything pass again."""
        self._is_cut = False

    async def _cut(self) -> None:
        self._is_cut = True
        for transport in list(self._open):
            transport.abort()

    def writes(self, *, since: float = 0.0) -> list[Asked]:
        """Every write but those of the Lease and of Events."""
        return [
            one for one in self.asked if one.writes and one.at >= since and not one.lease and "/events" not in one.path
        ]

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, enable_cleanup_closed=True)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._session:
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{rest:.*}", self._pass_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            self._started.set()
            await self._end.wait()
            await self._cut()
            await runner.cleanup()
        # What is given up is closed in later rounds of the loop, which would not come any more.
        await asyncio.sleep(GRACE)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if request.transport is None or self._is_cut:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        self._open.add(request.transport)
        try:
            return await self._passed_on(request)
        finally:
            self._open.discard(request.transport)

    async def _passed_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = Asked(at=time.time(), method=request.method, path=request.path, body=body.decode("utf-8", "replace"))
        self.asked.append(asked)
        if not self.before(asked):
            await asyncio.get_running_loop().create_future()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        headers |= {"Authorization": f"Bearer {self._token}", "Accept-Encoding": "identity"}
        url = f"{self._server}{request.path_qs}"
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            given = web.StreamResponse(
                status=answer.status,
                headers={name: value for name, value in answer.headers.items() if name.lower() not in _DROPPED},
            )
            # A client that was killed is what this is for.
            with suppress(ConnectionResetError):
                await self._answer(request, asked, answer, given)
            return given

    async def _answer(
        self, request: web.Request, asked: Asked, answer: aiohttp.ClientResponse, given: web.StreamResponse
    ) -> None:
        if "watch" not in request.query:
            whole = await answer.read()
            while not self.after(asked):  # noqa: ASYNC110 (another thread changes it)
                await asyncio.sleep(0.01)
            given.content_length = len(whole)
            await given.prepare(request)
            await given.write(whole)
        else:
            await given.prepare(request)
            async for piece in answer.content.iter_any():
                if b'"code":410' in piece:
                    self.expired.append(request.path)
                await given.write(piece)
        await given.write_eof()
