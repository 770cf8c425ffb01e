"""What became of each version is written to the registry, and a cluster that knows nothing learns from it."""

import asyncio
import itertools

import pytest
from tests.fakes.audit import FakeTrail
from tests.fakes.cluster import Crash, Phase
from tests.integration.loop.stage import MODEL, FakeStage, Stage

from tidegate.core.audit import Act
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable

PREFIX = "tidegate.default.ml.fraud"
SHORT = {"weights": [20, 100], "hold": "5s"}
AWAY = Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="no answer")


def told(stage: Stage, version: str, prefix: str = PREFIX) -> tuple[str | None, str | None, str | None]:
    """State, weight and the first word of the reason that the tags say."""
    tags = stage.registry.tags(MODEL, version)
    reason = tags.get(f"{prefix}.reason")
    return tags.get(f"{prefix}.state"), tags.get(f"{prefix}.weight"), reason and reason.partition(":")[0]


async def says(stage: Stage, version: str, *expected: str, prefix: str = PREFIX, seconds: float = 300) -> None:
    """The tags come to say this."""
    end = asyncio.get_running_loop().time() + seconds
    while told(stage, version, prefix) != expected:
        assert asyncio.get_running_loop().time() < end, told(stage, version)
        await asyncio.sleep(0.1)


async def test_tags_follow_a_rollout_and_then_rest(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await says(stage, first, "stable", "100", "Promoted")
    second = stage.point()
    await says(stage, second, "canary", "20", "Advancing")
    await says(stage, first, "stable", "80", "Promoted")
    await stage.serves(second)
    await says(stage, second, "stable", "100", "Promoted")
    await says(stage, first, "retired", "0", "Superseded")
    assert stage.registry.tags(MODEL, second)[f"{PREFIX}.at"].endswith("Z")
    await asyncio.sleep(30)
    writes, passes = len(stage.registry_writes), len(stage.writes)
    await asyncio.sleep(600)
    assert (len(stage.registry_writes), len(stage.writes)) == (writes, passes)
    await stage.quiet()


async def test_who_wants_no_tags_gets_none(stage: Stage) -> None:
    model = {"name": MODEL, "alias": "champion", "writeBack": "None"}
    await stage.serve(stage.manifest(model=model, rollout=SHORT))
    await stage.serves(stage.point())
    assert stage.registry_writes == []


async def test_a_registry_that_takes_no_writes_delays_no_revert_and_hears_of_it_later(stage: Stage) -> None:
    stage.traffic.rate = 100.0
    first = await stage.serve(stage.manifest(rollout=SHORT))
    stage.registry.writer.before = lambda _: AWAY
    second = stage.point()
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: second in look.rejected and look.named == {first}, "rejected")
    assert told(stage, second) == (None, None, None)
    stage.registry.writer.before = lambda _: None
    await says(stage, second, "rejected", "0", "GuardBreached")
    await says(stage, first, "stable", "100", "Promoted")


async def test_a_registry_that_is_away_is_asked_again_after_two_seconds_and_then_twice_as_long(stage: Stage) -> None:
    tries: list[float] = []
    stage.registry.writer.before = lambda _: tries.append(asyncio.get_running_loop().time()) or AWAY
    await stage.serve(stage.manifest(rollout=SHORT))
    await asyncio.sleep(20)
    waits = [round(later - earlier) for earlier, later in itertools.pairwise(tries)]
    assert waits[:3] == [2, 4, 8]


async def test_an_account_that_may_not_write_is_not_told_over_and_over(stage: Stage) -> None:
    tries: list[object] = []
    refused = Unavailable(reason=Reason.REGISTRY_FORBIDDEN, message="grant EDIT")
    stage.registry.writer.before = lambda write: tries.append(write) or refused
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await stage.serves(first)
    await asyncio.sleep(600)
    assert 1 < len(tries) < 10
    before = len(tries)
    await asyncio.sleep(3600)
    assert len(tries) - before <= 2 * 4 + 1
    # What was missed for that comes with the right to write it.
    stage.registry.writer.before = lambda _: None
    await says(stage, first, "stable", "100", "Promoted", seconds=1000)
    assert tries
    before = len(stage.registry_writes)
    await asyncio.sleep(3600)
    assert len(stage.registry_writes) == before


