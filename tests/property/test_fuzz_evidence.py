"""Whatever a pod or a saved status says, judging ends, and it takes bad requests to revert and good ones to promote."""

import asyncio
import json
from copy import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.evidence import FakeEvidence
from tests.fakes.prometheus import FakePrometheus
from tests.fixtures.loopclock import LoopClock
from tests.integration.loop.virtual import VirtualLoop
from tests.property.damage import JUNK, bent, broken, fuzzed

from tidegate.adapters.exposition import Malformed
from tidegate.adapters.formats import read_page
from tidegate.core.evidence import EvidenceState, observe
from tidegate.core.guards import Absolute, Guard, Kind, Ratio, Verdict
from tidegate.core.judge import JudgeState, Ruling, judge, restart_step
from tidegate.core.observed import Judgement
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import EvidenceConfig, Reading, Readings, Unreadable
from tidegate.core.values import Unavailable
from tidegate.loop.evidence import EvidenceWatch, Side, Spec
from tidegate_runtime.metrics import Metrics

GUARDS = (
    Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01), min_requests=50),
    Guard(name="errorRate.maxRatio", kind=Kind.ERROR_RATE, test=Ratio(factor=1.5), min_requests=50),
)
CONFIG = EvidenceConfig(guards=GUARDS, timeout=30.0)
WORDS = ["", "\n", "}", '"', "NaN", "+Inf", "1e400", "-1", "9" * 30, "\x00", "<html>", "# TYPE", "tidegate_runtime"]


class Pod:
    """A pod of the tidegate runtime that answers well."""

    def __init__(self, revision: str) -> None:
        self.metrics = Metrics(revision=revision, version="7", started_at=1.5e9, clock=lambda: 0.0)

    def page(self, answers: int) -> str:
        for _ in range(answers):
            self.metrics.finish(self.metrics.start(), 200)
        return self.metrics.render().decode()


def reading(
    page: str, runtime: Runtime = Runtime.TIDEGATE, metrics: MetricsFormat | None = None
) -> Reading | Unreadable:
    """As the adapter reads a page."""
    try:
        return read_page(page, runtime, metrics)
    except Malformed as fault:
        return Unreadable(reason=str(fault))


class Trial:
    """A judge's process over looks at one canary and one stable pod."""

    def __init__(self) -> None:
        self.canary, self.stable = Pod("c"), Pod("s")
        self.seen, self.judged, self.at = EvidenceState(untouched=True), JudgeState(), 0.0

    def look(self, canary: Reading | Unreadable) -> Ruling:
        self.at += 1.0
        readings = Readings(at=self.at, canary={"c": canary}, stable={"s": reading(self.stable.page(20))})
        self.seen, look = observe(self.seen, readings, CONFIG)
        ruling = judge(self.judged, GUARDS, look, weight=50, at_full=False)
        self.judged = ruling.state
        return ruling

    def good(self, looks: int) -> Ruling:
        for _ in range(looks):
            ruling = self.look(reading(self.canary.page(20)))
        return ruling


def failed(read: Reading | Unreadable) -> int:
    return sum(n for code, n in read.finished.items() if code[:1] == "5") if isinstance(read, Reading) else 0


@st.composite
def garbled(draw: st.DrawFn, page: str) -> str:
    at = draw(st.integers(0, len(page)))
    if draw(st.booleans()):
        return draw(st.sampled_from([page[:at], page[at:], page[:at] + page[:at], "", "ok", *WORDS]))
    junk = draw(st.sampled_from(WORDS) | st.text(max_size=6))
    return page[:at] + junk + page[at + draw(st.integers(0, 40)) :]


@given(st.data())
@fuzzed(25)
def test_a_garbled_page_is_a_missing_one_unless_it_says_itself_that_requests_failed(data: st.DataObject) -> None:
    trial = Trial()
    trial.good(5)
    page = data.draw(garbled(trial.canary.page(20)))
    read = reading(page)
    alike = copy(trial)
    ruling, missing = trial.look(read), alike.look(Unreadable(reason="no answer"))
    if isinstance(read, Unreadable):
        assert (ruling.verdict, ruling.suspected) == (missing.verdict, missing.suspected)
    if ruling.verdict is Verdict.BREACH:
        assert failed(read) >= 3, page
    after = trial.good(8)
    assert after.verdict is not Verdict.BREACH or failed(read) >= 3
    assert after.verdict is Verdict.HEALTHY or not isinstance(read, Unreadable)


@given(st.data())
@fuzzed(25)
def test_no_page_promotes_that_does_not_say_that_enough_requests_went_well(data: st.DataObject) -> None:
    trial = Trial()
    trial.good(5)
    before = reading(trial.canary.page(0))
    trial.judged = restart_step(trial.judged)
    read = reading(data.draw(garbled(trial.canary.page(0))))
    ruling = trial.look(read)
    if ruling.verdict is Verdict.HEALTHY:
        assert isinstance(read, Reading)
        assert isinstance(before, Reading)
        assert read.answered - before.answered >= 50 or read.process_started != before.process_started


@given(st.binary(max_size=300))
@fuzzed(25)
def test_bytes_are_no_evidence(junk: bytes) -> None:
    trial = Trial()
    trial.good(5)
    ruling = trial.look(reading(junk.decode("utf-8", "replace")))
    assert ruling.verdict is not Verdict.BREACH


def saved() -> dict[str, Any]:
    trial = Trial()
    trial.good(8)
    state = {"canary": "fraud-v7", "attempt": 1, "weight": 50}
    kept: dict[str, Any] = state | {"judge": trial.judged.to_wire(), "evidence": trial.seen.to_wire()}
    return json.loads(json.dumps(kept))  # type: ignore[no-any-return]  # what was put in


@given(st.data())
@fuzzed(40)
def test_a_saved_state_that_somebody_wrote_is_gone_on_with_or_begun_anew_and_never_blinds(data: st.DataObject) -> None:
    whole = saved()
    keep = frozenset({("canary",), ("attempt",), ("weight",)})
    state = data.draw(broken(whole) | bent(whole, keep) | st.fixed_dictionaries({"judge": JUNK, "evidence": JUNK}))

    async def watched() -> Judgement | Unavailable:
        evidence = FakeEvidence()
        pods = {name: evidence.pod(name) for name in ("c", "s")}

        def side(name: str, revision: str) -> Side:
            return Side(revision=revision, runtime=Runtime.TIDEGATE, targets=lambda: [pods[name].target])

        watch = EvidenceWatch(evidence, FakePrometheus(), LoopClock(), on_breach=str, on_look=str)
        spec = Spec(
            canary=side("c", "fraud-v7"), stable=side("s", "fraud-v6"), attempt=1, weight=50, guards=GUARDS,
            timeout=30.0, interval=1.0, saved={"canary": "fraud-v7", "attempt": 1, **state},
        )  # fmt: skip
        watch.ensure("ml/fraud", spec)
        for _ in range(5):
            for pod in pods.values():
                pod.serve(20)
            await asyncio.sleep(1.0)
        said = watch.judgement("ml/fraud")
        await watch.close()
        return said

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        said = runner.run(watched())
    assert isinstance(said, Judgement), said
