"""Everything that a registry can do wrong ends as its own reason, with a remedy and without a secret."""

import asyncio
import contextlib
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from tests.unit.adapters.faulty import ALIAS, SECRET, WISH, Faulty, Handler, says

from tidegate.adapters.mlflow import SINGLE_READS, MlflowRegistry, login_from
from tidegate.adapters.mlflow_failures import Access
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login


@pytest.mark.parametrize(
    ("handler", "reason", "words"),
    [
        pytest.param(says(401, "You are not authenticated"), Reason.REGISTRY_UNAUTHORIZED, "'ann'", id="401"),
        pytest.param(says(403, "Permission denied"), Reason.REGISTRY_FORBIDDEN, "grant READ", id="403"),
        pytest.param(
            says(403, "Invalid Host header - possible DNS rebinding attack detected", "text/plain"),
            Reason.REGISTRY_HOST_REFUSED,
            "--allowed-hosts including 127.0.0.1:",
            id="host refused",
        ),
        pytest.param(
            says(403, "<html><body><h1>Invalid Host header</h1></body></html>"),
            Reason.REGISTRY_HOST_REFUSED,
            "--allowed-hosts",
            id="host refused in HTML",
        ),
        pytest.param(
            says(500, '{"error_code": "INTERNAL_ERROR", "message": "disk full"}', "application/json"),
            Reason.REGISTRY_FAILING,
            "answers 500: disk full",
            id="500 with words",
        ),
        pytest.param(
            says(503, '{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "no database"}', "application/json"),
            Reason.REGISTRY_DATABASE_DOWN,
            "no database",
            id="database down",
        ),
        pytest.param(says(502, "<h1>Bad Gateway</h1>"), Reason.REGISTRY_FAILING, "502: Bad Gateway", id="proxy"),
        pytest.param(says(429, "slow down"), Reason.REGISTRY_FAILING, "slow down", id="throttled"),
        pytest.param(says(404, "<h1>Not Found</h1>"), Reason.REGISTRY_NOT_MLFLOW, "base URL", id="wrong URL"),
        pytest.param(says(200, "<html>Sign in</html>"), Reason.REGISTRY_NOT_MLFLOW, "Sign in", id="login page"),
        pytest.param(
            says(200, '{"registered_model": {"name": "fr', "application/json"),
            Reason.REGISTRY_NOT_MLFLOW,
            "not a whole JSON object",
            id="half a page",
        ),
        pytest.param(says(200, "[1, 2]", "application/json"), Reason.REGISTRY_NOT_MLFLOW, "[1, 2]", id="other JSON"),
        pytest.param(says(200, "{}", "application/json"), Reason.REGISTRY_NOT_MLFLOW, "without a", id="no model"),
        pytest.param(says(200, "", "application/json"), Reason.REGISTRY_NOT_MLFLOW, "JSON", id="nothing"),
        pytest.param(
            says(200, '{"registered_model": {"name": {"a": 1}}}', "application/json"),
            Reason.REGISTRY_NOT_MLFLOW,
            "another shape",
            id="other shape",
        ),
        pytest.param(says(200, "[" * 100_000), Reason.REGISTRY_NOT_MLFLOW, "JSON", id="deep JSON"),
        pytest.param(
            says(404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"}', "application/json"),
            Reason.MODEL_NOT_FOUND,
            "'fraud' (no such model)",
            id="no such model",
        ),
        pytest.param(
            says(400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "bad name"}', "application/json"),
            Reason.MODEL_NOT_FOUND,
            "bad name",
            id="name that can't be",
        ),
        pytest.param(
            says(418, '{"error_code": "WHATEVER", "message": "teapot"}', "application/json"),
            Reason.REGISTRY_NOT_MLFLOW,
            "teapot",
            id="unheard of",
        ),
    ],
)
async def test_an_answer_is_told_by_its_own_reason(
    faulty: Faulty, handler: Handler, reason: Reason, words: str
) -> None:
    fault = await faulty.fault(handler)
    assert fault.reason == reason
    assert words in fault.message


async def test_a_redirect_is_not_followed_with_the_credentials(faulty: Faulty) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"http://127.0.0.1:{faulty.port}/login?state={SECRET}")

    fault = await faulty.fault(redirect)
    assert fault.reason == Reason.REGISTRY_NOT_MLFLOW
    assert "a redirect to http://127.0.0.1" in fault.message
    assert len(faulty.asked) == 1


async def test_a_server_that_hangs_is_given_up_and_costs_one_deadline_for_all_wishes(faulty: Faulty) -> None:
    released = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    faulty.handler = hang
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await faulty.registry.resolve([(f"model {i}", ALIAS) for i in range(SINGLE_READS)])
    took = loop.time() - began
    released.set()
    assert {a.reason for a in answers.values() if isinstance(a, Unavailable)} == {Reason.REGISTRY_UNREACHABLE}
    assert len(answers) == SINGLE_READS
    assert took < 3
    assert any("no answer within 0.5 s" in a.message for a in answers.values() if isinstance(a, Unavailable))


async def test_a_server_that_drips_is_given_up(faulty: Faulty) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    loop = asyncio.get_running_loop()
    began = loop.time()
    fault = await faulty.fault(drip)
    assert fault.reason == Reason.REGISTRY_UNREACHABLE
    assert loop.time() - began < 3


