"""How the watch runs: it looks every interval, waits for nobody, and its state outlives its process."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.fixtures.until import until
from tests.unit.loop.watched import INTERVAL, KEY, Watched

from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading, Unreadable
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.loop.evidence import SAVE_EVERY, EvidenceWatch, Side
from tidegate.ports import PodTarget


async def test_a_hanging_pod_does_not_slow_the_looks(watched: Watched) -> None:
    watched.stable[0].mood = "hanging"
    watched.start(interval=0.1)
    await watched.seen()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await watched.seen(10)
    assert loop.time() - began < 2.5
    for pod in watched.canary:
        pod.serve(20, "5xx")
    began = loop.time()
    await until(lambda: bool(watched.breaches))
    assert loop.time() - began < 1.0
    assert watched.stable[0].reads <= 3


async def test_a_breach_does_not_wait_for_a_pod_that_is_known_to_hang(watched: Watched) -> None:
    loop = asyncio.get_running_loop()
    looked: list[float] = []

    def targets() -> Sequence[PodTarget]:
        looked.append(loop.time())
        return [pod.target for pod in watched.canary]

    watched.stable[0].mood = "hanging"
    side = Side(revision="fraud-v7", runtime=Runtime.TIDEGATE, targets=targets)
    watched.start(canary=side, interval=1.0)
    await until(lambda: watched.missing is None)
    for pod in watched.canary:
        pod.serve(20, "5xx")
    await until(lambda: bool(watched.breaches))
    # Waiting for it would take 0.8 s.
    assert loop.time() - looked[-1] < 0.5


async def test_one_object_that_hangs_delays_no_other(watched: Watched) -> None:
    other = [watched.evidence.pod("o1"), watched.evidence.pod("o2")]
    for pod in other:
        pod.mood = "hanging"
    side = Side(revision="other-v2", runtime=Runtime.TIDEGATE, targets=lambda: [pod.target for pod in other])
    watched.watch.ensure("ml/other", watched.spec(canary=side, stable=None))
    watched.start()
    await watched.served(400)
    await until(lambda: watched.healthy)
    for pod in other:
        pod.release()


async def test_a_judgement_without_a_look_lately_is_not_fresh(watched: Watched) -> None:
    watched.start(interval=1.0)
    await until(lambda: watched.missing is None)
    before = await watched.ruled()
    watched.clock.ahead = 60.0
    after = await watched.ruled()
    assert (before.fresh, after.fresh) == (True, False)


async def test_the_evidence_against_a_canary_survives_a_take_over(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    await watched.served(160)
    watched.canary[0].serve(3, "5xx")
    await watched.seen(2)
    assert watched.breaches == []
    watched.clock.ahead += SAVE_EVERY
    before = watched.watch.state(KEY)
    await until(lambda: watched.watch.state(KEY) not in (None, before))
    saved = watched.watch.state(KEY)
    log_e = (await watched.ruled()).findings[0].log_e
    assert log_e > 0
    await watched.watch.close()
    watched.watch = watched.new_watch()
    watched.start(saved=saved)
    await until(lambda: watched.missing is None)
    assert (await watched.ruled()).findings[0].log_e == pytest.approx(log_e, abs=0.01)
    assert not (await watched.ruled()).healthy
    await watched.served(16, "5xx")
    await until(lambda: bool(watched.breaches))


@pytest.mark.parametrize(
    "saved",
    [{}, {"canary": "fraud-v7", "attempt": 1}, {"canary": "fraud-v7", "attempt": 1, "judge": 1, "evidence": []}],
)
async def test_a_saved_state_that_cannot_be_read_is_a_start_without_one(
    watched: Watched, saved: Mapping[str, Any]
) -> None:
    watched.start(saved=saved)
    await watched.served(400)
    await until(lambda: watched.healthy)


async def test_the_state_of_another_attempt_is_not_taken(watched: Watched) -> None:
    watched.start()
    await watched.served(80, "5xx")
    await until(lambda: bool(watched.breaches))
    saved = watched.watch.state(KEY)
    assert saved is not None
    assert saved["attempt"] == 1
    watched.breaches.clear()
    for pod in watched.canary:
        pod.restart()
    watched.start(attempt=2, saved=saved)
    await watched.served(400)
    await until(lambda: watched.healthy)
    assert (await watched.ruled()).attempt == 2
    assert watched.breaches == []


async def test_the_state_to_save_changes_no_oftener_than_it_is_saved(watched: Watched) -> None:
    watched.start()
    await until(lambda: watched.watch.state(KEY) is not None)
    first = watched.watch.state(KEY)
    await watched.served(80)
    assert watched.watch.state(KEY) is first
    told = watched.looks[KEY]
    watched.clock.ahead += SAVE_EVERY
    await until(lambda: watched.watch.state(KEY) is not first)
    await until(lambda: watched.looks[KEY] > told)


async def test_looks_that_say_the_same_are_not_told(watched: Watched) -> None:
    watched.start()
    await watched.seen(3)
    told = watched.looks[KEY]
    await watched.seen(10)
    assert watched.looks[KEY] == told


async def test_nothing_is_read_after_the_end(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    watched.watch.stop(KEY)
    await asyncio.sleep(0)
    reads = [pod.reads for pod in watched.canary]
    for _ in range(10):
        await asyncio.sleep(INTERVAL)
    assert [pod.reads for pod in watched.canary] == reads
    assert isinstance(watched.watch.judgement(KEY), Unavailable)


async def test_a_pod_that_comes_and_one_that_goes_are_followed(watched: Watched) -> None:
    watched.start()
    await watched.served(160)
    gone = watched.canary.pop()
    late = watched.evidence.pod("c3")
    watched.canary.append(late)
    late.serve(200)
    await watched.seen(2)
    reads = gone.reads
    await watched.seen(3)
    assert gone.reads == reads
    assert (await watched.ruled()).findings[0].samples == 360


async def test_objects_are_not_read_in_step(watched: Watched) -> None:
    first: dict[str, float] = {}
    loop = asyncio.get_running_loop()

    def side(key: str) -> Side:
        def targets() -> Sequence[PodTarget]:
            first.setdefault(key, loop.time())
            return [watched.canary[0].target]

        return Side(revision="r", runtime=Runtime.TIDEGATE, targets=targets)

    for i in range(20):
        watched.watch.ensure(f"ml/{i}", watched.spec(canary=side(f"ml/{i}"), interval=1.0))
    await until(lambda: len(first) == 20)
    assert max(first.values()) - min(first.values()) > 0.3


class Broken:
    """A source that breaks its promise."""

    def __init__(self) -> None:
        self.calls = 0

    async def read(
        self,
        targets: Sequence[PodTarget],
        runtime: Runtime,
        metrics: MetricsFormat | None,
        *,
        timeout: float,  # noqa: ASYNC109 (the port's)
    ) -> Mapping[str, Reading | Unreadable]:
        self.calls += 1
        raise RuntimeError("a fault of the program")


async def test_a_fault_in_a_look_is_said_and_the_watch_goes_on(watched: Watched) -> None:
    broken = Broken()
    watch = EvidenceWatch(
        broken, watched.prometheus, watched.clock, on_breach=watched.breaches.append, on_look=lambda key: None
    )
    watch.ensure(KEY, watched.spec())
    await until(lambda: broken.calls > 5)
    judgement = watch.judgement(KEY)
    assert isinstance(judgement, Unavailable)
    assert judgement.reason == Reason.EVIDENCE_MISSING
    assert watched.breaches == []
    await watch.close()
