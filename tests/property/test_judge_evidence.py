"""Requests with a start, a duration and a code; scrapes at some times; what the looks say must be what happened."""

import json
from bisect import bisect_right
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.evidence import (
    Count,
    Durations,
    EvidenceConfig,
    EvidenceState,
    Look,
    Pair,
    Reading,
    Readings,
    Unreadable,
    observe,
)
from tidegate.core.guards import Absolute, Guard, Increase, Kind, Ratio, Verdict
from tidegate.core.judge import JudgeState, judge, restart_step

EDGES = (0.5, 1.0, 2.0, 4.0)
TIMEOUT = 4.0
SLOW = Guard(
    name="latency.p95.max", kind=Kind.LATENCY, test=Absolute(limit=0.05), percentile=0.95, threshold_seconds=1.0
)
CONFIG = EvidenceConfig(guards=(SLOW,), timeout=TIMEOUT)


@dataclass(frozen=True)
class Request:
    pod: str
    start: float
    duration: float
    code: str


quarters = st.integers(0, 40).map(lambda n: n / 4 + 0.125)
requests = st.builds(
    Request,
    pod=st.sampled_from("abc"),
    start=quarters,
    duration=st.integers(0, 30).map(lambda n: n / 4 + 0.0625),
    code=st.sampled_from(["2xx", "4xx", "5xx"]),
)


def scrape(log: list[Request], pod: str, at: float) -> Reading:
    """What an exact runtime tells of one pod at a time."""
    mine = [request for request in log if request.pod == pod and request.start <= at]
    done = [request for request in mine if request.start + request.duration <= at]
    ages = [at - request.start for request in mine if request not in done]

    def ladder(seconds: list[float]) -> tuple[int, ...]:
        return (*(bisect_right(sorted(seconds), edge) for edge in EDGES), len(seconds))

    codes = {"2xx", "4xx", "5xx"}
    return Reading(
        started=len(mine),
        finished={code: sum(request.code == code for request in done) for code in codes},
        durations=Durations(
            edges=EDGES, counts={code: ladder([r.duration for r in done if r.code == code]) for code in codes}
        ),
        in_flight=ladder(ages),
        process_started=1.0,
    )


def truth(log: list[Request], at: float) -> dict[str, Count]:
    """What was decided by then, by definition."""
    seen = [request for request in log if request.start <= at]
    done = [request for request in seen if request.start + request.duration <= at]

    def waited(limit: float) -> list[Request]:
        return [r for r in seen if (r.duration > limit if r in done else at - r.start > limit)]

    overdue = [request for request in waited(TIMEOUT) if request not in done]
    late = waited(TIMEOUT)
    failed = [request for request in done if request.code == "5xx" and request not in late]
    slow = waited(1.0)
    return {
        "errorRate": Count(len(done) + len(overdue), len(late) + len(failed)),
        "clientErrors": Count(len(done), sum(request.code == "4xx" for request in done)),
        SLOW.metric: Count(len(done) + len([r for r in slow if r not in done]), len(slow)),
    }


def unique(log: list[Request]) -> list[Request]:
    return list(dict.fromkeys(log))


times = st.lists(st.integers(0, 20), min_size=1, max_size=8).map(
    lambda steps: [sum(steps[: i + 1]) / 2 for i in range(len(steps))]
)


@given(log=st.lists(requests, max_size=25).map(unique), at=times, dark=st.sets(st.integers(0, 7)))
def test_looks_add_up_to_what_happened_each_request_once(log: list[Request], at: list[float], dark: set[int]) -> None:
    """Whichever scrapes fail on the way, the last one that succeeds has told everything."""
    state, total = EvidenceState(), dict.fromkeys(("errorRate", "clientErrors", SLOW.metric), Count())
    for number, now in enumerate([*at, at[-1]]):
        lost = number in dark and number < len(at)
        pods = {pod: Unreadable(reason="timeout") if lost else scrape(log, pod, now) for pod in "abc"}
        state, seen = observe(state, Readings(at=now, canary=pods, stable={}), CONFIG)
        for metric, pair in seen.counts.items():
            assert 0 <= pair.canary.bad <= pair.canary.n
            total[metric] += pair.canary
    assert total == truth(log, at[-1])