@pytest.mark.parametrize("number", [1, 3, 5, 8, 9, 11])
async def test_killed_at_any_tag_the_next_life_writes_the_rest(number: int) -> None:
    stage = FakeStage()
    stage.restarting(3.0)

    def fault(written: int, phase: Phase) -> None:
        if (written, phase) == (number, "after" if number % 2 else "before"):
            raise Crash(str(number))

    stage.registry_faults.append(fault)
    await stage.open()
    try:
        first = await stage.serve(stage.manifest(rollout=SHORT))
        await says(stage, first, "stable", "100", "Promoted")
        second = stage.point()
        await stage.serves(second)
        await says(stage, second, "stable", "100", "Promoted")
        await says(stage, first, "retired", "0", "Superseded")
        assert stage.lives == 2
    finally:
        await stage.close()


async def rejected(stage: Stage) -> tuple[str, str]:
    """A first version serves, a second one was rejected, and the registry knows."""
    stage.traffic.rate = 100.0
    first = await stage.serve(stage.manifest(rollout=SHORT))
    second = stage.point()
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: second in look.rejected and look.named == {first}, "rejected")
    await says(stage, second, "rejected", "0", "GuardBreached")
    return first, second


async def rebuilt(stage: Stage, **spec: object) -> None:
    """The object, its route and all that is in the cluster are lost; the registry stays."""
    await asyncio.sleep(10)
    await stage.vanish()
    await asyncio.sleep(10)
    await stage.kill()
    stage.books.changes.clear()
    await stage.apply(stage.manifest(rollout=SHORT, **spec))
    stage.start()


async def test_on_a_rebuilt_cluster_a_rejected_version_is_not_deployed_and_what_was_stable_is(stage: Stage) -> None:
    first, second = await rejected(stage)
    await rebuilt(stage)
    look = await stage.until(lambda look: look.reason("Stalled") == "GuardBreached", "said")
    assert look.weights == {first: 100}
    assert f"version {first} serves" in look.condition("Stalled")["message"]
    assert stage.books.raises(second) == []
    assert stage.registry_writes
    stage.traffic.errors.clear()
    await stage.annotate("retry", f"{second}/1")
    await stage.serves(second)
    assert stage.books.raises(second) == [20, 100]
    await says(stage, second, "stable", "100", "Promoted")


@pytest.mark.parametrize(
    "reason",
    [Reason.REGISTRY_NOT_MLFLOW, Reason.REGISTRY_FORBIDDEN, Reason.REGISTRY_UNAUTHORIZED, Reason.MODEL_NOT_FOUND],
)
async def test_on_a_rebuilt_cluster_nothing_begins_before_the_registry_said_what_it_remembers(
    stage: Stage, reason: Reason
) -> None:
    first, second = await rejected(stage)
    stage.registry.writer.unread = Unavailable(reason=reason, message="a page of somebody else")
    await rebuilt(stage)
    look = await stage.until(lambda look: look.condition("Ready").get("reason") == reason, "said why")
    assert "a page of somebody else" in look.condition("Ready")["message"]
    await asyncio.sleep(300)
    assert stage.books.raises(second) == []
    stage.registry.writer.unread = None
    look = await stage.until(lambda look: look.reason("Stalled") == "GuardBreached", "remembered")
    assert look.weights == {first: 100}
    assert stage.books.raises(second) == []


async def test_on_a_cluster_rebuilt_in_mid_rollout_the_new_version_takes_its_steps_again(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(rollout={"weights": [20, 100], "hold": "900s"}))
    await says(stage, first, "stable", "100", "Promoted")
    second = await stage.rolling(20)
    await says(stage, second, "canary", "20", "Advancing")
    await rebuilt(stage)
    await stage.until(lambda look: look.weights == {first: 100}, "what was stable comes first")
    await stage.serves(second)
    assert stage.books.raises(second) == [20, 100]


