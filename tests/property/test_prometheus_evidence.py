"""Whatever Prometheus leaves out, invents or repeats: missing data is never good, and reverts nobody."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.evidence import EvidenceConfig, EvidenceState, observe
from tidegate.core.guards import Absolute, Guard, Kind, Verdict
from tidegate.core.judge import JudgeState, judge
from tidegate.core.promql import CANARY, PRESETS, STABLE, answered
from tidegate.core.queries import QueryGuard, QueryState
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable

NOW = 1_760_000_000.0
CONTOUR = PRESETS["contour"]
GUARDS = (Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01)),)
CONFIG = EvidenceConfig(guards=GUARDS, timeout=30.0, lasting=True, shared=True)


def gateway(side: str, ok: int, failed: int) -> list[Sample]:
    def sample(part: str, value: float, **labels: str) -> Sample:
        labels |= {"tidegate_side": side, "tidegate_part": part, "instance": "g"}
        return Sample(labels=labels, value=value, at=NOW)

    return [
        sample("requests", ok, code="2xx"),
        sample("requests", failed, code="5xx"),
        sample("started", ok + failed),
        sample("scraped", NOW - 1),
    ]


def broken(samples: list[Sample], way: str, at: int) -> list[Sample]:
    """An answer that says nothing of the canary."""
    if way == "empty":
        return []
    own = [index for index, sample in enumerate(samples) if sample.labels["tidegate_side"] == CANARY]
    if way == "gone":
        return [sample for index, sample in enumerate(samples) if index not in own]
    if way == "stale":
        return [
            replace(sample, value=NOW - 1000) if sample.labels["tidegate_part"] == "scraped" else sample
            for sample in samples
        ]
    chosen = own[at % len(own)]
    return [replace(s, value=math.nan) if index == chosen else s for index, s in enumerate(samples)]


faults = st.lists(st.tuples(st.sampled_from(["empty", "gone", "stale", "nan"]), st.integers(0, 9)), max_size=30)


@given(faults=faults, ok=st.integers(0, 5), stable=st.integers(0, 1000))
def test_looks_without_data_of_the_canary_never_decide(faults: list[tuple[str, int]], ok: int, stable: int) -> None:
    """Stable counts on all the time; the canary was seen with a few good requests, then it is not seen any more."""
    state, judged = EvidenceState(), JudgeState()
    for look_number in range(2):
        samples = [*gateway(CANARY, ok * look_number, 0), *gateway(STABLE, stable, 0)]
        state, look = observe(state, answered(CONTOUR, samples, at=0.0).readings, CONFIG)
        judged = judge(judged, GUARDS, look, weight=25, at_full=False).state
    for number, (way, at) in enumerate(faults):
        samples = broken([*gateway(CANARY, ok, 0), *gateway(STABLE, stable * (number + 3), 0)], way, at)
        state, look = observe(state, answered(CONTOUR, samples, at=0.0).readings, CONFIG)
        ruling = judge(judged, GUARDS, look, weight=25, at_full=False)
        judged = ruling.state
        assert ruling.verdict is Verdict.UNDECIDED


numbers = st.one_of(
    st.just(Unavailable(reason="PrometheusUnreachable", message="down")),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=2).map(
        lambda values: tuple(Sample(labels={}, value=value, at=NOW) for value in values)
    ),
)


@given(answers=st.lists(st.tuples(st.floats(0, 40), numbers), min_size=1, max_size=30))
def test_only_a_single_finite_number_says_anything(
    answers: list[tuple[float, Unavailable | tuple[Sample, ...]]],
) -> None:
    guard, state, at = QueryGuard(name="q", promql="x", most=1.0, seconds=5.0), QueryState(), 0.0
    for gap, answer in answers:
        at += gap
        state = state.after(guard, answer, at)
        tells = not isinstance(answer, Unavailable) and len(answer) == 1 and math.isfinite(answer[0].value)
        if not tells:
            assert state.verdict(guard) is Verdict.UNDECIDED
        elif state.verdict(guard) is Verdict.BREACH:
            assert state.value is not None
            assert state.value > 1.0
            assert state.beyond_for >= 5.0
