"""The audit trail has every act on an object, in order, whoever died in between."""

import asyncio

import pytest
from tests.fakes.audit import FakeTrail, counted
from tests.fakes.cluster import Crash, Fault, Phase, Write
from tests.integration.loop.stage import FakeStage, Stage

from tidegate.api.record import decode
from tidegate.core.audit import AuditEvent
from tidegate.core.labels import KIND, RECORD, ROUTE_KIND

#: A first version, a second that takes over in two steps, a third that breaks at the first.
ACTS = [
    ("started", "1"), ("promoted", "1"),
    ("started", "2"), ("step", "2"), ("step", "2"), ("promoted", "2"),
    ("started", "3"), ("step", "3"), ("reverted", "3"),
]  # fmt: skip


@pytest.fixture
async def trail(stage: Stage) -> FakeTrail:
    stage.trail = FakeTrail()
    return stage.trail


def acts(events: list[AuditEvent]) -> list[tuple[str, str]]:
    return [(event.act.value, event.version) for event in events]


async def story(stage: Stage) -> None:
    """What `ACTS` lists."""
    stage.traffic.rate = 100.0
    rollout = {"weights": [20, 100], "hold": "15s"}
    guards = {"errorRate": {"max": "1%"}, "minRequests": 20, "interval": "5s"}
    first = stage.point()
    await stage.apply(stage.manifest(rollout=rollout, guards=guards))
    stage.start()
    await stage.until(lambda look: look.weights == {first: 100}, "the first serves")
    second = stage.point()
    await stage.until(lambda look: look.weights == {second: 100} and look.named == {second}, "the second serves")
    stage.traffic.errors["3"] = 1.0
    third = stage.point()
    await stage.until(lambda look: third in look.rejected and look.named == {second}, "the third was rejected")
    await asyncio.sleep(30)


async def test_every_act_is_told_once_in_order_and_then_nothing_is_written(stage: Stage, trail: FakeTrail) -> None:
    await story(stage)
    assert acts(trail.counted) == ACTS
    assert [event.sequence for event in trail.counted] == list(range(1, len(ACTS) + 1))
    assert len({event.id for event in trail.counted}) == len(ACTS)
    weights = [(event.source, event.target) for event in trail.counted if event.version == "2"]
    assert weights == [("1", "2"), ("0%", "20%"), ("20%", "100%"), ("1", "2")]
    last = trail.counted[-1]
    assert (last.actor, last.reason, last.source, last.target) == ("tidegate", "GuardBreached", "20%", "0%")
    assert (await stage.look()).status["audited"] == len(ACTS)
    before = len(stage.writes)
    await stage.reborn()
    await asyncio.sleep(600)
    assert stage.writes[before:] == []
    assert len(trail.counted) == len(ACTS)


def dying(stage: FakeStage, verb: str, kind: str, when: Phase) -> Fault:
    """The operator dies once for each act: at the first such write when the route's journal has it."""
    died: set[int] = set()

    def fault(write: Write, phase: Phase) -> None:
        if (write.verb, write.kind, phase) != (verb, kind, when):
            return
        route = stage.memory.read(ROUTE_KIND, write.namespace, write.name)
        journal = decode(route["metadata"]["annotations"][RECORD]).journal if route is not None else ()
        if journal and journal[-1].number not in died:
            died.add(journal[-1].number)
            raise Crash(f"{when} {write}")

    return fault


MOMENTS: list[tuple[str, str, Phase]] = [("apply", ROUTE_KIND, "after"), ("status", KIND, "before")]


@pytest.mark.parametrize(("verb", "kind", "when"), MOMENTS, ids=["it was written", "its line was told"])
async def test_killed_once_after_every_act_the_trail_is_complete_and_in_order(
    stage: FakeStage, trail: FakeTrail, verb: str, kind: str, when: Phase
) -> None:
    stage.restarting(3.0)
    stage.faults.append(dying(stage, verb, kind, when))
    await story(stage)
    assert stage.lives > len(ACTS) - 2
    assert acts(counted(trail.once())) == ACTS
    assert [event.sequence for event in counted(trail.once())] == list(range(1, len(ACTS) + 1))
    assert verb == "apply" or len(trail.counted) > len(ACTS), "nothing was told twice, so nobody died before its note"


async def test_a_trail_that_takes_nothing_delays_nothing_and_is_told_everything_later(
    stage: Stage, trail: FakeTrail
) -> None:
    trail.full = True
    await story(stage)
    assert trail.events == []
    assert "audited" not in (await stage.look()).status or (await stage.look()).status["audited"] == 0
    trail.full = False
    await asyncio.sleep(10)
    assert acts(trail.counted) == ACTS
    assert (await stage.look()).status["audited"] == len(ACTS)


async def test_what_people_ask_for_is_told_before_what_came_of_it(stage: Stage, trail: FakeTrail) -> None:
    await stage.serve()
    second = await stage.rolling(5)
    await stage.annotate("pause", f"{second}/1")
    await stage.until(lambda look: look.status.get("phase") == "Paused", "paused")
    await stage.annotate("pause", None)
    await stage.until(lambda look: look.status.get("phase") != "Paused", "resumed")
    await stage.annotate("abort", f"{second}/1")
    await stage.reverted(second)
    await stage.annotate("retry", f"{second}/1")
    await stage.until(lambda look: look.rollout.get("attempt") == 2, "tried again")
    await asyncio.sleep(1)
    told = [(event.act.value, event.actor, event.target) for event in trail.counted if event.version == second]
    assert told[2:] == [
        ("paused", "person", ""),
        ("resumed", "person", ""),
        ("requested", "person", "abort"),
        ("reverted", "person", "0%"),
        ("requested", "person", "retry"),
        ("started", "registry", second),
    ]


async def test_what_is_deleted_in_mid_rollout_has_an_end_also_where_the_trail_was_full(
    stage: Stage, trail: FakeTrail
) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    trail.full = True
    await stage.annotate("abort", f"{second}/1")
    await stage.until(lambda look: not look.weights.get(second), "reverted")
    assert "reverted" not in [act for act, _ in acts(trail.counted)]
    trail.full = False
    await stage.vanish()
    await asyncio.sleep(1)
    assert acts(trail.counted)[-1][0] == "withdrawn"
    assert ("reverted", second) in acts(trail.counted)
    numbers = [event.sequence for event in trail.counted]
    assert numbers == list(range(1, len(numbers) + 1))
    told = len(trail.counted)
    await asyncio.sleep(60)
    assert len(trail.counted) == told
