"""The audit trail has every act on promotions and on requests for training, in order, whoever died in between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.audit import FakeAuditor, FakeTrail
from tests.fakes.cluster import Phase, crash_at
from tests.fakes.trainer import FakeTrainer
from tests.integration.loop.stage import MODEL, FakeStage, Stage
from tests.integration.loop.test_promotions import DEAD, asks, dies_at, until, votes

from tidegate.core.audit import AuditEvent

#: One promotion: asked for by ann, approved by bob, carried out.
DONE = [
    ("requested", "user:ann", "", "done"),
    ("approved", "user:bob", "", "done"),
    ("started", "tidegate", "Approved", "done"),
    ("written-back", "tidegate", "Moved", "done"),
]


@pytest.fixture
async def stage() -> AsyncIterator[FakeStage]:
    made = FakeStage()
    made.memory.now = made.clock.now
    made.settings = made.settings.model_copy(update={"governance": True})
    made.trail = FakeTrail()
    await made.open()
    for where in ("Production", "Staging", "Staging"):
        made.registry.set_stage(MODEL, made.registry.add_version(MODEL), where)
    yield made
    await made.close()


@pytest.fixture
def trail(stage: FakeStage) -> FakeTrail:
    assert stage.trail is not None
    return stage.trail


def acts(events: list[AuditEvent], name: str = "p") -> list[tuple[str, str, str, str]]:
    return [(one.act.value, one.actor, one.reason, one.outcome) for one in events if one.ref.name == name]


async def promote(stage: Stage) -> None:
    asked = await asks(stage, "p", "2")
    await until(stage, "p", "Pending")
    await votes(stage, asked, "bob")
    await until(stage, "p", "Done")


async def test_a_promotion_is_told_once_in_order_and_then_nothing_is_written(
    stage: FakeStage, trail: FakeTrail
) -> None:
    stage.start()
    await promote(stage)
    await asyncio.sleep(60)
    assert acts(trail.events) == DONE
    assert [event.sequence for event in trail.events] == [1, 2, 3, 4]
    assert {(event.model, event.version, event.source, event.target) for event in trail.events} == {
        (MODEL, "2", "Staging", "Production")
    }
    body = await stage.hands.read("ModelPromotion", "p")
    assert body is not None
    assert (body["status"]["audited"], [act["number"] for act in body["status"]["acts"]]) == (4, [1, 2, 3, 4])
    before = len(stage.writes)
    await stage.reborn()
    await asyncio.sleep(900)
    assert (len(stage.writes), len(trail.events)) == (before, 4)


async def test_a_refusal_and_who_took_his_word_back_are_told(stage: FakeStage, trail: FakeTrail) -> None:
    stage.settings = stage.settings.model_copy()
    stage.start()
    asked = await asks(stage, "p", "2")
    await until(stage, "p", "Pending")
    meta = {"name": "two", "namespace": stage.hands.namespace}
    spec = {"paths": [{"from": "Staging", "to": "Production", "approvals": 2}]}
    policy = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": meta, "spec": spec}
    await stage.hands.put(policy)
    await votes(stage, asked, "bob")
    await asyncio.sleep(20)
    await stage.hands.remove("ModelApproval", "p-bob-grant")
    await asyncio.sleep(20)
    await votes(stage, asked, "carol", "Refuse")
    await until(stage, "p", "Refused")
    await asyncio.sleep(20)
    assert acts(trail.events) == [
        ("requested", "user:ann", "", "done"),
        ("approved", "user:bob", "", "done"),
        ("withdrawn", "person", "", "done"),
        ("refused", "user:carol", "", "done"),
        ("refused", "tidegate", "ApprovalRefused", "done"),
    ]


async def test_what_is_deleted_before_it_is_decided_is_told_as_withdrawn_and_what_was_decided_is_not(
    stage: FakeStage, trail: FakeTrail
) -> None:
    stage.auditor = FakeAuditor()
    stage.start()
    await promote(stage)
    await asks(stage, "q", "3")
    await until(stage, "q", "Pending")
    await retrain(stage)
    await asyncio.sleep(20)
    for kind, name in (("ModelPromotion", "p"), ("ModelPromotion", "q"), ("RetrainingRequest", "r")):
        await stage.hands.remove(kind, name)
    await asyncio.sleep(20)
    assert acts(trail.events) == acts(stage.auditor.events) == DONE
    asked = [("requested", "user:ann", "", "done"), ("withdrawn", "person", "", "done")]
    for name in ("q", "r"):
        assert acts(trail.events, name) == acts(stage.auditor.events, name) == asked
    last = trail.events[-2]
    assert (last.sequence, last.version, last.message) == (2, "3", "deleted before it was decided")
    assert abs(last.at - stage.clock.now()) < 25


async def test_nobody_but_the_leader_tells_of_a_deletion(stage: FakeStage, trail: FakeTrail) -> None:
    stage.start()
    await asks(stage, "q", "3")
    await until(stage, "q", "Pending")
    await asyncio.sleep(20)
    assert stage.operator is not None
    stage.operator.fence.hold(None)
    await stage.hands.remove("ModelPromotion", "q")
    await asyncio.sleep(5)
    assert acts(trail.events, "q") == [("requested", "user:ann", "", "done")]


async def test_one_that_somebody_else_moved_away_failed(stage: FakeStage, trail: FakeTrail) -> None:
    stage.start()
    asked = await asks(stage, "p", "2")
    await until(stage, "p", "Pending")
    stage.registry.set_stage(MODEL, "2", "Archived")
    await votes(stage, asked, "bob")
    await until(stage, "p", "Failed")
    await asyncio.sleep(20)
    assert acts(trail.events)[-1] == ("written-back", "tidegate", "MovedElsewhere", "failed")


async def killed(stage: FakeStage, trail: FakeTrail) -> None:
    """The story of `DONE` by operators that die; what an auditor has who drops repetitions is the same."""
    stage.restarting(DEAD)
    asked = await asks(stage, "p", "2")
    await votes(stage, asked, "bob")
    stage.start()
    await until(stage, "p", "Done")
    await asyncio.sleep(DEAD + 60.0)
    assert stage.lives == 2
    assert acts(trail.once()) == DONE
    assert [event.sequence for event in trail.once()] == [1, 2, 3, 4]
    body = await stage.hands.read("ModelPromotion", "p")
    assert body is not None
    assert body["status"]["audited"] == 4


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_killed_at_a_write_of_its_status_the_trail_is_complete(
    stage: FakeStage, trail: FakeTrail, number: int, when: Phase
) -> None:
    stage.faults.append(crash_at(number, when))
    await killed(stage, trail)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_the_move_the_trail_is_complete(stage: FakeStage, trail: FakeTrail, when: Phase) -> None:
    stage.registry_faults.append(dies_at(1, when))
    await killed(stage, trail)


async def test_a_trail_that_takes_nothing_delays_no_promotion_and_is_told_later(
    stage: FakeStage, trail: FakeTrail
) -> None:
    trail.full = True
    stage.start()
    await promote(stage)
    await asyncio.sleep(60)
    assert trail.events == []
    trail.full = False
    await asyncio.sleep(20)
    assert acts(trail.events) == DONE


async def retrain(stage: Stage, **fields: Any) -> None:
    meta = {"name": "r", "namespace": stage.hands.namespace}
    spec = {"requestedBy": "ann", "model": MODEL, "version": "2", "comment": "worse each day", **fields}
    body = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "RetrainingRequest", "metadata": meta, "spec": spec}
    await stage.hands.put(body)


@pytest.mark.parametrize(
    ("mood", "expected"),
    [
        ("up", [("requested", "user:ann", "", "done"), ("handed-over", "tidegate", "", "done")]),
        ("refusing", [("requested", "user:ann", "", "done"), ("handed-over", "tidegate", "", "refused")]),
        ("down", [("requested", "user:ann", "", "done")]),
        (None, [("requested", "user:ann", "", "done")]),
    ],
    ids=str,
)
async def test_a_request_for_training_is_told_of_and_what_came_of_it(
    stage: FakeStage, trail: FakeTrail, mood: str | None, expected: list[tuple[str, str, str, str]]
) -> None:
    if mood is not None:
        stage.trainer = FakeTrainer()
        stage.trainer.mood = mood
    stage.start()
    await retrain(stage)
    await asyncio.sleep(100)
    assert acts(trail.events, "r") == expected
    assert trail.events[0].message == "worse each day"
    written = len(stage.writes)
    await asyncio.sleep(900)
    assert (len(stage.writes), acts(trail.events, "r")) == (written, expected)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
async def test_killed_at_a_write_of_a_request_its_trail_is_complete(
    stage: FakeStage, trail: FakeTrail, number: int, when: Phase
) -> None:
    stage.trainer = FakeTrainer()
    stage.restarting(DEAD)
    stage.faults.append(crash_at(number, when))
    stage.start()
    await retrain(stage)
    await asyncio.sleep(120)
    assert stage.lives == 2
    assert [event.act.value for event in trail.once()] == ["requested", "handed-over"]


async def test_the_webhook_has_all_of_it_too_and_status_says_so(stage: FakeStage, trail: FakeTrail) -> None:
    stage.auditor = FakeAuditor()
    stage.trainer = FakeTrainer()
    stage.auditor.mood = "down"
    stage.start()
    await promote(stage)
    await retrain(stage)
    await asyncio.sleep(60)
    stage.auditor.mood = "up"
    await asyncio.sleep(120)
    assert acts(stage.auditor.events) == acts(trail.events) == DONE
    assert acts(stage.auditor.events, "r") == acts(trail.events, "r")
    for kind, name, last in (("ModelPromotion", "p", 4), ("RetrainingRequest", "r", 2)):
        body = await stage.hands.read(kind, name)
        assert body is not None
        assert (body["status"]["audited"], body["status"]["posted"]) == (last, last)
    written, tries = len(stage.writes), stage.auditor.tries
    await stage.reborn()
    await asyncio.sleep(900)
    assert (len(stage.writes), stage.auditor.tries) == (written, tries)
