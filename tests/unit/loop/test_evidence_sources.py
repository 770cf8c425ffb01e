"""Several sources at once: each at its own pace, and one that hangs delays nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.evidence import FakeEvidence, FakePod
from tests.fakes.prometheus import FakePrometheus
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.core.guards import Absolute, Guard, Kind, Mode
from tidegate.core.observed import Judgement
from tidegate.core.plan import Runtime
from tidegate.core.promql import CANARY, PRESETS, STABLE, question
from tidegate.core.queries import QueryGuard
from tidegate.core.values import Unavailable
from tidegate.loop.evidence import EvidenceWatch, Side, Spec
from tidegate.loop.scrapes import DIVERTED, NOT_YET
from tidegate.ports import PodTarget

KEY = "ml/fraud"
ERRORS = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01))
REVISIONS = {CANARY: "fraud-v7", STABLE: "fraud-v6"}
ASKED = question(PRESETS["contour"], "ml", "fraud", REVISIONS)
QUERY = QueryGuard(name="queue", promql='queue{pod=~"${revision}-.*"}', most=10.0, seconds=0.0)
QUERIED = 'queue{pod=~"fraud-v7-.*"}'


class Watched:
    """A watch over two pods, a gateway that Prometheus tells of, and a query."""

    def __init__(self) -> None:
        self.evidence = FakeEvidence()
        self.prometheus = FakePrometheus()
        self.clock = SteadyClock()
        self.breaches: list[str] = []
        self.stable, self.canary = self.evidence.pod("s"), self.evidence.pod("c")
        self.counted = {CANARY: [0, 0], STABLE: [0, 0]}
        self.scrapes = 0
        self.diverted = False
        self.watch = EvidenceWatch(
            self.evidence, self.prometheus, self.clock, on_breach=self.breaches.append, on_look=lambda key: None
        )
        self.scraped()

    def spec(self, **changes: Any) -> Spec:
        def side(revision: str, pod: FakePod, *, diverted: bool = False) -> Side:
            targets: Sequence[PodTarget] = [pod.target]
            return Side(
                revision=revision,
                runtime=Runtime.TIDEGATE,
                targets=lambda: targets,
                diverted=lambda: diverted and self.diverted,
            )

        spec = Spec(
            canary=side("fraud-v7", self.canary, diverted=True),
            stable=side("fraud-v6", self.stable),
            attempt=1,
            weight=25,
            guards=(ERRORS,),
            timeout=30.0,
            interval=0.03,
            namespace="ml",
            name="fraud",
            sources=("pods", "contour"),
            since=self.clock.now() - 600,
        )
        return replace(spec, **changes)

    def start(self, **changes: Any) -> None:
        self.watch.ensure(KEY, self.spec(**changes))

    def serve(self, side: str, good: int, bad: int = 0) -> None:
        """Requests that the gateway saw; Prometheus knows them from the next scrape on."""
        self.counted[side][0] += good
        self.counted[side][1] += bad

    def scraped(self) -> None:
        self.scrapes += 1
        series: list[tuple[Mapping[str, str], float]] = []
        for side, (good, bad) in self.counted.items():
            base = {"tidegate_side": side, "instance": "g"}
            series += [({**base, "tidegate_part": "requests", "code": "2xx"}, good)]
            series += [({**base, "tidegate_part": "requests", "code": "5xx"}, bad)]
            series += [({**base, "tidegate_part": "started"}, good + bad)]
            series += [({**base, "tidegate_part": "scraped"}, self.prometheus.at - 0.01 + self.scrapes / 100_000)]
        self.prometheus.tell(ASKED, *series)

    async def seen(self, looks: int = 2) -> None:
        goal = len(self.prometheus.asked) + looks
        await until(lambda: len(self.prometheus.asked) >= goal)

    async def gateway(self, rounds: int, good: int, bad: int = 0) -> None:
        """Rounds of requests, each scraped and looked at."""
        for _ in range(rounds):
            self.serve(CANARY, good, bad)
            self.serve(STABLE, 3 * (good + bad))
            self.scraped()
            await self.seen()

    @property
    def judged(self) -> Judgement | Unavailable:
        return self.watch.judgement(KEY)

    def healthy(self) -> bool:
        return isinstance(self.judged, Judgement) and self.judged.healthy

    def missing(self) -> str:
        return (self.judged.message if isinstance(self.judged, Unavailable) else self.judged.missing) or ""


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    subject = Watched()
    yield subject
    subject.prometheus.release()
    await subject.watch.close()


async def test_a_raise_needs_both_sources(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    watched.canary.serve(400)
    await watched.seen(3)
    assert not watched.healthy()
    await watched.gateway(4, 100)
    await until(watched.healthy)
    assert isinstance(watched.judged, Judgement)
    assert {finding.guard for finding in watched.judged.findings} == {"errorRate.max", "errorRate.max (contour)"}
    assert watched.judged.findings[1].message.startswith("contour: 0% errors (0 of ")


async def test_a_breach_that_only_the_gateway_sees_reverts(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for _ in range(4):
        watched.canary.serve(20)
        await watched.gateway(1, 0, 10)
    await until(lambda: bool(watched.breaches))
    assert isinstance(watched.judged, Judgement)
    assert watched.judged.breach is not None
    assert watched.judged.breach.message.startswith("contour: 100% errors")


async def test_a_gateway_alone_is_enough(watched: Watched) -> None:
    watched.start(sources=("contour",))
    await watched.seen()
    await watched.gateway(5, 100)
    await until(watched.healthy)
    assert watched.canary.reads == 0


@pytest.mark.parametrize("mood", ["down", "hanging"])
async def test_prometheus_that_is_gone_holds_is_said_and_hides_nothing_of_the_pods(watched: Watched, mood: str) -> None:
    watched.start(queries=(QUERY,))
    watched.prometheus.tell(QUERIED, ({}, 3.0))
    await watched.gateway(5, 100)
    watched.canary.serve(400)
    await until(watched.healthy)
    watched.prometheus.mood = mood
    await until(lambda: "contour: " in watched.missing())
    assert not watched.healthy()
    assert watched.breaches == []
    reads = watched.canary.reads
    for _ in range(4):
        watched.canary.serve(20, "5xx")
        goal = watched.canary.reads + 2
        await until(lambda goal=goal: watched.canary.reads >= goal)  # type: ignore[misc]
    await until(lambda: bool(watched.breaches))
    assert watched.canary.reads > reads


async def test_prometheus_that_comes_back_is_taken_up_where_it_was(watched: Watched) -> None:
    watched.start(sources=("contour",))
    await watched.gateway(5, 100)
    await until(watched.healthy)
    watched.prometheus.mood = "down"
    await until(lambda: "refused" in watched.missing())
    watched.serve(CANARY, 10, 30)
    watched.serve(STABLE, 100)
    watched.scraped()
    watched.prometheus.mood = "up"
    await until(lambda: bool(watched.breaches))


async def test_requests_of_an_earlier_attempt_that_are_scraped_late_are_not_this_ones(watched: Watched) -> None:
    watched.scrapes = -2_000_000  # 20 s ago, before the rollout began
    watched.scraped()
    watched.start(sources=("contour",))
    await watched.seen(3)
    assert NOT_YET in watched.missing()
    watched.serve(CANARY, 0, 500)
    watched.scrapes = 0
    watched.scraped()
    await until(lambda: not watched.missing())
    await watched.gateway(5, 100)
    await until(watched.healthy)
    assert watched.breaches == []


async def test_nothing_is_new_until_it_was_scraped_anew(watched: Watched) -> None:
    watched.start(sources=("contour",))
    await watched.gateway(2, 100)
    samples = [f.samples for f in watched.judged.findings] if isinstance(watched.judged, Judgement) else []
    scrapes, watched.scrapes = watched.scrapes, watched.scrapes - 1
    watched.serve(CANARY, 0, 50)
    watched.scraped()
    await watched.seen(5)
    assert watched.breaches == []
    assert isinstance(watched.judged, Judgement)
    assert [f.samples for f in watched.judged.findings] == samples
    watched.scrapes = scrapes
    watched.scraped()
    await until(lambda: bool(watched.breaches))


async def test_what_is_counted_for_a_diverted_service_says_nothing(watched: Watched) -> None:
    watched.start(sources=("contour",))
    await watched.gateway(2, 100)
    watched.diverted = True
    await until(lambda: DIVERTED in watched.missing())
    watched.serve(CANARY, 0, 500)
    watched.scraped()
    asked = len(watched.prometheus.asked)
    for _ in range(10):
        await asyncio.sleep(0.03)
    assert watched.breaches == []
    assert len(watched.prometheus.asked) <= asked + 1


async def test_a_query_beyond_its_limit_reverts_and_one_that_observes_does_not(watched: Watched) -> None:
    watching = replace(QUERY, name="other", promql="other", mode=Mode.OBSERVE)
    watched.prometheus.tell(QUERIED, ({}, 3.0))
    watched.prometheus.tell("other", ({}, 300.0))
    watched.start(sources=("pods",), queries=(QUERY, watching))
    watched.canary.serve(400)
    await until(watched.healthy)
    watched.prometheus.tell(QUERIED, ({}, 11.0))
    await until(lambda: bool(watched.breaches))
    assert isinstance(watched.judged, Judgement)
    assert watched.judged.breach is not None
    assert watched.judged.breach.message == "queries.queue: 11 over the limit of 10"
    assert {f.guard: f.verdict.value for f in watched.judged.findings}["queries.other"] == "Breach"


async def test_a_query_is_asked_only_of_a_canary_with_traffic_and_of_its_own_time(watched: Watched) -> None:
    ranged = replace(QUERY, promql="rate(x[10m])")
    watched.start(sources=("pods",), queries=(QUERY,), since=None, weight=0)
    await until(lambda: "no traffic yet" in watched.missing())
    watched.start(sources=("pods",), queries=(ranged,), since=watched.clock.now() - 5)
    await until(lambda: "reaches back before" in watched.missing())
    assert watched.prometheus.asked == []
    watched.start(sources=("pods",), queries=(ranged,), since=watched.clock.now() - 700)
    await until(lambda: watched.prometheus.asked[:1] == ["rate(x[10m])"])
    await until(lambda: "no data" in watched.missing())


async def test_another_weight_asks_for_new_answers(watched: Watched) -> None:
    watched.prometheus.tell(QUERIED, ({}, 3.0))
    watched.start(sources=("pods",), queries=(QUERY,))
    watched.canary.serve(400)
    await until(watched.healthy)
    watched.prometheus.mood = "hanging"
    watched.start(sources=("pods",), queries=(QUERY,), weight=50)
    assert not watched.healthy()


async def test_the_evidence_of_each_source_survives_a_take_over(watched: Watched) -> None:
    watched.start()
    await watched.gateway(4, 100)
    await until(lambda: "sources" in (watched.watch.state(KEY) or {}))
    saved = watched.watch.state(KEY)
    assert saved is not None
    assert set(saved["sources"]) == {"contour"}
    assert saved["sources"]["contour"].keys() == saved.keys() - {"sources"}
    await watched.watch.close()
    watched.start(saved=saved)
    await until(lambda: not watched.missing())
    assert not watched.healthy()
    assert watched.breaches == []


async def test_a_source_that_is_not_wanted_any_more_is_not_asked(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    watched.start(sources=("pods",))
    await asyncio.sleep(0.1)
    asked = len(watched.prometheus.asked)
    await asyncio.sleep(0.1)
    assert len(watched.prometheus.asked) == asked
