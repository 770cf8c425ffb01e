"""What a pod's model server can do wrong over HTTP, and what a request of ours must not do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.adapters.models import LARGEST_ANSWER, HttpModelClient
from tidegate.core.trials import NoReply, Reply

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.headers: dict[str, str] = {}
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self.http = TestServer(app, host="127.0.0.1")
        self.client = HttpModelClient()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, await request.text()))
        self.headers = dict(request.headers)
        return web.Response(text="{}") if self.handler is None else await self.handler(request)

    async def post(self, handler: Handler | None = None, *, seconds: float = 20.0) -> Reply | NoReply:
        self.handler = handler
        return await self.client.post(f"http://127.0.0.1:{self.http.port}/a?b=c", '{"ä": 1}', timeout=seconds)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.http.start_server()
    yield server
    await server.client.close()
    await server.http.close()


async def test_the_body_goes_as_json_and_as_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    reply = await server.post()
    assert isinstance(reply, Reply), reply
    assert server.asked == [("POST", "/a?b=c", '{"ä": 1}')]
    assert server.headers["Content-Type"] == "application/json"
    assert "Cookie" not in server.headers


async def test_no_redirect_is_followed(server: Server) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    for _ in range(2):
        reply = await server.post(away)
        assert isinstance(reply, Reply), reply
        assert (reply.status, reply.served) == (307, False)
    assert [path for _, path, _ in server.asked] == ["/a?b=c"] * 2
    assert "Cookie" not in server.headers


async def test_an_answer_without_an_end_is_read_so_far_and_no_further(server: Server) -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            written += 65536

    reply = await server.post(endless)
    assert isinstance(reply, Reply), reply
    assert reply.served
    assert written < 64 * LARGEST_ANSWER
    assert isinstance(await server.post(), Reply)


async def test_an_answer_that_drips_in_ends_at_the_deadline(server: Server) -> None:
    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.01)

    await server.post()  # the connection is there: what takes long is the answer
    reply = await server.post(drips, seconds=0.3)
    assert isinstance(reply, NoReply), reply
    assert reply.late


async def test_a_server_that_hangs_up_has_not_answered(server: Server) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    reply = await server.post(gone)
    assert isinstance(reply, NoReply), reply
    assert not reply.late
    assert reply.reason.startswith(f"http://127.0.0.1:{server.http.port}/a?b=c: ")


async def test_words_are_one_bounded_line(server: Server) -> None:
    async def wordy(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=b"a\n\x00b\xff " + b"c" * 10_000)

    reply = await server.post(wordy)
    assert isinstance(reply, Reply), reply
    assert reply.words.startswith("a b\N{REPLACEMENT CHARACTER} ccc")
    assert len(reply.words) == 200
    assert reply.words.endswith("…")


async def test_what_is_no_url_is_no_answer(server: Server) -> None:
    reply = await server.client.post("http://[::1/invocations", "{}", timeout=1)
    assert isinstance(reply, NoReply), reply
    await HttpModelClient().close()