async def test_a_server_that_drips_its_headers_is_given_up_though_its_thread_is_stuck() -> None:
    over, ended = asyncio.Event(), asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not over.is_set():
            writer.write(b"x: y\r\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.2)
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    registry = MlflowRegistry(Login(uri=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), timeout=0.5)
    loop = asyncio.get_running_loop()
    # The first read imports the client, however long that takes.
    await registry._loader.client(cast("Access", registry._access))
    began = loop.time()
    read = (await registry.resolve([WISH]))[WISH]
    took = loop.time() - began
    over.set()
    await ended.wait()
    server.close()
    await server.wait_closed()
    await registry.close()
    assert isinstance(read, Unavailable)
    assert read.reason == Reason.REGISTRY_UNREACHABLE
    assert took < 5


async def test_a_server_without_tls_is_told_from_one_that_is_away(faulty: Faulty) -> None:
    registry = MlflowRegistry(Login(uri=f"https://127.0.0.1:{faulty.port}"), timeout=5)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert isinstance(read, Unavailable)
    assert read.reason == Reason.REGISTRY_UNREACHABLE
    assert "TLS: " in read.message


async def test_a_body_in_another_encoding_is_not_mlflow(faulty: Faulty) -> None:
    async def garbled(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    assert (await faulty.fault(garbled)).reason == Reason.REGISTRY_NOT_MLFLOW


async def test_an_answer_without_end_is_cut_off(faulty: Faulty) -> None:
    block = b" " * (1 << 20)

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(block)
        return response

    faulty.handler = flood
    registry = faulty.reader(timeout=60)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert isinstance(read, Unavailable)
    assert "more than 32 MB" in read.message


async def test_a_connection_that_breaks_off_is_unreachable(faulty: Faulty) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"registered_model": {')
        assert request.transport is not None
        request.transport.abort()
        return response

    assert (await faulty.fault(cut)).reason == Reason.REGISTRY_UNREACHABLE


async def test_nobody_listening_is_unreachable() -> None:
    registry = MlflowRegistry(Login(uri=f"http://127.0.0.1:{unused_port()}", password=SECRET), timeout=2)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert isinstance(read, Unavailable)
    assert read.reason == Reason.REGISTRY_UNREACHABLE
    assert "Connection refused" in read.message


async def test_secrets_that_the_server_repeats_are_struck_out(faulty: Faulty) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        words = f"refused {request.headers['Authorization']} and {SECRET} for http://ann:hidden@elsewhere/"
        return web.Response(status=401, text=words)

    fault = await faulty.fault(echo)
    header = faulty.asked[0].headers["Authorization"]
    assert header.startswith("Basic ")
    assert header.removeprefix("Basic ") not in fault.message
    assert "hidden" not in fault.message
    assert "http://***@elsewhere/" in fault.message


async def test_a_token_goes_into_the_header_and_nowhere_else(faulty: Faulty) -> None:
    registry = MlflowRegistry(Login(uri=f"http://127.0.0.1:{faulty.port}", token="t0k3n"), timeout=5)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert faulty.asked[0].headers["Authorization"] == "Bearer t0k3n"
    assert "t0k3n" not in faulty.asked[0].path_qs
    assert read == VersionId(registry=registry.url, model="fraud", model_created_ms=17, number="7")


async def test_credentials_in_the_uri_are_used_and_kept_out_of_the_identity(faulty: Faulty) -> None:
    registry = MlflowRegistry(Login(uri=f"http://bob:p%40ss@127.0.0.1:{faulty.port}/"), timeout=5)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert registry.url == f"http://127.0.0.1:{faulty.port}"
    assert faulty.asked[0].headers["Authorization"] == "Basic Ym9iOnBAc3M="
    assert isinstance(read, VersionId)
    assert "bob" not in read.registry


async def test_no_credentials_where_some_are_needed_says_which_variables(faulty: Faulty) -> None:
    faulty.handler = says(401, "who are you")
    registry = MlflowRegistry(Login(uri=f"http://127.0.0.1:{faulty.port}"), timeout=5)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert isinstance(read, Unavailable)
    assert "MLFLOW_TRACKING_USERNAME" in read.message


async def test_credentials_that_no_header_can_carry_are_a_configuration_fault(faulty: Faulty) -> None:
    registry = MlflowRegistry(Login(uri=f"http://127.0.0.1:{faulty.port}", token="t0k3n\n"), timeout=5)
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert isinstance(read, Unavailable)
    assert read.reason == Reason.REGISTRY_NOT_CONFIGURED
    assert "t0k3n" not in read.message
    assert faulty.asked == []


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "  ",
        "sqlite:///mlflow.db",
        "databricks",
        "postgresql://ann:hidden@db/x",
        "http://",
        "http://h:x",
        "http://h/?a=b",
    ],
)
async def test_a_uri_that_is_no_server_is_a_configuration_fault(uri: str) -> None:
    registry = MlflowRegistry(login_from({"MLFLOW_TRACKING_URI": uri}))
    read = (await registry.resolve([WISH]))[WISH]
    await registry.close()
    assert isinstance(read, Unavailable)
    assert read.reason == Reason.REGISTRY_NOT_CONFIGURED
    assert "MLFLOW_TRACKING_URI" in read.message
    assert "hidden" not in read.message
    assert registry.url == ""


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("HTTP://MLflow.ML.svc:80/", "http://mlflow.ml.svc"),
        ("https://u:p@mlflow.example.com:443/prefix//", "https://mlflow.example.com/prefix"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
async def test_one_server_has_one_url(uri: str, url: str) -> None:
    registry = MlflowRegistry(Login(uri=uri))
    assert registry.url == url
    await registry.close()