counters = st.integers(0, 30)
anything = st.one_of(
    st.builds(Unreadable, reason=st.just("refused")),
    st.builds(
        lambda ok, failed, waiting, born, labelled: Reading(
            finished={"2xx": ok, "5xx": failed},
            durations=Durations(edges=(1.0,), counts={"2xx": (ok // 2, ok), "5xx": (failed, failed)})
            if labelled
            else Durations(edges=(1.0,), counts={"": (ok, ok + failed)}),
            in_flight=(waiting // 2, waiting),
            process_started=born,
        ),
        counters,
        counters,
        counters,
        st.sampled_from([None, 1.0, 2.0]),
        st.booleans(),
    ),
)
pods = st.dictionaries(st.sampled_from("abcd"), anything)
WILD = EvidenceConfig(
    guards=(SLOW, Guard(name="r", kind=Kind.LATENCY, test=Ratio(factor=1.0), percentile=0.5)), timeout=1.0
)


@given(scrapes=st.lists(st.tuples(pods, pods), max_size=8))
def test_counters_that_do_anything_never_make_a_negative_count_nor_more_bad_than_all(
    scrapes: list[tuple[dict[str, Reading | Unreadable], dict[str, Reading | Unreadable]]],
) -> None:
    state = EvidenceState()
    for at, (canary, stable) in enumerate(scrapes):
        state, seen = observe(state, Readings(at=float(at), canary=canary, stable=stable), WILD)
        assert seen.stable_arrived >= 0
        assert (seen.canary_arrived or 0) >= 0
        for pair in seen.counts.values():
            assert 0 <= pair.canary.bad <= pair.canary.n
            assert 0 <= pair.stable.bad <= pair.stable.n


@given(scrapes=st.lists(st.tuples(pods, pods), max_size=6))
def test_the_order_of_pods_does_not_matter(
    scrapes: list[tuple[dict[str, Reading | Unreadable], dict[str, Reading | Unreadable]]],
) -> None:
    forward, backward = EvidenceState(), EvidenceState()
    for at, (canary, stable) in enumerate(scrapes):
        forward, one = observe(forward, Readings(at=float(at), canary=canary, stable=stable), WILD)
        turned = Readings(at=float(at), canary=dict(reversed(canary.items())), stable=dict(reversed(stable.items())))
        backward, other = observe(backward, turned, WILD)
        assert one == other
    assert forward == backward


@given(scrapes=st.lists(st.tuples(pods, pods), max_size=6))
def test_saved_evidence_comes_back_the_same(
    scrapes: list[tuple[dict[str, Reading | Unreadable], dict[str, Reading | Unreadable]]],
) -> None:
    state = EvidenceState()
    for at, (canary, stable) in enumerate(scrapes):
        state, _ = observe(state, Readings(at=float(at), canary=canary, stable=stable), CONFIG)
    assert EvidenceState.from_wire(json.loads(json.dumps(state.to_wire()))) == replace(state, quiet_since=None)


count = st.integers(0, 20).flatmap(lambda n: st.builds(Count, st.just(n), st.integers(0, n)))
pair = st.builds(Pair, count, count)
GUARDS = (
    Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.02)),
    Guard(name="errorRate.maxRatio", kind=Kind.ERROR_RATE, test=Ratio(factor=1.5)),
    Guard(name="errorRate.maxIncrease", kind=Kind.ERROR_RATE, test=Increase(points=0.05)),
    SLOW,
)
judged = st.builds(
    lambda errors, slow, arrived, unreadable: Look(
        counts={"errorRate": errors, SLOW.metric: slow},
        canary_arrived=arrived,
        stable_arrived=errors.stable.n,
        unreadable=unreadable,
    ),
    pair,
    pair,
    st.one_of(st.none(), st.integers(0, 5)),
    st.integers(0, 4),
)


@given(seen=st.lists(st.tuples(judged, st.booleans(), st.booleans()), max_size=25), weight=st.sampled_from([5, 25, 50]))
def test_rulings_are_consistent_whatever_the_looks(seen: list[tuple[Look, bool, bool]], weight: int) -> None:
    """A breach names its guard and stands on three bad requests; health needs all guards; saving loses nothing."""
    state = JudgeState()
    for one, at_full, new_step in seen:
        ruling = judge(restart_step(state) if new_step else state, GUARDS, one, weight=weight, at_full=at_full)
        state = ruling.state
        verdicts = {finding.guard: finding.verdict for finding in ruling.findings}
        assert (ruling.verdict is Verdict.HEALTHY) == (
            ruling.verdict is not Verdict.BREACH and set(verdicts.values()) == {Verdict.HEALTHY}
        )
        if ruling.blamed is not None:
            blamed = next(finding for finding in ruling.findings if finding.guard == ruling.blamed)
            assert (ruling.verdict, blamed.verdict, blamed.message) == (Verdict.BREACH, Verdict.BREACH, ruling.message)
            assert blamed.bad >= 3
        assert JudgeState.from_wire(json.loads(json.dumps(state.to_wire()))) == state
