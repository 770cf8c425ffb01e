"""What every registry that is written to owes the loop: the fake and the one over a real MLflow server alike."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.contract.rivals import Mortal, Rival
from tests.fakes.cluster import Crash, Phase, crash_at
from tests.fakes.registry import FakeRegistry
from tests.fixtures.mlflow import MlflowServer, RegistryEditor

from tidegate.adapters.mlflow import login_from
from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.pointers import next_write, pointed
from tidegate.core.reasons import Reason
from tidegate.core.record import Discard, Intent, Promotion
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.tags import Note, State, recollection
from tidegate.core.values import Unavailable, VersionId
from tidegate.loop.pointers import written
from tidegate.ports import Login, RegistryWriter

_NUMBERS = itertools.count(1)
CHAMPION, CHALLENGER = (Pointer(kind=PointerKind.ALIAS, value=value) for value in ("champion", "challenger"))
PRODUCTION, STAGING = (Pointer(kind=PointerKind.STAGE, value=value) for value in ("Production", "Staging"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A registry that is written to, and the hands of the people who use it."""

    writer: RegistryWriter
    edit: FakeRegistry | RegistryEditor

    async def read(self, model: str) -> RegisteredModel:
        found = await self.writer.read(model)
        assert isinstance(found, RegisteredModel), found
        return found

    async def version(self, model: str, number: str) -> RegisteredVersion:
        found = await self.writer.version(model, number)
        assert isinstance(found, RegisteredVersion), found
        return found

    async def stages(self, model: str) -> dict[str, str]:
        return {version.number: version.stage for version in (await self.read(model)).versions}


