"""What stands where Prometheus should, and what it can do wrong: always an `Unavailable`, never a value."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.adapters.prometheus import LARGEST_ANSWER, HttpPrometheus, NoPrometheus
from tidegate.core.reasons import Reason
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GOOD: dict[str, Any] = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [1760000000.5, "3"]}]},
}


def with_data(kind: str, result: Any, **fields: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **fields}


class Server:
    def __init__(self) -> None:
        self.handler: Handler = says(200, GOOD)
        self.asked: list[tuple[str, str, dict[str, str], str | None]] = []
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self.http = TestServer(app, host="127.0.0.1")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.method, request.path, form, request.headers.get("Authorization")))
        return await self.handler(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    async def query(
        self, promql: str = "up", *, seconds: float = 5.0, url: str = "", token_file: str = ""
    ) -> tuple[Sample, ...] | Unavailable:
        source = HttpPrometheus(url or self.url, token_file=token_file)
        try:
            return await source.query(promql, timeout=seconds)
        finally:
            await source.close()

    async def fault(self, handler: Handler, seconds: float = 5.0) -> Unavailable:
        self.handler = handler
        answer = await self.query(seconds=seconds)
        assert isinstance(answer, Unavailable), answer
        assert answer.message.startswith(self.url)
        return answer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.http.start_server()
    yield server
    await server.http.close()


def says(status: int, body: Any, kind: str = "application/json") -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type=kind)

    return answer


async def test_a_query_is_a_form_below_the_url(server: Server) -> None:
    answer = await server.query('up{job="x"}', url=f"{server.url}/tenants/a/")
    assert answer == (Sample(labels={"pod": "a"}, value=3.0, at=1760000000.5),)
    assert server.asked == [("POST", "/tenants/a/api/v1/query", {"query": 'up{job="x"}'}, None)]


@pytest.mark.parametrize(
    ("handler", "reason", "words"),
    [
        (says(401, {}), Reason.PROMETHEUS_UNAUTHORIZED, "401"),
        (says(403, "<html>", "text/html"), Reason.PROMETHEUS_UNAUTHORIZED, "403"),
        (says(503, "no healthy upstream", "text/plain"), Reason.PROMETHEUS_UNREACHABLE, "answered 503"),
        (says(302, "", "text/plain"), Reason.PROMETHEUS_FAILING, "302"),
        (says(302, {}), Reason.PROMETHEUS_FAILING, "302"),
        (says(404, GOOD), Reason.PROMETHEUS_FAILING, "404"),
        (says(200, "<html>login</html>", "text/html"), Reason.PROMETHEUS_FAILING, "text/html"),
        (says(200, ""), Reason.PROMETHEUS_FAILING, "no answer of Prometheus"),
        (says(200, []), Reason.PROMETHEUS_FAILING, "no answer of Prometheus"),
        (says(200, {}), Reason.PROMETHEUS_FAILING, "no answer of Prometheus"),
        (says(200, {"status": "error", "error": "x"}), Reason.PROMETHEUS_FAILING, "200"),
        (says(200, json.dumps(GOOD)[:-20]), Reason.PROMETHEUS_FAILING, "no answer of Prometheus"),
        (says(200, with_data("vector", [{"metric": {}, "value": [1, 3]}])), Reason.PROMETHEUS_FAILING, "no answer of"),
        (
            says(200, with_data("vector", [{"metric": {}, "value": ["x", "3"]}])),
            Reason.PROMETHEUS_FAILING,
            "no answer of",
        ),
        (
            says(200, with_data("vector", [{"metric": {}, "value": ["nan", "3"]}])),
            Reason.PROMETHEUS_FAILING,
            "no answer of",
        ),
        (
            says(200, with_data("vector", [{"metric": {}, "value": [1, "x"]}])),
            Reason.PROMETHEUS_FAILING,
            "no answer of",
        ),
        (says(200, with_data("vector", [{"metric": {}, "value": []}])), Reason.PROMETHEUS_FAILING, "no answer of"),
        (says(200, with_data("vector", [{}])), Reason.PROMETHEUS_FAILING, "no answer of"),
        (says(200, with_data("vector", [], warnings=["store is down"])), Reason.PROMETHEUS_FAILING, "store is down"),
        (says(200, with_data("matrix", [])), Reason.QUERY_REFUSED, "matrix"),
        (says(200, with_data("string", [1, "x"])), Reason.QUERY_REFUSED, "string"),
        (says(400, {"status": "error", "error": "parse error at 3"}), Reason.QUERY_REFUSED, "parse error at 3"),
        (says(422, {"status": "error", "error": "many-to-many"}), Reason.QUERY_REFUSED, "many-to-many"),
        (says(400, {}), Reason.PROMETHEUS_FAILING, "400"),
        (says(200, " " * LARGEST_ANSWER + "{}"), Reason.PROMETHEUS_FAILING, "more than 4 MB"),
    ],
)
async def test_an_answer_that_is_none_is_said_with_its_reason(
    server: Server, handler: Handler, reason: Reason, words: str
) -> None:
    fault = await server.fault(handler)
    assert fault.reason == reason
    assert words in fault.message


async def test_half_a_body_is_no_answer(server: Server) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
        await response.prepare(request)
        await response.write(json.dumps(GOOD).encode()[:50])
        assert request.transport is not None
        request.transport.close()
        return response

    assert (await server.fault(cut)).reason == Reason.PROMETHEUS_FAILING


async def test_one_that_hangs_costs_no_more_than_its_deadline(server: Server) -> None:
    async def hanging(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    fault = await server.fault(hanging, 0.3)
    assert fault.reason == Reason.PROMETHEUS_UNREACHABLE
    assert "no answer within 0.3 s" in fault.message


async def test_one_that_closes_at_once_is_unreachable(server: Server) -> None:
    async def closing(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    assert (await server.fault(closing)).reason == Reason.PROMETHEUS_UNREACHABLE


async def test_a_refused_connection_is_said_in_words() -> None:
    source = HttpPrometheus("http://127.0.0.1:1")
    answer = await source.query("up", timeout=5)
    await source.close()
    assert isinstance(answer, Unavailable)
    assert (answer.reason, "refused" in answer.message) == (Reason.PROMETHEUS_UNREACHABLE, True)


async def test_a_redirect_is_not_followed(server: Server) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    await server.fault(elsewhere)
    assert [path for _, path, _, _ in server.asked] == ["/api/v1/query"]


async def test_the_token_is_read_for_each_query(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    source = HttpPrometheus(server.url, token_file=str(token))
    for value in ("one\n", "two"):
        token.write_text(value)
        await source.query("up", timeout=5)
    token.unlink()
    missing = await source.query("up", timeout=5)
    await source.close()
    assert [authorization for _, _, _, authorization in server.asked] == ["Bearer one", "Bearer two"]
    assert isinstance(missing, Unavailable)


async def test_a_password_in_the_url_is_sent_and_never_told(server: Server) -> None:
    url = server.url.replace("http://", "http://ops:geheim@")
    await server.query(url=url)
    assert server.asked[0][3] is not None
    assert server.asked[0][3].startswith("Basic ")
    server.handler = says(503, {})
    answer = await server.query(url=url)
    assert isinstance(answer, Unavailable)
    assert "geheim" not in answer.message
    assert "ops" not in answer.message


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://x", "http://", "x"])
def test_a_url_that_is_none_is_refused_with_the_variable(url: str) -> None:
    with pytest.raises(ValueError, match="TIDEGATE_PROMETHEUS_URL"):
        HttpPrometheus(url)


async def test_without_a_url_nobody_is_asked_and_the_way_out_is_said() -> None:
    source = NoPrometheus()
    answer = await source.query("up", timeout=5)
    await source.close()
    assert isinstance(answer, Unavailable)
    assert answer.reason == Reason.PROMETHEUS_NOT_CONFIGURED
    assert "prometheus.url" in answer.message
