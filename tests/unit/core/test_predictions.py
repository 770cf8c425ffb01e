"""Drift of predictions: the index and the distance, what counts, and what is said of it."""

import math
from itertools import accumulate
from random import Random

import pytest

from tidegate.core.guards import Mode, Verdict
from tidegate.core.predictions import FEWEST, DriftGuard, DriftState, distance, stability
from tidegate.core.readings import Predictions, Reading, Readings, Unreadable

EDGES = tuple(n / 20 for n in range(1, 20))
GUARD = DriftGuard(most=0.25, needed=500)


def drawn(random: Random, number: int, shift: float = 0.0) -> list[int]:
    """So many predictions of a bell around 0.5, as counts by bucket."""
    counts = [0] * (len(EDGES) + 1)
    for _ in range(number):
        value = random.gauss(0.5 + shift, 0.15)
        counts[sum(value > edge for edge in EDGES)] += 1
    return counts


def reading(counts: list[int], edges: tuple[float, ...] = EDGES) -> Reading:
    return Reading(
        finished={"2xx": sum(counts)}, predictions=Predictions(edges=edges, counts=tuple(accumulate(counts)))
    )


def look(canary: dict[str, Reading | Unreadable], stable: dict[str, Reading | Unreadable]) -> Readings:
    return Readings(at=0.0, canary=canary, stable=stable)


def watched(canary: list[int], stable: list[int]) -> DriftState:
    """Two looks, between which this was predicted."""
    nothing = reading([0] * len(canary))
    first = DriftState().after(look({"c": nothing}, {"s": nothing}))
    return first.after(look({"c": reading(canary)}, {"s": reading(stable)}))


def test_the_index_is_the_formula_over_tenths_of_both_together() -> None:
    canary, stable = [300, 700], [600, 400]
    p, q = [300.5 / 1001, 700.5 / 1001], [600.5 / 1001, 400.5 / 1001]
    expected = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True)) - (2 - 1) * (1 / 1000 + 1 / 1000)
    assert stability(canary, stable) == pytest.approx(expected)
    # Finer buckets than tenths are put together first.
    assert stability([150, 150, *[7] * 100], [300, 300, *[4] * 100]) == pytest.approx(
        stability([150, 150, *[70] * 10], [300, 300, *[40] * 10])
    )


def test_what_is_alike_has_an_index_about_zero_and_what_chance_makes_of_it_is_far_from_any_limit() -> None:
    random = Random(5)
    found = [stability(drawn(random, FEWEST), drawn(random, FEWEST)) for _ in range(100)]
    assert max(found) < 0.1
    assert sum(found) / len(found) < 0.02


@pytest.mark.parametrize(("shift", "low", "high"), [(0.02, 0.0, 0.1), (0.045, 0.04, 0.2), (0.15, 0.6, 1.6)])
def test_a_shift_of_a_standard_deviation_is_one_by_the_usual_limits(shift: float, low: float, high: float) -> None:
    random = Random(7)
    assert low <= stability(drawn(random, 5000, shift), drawn(random, 5000)) < high


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("number", [500, 1000, 20_000])
def test_two_constants_are_far_apart_however_few_the_canary_has_seen(number: int, *, swapped: bool) -> None:
    canary, stable = [0, 0, number, 0], [20_000, 0, 0, 0]
    if swapped:
        canary.reverse()
        stable.reverse()
    assert stability(canary, stable) > 5
    assert distance(canary, stable) == pytest.approx(1.0)


def test_the_distance_is_the_largest_difference_of_the_shares_below_a_value() -> None:
    assert distance([10, 0, 10], [5, 10, 5]) == pytest.approx(0.25)
    assert distance([1, 2, 3], [100, 200, 300]) == pytest.approx(0.0)


