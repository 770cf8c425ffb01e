"""The audit trail's webhook has every act on an object, in order, whoever was away or died in between."""

import asyncio

import pytest
from tests.fakes.audit import FakeAuditor, FakeTrail, counted
from tests.fakes.cluster import Crash, Fault, Phase, Write
from tests.integration.loop.stage import NAME, FakeStage, Stage
from tests.integration.loop.test_audit import ACTS, acts, story

from tidegate.core.labels import KIND


@pytest.fixture
async def auditor(stage: Stage) -> FakeAuditor:
    stage.trail = FakeTrail()
    stage.auditor = FakeAuditor()
    return stage.auditor


async def posted(stage: Stage) -> int | None:
    found = (await stage.look()).status.get("posted")
    assert found is None or isinstance(found, int)
    return found


async def test_every_act_is_posted_once_in_order_and_then_nothing_is_written(
    stage: Stage, auditor: FakeAuditor
) -> None:
    await story(stage)
    assert acts(auditor.counted) == ACTS
    assert [event.sequence for event in auditor.counted] == list(range(1, len(ACTS) + 1))
    assert stage.trail is not None
    assert [event.id for event in auditor.counted] == [event.id for event in stage.trail.counted]
    assert await posted(stage) == len(ACTS)
    before = len(stage.writes)
    await stage.reborn()
    await asyncio.sleep(600)
    assert (stage.writes[before:], len(auditor.counted)) == ([], len(ACTS))


@pytest.mark.parametrize("mood", ["down", "refusing", "hanging"])
async def test_a_receiver_that_takes_nothing_delays_neither_rollouts_nor_lines_and_gets_everything_later(
    stage: Stage, auditor: FakeAuditor, mood: str
) -> None:
    auditor.mood = mood
    await story(stage)
    assert stage.trail is not None
    assert (acts(stage.trail.counted), auditor.events) == (ACTS, [])
    assert (await posted(stage), (await stage.look()).status["audited"]) == (0, len(ACTS))
    assert auditor.tries < 60
    await stage.quiet()
    if mood == "hanging":
        await stage.kill()
    auditor.mood = "up"
    if mood == "hanging":
        stage.start()
    await asyncio.sleep(120)
    assert acts(auditor.counted) == ACTS
    assert await posted(stage) == len(ACTS)


def dying(stage: FakeStage, auditor: FakeAuditor, when: Phase) -> Fault:
    """The operator dies once for each act that was posted: at the next write of status."""
    died: set[int] = set()

    def fault(write: Write, phase: Phase) -> None:
        last = len(counted(auditor.once()))
        if (write.verb, write.kind, phase) == ("status", KIND, when) and last and last not in died:
            died.add(last)
            raise Crash(f"{when} {write}")

    return fault


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_once_after_every_act_the_receiver_has_all_of_them_in_order(
    stage: FakeStage, auditor: FakeAuditor, when: Phase
) -> None:
    stage.restarting(3.0)
    stage.faults.append(dying(stage, auditor, when))
    await story(stage)
    await asyncio.sleep(60)
    assert stage.lives > 4
    assert acts(counted(auditor.once())) == ACTS
    assert [event.sequence for event in counted(auditor.once())] == list(range(1, len(ACTS) + 1))
    assert when == "after" or len(auditor.counted) > len(ACTS), "nothing came twice, so nobody died before its note"


async def test_acts_that_fall_out_while_the_receiver_is_away_are_said_to_be_lost(
    stage: Stage, auditor: FakeAuditor
) -> None:
    await stage.serve()
    await asyncio.sleep(60)
    begun = [event.sequence for event in auditor.counted]
    auditor.mood = "down"
    second = await stage.rolling(5)
    for _ in range(14):
        await stage.annotate("pause", f"{second}/1")
        await stage.until(lambda look: look.status.get("phase") == "Paused", "paused")
        await stage.annotate("pause", None)
        await stage.until(lambda look: look.status.get("phase") != "Paused", "resumed")
    await stage.annotate("abort", f"{second}/1")
    await stage.reverted(second)
    auditor.mood = "up"
    await asyncio.sleep(120)
    told = auditor.counted[len(begun) :]
    gap, *rest = told
    assert (gap.act.value, gap.outcome, int(gap.source)) == ("gap", "lost", len(begun) + 1)
    assert [event.sequence for event in rest] == list(range(int(gap.target) + 1, int(gap.target) + 25))
    assert (await posted(stage)) == rest[-1].sequence
    assert stage.operator is not None
    count = stage.operator.metrics.registry.get_sample_value("tidegate_audit_posts_total", {"result": "lost"})
    assert count == int(gap.target) - int(gap.source) + 1
    assert stage.trail is not None
    assert [event.sequence for event in stage.trail.counted] == list(range(1, (rest[-1].sequence or 0) + 1))


async def test_what_an_object_did_last_is_posted_after_it_was_deleted(stage: Stage, auditor: FakeAuditor) -> None:
    auditor.mood = "down"
    await stage.serve()
    await stage.vanish()
    await asyncio.sleep(60)
    auditor.mood = "up"
    await asyncio.sleep(60)
    assert acts(auditor.counted) == [*ACTS[:2], ("withdrawn", "1")]


async def test_a_webhook_that_is_new_gets_what_the_object_still_knows_and_no_gap(
    stage: Stage, auditor: FakeAuditor
) -> None:
    stage.auditor = None
    await story(stage)
    assert "posted" not in (await stage.look()).status
    await stage.kill()
    stage.auditor = auditor
    stage.start()
    await asyncio.sleep(60)
    assert acts(auditor.counted) == ACTS
    assert {event.ref.name for event in auditor.counted} == {NAME}


async def test_what_is_in_no_journal_is_posted_after_what_its_objects_has(stage: Stage, auditor: FakeAuditor) -> None:
    auditor.mood = "down"
    await story(stage)
    auditor.mood = "up"
    await asyncio.sleep(120)
    told = [event.sequence is not None for event in auditor.events]
    assert told == [True] * len(ACTS) + [False] * (len(told) - len(ACTS))
    assert stage.trail is not None
    # Tags are told of twice: before they are written, and after.
    words = [(event.version, event.source, event.target, event.outcome) for event in auditor.events[len(ACTS) :]]
    assert words[:2] == [("1", "", "canary", "begun"), ("1", "", "canary", "done")]
    assert words[-2:] == [("3", "canary", "rejected", "begun"), ("3", "canary", "rejected", "done")]
    assert {event.act.value for event in auditor.events[len(ACTS) :]} == {"written-back"}
    assert sorted(event.id for event in auditor.events) == sorted(event.id for event in stage.trail.events)
