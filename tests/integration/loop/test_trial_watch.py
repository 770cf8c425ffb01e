"""Trials by the watch alone: bounds of what is sent, and whose turn it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from tests.fakes.evidence import FakePod
from tests.fakes.models import FakeModels, FakeServer
from tests.fixtures.loopclock import LoopClock

from tidegate.core.gates import Outcome, SmokeGate, ThroughputGate
from tidegate.core.trials import Trial
from tidegate.loop.trials import TrialWatch

LOAD = ThroughputGate(least=50, seconds=4.0, concurrency=4)
TRIAL = Trial(revision="m-v7", attempt=1, path="/invocations", body="{}", smoke=None, throughput=LOAD)


class Trials:
    """A watch, and pods by their numbers."""

    def __init__(self) -> None:
        self.models = FakeModels()
        self.changes: list[str] = []
        self.watch = TrialWatch(self.models, LoopClock(), on_change=self.changes.append)

    def pod(self, number: int) -> FakeServer:
        return self.models.servers.setdefault(f"pod{number}:8080", FakeServer(FakePod(str(number))))

    def follow(self, key: str, trial: Trial | None, *pods: int) -> None:
        self.watch.follow(key, trial, lambda: [f"http://pod{number}:8080" for number in pods])

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(300):
            while not holds():  # noqa: ASYNC110 (virtual time)
                await asyncio.sleep(0.01)

    async def over(self, key: str) -> tuple[Outcome, str]:
        await self.until(lambda: (said := self.watch.tried(key)) is not None and said.over)
        said = self.watch.tried(key)
        assert said is not None
        return said.findings[-1].outcome, said.findings[-1].message


@pytest.fixture
async def trials() -> AsyncIterator[Trials]:
    made = Trials()
    yield made
    await made.watch.close()


async def test_a_load_goes_little_faster_than_asked_for_and_ends_when_enough_was_answered(trials: Trials) -> None:
    pod, loop = trials.pod(1), asyncio.get_running_loop()
    pod.seconds = 0.001
    trials.follow("a", TRIAL, 1)
    began = loop.time()
    outcome, message = await trials.over("a")
    assert outcome is Outcome.PASSED
    assert message.startswith("200 of 200 requests were answered 2xx in 3.19 s, 4 at a time: 62.")
    assert loop.time() - began < 3.5
    assert len(pod.asked) == 200


async def test_a_load_on_a_slow_pod_ends_in_its_time_and_leaves_nothing_unanswered(trials: Trials) -> None:
    pod = trials.pod(1)
    pod.seconds = 1.5
    trials.follow("a", TRIAL, 1)
    outcome, message = await trials.over("a")
    assert outcome is Outcome.FAILED
    assert message.startswith("8 of 12 requests were answered 2xx in 4 s, 4 at a time: 2/s")
    assert len(pod.asked) == 3 * 12, "three tries"
    assert pod.pod.answers() == 3 * 12


async def test_a_pod_that_takes_nothing_gets_no_load(trials: Trials) -> None:
    pod = trials.pod(1)
    pod.mood = "starting"
    trials.follow("a", TRIAL, 1)
    await asyncio.sleep(1.0)
    said = trials.watch.tried("a")
    assert said is not None
    assert (said.over, said.findings[0].outcome) == (False, Outcome.WAITING)
    assert said.unanswered == "503; it says: the model is not ready"
    assert len(pod.asked) <= 2 * LOAD.concurrency
    pod.mood = "up"
    assert (await trials.over("a"))[0] is Outcome.PASSED
    said = trials.watch.tried("a")
    assert said is not None
    assert said.unanswered is None


async def test_loads_of_different_objects_wait_for_each_other(trials: Trials) -> None:
    for number in (1, 2):
        trials.follow(f"object {number}", TRIAL, number)
        trials.pod(number).seconds = 0.001
    await asyncio.sleep(2.0)
    assert [bool(trials.pod(number).asked) for number in (1, 2)] == [True, False]
    assert [(await trials.over(f"object {number}"))[0] for number in (1, 2)] == [Outcome.PASSED] * 2


async def test_a_trial_waits_for_a_ready_pod_and_takes_another_when_that_is_gone(trials: Trials) -> None:
    smoke = replace(TRIAL, smoke=SmokeGate(limit=1.0), throughput=None)
    trials.follow("a", smoke)
    await asyncio.sleep(5.0)
    assert trials.changes == []
    trials.pod(1).mood = "down"
    trials.follow("a", smoke, 1)
    await trials.until(lambda: bool(trials.changes))
    trials.follow("a", smoke, 2)
    trials.pod(2)
    assert (await trials.over("a"))[0] is Outcome.PASSED
    trials.follow("a", smoke, 2)
    await asyncio.sleep(5.0)
    assert len(trials.pod(2).asked) == 2, "what is over is not begun again"


async def test_a_single_bad_answer_is_asked_for_again_and_three_are_believed(trials: Trials) -> None:
    smoke = replace(TRIAL, smoke=SmokeGate(limit=1.0, malformed=False), throughput=None)
    pod = trials.pod(1)
    pod.mood = "broken"
    trials.follow("a", smoke, 1)
    await trials.until(lambda: pod.pod.answers("5xx") == 2)
    pod.mood = "up"
    assert (await trials.over("a"))[0] is Outcome.PASSED
    assert len(pod.asked) == 3
    pod.mood = "broken"
    trials.follow("a", replace(smoke, attempt=2), 1)
    assert (await trials.over("a"))[0] is Outcome.FAILED
    assert len(pod.asked) == 6


async def test_nothing_is_sent_once_nothing_is_asked(trials: Trials) -> None:
    pod = trials.pod(1)
    trials.follow("a", TRIAL, 1)
    await trials.until(lambda: len(pod.asked) > 10)
    trials.follow("a", None, 1)
    await asyncio.sleep(0.1)
    asked = len(pod.asked)
    await asyncio.sleep(10.0)
    assert len(pod.asked) == asked
    assert trials.watch.tried("a") is None
