"""What everybody who tells of versions owes the gates: the fake and the one over a real MLflow server alike."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from tests.fakes.registry import FakeRegistry
from tests.fixtures.mlflow import MlflowServer, RegistryEditor

from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.gates import ModelFile, VersionDetails, Wants
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.signatures import Signature
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login, Registry

_NUMBERS = itertools.count(1)
TAGS, ALL = Wants(), Wants(run=True, model=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who tells, and the hands of the people who use the registry."""

    registry: Registry
    edit: FakeRegistry | RegistryEditor

    async def version(self, model: str, number: str) -> VersionId:
        wish = (model, Pointer(kind=PointerKind.VERSION, value=number))
        found = (await self.registry.resolve([wish]))[wish]
        assert isinstance(found, VersionId), found
        return found

    async def told(self, model: str, number: str, wants: Wants = ALL) -> VersionDetails:
        told = await self.registry.describe(await self.version(model, number), wants)
        assert isinstance(told, VersionDetails), told
        return told


@pytest.fixture(params=["fake", "mlflow"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeRegistry()
        yield Subject(registry=fake, edit=fake)
        return
    running: MlflowServer = request.getfixturevalue("server")
    registry = MlflowRegistry(Login(uri=running.url), timeout=30)
    yield Subject(registry=registry, edit=RegistryEditor(running))
    await registry.close()


@pytest.fixture
def name() -> str:
    """A name that no other test uses: the server is shared."""
    return f"gated {next(_NUMBERS)} für's Ärgste"


async def test_tags_are_told_as_they_are_now(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    subject.edit.add_version(name)
    subject.edit.add_version(name)
    assert (await subject.told(name, "1", TAGS)).tags == {}
    subject.edit.set_tag(name, "1", "validation_status", "pending")
    subject.edit.set_tag(name, "1", "team/owner", "fraud: «eu»")
    assert (await subject.told(name, "1", TAGS)).tags == {"validation_status": "pending", "team/owner": "fraud: «eu»"}
    subject.edit.set_tag(name, "1", "validation_status", "approved")
    subject.edit.drop_tag(name, "1", "team/owner")
    assert (await subject.told(name, "1", TAGS)).tags == {"validation_status": "approved"}
    assert (await subject.told(name, "2", TAGS)).tags == {}


async def test_a_version_that_is_gone_is_told_as_gone(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    subject.edit.add_version(name)
    version = await subject.version(name, "1")
    subject.edit.delete_version(name, "1")
    told = await subject.registry.describe(version, TAGS)
    assert isinstance(told, Unavailable)
    assert told.reason == Reason.VERSION_NOT_FOUND
    other = await subject.registry.describe(replace(version, model=f"{name} no more"), TAGS)
    assert isinstance(other, Unavailable)


MLMODEL = """
flavors: {python_function: {loader_module: mlflow.sklearn}}
model_size_bytes: 1234
signature:
  inputs: '[{"type": "long", "name": "amount", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: null
"""


async def test_metrics_and_the_file_of_a_logged_version_are_told_where_they_are_wanted(
    subject: Subject, name: str
) -> None:
    subject.edit.register(name)
    number = subject.edit.add_logged(name, {"f1": 0.875, "val/loss": -1.5}, MLMODEL)
    told = await subject.told(name, number)
    assert told.metrics == {"f1": 0.875, "val/loss": -1.5}
    assert told.model == ModelFile(
        size=1234,
        signature=Signature(
            inputs=({"type": "long", "name": "amount", "required": True},),
            outputs=({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}},),
        ),
    )
    assert 0 < told.created < 5e9
    plain = await subject.told(name, number, TAGS)
    assert (plain.metrics, plain.model) == (None, None)


async def test_a_version_without_a_run_has_no_metrics_and_a_bare_file_no_signature(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    bare = subject.edit.add_version(name)
    assert (await subject.told(name, bare, Wants(run=True))).metrics is None
    logged = subject.edit.add_logged(name, {}, "flavors: {}\n")
    told = await subject.told(name, logged)
    assert (told.metrics, told.model) == ({}, ModelFile())


async def test_a_version_without_the_file_is_told_as_unknown(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    number = subject.edit.add_logged(name, {}, None)
    told = await subject.registry.describe(await subject.version(name, number), ALL)
    assert isinstance(told, Unavailable)
    assert told.reason in {Reason.NOT_A_MODEL, Reason.REGISTRY_FAILING}


async def test_a_server_that_is_not_there_is_no_answer() -> None:
    version = VersionId(registry="http://127.0.0.1:1", model="fraud", model_created_ms=1, number="1")
    for uri, reason in (
        ("http://127.0.0.1:1", Reason.REGISTRY_UNREACHABLE),
        ("", Reason.REGISTRY_NOT_CONFIGURED),
    ):
        registry = MlflowRegistry(Login(uri=uri), timeout=5)
        told = await registry.describe(version, TAGS)
        assert isinstance(told, Unavailable)
        assert told.reason == reason
        await registry.close()


EXAMPLE = """
saved_input_example_info: {artifact_path: input_example.json, serving_input_path: serving_input_example.json}
"""
SENDS = Wants(example=True)


async def test_the_saved_body_is_told_where_it_is_wanted_and_the_file_says_that_there_is_one(
    subject: Subject, name: str
) -> None:
    subject.edit.register(name)
    number = subject.edit.add_logged(name, {}, EXAMPLE, example='{"inputs": [[1.5, "ä"]]}')
    told = await subject.told(name, number, SENDS)
    assert (told.example, told.model) == ('{"inputs": [[1.5, "ä"]]}', None)
    assert (await subject.told(name, number)).example is None
    without = subject.edit.add_logged(name, {}, "flavors: {}\n", example="{}")
    assert (await subject.told(name, without, SENDS)).example is None


async def test_a_saved_body_that_can_not_be_read_is_told_as_unknown(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    number = subject.edit.add_logged(name, {}, EXAMPLE)
    told = await subject.registry.describe(await subject.version(name, number), SENDS)
    assert isinstance(told, Unavailable)
    assert told.reason in {Reason.NOT_A_MODEL, Reason.REGISTRY_FAILING}
