"""The watch: it looks every interval, tells of a breach at once and once, and waits for nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.evidence import FakeEvidence, FakePod
from tests.fakes.prometheus import FakePrometheus
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.core.guards import Absolute, Guard, Kind, Ratio, Verdict
from tidegate.core.observed import Judgement
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading, Unreadable
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.loop.evidence import SAVE_EVERY, EvidenceWatch, Side, Spec
from tidegate.ports import PodTarget

KEY = "ml/fraud"
INTERVAL = 0.03
ERRORS = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01))


class Clock(SteadyClock):
    """Real time, and as much more as the test says."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Watched:
    """A watch over fake pods: two of stable, two of the canary."""

    def __init__(self) -> None:
        self.evidence = FakeEvidence()
        self.prometheus = FakePrometheus()
        self.clock = Clock()
        self.breaches: list[str] = []
        self.looks: Counter[str] = Counter()
        self.stable = [self.evidence.pod(uid) for uid in ("s1", "s2")]
        self.canary = [self.evidence.pod(uid) for uid in ("c1", "c2")]
        self.watch = self.new_watch()

    def new_watch(self) -> EvidenceWatch:
        return EvidenceWatch(
            self.evidence,
            self.prometheus,
            self.clock,
            on_breach=self.breaches.append,
            on_look=lambda key: self.looks.update([key]),
        )

    def spec(self, **changes: Any) -> Spec:
        def side(revision: str, pods: list[FakePod]) -> Side:
            return Side(revision=revision, runtime=Runtime.TIDEGATE, targets=lambda: [pod.target for pod in pods])

        spec = Spec(
            canary=side("fraud-v7", self.canary),
            stable=side("fraud-v6", self.stable),
            attempt=1,
            weight=25,
            guards=(ERRORS,),
            timeout=30.0,
            interval=INTERVAL,
        )
        return replace(spec, **changes)

    def start(self, **changes: Any) -> None:
        self.watch.ensure(KEY, self.spec(**changes))

    async def seen(self, looks: int = 1) -> None:
        """So many looks that began after this call are over."""
        pods = [pod for pod in (*self.stable, *self.canary) if pod.mood != "hanging"]
        goals = {pod: pod.reads + looks + 1 for pod in pods}
        await until(lambda: all(pod.reads >= goal for pod, goal in goals.items()))

    async def served(self, number: int, code: str = "2xx", *, canary: bool = True) -> None:
        """Requests within several looks, as they come in life."""
        for _ in range(4):
            for pod in self.canary if canary else self.stable:
                pod.serve(number // 8, code)
            await self.seen()

    async def ruled(self) -> Judgement:
        """What the guards say, once some pod could be read: a busy machine may miss a look of 30 ms."""
        await until(lambda: self.missing is None)
        judgement = self.watch.judgement(KEY)
        assert isinstance(judgement, Judgement), judgement
        return judgement

    @property
    def healthy(self) -> bool:
        judgement = self.watch.judgement(KEY)
        return isinstance(judgement, Judgement) and judgement.healthy

    @property
    def missing(self) -> str | None:
        judgement = self.watch.judgement(KEY)
        return judgement.message if isinstance(judgement, Unavailable) else None


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    subject = Watched()
    yield subject
    await subject.watch.close()
    for pod in (*subject.stable, *subject.canary):
        pod.release()


async def test_where_nothing_rolls_no_evidence_is_needed(watched: Watched) -> None:
    judgement = watched.watch.judgement(KEY)
    assert isinstance(judgement, Unavailable)
    assert judgement.reason == Reason.EVIDENCE_NOT_NEEDED
    assert watched.watch.state(KEY) is None
    watched.watch.stop(KEY)
    watched.watch.restart_step(KEY)


async def test_before_the_first_look_evidence_is_missing(watched: Watched) -> None:
    watched.start()
    judgement = watched.watch.judgement(KEY)
    assert isinstance(judgement, Unavailable)
    assert judgement.reason == Reason.EVIDENCE_MISSING


async def test_a_good_canary_is_healthy_once_it_had_requests_enough(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    assert not (await watched.ruled()).healthy
    await watched.served(400)
    await until(lambda: watched.healthy)
    said = await watched.ruled()
    assert (said.canary, said.attempt, said.weight, said.fresh) == ("fraud-v7", 1, 25, True)
    assert [finding.verdict for finding in said.findings] == [Verdict.HEALTHY]
    assert said.findings[0].samples == 400
    assert watched.looks[KEY] >= 2
    assert watched.breaches == []


async def test_a_bad_canary_is_told_at_once_and_once(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for pod in watched.canary:
        pod.serve(20, "5xx")
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.GUARD_BREACHED
    assert "40 of 40" in breach.message
    await watched.served(80, "5xx")
    assert watched.breaches == [KEY]


async def test_a_breach_stays_one_whatever_the_pods_say_later(watched: Watched) -> None:
    watched.start()
    await watched.served(80, "5xx")
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    await watched.served(800)
    for pod in (*watched.canary, *watched.stable):
        pod.mood = "down"
    await watched.seen(3)
    watched.start(weight=50)
    assert (await watched.ruled()).breach == breach


async def test_a_canary_without_requests_while_stable_has_many_is_unreachable(watched: Watched) -> None:
    watched.start()
    await watched.seen(2)
    for _ in range(20):
        for pod in watched.stable:
            pod.serve(10)
        await watched.seen()
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.UNREACHABLE


async def test_silence_means_nothing_before_the_weight_is_confirmed(watched: Watched) -> None:
    watched.start(weight=0)
    for _ in range(20):
        for pod in watched.stable:
            pod.serve(10)
        await watched.seen()
    assert watched.breaches == []
    assert (await watched.ruled()).weight == 0


async def test_a_canary_whose_pods_cannot_be_read_while_stables_are_is_unreachable(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for pod in watched.canary:
        pod.mood = "down"
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.UNREACHABLE


async def test_a_canary_whose_pods_hang_while_stables_are_read_is_unreachable(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for pod in watched.canary:
        pod.mood = "hanging"
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.UNREACHABLE


async def test_no_readable_pod_at_all_is_missing_evidence_and_no_breach(watched: Watched) -> None:
    watched.start()
    await watched.served(400)
    for pod in (*watched.canary, *watched.stable):
        pod.mood = "down"
    await watched.seen(8)
    assert watched.missing is not None
    assert "2 canary and 2 stable pods" in watched.missing
    assert watched.breaches == []
    for pod in (*watched.canary, *watched.stable):
        pod.mood = "up"
    await until(lambda: watched.missing is None)
    assert (await watched.ruled()).healthy


async def test_no_pods_are_missing_evidence(watched: Watched) -> None:
    watched.canary.clear()
    watched.stable.clear()
    watched.start()
    await until(lambda: watched.missing == "there are no pods whose metrics could be read")


async def test_what_speaks_in_favour_starts_anew_with_each_confirmed_weight(watched: Watched) -> None:
    watched.start()
    await watched.served(400)
    await until(lambda: watched.healthy)
    watched.start(weight=0)
    await watched.seen()
    assert (await watched.ruled()).weight == 25
    watched.start(weight=50)
    assert watched.missing is not None
    await until(lambda: watched.missing is None)
    assert (
        (await watched.ruled()).weight,
        (await watched.ruled()).healthy,
        (await watched.ruled()).findings[0].samples,
    ) == (50, False, 0)
    await watched.served(400)
    await until(lambda: watched.healthy)
    watched.start(weight=50)
    await watched.seen()
    assert (await watched.ruled()).healthy


async def test_a_step_can_be_started_anew_by_hand(watched: Watched) -> None:
    watched.start()
    await watched.served(400)
    await until(lambda: watched.healthy)
    watched.watch.restart_step(KEY)
    await until(lambda: watched.missing is None)
    assert not (await watched.ruled()).healthy


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


async def test_mlservers_400_is_the_models_fault_and_nobody_elses(watched: Watched) -> None:
    def runtimes(canary: Runtime, stable: Runtime) -> frozenset[str]:
        spec = watched.spec()
        assert spec.stable is not None
        return (
            replace(spec, canary=replace(spec.canary, runtime=canary), stable=replace(spec.stable, runtime=stable))
            .config()
            .faults
        )

    assert runtimes(Runtime.MLSERVER, Runtime.MLSERVER) == {"400"}
    assert runtimes(Runtime.TIDEGATE, Runtime.TIDEGATE) == frozenset()
    assert watched.spec(stable=None).config().faults == frozenset()


async def test_relative_guards_compare_with_stable(watched: Watched) -> None:
    watched.start(guards=(Guard(name="errorRate.maxRatio", kind=Kind.ERROR_RATE, test=Ratio(factor=1.5)),))
    await watched.seen()
    for _ in range(12):
        for pod in (*watched.canary, *watched.stable):
            pod.serve(20, "5xx")
            pod.serve(20)
        await watched.seen()
    assert watched.breaches == []
    for _ in range(12):
        for pod in watched.stable:
            pod.serve(20)
        for pod in watched.canary:
            pod.serve(20, "5xx")
        await watched.seen()
    await until(lambda: bool(watched.breaches))
