"""How many looks a canary that turns bad lasts: limit 1 %, 10 requests a look, medians over seeded runs."""

import math
import random
import statistics
from functools import cache

import pytest
from tests.simulation.draws import bad_counts, error_limit, look

from tidegate.core.guards import Verdict
from tidegate.core.judge import ALPHA, JudgeState, judge

GUARDS = (error_limit(0.01),)
REQUESTS = 10
RUNS = 401


@cache
def after_good_looks(looks: int) -> JudgeState:
    state = JudgeState()
    for _ in range(looks):
        state = judge(state, GUARDS, look((REQUESTS, 0)), weight=100, at_full=True).state
    return state


def looks_until_breach(state: JudgeState, rng: random.Random, rate: float, *, longest: int = 400) -> int:
    for number, bad in enumerate(bad_counts(rng, n=REQUESTS, p=rate, looks=longest), start=1):
        ruling = judge(state, GUARDS, look((REQUESTS, bad)), weight=100, at_full=True)
        if ruling.verdict is Verdict.BREACH:
            return number
        state = ruling.state
    return longest


@pytest.mark.parametrize("good_looks", [0, 30, 1000])
def test_a_total_failure_is_caught_in_the_first_wholly_bad_look_whatever_went_before(good_looks: int) -> None:
    ruling = judge(after_good_looks(good_looks), GUARDS, look((REQUESTS, REQUESTS)), weight=100, at_full=True)
    assert (ruling.verdict, ruling.blamed) == (Verdict.BREACH, "errorRate.max")
    assert ruling.message == "100% errors (10 of 10) over the limit of 1%"


@pytest.mark.parametrize(
    ("good_looks", "rate", "expected", "noise"),
    [(0, 0.10, 5, 1), (0, 0.05, 14, 3), (1000, 0.10, 13, 2), (1000, 0.05, 45, 6)],
)
def test_a_canary_over_the_limit_is_caught_within_the_looks_it_should_take(
    good_looks: int, rate: float, expected: float, noise: float
) -> None:
    rng = random.Random(4001)
    state = after_good_looks(good_looks)
    median = statistics.median(looks_until_breach(state, rng, rate) for _ in range(RUNS))
    assert expected - noise <= median <= expected + noise


def test_no_test_that_keeps_the_promise_could_be_much_faster_from_the_start() -> None:
    """One that knew rate and moment beforehand would need log(1/alpha) / KL requests on average (Wald 1945)."""
    rng = random.Random(4004)
    divergence = 0.05 * math.log(0.05 / 0.01) + 0.95 * math.log(0.95 / 0.99)
    clairvoyant = math.log(1 / ALPHA) / divergence / REQUESTS
    median = statistics.median(looks_until_breach(JudgeState(), rng, 0.05) for _ in range(RUNS))
    assert clairvoyant == pytest.approx(11.1, abs=0.1)
    assert median <= 1.5 * clairvoyant


def test_one_at_twice_the_limit_takes_hundreds_of_requests_and_is_caught_in_the_end() -> None:
    rng = random.Random(4002)
    looks = [looks_until_breach(JudgeState(), rng, 0.02, longest=1500) for _ in range(41)]
    assert 30 <= statistics.median(looks) <= 300
    assert max(looks) < 1500


def test_a_process_that_had_to_start_anew_asks_for_more_evidence() -> None:
    rng, again = random.Random(4003), random.Random(4003)
    first = [looks_until_breach(JudgeState(), rng, 0.05) for _ in range(41)]
    third = [looks_until_breach(JudgeState(restarts=3), again, 0.05) for _ in range(41)]
    assert statistics.median(first) < statistics.median(third) <= 2 * statistics.median(first)