async def test_what_was_stable_and_does_not_get_up_makes_way(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await says(stage, first, "stable", "100", "Promoted")
    await asyncio.sleep(10)
    await stage.vanish()
    await asyncio.sleep(10)
    second = stage.point()
    await stage.kubelet.mood(first, "never")
    await stage.apply(stage.manifest(rollout={**SHORT, "progressDeadline": "60s"}))
    await stage.serves(second)


async def test_with_another_name_for_the_cluster_there_is_another_memory(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await says(stage, first, "stable", "100", "Promoted")
    stage.settings = stage.settings.model_copy(update={"cluster_name": "blue"})
    second = stage.point()
    await rebuilt(stage)
    await stage.serves(second)
    await says(stage, second, "stable", "100", "Promoted", prefix="tidegate.blue.ml.fraud")
    assert stage.books.raises(first) == []


async def test_a_write_that_the_trail_can_not_be_told_of_waits_until_it_can(stage: Stage) -> None:
    stage.trail = FakeTrail()
    stage.trail.full = True
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await asyncio.sleep(60)
    assert stage.registry.tags(MODEL, first) == {}
    stage.trail.full = False
    await says(stage, first, "stable", "100", "Promoted")
    told = [event for event in stage.trail.events if event.act is Act.WRITTEN_BACK]
    assert [event.outcome for event in told] == ["begun", "done"]
    assert len({event.id for event in told}) == 2
    assert {(event.version, event.reason, event.actor) for event in told} == {(first, "Promoted", "tidegate")}


async def test_a_registry_that_is_away_for_long_is_told_of_once_for_each_thing_it_is_to_hear(stage: Stage) -> None:
    stage.trail = FakeTrail()
    stage.registry.writer.before = lambda _: AWAY
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await asyncio.sleep(600)
    told = [event for event in stage.trail.events if event.act is Act.WRITTEN_BACK]
    assert [(event.target, event.outcome) for event in told] == [("canary", "begun"), ("stable", "begun")]
    stage.registry.writer.before = lambda _: None
    await says(stage, first, "stable", "100", "Promoted")
    told = [event for event in stage.trail.events if event.act is Act.WRITTEN_BACK]
    assert [(event.target, event.outcome) for event in told[2:]] == [("stable", "done")]


@pytest.mark.parametrize("key", ["reason", "at"])
async def test_a_write_that_breaks_off_half_way_is_done_in_the_trail_when_the_rest_is_written(
    stage: Stage, key: str
) -> None:
    stage.trail = FakeTrail()
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await says(stage, first, "stable", "100", "Promoted")
    second, broken = str(int(first) + 1), []

    def breaks_off(write: tuple[str, ...]) -> Unavailable | None:
        if broken or told(stage, second)[0] != "stable" or f"{PREFIX}.{key}" not in write:
            return None
        broken.append(write)
        return AWAY

    stage.registry.writer.before = breaks_off
    assert stage.point() == second
    await stage.serves(second)
    await says(stage, second, "stable", "100", "Promoted")
    assert len(broken) == 1
    await asyncio.sleep(60)
    acts = [event for event in stage.trail.events if event.act is Act.WRITTEN_BACK]
    last = {event.version: (event.target, event.outcome) for event in acts}
    assert last == {first: ("retired", "done"), second: ("stable", "done")}


async def test_where_the_trail_is_full_when_all_is_written_newer_words_take_the_place_of_the_second_line(
    stage: Stage,
) -> None:
    stage.trail = trail = FakeTrail()

    def fills(_: object) -> None:
        trail.full = True

    stage.registry.writer.before = fills
    first = await stage.serve(stage.manifest(rollout=SHORT))
    await says(stage, first, "canary", "0", "Starting")
    assert [event.outcome for event in trail.events if event.act is Act.WRITTEN_BACK] == ["begun"]
    stage.registry.writer.before = lambda _: None
    trail.full = False
    await says(stage, first, "stable", "100", "Promoted")
    await asyncio.sleep(10)
    acts = [(event.target, event.outcome) for event in trail.events if event.act is Act.WRITTEN_BACK]
    assert acts == [("canary", "begun"), ("stable", "begun"), ("stable", "done")]
