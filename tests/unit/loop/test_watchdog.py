"""The watchdog barks at what is stuck, and is not fooled by a queue that is empty or busy."""

import asyncio

import pytest
from tests.fixtures.until import until

from tidegate.loop.queue import WorkQueue
from tidegate.loop.watchdog import STUCK, Watchdog
from tidegate.telemetry import Metrics


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Kennel:
    def __init__(self) -> None:
        self.clock = Clock()
        self.queue = WorkQueue(self.clock.monotonic)
        self.metrics = Metrics()
        self.dog = Watchdog(queue=self.queue, clock=self.clock, metrics=self.metrics)

    def after(self, seconds: float) -> str | None:
        self.clock.time += seconds
        return self.dog.trouble()


@pytest.fixture
def kennel() -> Kennel:
    return Kennel()


async def test_an_idle_queue_is_well_for_ever(kennel: Kennel) -> None:
    assert kennel.after(0) is None
    assert kennel.after(100 * STUCK) is None


async def test_a_pass_that_never_ends_is_told_though_nothing_waits(kennel: Kennel) -> None:
    kennel.queue.add("ml/fraud")
    await kennel.queue.get()
    assert kennel.after(STUCK) is None
    assert kennel.after(1) == f"the pass of ml/fraud has not ended for {STUCK + 1:.0f} s"
    kennel.queue.done("ml/fraud")
    assert kennel.after(0) is None


async def test_one_hung_pass_is_told_though_the_other_workers_go_on(kennel: Kennel) -> None:
    kennel.queue.add("ml/hung")
    await kennel.queue.get()
    for _ in range(5):
        kennel.queue.add("ml/well")
        kennel.queue.done(await kennel.queue.get())
        said = kennel.after(STUCK / 4)
    assert said is not None
    assert "ml/hung" in said


async def test_work_that_nobody_takes_is_told(kennel: Kennel) -> None:
    kennel.after(100 * STUCK)
    kennel.queue.add("ml/fraud")
    assert kennel.after(STUCK) is None
    assert kennel.after(1) == f"1 objects wait and none was taken for {STUCK + 1:.0f} s"


async def test_events_that_keep_coming_do_not_hide_that_nobody_works(kennel: Kennel) -> None:
    for _ in range(5):
        kennel.queue.add("ml/fraud")
        said = kennel.after(STUCK / 4)
    assert said is not None


async def test_a_long_queue_that_moves_is_well(kennel: Kennel) -> None:
    for number in range(100):
        kennel.queue.add(f"ml/m{number}")
    for _ in range(100):
        key = await kennel.queue.get()
        assert kennel.after(STUCK / 10) is None
        kennel.queue.done(key)


async def test_the_loops_lag_is_measured(kennel: Kennel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.loop.watchdog.BEAT", 0.001)
    task = asyncio.create_task(kennel.dog.run())
    await until(lambda: kennel.metrics.loop_lag._sum.get() == 0 and sum_of(kennel.metrics) > 2)
    task.cancel()


async def test_the_loops_tasks_are_counted_and_those_that_ended_are_not(
    kennel: Kennel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.loop.watchdog.BEAT", 0.001)
    before = len(asyncio.all_tasks())
    dog = asyncio.create_task(kennel.dog.run())
    others = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    await until(lambda: shown_tasks(kennel.metrics) == before + 4)
    for task in others:
        task.cancel()
    await until(lambda: shown_tasks(kennel.metrics) == before + 1)
    dog.cancel()


def shown_tasks(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("tidegate_asyncio_tasks")


def sum_of(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("tidegate_event_loop_lag_seconds_count") or 0.0
