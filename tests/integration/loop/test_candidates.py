"""Two pointers of a registry: the candidate's version comes, and a finished rollout moves the first pointer."""

import asyncio

import pytest
from tests.fakes.cluster import Crash, Phase
from tests.integration.loop.stage import MODEL, FakeStage, Stage

from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.core.values import Unavailable

#: Tags have their own stories (test_write_back.py).
QUIET = {"name": MODEL, "writeBack": "None"}
ALIASES = {**QUIET, "alias": "champion", "candidate": {"alias": "challenger"}}
STAGES = {**QUIET, "stage": "Production", "candidate": {"stage": "Staging"}}
LEFT = {**QUIET, "alias": "champion", "candidate": {"stage": "Staging"}}
MIXED = {**QUIET, "stage": "Production", "candidate": {"alias": "challenger"}}
MODELS = {"aliases": ALIASES, "stages": STAGES, "mixed": MIXED, "left": LEFT}
#: Two steps, so that many of these stories are quick.
SHORT = {"weights": [20, 100], "hold": "5s"}
REFUSED = Unavailable(reason=Reason.REGISTRY_FORBIDDEN, message="grant EDIT")


async def held(stage: Stage) -> RegisteredModel:
    model = await stage.registry.writer.read(MODEL)
    assert isinstance(model, RegisteredModel)
    return model


def challenge(stage: Stage, how: str = "aliases") -> str:
    """A new version behind the candidate pointer."""
    number = stage.registry.add_version(MODEL)
    if how in {"stages", "left"}:
        stage.registry.set_stage(MODEL, number, "Staging")
    else:
        stage.registry.set_alias(MODEL, "challenger", number)
    return number


async def started(stage: Stage, how: str = "aliases", **model: object) -> str:
    """A first version serves under the first pointer."""
    first = stage.point()
    stage.registry.set_stage(MODEL, first, "Production")
    await stage.apply(stage.manifest(model={**MODELS[how], **model}, rollout=SHORT))
    stage.start()
    await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
    return first


async def settled(stage: Stage, version: str) -> None:
    """A version serves alone and nothing is left to be written to the registry."""
    await stage.serves(version)
    await stage.until(lambda look: '"promotion"' not in look.status["record"], "the pointers were moved")


async def promoted(stage: Stage, how: str, first: str, second: str) -> None:
    """The registry is as the end of a rollout leaves it."""
    model = await held(stage)
    if how == "aliases":
        assert model.aliases == {"champion": second}
        return
    assert model.within("Production") == (second,)
    assert model.within("Archived") == (first,)
    assert model.within("Staging") == ()
    assert model.aliases.get("challenger") is None


async def test_a_challenger_takes_the_steps_and_becomes_champion(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(model=ALIASES))
    second = challenge(stage)
    await stage.rolling_of(second, 25)
    assert (await held(stage)).aliases == {"champion": first, "challenger": second}
    await settled(stage, second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    assert (await held(stage)).aliases == {"champion": second}
    assert (await stage.look()).condition("CandidateRejected")["status"] == "False"
    assert stage.registry_writes == ["set_alias", "delete_alias"]
    await stage.quiet()


def dies(number: int, when: Phase) -> FakeStage:
    """A stage whose operator is killed at one write to the registry, and started again."""
    stage = FakeStage()
    stage.restarting(3.0)

    def fault(written: int, phase: Phase) -> None:
        if (written, phase) == (number, when):
            raise Crash(f"{when} {number}")

    stage.registry_faults.append(fault)
    return stage


@pytest.mark.parametrize("how", ["aliases", "stages", "mixed"])
async def test_killed_at_any_write_to_the_registry_exactly_one_version_is_promoted(how: str) -> None:
    for number, when in ((1, "before"), (1, "after"), (2, "before"), (2, "after")):
        stage = dies(number, "before" if when == "before" else "after")
        await stage.open()
        try:
            first = await started(stage, how)
            second = challenge(stage, how)
            await settled(stage, second)
            await promoted(stage, how, first, second)
            writes = 1 if how == "stages" else 2
            assert stage.lives == (2 if number <= writes else 1)
            await stage.quiet()
        finally:
            await stage.close()


async def test_writes_that_are_lost_or_not_answered_are_done_again(stage: Stage) -> None:
    await started(stage)
    second = challenge(stage)
    away = Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="no answer")
    # Lost on the way there, lost on the way back.
    lost, unheard = [away, away], [away, away]
    stage.registry.writer.before = lambda _: lost.pop() if lost else None
    stage.registry.writer.after = lambda _: unheard.pop() if unheard else None
    await settled(stage, second)
    assert (await held(stage)).aliases == {"champion": second}
    await stage.quiet()