@pytest.fixture(params=["fake", "mlflow", "mlflow on postgres"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeRegistry()
        yield Subject(writer=fake.writer, edit=fake)
        return
    running: MlflowServer = request.getfixturevalue("server" if request.param == "mlflow" else "large_server")
    writer = MlflowWriter(Login(uri=running.url), timeout=30)
    yield Subject(writer=writer, edit=RegistryEditor(running))
    await writer.close()


@pytest.fixture
def name(subject: Subject) -> str:
    """A model of two versions that no other test uses: the server is shared."""
    name = f"written {next(_NUMBERS)} für's Ärgste"
    subject.edit.register(name)
    for _ in range(2):
        subject.edit.add_version(name)
    return name


def _reason(answer: object) -> str:
    assert isinstance(answer, Unavailable), answer
    return answer.reason


async def test_a_tag_is_set_set_again_and_deleted(subject: Subject, name: str) -> None:
    key = "tidegate.cluster.ml.fraud.state"
    assert await subject.writer.set_tag(name, "1", key, "canary") is None
    assert await subject.writer.set_tag(name, "1", key, "stable äöü") is None
    assert (await subject.version(name, "1")).tags == {key: "stable äöü"}
    assert (await subject.version(name, "2")).tags == {}
    assert await subject.writer.delete_tag(name, "1", key) is None
    assert (await subject.version(name, "1")).tags == {}


async def test_what_is_not_there_can_be_deleted(subject: Subject, name: str) -> None:
    assert await subject.writer.delete_tag(name, "1", "nothing") is None
    assert await subject.writer.delete_alias(name, "nobody") is None


async def test_an_alias_is_set_moved_and_deleted(subject: Subject, name: str) -> None:
    assert await subject.writer.set_alias(name, "champion", "1") is None
    assert await subject.writer.set_alias(name, "champion", "2") is None
    assert (await subject.read(name)).aliases == {"champion": "2"}
    assert await subject.writer.delete_alias(name, "champion") is None
    assert (await subject.read(name)).aliases == {}


async def test_first_sets_of_one_alias_at_once_all_come_to_an_end(subject: Subject, name: str) -> None:
    answers = await asyncio.gather(*(subject.writer.set_alias(name, "champion", n) for n in ("1", "2", "1", "2")))
    assert answers == [None] * 4
    assert (await subject.read(name)).aliases["champion"] in {"1", "2"}


async def test_a_move_archives_what_was_there_if_that_is_asked_for(subject: Subject, name: str) -> None:
    assert await subject.writer.move(name, "1", "Production", archive=False) is None
    assert await subject.writer.move(name, "2", "Production", archive=False) is None
    assert (await subject.read(name)).within("production") == ("1", "2")
    assert await subject.writer.move(name, "2", "Production", archive=True) is None
    assert await subject.stages(name) == {"1": "Archived", "2": "Production"}
    assert await subject.writer.move(name, "2", "None", archive=False) is None
    assert await subject.stages(name) == {"1": "Archived", "2": "None"}


async def test_all_versions_are_read_with_what_is_known_of_them(subject: Subject, name: str) -> None:
    subject.edit.add_version(name, ready=False)
    subject.edit.delete_version(name, "1")
    assert await subject.writer.set_tag(name, "2", "a", "b") is None
    read = await subject.read(name)
    assert [(version.number, version.ready) for version in read.versions] == [("2", True), ("3", False)]
    second = read.version("2")
    assert second == await subject.version(name, "2")
    assert second is not None
    assert second.tags == {"a": "b"}
    assert second.updated_ms >= second.created_ms > 0
    assert read.version("1") is None
    assert read.created_ms > 0


async def test_what_does_not_exist_is_told_apart(subject: Subject, name: str) -> None:
    writer, missing = subject.writer, f"no {name}"
    assert _reason(await writer.read(missing)) == Reason.MODEL_NOT_FOUND
    assert _reason(await writer.delete_alias(missing, "champion")) == Reason.MODEL_NOT_FOUND
    assert _reason(await writer.version(name, "9")) == Reason.VERSION_NOT_FOUND
    assert _reason(await writer.set_tag(name, "9", "a", "b")) == Reason.VERSION_NOT_FOUND
    assert _reason(await writer.set_alias(name, "champion", "9")) == Reason.VERSION_NOT_FOUND
    assert _reason(await writer.move(name, "9", "Production", archive=True)) == Reason.VERSION_NOT_FOUND


async def test_what_a_registry_does_not_take_is_said(subject: Subject, name: str) -> None:
    assert _reason(await subject.writer.set_alias(name, "latest", "1")) == Reason.REGISTRY_REFUSED
    assert (await subject.read(name)).aliases == {}


async def test_a_version_is_deleted_with_its_aliases_and_no_other_ever_gets_its_number(
    subject: Subject, name: str
) -> None:
    for alias, number in (("old", "1"), ("champion", "2")):
        assert await subject.writer.set_alias(name, alias, number) is None
    assert await subject.writer.delete_version(name, "1") is None
    read = await subject.read(name)
    assert ([version.number for version in read.versions], read.aliases) == (["2"], {"champion": "2"})
    assert _reason(await subject.writer.version(name, "1")) == Reason.VERSION_NOT_FOUND
    assert subject.edit.add_version(name) == "3"


async def test_a_version_that_is_not_there_can_be_deleted(subject: Subject, name: str) -> None:
    assert await subject.writer.delete_version(name, "1") is None
    assert await subject.writer.delete_version(name, "1") is None
    assert await subject.writer.delete_version(name, "9") is None
    assert await subject.writer.delete_version(f"no {name}", "1") is None
    assert [version.number for version in (await subject.read(name)).versions] == ["2"]


async def test_archiving_is_a_change_of_a_version_and_tags_and_aliases_are_none(subject: Subject, name: str) -> None:
    """What retention counts from."""
    born = (await subject.version(name, "1")).updated_ms
    assert await subject.writer.set_tag(name, "1", "a", "b") is None
    assert await subject.writer.set_alias(name, "champion", "1") is None
    assert await subject.writer.delete_alias(name, "champion") is None
    assert (await subject.version(name, "1")).updated_ms == born
    assert await subject.writer.move(name, "1", "Archived", archive=False) is None
    assert (await subject.version(name, "1")).updated_ms > born


def promotion(model: RegisteredModel, url: str, first: Pointer, candidate: Pointer) -> Promotion:
    version = VersionId(registry=url, model=model.name, model_created_ms=model.created_ms, number="2")
    return Promotion(version=version, pointer=first, before="1", candidate=candidate, at=0.0)


async def carried_out(subject: Subject, name: str, first: Pointer, candidate: Pointer) -> RegisteredModel:
    """A promotion of version 2 over version 1, by as many writes as it takes."""
    intent = promotion(await subject.read(name), subject.writer.url, first, candidate)
    return await moved(subject, subject.writer, intent)


async def moved(subject: Subject, writer: RegistryWriter, intent: Intent) -> RegisteredModel:
    """What an intent says, from wherever its pointers are."""
    name = intent.version.model
    for _ in range(5):
        model = await subject.read(name)
        write = next_write(intent, model)
        if write is None:
            assert pointed(intent, model)
            return model
        assert await written(writer, name, write) is None
    raise AssertionError("never came to an end")


async def test_a_promotion_by_aliases_leaves_one_champion_and_no_challenger(subject: Subject, name: str) -> None:
    subject.edit.set_alias(name, "champion", "1")
    subject.edit.set_alias(name, "challenger", "2")
    assert (await carried_out(subject, name, CHAMPION, CHALLENGER)).aliases == {"champion": "2"}


async def test_a_promotion_by_stages_leaves_one_version_in_production(subject: Subject, name: str) -> None:
    subject.edit.set_stage(name, "1", "Production")
    subject.edit.set_stage(name, "2", "Staging")
    model = await carried_out(subject, name, PRODUCTION, STAGING)
    assert {version.number: version.stage for version in model.versions} == {"1": "Archived", "2": "Production"}


async def test_a_promotion_by_an_alias_into_a_stage_leaves_both_as_they_are_to_be(subject: Subject, name: str) -> None:
    subject.edit.set_stage(name, "1", "Production")
    subject.edit.set_alias(name, "challenger", "2")
    model = await carried_out(subject, name, PRODUCTION, CHALLENGER)
    assert {version.number: version.stage for version in model.versions} == {"1": "Archived", "2": "Production"}
    assert model.aliases == {}


async def test_a_promotion_by_a_stage_to_an_alias_leaves_the_stage_to_people(subject: Subject, name: str) -> None:
    subject.edit.set_alias(name, "champion", "1")
    subject.edit.set_stage(name, "2", "Staging")
    model = await carried_out(subject, name, CHAMPION, STAGING)
    assert model.aliases == {"champion": "2"}
    assert model.within("Staging") == ("2",)


@pytest.mark.parametrize("when", ["never", "before", "after"])
@pytest.mark.parametrize("candidate", [CHALLENGER, STAGING], ids=["alias", "stage"])
async def test_a_rejected_candidate_is_taken_off_its_pointer_and_no_other_version_is(
    subject: Subject, name: str, candidate: Pointer, when: str
) -> None:
    subject.edit.set_stage(name, "1", "Production")
    subject.edit.set_alias(name, "champion", "1")
    subject.edit.set_stage(name, "2", "Staging")
    subject.edit.set_alias(name, "challenger", "2")
    found = await subject.read(name)
    version = VersionId(registry=subject.writer.url, model=name, model_created_ms=found.created_ms, number="2")
    intent = Discard(version=version, candidate=candidate, at=0.0)
    if when != "never":
        with pytest.raises(Crash):
            await moved(subject, Mortal(subject.writer, 1, "before" if when == "before" else "after"), intent)
    model = await moved(subject, subject.writer, intent)
    alias = candidate.kind is PointerKind.ALIAS
    assert model.aliases == {"champion": "1"} | ({} if alias else {"challenger": "2"})
    assert await subject.stages(name) == {"1": "Production", "2": "Staging" if alias else "Archived"}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
async def test_killed_at_any_write_a_candidates_promotion_is_ended_by_the_next_process(
    subject: Subject, name: str, number: int, when: Phase
) -> None:
    subject.edit.set_alias(name, "champion", "1")
    subject.edit.set_alias(name, "challenger", "2")
    intent = promotion(await subject.read(name), subject.writer.url, CHAMPION, CHALLENGER)
    with pytest.raises(Crash):
        await moved(subject, Mortal(subject.writer, number, when), intent)
    assert (await moved(subject, subject.writer, intent)).aliases == {"champion": "2"}


async def worked(rival: Rival) -> None:
    """As often as it takes."""
    for _ in range(5):
        await rival.worker.once()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", ["registry", "intent", "end"])
async def test_killed_at_any_write_a_promotion_that_people_asked_for_is_ended_by_the_next_process(
    subject: Subject, name: str, write: str, when: Phase
) -> None:
    for number, stage in (("1", "Production"), ("2", "Staging")):
        subject.edit.set_stage(name, number, stage)
    rival = Rival(Mortal(subject.writer, 1 if write == "registry" else 0, when), name, "2")
    if write != "registry":
        rival.memory.faults.append(crash_at(1 if write == "intent" else 2, when))
    with pytest.RaisesGroup(Crash, flatten_subgroups=True):
        await worked(rival)
    rival.memory.faults.clear()
    rival.writer = heir = Mortal(subject.writer, 0, when)
    rival.begin()
    await worked(rival)
    assert rival.phase == "Done"
    assert await subject.stages(name) == {"1": "Archived", "2": "Production"}
    # What the one before had written is not written again.
    done = (write, when) in {("registry", "after"), ("end", "before"), ("end", "after")}
    assert heir.written == (0 if done else 1)


async def test_two_operators_that_promote_one_model_at_once_leave_one_version_in_production(
    subject: Subject, name: str
) -> None:
    subject.edit.add_version(name)
    for number, stage in (("1", "Production"), ("2", "Staging"), ("3", "Staging")):
        subject.edit.set_stage(name, number, stage)
    rivals = {number: Rival(subject.writer, name, number) for number in ("2", "3")}
    for _ in range(20):
        await asyncio.gather(*(rival.worker.once() for rival in rivals.values()))
        if {rival.phase for rival in rivals.values()} <= {"Done", "Failed"}:
            break
    assert {rival.phase for rival in rivals.values()} <= {"Done", "Failed"}
    (winner,) = (await subject.read(name)).within("Production")
    assert rivals[winner].phase == "Done"
    assert await subject.stages(name) == dict.fromkeys(("1", "2", "3"), "Archived") | {winner: "Production"}


async def test_tags_that_were_written_are_remembered(subject: Subject, name: str) -> None:
    key = "tidegate.prod-eu.ml.fraud"
    said = {
        "1": Note(state=State.STABLE, weight=100, reason="Promoted", at=1_760_000_000.0),
        "2": Note(state=State.REJECTED, weight=0, reason="GuardBreached: 8.1% errors (34 of 420)", at=1_760_000_100.0),
    }
    for number, note in said.items():
        for tag, value in note.tags(key).items():
            assert await subject.writer.set_tag(name, number, tag, value) is None
    memory = recollection(key, subject.writer.url, await subject.read(name))
    assert memory.stable is not None
    assert memory.stable.number == "1"
    assert [(version.number, words) for version, words in memory.rejected] == [("2", said["2"].reason)]


async def test_nobody_there_is_an_answer() -> None:
    writer = MlflowWriter(Login(uri="http://127.0.0.1:9"), timeout=1)
    assert _reason(await writer.set_tag("m", "1", "a", "b")) == Reason.REGISTRY_UNREACHABLE
    assert _reason(await writer.read("m")) == Reason.REGISTRY_UNREACHABLE
    await writer.close()


async def test_no_registry_is_an_answer() -> None:
    writer = MlflowWriter(login_from({}))
    assert writer.url == ""
    assert _reason(await writer.move("m", "1", "Production", archive=True)) == Reason.REGISTRY_NOT_CONFIGURED
    await writer.close()
