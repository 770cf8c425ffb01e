"""What a pod's web server can do wrong, and what a look must not cost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.adapters.pods import LARGEST_PAGE, PodEvidence
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading, Unreadable
from tidegate.ports import PodTarget

FORMAT = MetricsFormat(port=1, path="/metrics", requests_metric="hits", code_label="code")
PAGE = 'hits{code="200"} 7\n'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(self) -> None:
        self.handler: Handler = self._good
        self.asked: list[web.Request] = []
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._answer)
        self.http = TestServer(app, host="127.0.0.1")
        self.source = PodEvidence()

    async def _good(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=PAGE)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.handler(request)

    async def read(self, seconds: float = 5.0) -> Reading | Unreadable:
        target = PodTarget(uid="a", url=f"http://127.0.0.1:{self.http.port}/metrics")
        return (await self.source.read([target], Runtime.CUSTOM, FORMAT, timeout=seconds))["a"]

    async def reason(self, handler: Handler, seconds: float = 5.0) -> str:
        self.handler = handler
        read = await self.read(seconds)
        assert isinstance(read, Unreadable), read
        assert read.reason.startswith("http://127.0.0.1:")
        return read.reason


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.http.start_server()
    yield server
    await server.source.close()
    await server.http.close()


def says(response: Callable[[], web.StreamResponse]) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return response()

    return answer


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (lambda: web.Response(status=500, text=PAGE), "answered 500"),
        (lambda: web.Response(status=204), "answered 204"),
        (lambda: web.Response(status=302, headers={"Location": "/metrics"}), "answered 302"),
        (lambda: web.Response(text=PAGE, content_type="text/html"), "answered 'text/html'"),
        (lambda: web.Response(body=b'hits{code="\xff"} 7\n'), "no UTF-8"),
        (lambda: web.Response(text="hits " + "7" * LARGEST_PAGE + "\n"), "more than 2 MB"),
        (lambda: web.Response(text=PAGE[:-3]), "cut off"),
    ],
)
async def test_an_answer_that_is_no_page_is_unreadable(
    server: Server, response: Callable[[], web.StreamResponse], words: str
) -> None:
    def plain() -> web.StreamResponse:
        answer = response()
        if answer.content_type == "application/octet-stream":
            answer.content_type = "text/plain"
        return answer

    assert words in await server.reason(says(plain))


async def test_a_redirect_is_not_followed(server: Server) -> None:
    await server.reason(says(lambda: web.Response(status=307, headers={"Location": "/elsewhere"})))
    assert [request.path for request in server.asked] == ["/metrics"]


async def test_a_body_that_never_ends_is_given_up(server: Server) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"#\n")
            await asyncio.sleep(0.02)
        return response

    assert "no answer within 0.3 s" in await server.reason(endless, 0.3)


async def test_a_body_that_breaks_off_is_unreadable(server: Server) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain", "Content-Length": "100"})
        await response.prepare(request)
        await response.write(PAGE.encode())
        assert request.transport is not None
        request.transport.close()
        return response

    assert await server.reason(cut)


async def test_proxies_of_the_environment_are_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert isinstance(await server.read(), Reading)


async def test_a_large_page_is_read_without_standing_in_the_way(server: Server) -> None:
    lines = "".join(f'other_total{{path="/{i}"}} {i}\n' for i in range(20_000))

    async def large(request: web.Request) -> web.StreamResponse:
        return web.Response(text=lines + PAGE)

    server.handler = large
    read = await server.read(20)
    assert isinstance(read, Reading)
    assert read.finished == {"200": 7}


async def test_connections_are_kept_between_looks(server: Server) -> None:
    for _ in range(3):
        assert isinstance(await server.read(), Reading)
    peers = {request.transport.get_extra_info("peername") for request in server.asked if request.transport}
    assert len(peers) <= 1
