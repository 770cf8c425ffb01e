"""Guards with a query of the user's own: what is no single number says nothing, whatever it lasts."""

import math
from collections.abc import Sequence

import pytest

from tidegate.core.guards import Mode, Verdict
from tidegate.core.queries import (
    LONGEST_GAP,
    LONGEST_WINDOW,
    SHORTEST_WINDOW,
    QueryGuard,
    QueryState,
    longest_range,
    names_unknown,
)
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable

GUARD = QueryGuard(name="queue", promql="x", most=10.0, least=-5.0, seconds=30.0)
DOWN = Unavailable(reason="PrometheusUnreachable", message="http://prometheus: answered 503")
Answer = Sequence[Sample] | Unavailable


def gives(*values: float) -> tuple[Sample, ...]:
    return tuple(Sample(labels={"i": str(i)}, value=value, at=1.0) for i, value in enumerate(values))


def after(*answers: tuple[float, Answer], guard: QueryGuard = GUARD) -> QueryState:
    state = QueryState()
    for at, answer in answers:
        state = state.after(guard, answer, at)
    return state


def test_a_number_within_its_limits_is_healthy() -> None:
    state = after((0, gives(3)))
    assert state.verdict(GUARD) is Verdict.HEALTHY
    assert state.finding(GUARD).message == "3, at most 10 and at least -5 is allowed"


@pytest.mark.parametrize(("value", "words"), [(11, "11 over the limit of 10"), (-6, "-6 under the limit of -5")])
def test_a_number_beyond_a_limit_is_a_breach_once_it_has_lasted(value: float, words: str) -> None:
    answers = [(float(at), gives(value)) for at in range(31)]
    early, late = after(*answers[:-1]), after(*answers)
    assert (early.verdict(GUARD), late.verdict(GUARD)) == (Verdict.UNDECIDED, Verdict.BREACH)
    assert early.finding(GUARD).message == f"{words} for 29 s, 30 s are a breach"
    assert late.finding(GUARD).message == f"{words} for 30 s"
    assert (late.finding(GUARD).samples, late.finding(GUARD).bad) == (31, 31)


def test_without_a_time_the_first_number_beyond_is_a_breach() -> None:
    guard = QueryGuard(name="q", promql="x", least=1.0)
    state = after((0, gives(0.5)), guard=guard)
    assert state.verdict(guard) is Verdict.BREACH
    assert state.finding(guard).message == "0.5 under the limit of 1"


def test_a_number_within_starts_the_time_anew() -> None:
    answers = [(float(at), gives(11)) for at in range(30)]
    assert after(*answers, (30.0, gives(10)), (31.0, gives(11))).beyond_for == 0


NO_DATA: dict[str, tuple[Answer, str]] = {
    "no answer": (DOWN, "answered 503"),
    "no series": ((), "gives no data"),
    "two series": (gives(11, 12), "2 series"),
    "NaN": (gives(math.nan), "nan"),
    "infinity": (gives(math.inf), "inf"),
}


@pytest.mark.parametrize(("answer", "words"), NO_DATA.values(), ids=NO_DATA)
def test_no_data_is_neither_good_nor_bad(answer: Answer, words: str) -> None:
    good = after((0, gives(3)), (1, answer))
    assert good.verdict(GUARD) is Verdict.UNDECIDED
    assert words in good.finding(GUARD).message
    bad = after(*((float(at), gives(11)) for at in range(31)), (31.0, answer))
    assert bad.verdict(GUARD) is Verdict.UNDECIDED
    assert after((0, answer)).verdict(GUARD) is Verdict.UNDECIDED


def test_the_time_without_data_is_not_counted() -> None:
    short = after((0, gives(11)), (5, DOWN), (10, gives(11)))
    long = after((0, gives(11)), (LONGEST_GAP + 1, gives(11)))
    assert (short.beyond_for, long.beyond_for) == (10, 0)


def test_what_speaks_in_favour_is_of_the_present_step() -> None:
    state = after((0, gives(3))).restarted()
    assert state.verdict(GUARD) is Verdict.UNDECIDED
    assert state.answers == 0
    assert state.after(GUARD, gives(3), 1).verdict(GUARD) is Verdict.HEALTHY
    assert after((0, DOWN)).restarted().missing == DOWN.message


def test_one_that_was_not_asked_says_why() -> None:
    assert QueryState().silent("not yet").finding(GUARD).message == "not yet"


def test_names_are_filled_in_and_nothing_else() -> None:
    guard = QueryGuard(name="q", promql='a{s="${revision}",t="${stable}"}[${window}] $revision ${1}', most=1)
    names = {"revision": "m-v7", "stable": "m-v6", "namespace": "ml", "name": "m"}
    assert guard.text(names, 60.9) == 'a{s="m-v7",t="m-v6"}[60s] $revision ${1}'
    assert guard.text(names, 0.2).count(f"[{SHORTEST_WINDOW}s]") == 1
    assert guard.text(names, 1e6).count(f"[{LONGEST_WINDOW}s]") == 1


@pytest.mark.parametrize("promql", ["${pod}", "${ name}", "${revision}${", "x${name}${names}"])
def test_a_name_that_nobody_knows_is_seen(promql: str) -> None:
    assert names_unknown(promql) == (promql != "${revision}${")


@pytest.mark.parametrize(
    ("promql", "seconds"),
    [
        ("x", 0),
        ("rate(x[5m])", 300),
        ("rate(x[1h30m]) / rate(y[5m])", 5400),
        ("max_over_time(rate(x[30s])[10m:5s])", 600),
        ('x{path="[5m]"} + rate(y[${window}])', 0),
        ("rate(x[500ms])", 0.5),
    ],
)
def test_the_longest_range_is_read(promql: str, seconds: float) -> None:
    assert longest_range(promql) == seconds


def test_a_range_may_not_reach_back_before_the_first_traffic() -> None:
    guard = QueryGuard(name="q", promql="rate(x[1m])", most=1)
    assert (guard.wait(20), guard.wait(60), guard.wait(90)) == (40, 0, 0)


def test_one_that_only_observes_is_not_enforced() -> None:
    assert not QueryGuard(name="q", promql="x", most=1, mode=Mode.OBSERVE).enforced
    assert GUARD.enforced