def test_a_canary_that_predicts_something_else_is_told_with_the_numbers() -> None:
    random = Random(3)
    finding = watched(drawn(random, 1200, 0.3), drawn(random, 9000)).finding(GUARD, at_full=False)
    assert (finding.guard, finding.mode, finding.verdict) == ("drift.maxPsi", Mode.ENFORCE, Verdict.BREACH)
    assert finding.samples == 1200
    assert finding.message.startswith("PSI ")
    assert finding.message.endswith("of 1200 predictions against stable's 9000 over the limit of 0.25")


def test_one_that_predicts_the_same_is_within_the_limit() -> None:
    random = Random(3)
    finding = watched(drawn(random, 1200), drawn(random, 9000)).finding(GUARD, at_full=False)
    assert finding.verdict is Verdict.HEALTHY
    assert finding.message.endswith("within the limit of 0.25")


@pytest.mark.parametrize(("canary", "stable"), [(499, 9000), (9000, 499), (0, 0)])
def test_nothing_is_said_of_too_few(canary: int, stable: int) -> None:
    finding = watched([canary, 0], [0, stable]).finding(GUARD, at_full=False)
    assert finding.verdict is Verdict.UNDECIDED
    assert finding.message == f"{canary} numeric predictions so far, stable {stable}: 500 of each are needed"


def test_at_100_percent_there_is_nothing_to_compare_with() -> None:
    finding = watched([9000, 0], [0, 9000]).finding(GUARD, at_full=True)
    assert finding.verdict is Verdict.HEALTHY


def test_what_a_pod_predicted_before_its_first_look_does_not_count() -> None:
    state = DriftState().after(look({"c": reading([5000, 0])}, {"s": reading([0, 5000])}))
    assert state.finding(GUARD, at_full=False).samples == 0
    state = state.after(look({"c": reading([5000, 600])}, {"s": reading([0, 5600])}))
    assert state.finding(GUARD, at_full=False).samples == 600
    assert state.finding(GUARD, at_full=False).verdict is Verdict.HEALTHY


def test_a_step_begins_with_nothing_and_loses_nothing() -> None:
    state = watched([600, 0], [600, 0]).restarted()
    assert state.finding(GUARD, at_full=False).samples == 0
    state = state.after(look({"c": reading([600, 40])}, {"s": reading([600, 40])}))
    assert state.finding(GUARD, at_full=False).samples == 40


def test_pods_add_up_and_one_that_began_anew_counts_from_zero() -> None:
    first = look({"c1": reading([10, 0]), "c2": reading([0, 0])}, {"s": reading([0, 0])})
    state = DriftState().after(first)
    state = state.after(look({"c1": reading([3, 0]), "c2": reading([7, 5])}, {"s": reading([0, 0])}))
    assert (state.canary, state.stable) == ((10, 15), (0, 0))


def test_a_pod_that_cannot_be_read_for_a_while_is_counted_when_it_can() -> None:
    state = DriftState().after(look({"c": reading([10, 0])}, {}))
    state = state.after(look({"c": Unreadable(reason="no answer")}, {}))
    state = state.after(look({"c": reading([30, 0])}, {}))
    assert state.canary == (20, 20)


def test_a_pod_that_is_gone_is_forgotten() -> None:
    state = DriftState().after(look({"c": reading([10, 0])}, {"s": reading([10, 0])}))
    assert state.after(look({}, {"s": reading([10, 0])})).marks.keys() == {"s"}


def test_servers_that_do_not_count_predictions_or_count_them_in_other_buckets_say_nothing() -> None:
    other = reading([0, 500], edges=(0.5,))
    state = DriftState().after(look({"c": Reading(finished={})}, {"s": reading([0, 0], edges=(0.7,))}))
    state = state.after(look({"c": other}, {"s": reading([0, 600], edges=(0.7,))}))
    state = state.after(look({"c": reading([0, 900], edges=(0.5,))}, {"s": reading([0, 700], edges=(0.7,))}))
    assert state.finding(GUARD, at_full=False).message.startswith("0 numeric predictions so far, stable 700")
