"""Events: the same words are one, a flood is cut off, and what can't be written costs nothing."""

import asyncio
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.cluster import FakeCluster, refuse_kind

from tidegate.core.values import ObjectRef
from tidegate.loop.events import BURST, HEARTBEAT, MOST, REFILL, SERIES_ENDS, EventRecorder
from tidegate.telemetry import Metrics

REF = ObjectRef(namespace="ml", name="fraud", uid="u-1")


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return 1_760_000_000.0 + self.time

    def monotonic(self) -> float:
        return self.time


class Desk:
    def __init__(self, most: int = MOST) -> None:
        self.cluster = FakeCluster()
        self.clock = Clock()
        self.metrics = Metrics()
        self.recorder = EventRecorder(
            cluster=self.cluster, clock=self.clock, metrics=self.metrics, instance="pod-1", most=most
        )

    async def tell(self, note: str = "n", *, ref: ObjectRef = REF, after: float = 1.0, **fields: Any) -> None:
        self.clock.time += after
        words = {"reason": "Advancing", "action": "Rollout", "warning": False} | fields
        self.recorder.tell(ref, note=note, **words)
        await self.recorder.flush()

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(self.cluster.all("Event"))

    @property
    def writes(self) -> int:
        return len(self.cluster.writes)

    def dropped(self, cause: str) -> float:
        return self.metrics.events_dropped.labels(cause=cause)._value.get()


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_first_one_is_a_single_event_that_names_its_decision(desk: Desk) -> None:
    await desk.tell("version 7 gets 5%", decision="abc")
    (event,) = desk.events
    assert "series" not in event
    assert event["metadata"]["annotations"] == {"tidegate.dev/decision": "abc"}
    assert (event["reason"], event["note"], event["type"]) == ("Advancing", "version 7 gets 5%", "Normal")
    assert event["regarding"]["uid"] == "u-1"
    assert event["reportingInstance"] == "pod-1"


async def test_a_repetition_is_counted_at_once_and_then_with_a_heartbeat(desk: Desk) -> None:
    await desk.tell()
    await desk.tell()
    (event,) = desk.events
    assert event["series"] == {"count": 2, "lastObservedTime": "2025-10-09T08:53:22.000000Z"}
    for _ in range(20):
        await desk.tell()
    assert desk.writes == 2
    await desk.tell(after=HEARTBEAT)
    (event,) = desk.events
    assert event["series"]["count"] == 23
    assert desk.writes == 3


async def test_other_words_are_another_event(desk: Desk) -> None:
    await desk.tell("5%")
    await desk.tell("25%")
    await desk.tell("25%", warning=True)
    await desk.tell("25%", ref=ObjectRef(namespace="ml", name="fraud", uid="u-2"))
    assert len(desk.events) == 4
    assert not any("series" in event for event in desk.events)


async def test_two_of_one_moment_are_two(desk: Desk) -> None:
    await desk.tell("5%")
    await desk.tell("25%", after=0.0)
    assert [event["note"] for event in desk.events] == ["5%", "25%"]


async def test_the_same_words_long_after_are_a_new_event(desk: Desk) -> None:
    await desk.tell()
    await desk.tell(after=SERIES_ENDS + 1)
    assert len(desk.events) == 2


async def test_a_series_whose_event_expired_is_there_again(desk: Desk) -> None:
    await desk.tell()
    desk.cluster.remove("Event", "ml", desk.events[0]["metadata"]["name"])
    await desk.tell()
    assert desk.events[0]["series"]["count"] == 2


async def test_an_object_that_flaps_in_ever_new_words_writes_its_budget_and_no_more(desk: Desk) -> None:
    for number in range(500):
        await desk.tell(f"error {number}", after=0.01)
    assert desk.writes == BURST
    assert desk.dropped("rate") == 500 - BURST
    await desk.tell("another object has its own", ref=ObjectRef(namespace="ml", name="spam", uid="u-9"))
    assert desk.writes == BURST + 1
    await desk.tell("and time gives more", after=REFILL)
    assert desk.writes == BURST + 2


