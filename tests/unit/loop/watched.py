"""A watch over fake pods, for tests of what it says and of how it runs."""

from collections import Counter
from dataclasses import replace
from typing import Any

from tests.fakes.evidence import FakeEvidence, FakePod
from tests.fakes.prometheus import FakePrometheus
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.core.guards import Absolute, Guard, Kind
from tidegate.core.observed import Judgement
from tidegate.core.plan import Runtime
from tidegate.core.values import Unavailable
from tidegate.loop.evidence import EvidenceWatch, Side, Spec

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
