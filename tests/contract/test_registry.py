"""What every registry owes the loop: the fake and the one over a real MLflow server alike."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.fakes.registry import FakeRegistry
from tests.fixtures.mlflow import MlflowServer, RegistryEditor

from tidegate.adapters.mlflow import RECHECK_EVERY, SINGLE_READS, MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login, Registry

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A registry, and the hands of the people who use it."""

    registry: Registry
    edit: FakeRegistry | RegistryEditor

    async def read(self, model: str, pointer: Pointer) -> VersionId | Unavailable:
        return (await self.registry.resolve([(model, pointer)]))[model, pointer]

    async def number(self, model: str, pointer: Pointer) -> str:
        read = await self.read(model, pointer)
        assert isinstance(read, VersionId), read
        assert (read.registry, read.model) == (self.registry.url, model)
        return read.number

    async def reason(self, model: str, pointer: Pointer) -> str:
        read = await self.read(model, pointer)
        assert isinstance(read, Unavailable), read
        assert repr(model) in read.message
        return read.reason


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
    return f"model {next(_NUMBERS)} für's Ärgste"


def alias(value: str) -> Pointer:
    return Pointer(kind=PointerKind.ALIAS, value=value)


def stage(value: str) -> Pointer:
    return Pointer(kind=PointerKind.STAGE, value=value)


def version(value: str) -> Pointer:
    return Pointer(kind=PointerKind.VERSION, value=value)


async def test_a_stage_names_the_latest_version_in_it(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    for _ in range(4):
        subject.edit.add_version(name)
    subject.edit.set_stage(name, "1", "Production")
    subject.edit.set_stage(name, "3", "Production")
    subject.edit.set_stage(name, "4", "Staging")
    assert await subject.number(name, stage("Production")) == "3"
    assert await subject.number(name, stage("production")) == "3"
    subject.edit.set_stage(name, "3", "Archived")
    assert await subject.number(name, stage("Production")) == "1"


async def test_an_alias_is_followed_forth_and_back(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    for _ in range(3):
        subject.edit.add_version(name)
    for number in ("2", "3", "1"):
        subject.edit.set_alias(name, "champion", number)
        assert await subject.number(name, alias("champion")) == number


async def test_a_number_names_its_version_however_it_is_written(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    for _ in range(2):
        subject.edit.add_version(name)
    assert await subject.number(name, version("1")) == "1"
    assert await subject.number(name, version("01")) == "1"
    assert await subject.number(name, version("2")) == "2"


async def test_what_does_not_exist_is_told_apart(subject: Subject, name: str) -> None:
    assert await subject.reason(name, alias("champion")) == Reason.MODEL_NOT_FOUND
    subject.edit.register(name)
    assert await subject.reason(name, version("1")) == Reason.VERSION_NOT_FOUND
    subject.edit.add_version(name)
    assert await subject.reason(name, alias("champion")) == Reason.ALIAS_NOT_FOUND
    assert await subject.reason(name, stage("Production")) == Reason.STAGE_EMPTY
    assert await subject.reason(name, version("2")) == Reason.VERSION_NOT_FOUND
    assert await subject.reason(name, version("seven")) == Reason.VERSION_NOT_FOUND


async def test_an_alias_that_is_deleted_names_nothing(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    subject.edit.add_version(name)
    subject.edit.set_alias(name, "champion", "1")
    assert await subject.number(name, alias("champion")) == "1"
    subject.edit.drop_alias(name, "champion")
    assert await subject.reason(name, alias("champion")) == Reason.ALIAS_NOT_FOUND


async def test_a_deleted_version_takes_its_alias_and_its_stage_with_it(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    for _ in range(2):
        subject.edit.add_version(name)
    subject.edit.set_stage(name, "1", "Production")
    subject.edit.set_alias(name, "champion", "1")
    subject.edit.delete_version(name, "1")
    assert await subject.reason(name, alias("champion")) == Reason.ALIAS_NOT_FOUND
    assert await subject.reason(name, stage("Production")) == Reason.STAGE_EMPTY
    assert await subject.reason(name, version("1")) == Reason.VERSION_NOT_FOUND


async def test_a_pinned_version_that_is_deleted_later_is_missed_in_time(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    for _ in range(2):
        subject.edit.add_version(name)
    assert await subject.number(name, version("1")) == "1"
    subject.edit.delete_version(name, "1")
    reads = [await subject.read(name, version("1")) for _ in range(RECHECK_EVERY)]
    last = reads[-1]
    assert isinstance(last, Unavailable)
    assert last.reason == Reason.VERSION_NOT_FOUND


async def test_a_version_that_is_not_ready_is_none_yet(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    subject.edit.add_version(name, ready=False)
    subject.edit.add_version(name)
    subject.edit.set_alias(name, "champion", "1")
    subject.edit.set_stage(name, "1", "Staging")
    assert await subject.reason(name, version("1")) == Reason.VERSION_NOT_READY
    assert await subject.reason(name, alias("champion")) == Reason.VERSION_NOT_READY
    assert await subject.reason(name, stage("Staging")) == Reason.VERSION_NOT_READY


async def test_a_prompt_is_no_model(subject: Subject, name: str) -> None:
    subject.edit.add_prompt(name)
    assert await subject.reason(name, version("1")) == Reason.NOT_A_MODEL


async def test_a_model_made_anew_is_another_one_though_its_numbers_are_the_same(subject: Subject, name: str) -> None:
    subject.edit.register(name)
    subject.edit.add_version(name)
    first = await subject.read(name, version("1"))
    subject.edit.delete_model(name)
    subject.edit.register(name)
    subject.edit.add_version(name)
    second = await subject.read(name, version("1"))
    assert isinstance(first, VersionId)
    assert isinstance(second, VersionId)
    assert first.number == second.number
    assert first != second


async def test_many_wishes_are_answered_in_one_read(subject: Subject, name: str) -> None:
    names = [f"{name}, {i}".replace("'", "'" if i % 2 else "-") for i in range(SINGLE_READS + 5)]
    for each in names[1:]:
        subject.edit.register(each)
        subject.edit.add_version(each)
        subject.edit.set_alias(each, "champion", "1")
    subject.edit.add_prompt(f"{name} prompt")
    wishes = [(each, pointer) for each in names for pointer in (alias("champion"), version("1"))]
    answers = await subject.registry.resolve([*wishes, *wishes, (f"{name} prompt", version("1"))])
    assert set(answers) == {*wishes, (f"{name} prompt", version("1"))}
    missing = {wish for wish, answer in answers.items() if isinstance(answer, Unavailable)}
    assert missing == {(names[0], alias("champion")), (names[0], version("1")), (f"{name} prompt", version("1"))}
    assert all(answers[each, alias("champion")] == answers[each, version("1")] for each in names[1:])


async def test_no_wish_is_no_read(subject: Subject) -> None:
    assert await subject.registry.resolve([]) == {}


async def test_the_url_is_part_of_the_identity_and_has_no_slash_at_its_end(subject: Subject) -> None:
    assert subject.registry.url.startswith("http://")
    assert not subject.registry.url.endswith("/")
