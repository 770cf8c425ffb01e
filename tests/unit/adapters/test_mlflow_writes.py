"""What a registry can do wrong when it is written to ends as its own reason, with a remedy and without a secret."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.unit.adapters.faulty import SECRET, Faulty, Handler, says

from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.ports import Login

_UNIQUE = '{"error_code": "BAD_REQUEST", "message": "UNIQUE constraint failed: registered_model_aliases"}'


@pytest.fixture
async def writer(faulty: Faulty) -> AsyncIterator[MlflowWriter]:
    writer = MlflowWriter(Login(uri=f"http://127.0.0.1:{faulty.port}/", username="ann", password=SECRET), timeout=0.5)
    yield writer
    await writer.close()


@pytest.mark.parametrize(
    ("handler", "reason", "words"),
    [
        pytest.param(says(401, "no"), Reason.REGISTRY_UNAUTHORIZED, "'ann'", id="401"),
        pytest.param(says(403, "Permission denied"), Reason.REGISTRY_FORBIDDEN, "version 7 of model 'fraud'", id="403"),
        pytest.param(says(503, "no database"), Reason.REGISTRY_FAILING, "no database", id="database down"),
        pytest.param(says(200, "<html>Sign in</html>"), Reason.REGISTRY_NOT_MLFLOW, "Sign in", id="login page"),
        pytest.param(says(400, _UNIQUE, "application/json"), Reason.REGISTRY_REFUSED, "UNIQUE", id="refused"),
    ],
)
async def test_a_write_that_fails_says_why(
    faulty: Faulty, writer: MlflowWriter, handler: Handler, reason: Reason, words: str
) -> None:
    faulty.handler = handler
    answer = await writer.set_tag("fraud", "7", "state", "stable")
    assert isinstance(answer, Unavailable)
    assert answer.reason == reason
    assert words in answer.message
    assert SECRET not in answer.message


async def test_who_may_only_read_is_told_to_ask_for_more(faulty: Faulty, writer: MlflowWriter) -> None:
    faulty.handler = says(403, "Permission denied")
    answer = await writer.move("fraud", "7", "Production", archive=True)
    assert isinstance(answer, Unavailable)
    assert "grant EDIT" in answer.message
    assert "READ" not in answer.message


async def test_who_may_change_and_not_delete_is_told_what_that_takes(faulty: Faulty, writer: MlflowWriter) -> None:
    """MLflow's basic authentication lets EDIT set an alias or a tag, and MANAGE alone delete one."""
    faulty.handler = says(403, "Permission denied")
    answers = (
        await writer.delete_alias("fraud", "challenger"),
        await writer.delete_tag("fraud", "7", "state"),
        await writer.delete_version("fraud", "7"),
    )
    for answer in answers:
        assert isinstance(answer, Unavailable)
        assert answer.reason == Reason.REGISTRY_FORBIDDEN
        assert "grant MANAGE on the model" in answer.message


async def test_an_alias_that_another_one_sets_in_the_same_moment_is_set_again(
    faulty: Faulty, writer: MlflowWriter
) -> None:
    left = 2

    async def unique(_request: web.Request) -> web.StreamResponse:
        nonlocal left
        left -= 1
        if left >= 0:
            return web.Response(status=400, text=_UNIQUE, content_type="application/json")
        return web.json_response({})

    faulty.handler = unique
    assert await writer.set_alias("fraud", "champion", "7") is None
    assert len(faulty.asked) == 3
    left = 99
    assert isinstance(await writer.set_alias("fraud", "champion", "7"), Unavailable)
    assert len(faulty.asked) == 6


async def test_a_write_sends_its_words_as_a_body(faulty: Faulty, writer: MlflowWriter) -> None:
    bodies: list[object] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        bodies.append((request.method, request.path, dict(request.query), await request.json()))
        return web.json_response({})

    faulty.handler = handler
    assert await writer.set_tag("fraud", "7", "state", "a+b c") is None
    body = {"name": "fraud", "version": "7", "key": "state", "value": "a+b c"}
    assert bodies == [("POST", "/api/2.0/mlflow/model-versions/set-tag", {}, body)]


async def test_versions_of_another_shape_are_no_versions(faulty: Faulty, writer: MlflowWriter) -> None:
    faulty.handler = says(200, '{"model_version": {"name": "fraud", "version": "seven"}}', "application/json")
    answer = await writer.version("fraud", "7")
    assert isinstance(answer, Unavailable)
    assert answer.reason == Reason.REGISTRY_NOT_MLFLOW


async def test_a_name_that_no_search_can_hold_is_said(faulty: Faulty, writer: MlflowWriter) -> None:
    answer = await writer.read("both ' and \"")
    assert isinstance(answer, Unavailable)
    assert answer.reason == Reason.REGISTRY_REFUSED


async def test_a_server_that_hangs_is_given_up(faulty: Faulty, writer: MlflowWriter) -> None:
    released = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    faulty.handler = hang
    answer = await writer.delete_alias("fraud", "champion")
    released.set()
    assert isinstance(answer, Unavailable)
    assert answer.reason == Reason.REGISTRY_UNREACHABLE
    assert "no answer" in answer.message