async def test_what_is_refused_is_lost_and_counted(desk: Desk) -> None:
    desk.cluster.faults.append(refuse_kind("Event"))
    await desk.tell()
    await desk.tell()
    assert desk.events == []
    assert desk.dropped("error") == 2


async def test_what_is_remembered_has_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.loop.events.REMEMBERED", 3)
    for number in range(9):
        await desk.tell(ref=ObjectRef(namespace="ml", name="fraud", uid=f"u-{number}"))
    assert len(desk.recorder._told) == len(desk.recorder._budgets) == 3


async def test_what_was_not_told_for_long_is_forgotten_and_what_is_remembered_is_small(desk: Desk) -> None:
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for number in range(400):
        await desk.tell(f"version {number} gets 5%", ref=replace(REF, uid=f"u-{number}"))
        desk.cluster.writes.clear()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    kept = sum(
        s.size_diff for s in after.compare_to(before, "filename") if s.traceback[0].filename.endswith("events.py")
    )
    assert kept / 400 < 850, kept
    await desk.tell("another", after=SERIES_ENDS + 1)
    assert len(desk.recorder._told) == 1


async def test_nobody_waits_for_one_and_they_are_written_in_turn(desk: Desk) -> None:
    for number in range(3):
        desk.recorder.tell(REF, note=f"{number}", reason="Advancing", action="Rollout", warning=False)
        desk.clock.time += 1
    assert desk.writes == 0
    writer = asyncio.create_task(desk.recorder.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.recorder.tell(REF, note="3", reason="Advancing", action="Rollout", warning=False)
    for _ in range(20):
        await asyncio.sleep(0)
    writer.cancel()
    assert [event["note"] for event in desk.events] == ["0", "1", "2", "3"]


async def test_a_queue_that_is_full_drops_the_oldest() -> None:
    desk = Desk(most=2)
    for number in range(5):
        desk.recorder.tell(REF, note=f"{number}", reason="Advancing", action="Rollout", warning=False)
        desk.clock.time += 1
    await desk.recorder.flush()
    assert [event["note"] for event in desk.events] == ["3", "4"]
    assert desk.dropped("queue") == 3


async def test_the_end_does_not_wait_for_an_api_server_that_hangs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.loop.events.FAREWELL", 0.01)
    monkeypatch.setattr(desk.cluster, "emit", lambda _: asyncio.sleep(60))
    for number in range(3):
        desk.recorder.tell(REF, note=f"{number}", reason="Advancing", action="Rollout", warning=False)
    await desk.recorder.stop()
    assert desk.dropped("queue") == 3
    await desk.recorder.stop()
    assert desk.dropped("queue") == 3


async def test_one_that_fails_in_a_way_that_nobody_foresaw_is_not_tried_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        desk.recorder.tell(REF, note=f"{number}", reason="Advancing", action="Rollout", warning=False)
    with monkeypatch.context() as patched:
        patched.setattr(desk.cluster, "emit", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await desk.recorder.run()
    await desk.recorder.flush()
    assert [event["note"] for event in desk.events] == ["1"]


async def test_one_whose_write_was_broken_off_and_had_arrived_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit, hung = desk.cluster.emit, asyncio.Event()

    async def slow(event: dict[str, Any]) -> None:
        await emit(event)
        hung.set()
        await asyncio.sleep(60)

    desk.recorder.tell(REF, note="once", reason="Advancing", action="Rollout", warning=False)
    with monkeypatch.context() as patched:
        patched.setattr(desk.cluster, "emit", slow)
        writer = asyncio.create_task(desk.recorder.run())
        await hung.wait()
        writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await desk.recorder.stop()
    assert [event["note"] for event in desk.events] == ["once"]
    assert desk.dropped("error") == desk.dropped("queue") == 0