async def test_a_registry_that_forbids_it_is_said_and_asked_again_while_the_new_version_serves(stage: Stage) -> None:
    first = await started(stage)
    second = challenge(stage)
    stage.registry.writer.before = lambda _: REFUSED
    look = await stage.until(lambda look: look.reason("Stalled") == "PointerPending", "said")
    assert "grant EDIT" in look.condition("Stalled")["message"]
    assert look.weights == {second: 100}
    third = challenge(stage)
    before = stage.books.changes[:]
    await asyncio.sleep(120)
    # Nothing new begins, the old version is not called back, and nobody is written to over and over.
    assert (await stage.look()).weights == {second: 100}
    assert [change for change in stage.books.changes[len(before) :] if third in str(change)] == []
    assert (await held(stage)).aliases == {"champion": first, "challenger": third}
    stage.registry.writer.before = lambda _: None
    await settled(stage, third)
    assert (await held(stage)).aliases == {"champion": third}
    await stage.quiet()


async def test_a_person_who_moves_the_champion_while_it_waits_is_followed(stage: Stage) -> None:
    await started(stage)
    other = stage.registry.add_version(MODEL)
    second = challenge(stage)
    stage.registry.writer.before = lambda _: REFUSED
    await stage.until(lambda look: look.reason("Stalled") == "PointerPending", "said")
    stage.registry.set_alias(MODEL, "champion", other)
    await stage.serves(other)
    stage.registry.writer.before = lambda _: None
    await asyncio.sleep(60)
    assert (await held(stage)).aliases == {"champion": other, "challenger": second}
    assert stage.registry.writer.writes == []
    assert (await stage.look()).weights == {other: 100}


async def test_a_rejected_challenger_leaves_the_object_ready_and_is_not_tried_again(stage: Stage) -> None:
    stage.traffic.rate = 100.0
    first = await started(stage)
    second = challenge(stage)
    stage.traffic.errors[second] = 1.0
    look = await stage.until(lambda look: look.reason("CandidateRejected") is not None, "rejected")
    assert look.reason("CandidateRejected") == "GuardBreached"
    await stage.serves(first)
    assert (await held(stage)).aliases == {"champion": first, "challenger": second}
    await stage.reborn()
    await asyncio.sleep(60)
    assert stage.books.raises(second) == [20]
    assert stage.registry.writer.writes == []
    third = challenge(stage)
    await settled(stage, third)
    assert (await stage.look()).condition("CandidateRejected")["status"] == "False"


@pytest.mark.parametrize(("how", "on_reject"), [("aliases", {"removeAlias": True}), ("stages", {"stage": "Archived"})])
async def test_a_rejected_candidate_leaves_its_pointer_if_that_is_asked_for(
    stage: Stage, how: str, on_reject: dict[str, object]
) -> None:
    stage.traffic.rate = 100.0
    candidate = {**MODELS[how]["candidate"], "onReject": on_reject}  # type: ignore[dict-item]  # a table of specs
    first = await started(stage, how, candidate=candidate)
    second = challenge(stage, how)
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: look.reason("CandidateRejected") is not None, "rejected")
    await stage.until(lambda look: '"discards"' not in look.status["record"], "taken away")
    model = await held(stage)
    assert model.aliases == {"champion": first}
    assert model.within("Staging") == ()
    assert model.within("Production") == (first,)
    # It is still told of.
    look = await stage.serves(first)
    assert look.reason("CandidateRejected") == "GuardBreached"


async def test_once_promoted_nothing_more_is_written_or_read(stage: Stage) -> None:
    await started(stage)
    second = challenge(stage)
    await settled(stage, second)
    await stage.alone(second)
    await asyncio.sleep(60)
    writes, cluster = len(stage.registry_writes), len(stage.writes)
    await asyncio.sleep(600)
    assert (len(stage.registry_writes), len(stage.writes)) == (writes, cluster)


@pytest.mark.parametrize("how", ["aliases", "left"])
async def test_a_champion_that_a_person_moves_back_is_followed_back(stage: Stage, how: str) -> None:
    first = await started(stage, how)
    second = challenge(stage, how)
    await settled(stage, second)
    stage.registry.set_alias(MODEL, "champion", first)
    await stage.serves(first)
    await asyncio.sleep(60)
    assert (await held(stage)).aliases == {"champion": first}
