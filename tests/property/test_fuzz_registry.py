"""Whatever an MLflow answers, a version comes out only where the answer names it, and as a number."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.damage import JUNK, bent, broken, fuzzed
from tests.property.test_mlflow_faults import Scripted, server

from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login

__all__ = ["server"]

VERSION = {"name": "fraud", "version": "7", "current_stage": "Production", "status": "READY", "source": "s3://b/a"}
ANSWER: dict[str, Any] = {
    "registered_model": {
        "name": "fraud",
        "creation_timestamp": 1700000000000,
        "last_updated_timestamp": 1700000000001,
        "latest_versions": [VERSION, {**VERSION, "version": "8", "current_stage": "Staging"}],
        "aliases": [{"alias": "champion", "version": "7"}, {"alias": "old", "version": "8"}],
        "tags": [{"key": "team", "value": "risk"}],
    }
}
WISHES = [
    ("fraud", Pointer(kind=PointerKind.ALIAS, value="champion")),
    ("fraud", Pointer(kind=PointerKind.STAGE, value="Production")),
    ("fraud", Pointer(kind=PointerKind.VERSION, value="7")),
]
Answers = dict[tuple[str, Pointer], VersionId | Unavailable]


@pytest.fixture(scope="module")
def registry(server: Scripted) -> Iterator[MlflowRegistry]:
    made = MlflowRegistry(Login(uri=f"http://127.0.0.1:{server.server_address[1]}"), timeout=20)
    yield made
    asyncio.run(made.close())


def asked(registry: MlflowRegistry, server: Scripted, body: bytes) -> Answers:
    server.status, server.body = 200, body
    return dict(asyncio.run(fresh(registry)))


async def fresh(registry: MlflowRegistry) -> Answers:
    # Each example is a process of its own: its own event loop, and nothing known from before.
    registry._loader._loading = asyncio.Lock()
    registry._ready.clear()
    return dict(await registry.resolve(WISHES))


def test_a_whole_answer_is_a_version_for_every_pointer(registry: MlflowRegistry, server: Scripted) -> None:
    answers = asked(registry, server, json.dumps(ANSWER).encode())
    assert [getattr(answer, "number", answer) for answer in answers.values()] == ["7", "7", "7"]


@pytest.mark.parametrize("number", ["NaN", "1e999", "-7", "\u0667", "7/../8"])
def test_a_number_that_is_none_is_not_mlflow(registry: MlflowRegistry, server: Scripted, number: str) -> None:
    model = ANSWER["registered_model"]
    bent_version = {**model["latest_versions"][0], "version": number}
    document = {"registered_model": {**model, "latest_versions": [bent_version]}}
    answers = asked(registry, server, json.dumps(document).encode())
    assert {getattr(answer, "reason", answer) for answer in answers.values()} == {Reason.REGISTRY_NOT_MLFLOW}


@given(data=st.data())
@fuzzed(30)
def test_a_damaged_answer_names_a_number_that_it_holds_or_none(
    registry: MlflowRegistry, server: Scripted, data: st.DataObject
) -> None:
    document = data.draw(bent(ANSWER) | broken(ANSWER) | st.fixed_dictionaries({"registered_model": JUNK}))
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text)) | st.just(len(text)))
    answers = asked(registry, server, text[:cut].encode())
    assert set(answers) == set(WISHES)
    for answer in answers.values():
        if isinstance(answer, Unavailable):
            assert answer.reason
            assert answer.message
        else:
            assert answer.number.isascii()
            assert answer.number.isdecimal()
            assert len(answer.number) <= 18
            assert answer.number in text
