"""How often a canary whose guards all hold would be reverted: the promise is 1 % over a whole rollout."""

import random
from collections.abc import Iterable

import pytest
from tests.simulation.draws import bad_counts, beta_binomial_counts, error_limit, look, sticky_counts

from tidegate.core.evidence import Count, Look, Pair
from tidegate.core.guards import Guard, Increase, Kind, Ratio, Verdict
from tidegate.core.judge import ALPHA, JudgeState, judge
from tidegate.core.judgement import History
from tidegate.core.sequential import Process, absolute_factors, forecast_rate, two_sample_factors

RUNS = 10_000
REQUESTS = 10
LIMIT = 0.01
FACTORS = [absolute_factors(LIMIT, Count(REQUESTS, bad)) for bad in range(REQUESTS + 1)]


def ever_reaches(counts: Iterable[int], threshold: float = 1 / ALPHA) -> bool:
    process = Process()
    for bad in counts:
        process = process.after(FACTORS[bad])
        if process.value >= threshold:
            return True
    return False


def test_a_canary_exactly_at_the_limit_is_reverted_in_at_most_one_of_a_hundred_rollouts() -> None:
    rng = random.Random(3001)
    reverted = sum(ever_reaches(bad_counts(rng, n=REQUESTS, p=LIMIT, looks=200)) for _ in range(RUNS))
    assert reverted <= RUNS * ALPHA


def test_several_guards_at_once_share_the_one_percent() -> None:
    """Errors at 1 %, client errors at 2 %, latency at 5 %, each exactly at its limit."""
    rng = random.Random(3002)
    limits = (0.01, 0.02, 0.05)
    tables = [[absolute_factors(limit, Count(REQUESTS, bad)) for bad in range(REQUESTS + 1)] for limit in limits]
    reverted = 0
    for _ in range(RUNS):
        looks = zip(*(bad_counts(rng, n=REQUESTS, p=limit, looks=60) for limit in limits), strict=True)
        processes = [Process() for _ in limits]
        for bads in looks:
            processes = [p.after(table[bad]) for p, table, bad in zip(processes, tables, bads, strict=True)]
            if sum(process.value for process in processes) / len(processes) >= 1 / ALPHA:
                reverted += 1
                break
    assert reverted <= RUNS * ALPHA


def test_bursts_whose_rate_stays_within_the_limit_are_no_breach() -> None:
    rng = random.Random(3003)
    runs = 2_000
    reverted = sum(
        ever_reaches(sticky_counts(rng, n=REQUESTS, rates=(0.0, LIMIT), stay=0.9, looks=150)) for _ in range(runs)
    )
    assert reverted <= runs * ALPHA


def test_rates_that_vary_from_look_to_look_are_no_breach_while_their_mean_is_well_within_the_limit() -> None:
    """Overdispersed (beta-binomial) looks: a bad request makes the next one of its look several times likelier."""
    rng = random.Random(3004)
    runs = 2_000
    reverted = sum(
        ever_reaches(beta_binomial_counts(rng, n=REQUESTS, mean=LIMIT / 2, size=30, looks=100)) for _ in range(runs)
    )
    assert reverted <= runs * ALPHA


@pytest.mark.parametrize(("stable_rate", "ratio", "stable_requests"), [(0.01, 1.5, 90), (0.2, 2.0, 30), (0.5, 1.5, 10)])
def test_a_canary_exactly_at_the_ratio_is_reverted_in_at_most_one_of_a_hundred_rollouts(
    stable_rate: float, ratio: float, stable_requests: int
) -> None:
    rng = random.Random(3005)
    runs, reverted = 1_000, 0
    for _ in range(runs):
        process, history = Process(), History()
        canary = bad_counts(rng, n=REQUESTS, p=ratio * stable_rate, looks=60)
        stable = bad_counts(rng, n=stable_requests, p=stable_rate, looks=60)
        for bad, stable_bad in zip(canary, stable, strict=True):
            other = Count(stable_requests, stable_bad)
            forecast = forecast_rate(history.minutes, history.recent)
            process = process.after(two_sample_factors(ratio, forecast, Count(REQUESTS, bad), other))
            history = history.after(other)
            if process.value >= 1 / ALPHA:
                reverted += 1
                break
    assert reverted <= runs * ALPHA


GUARDS = (
    error_limit(LIMIT),
    Guard(name="errorRate.maxRatio", kind=Kind.ERROR_RATE, test=Ratio(factor=1.5)),
    Guard(name="errorRate.maxIncrease", kind=Kind.ERROR_RATE, test=Increase(points=0.01)),
    Guard(name="clientErrors.maxRatio", kind=Kind.CLIENT_ERRORS, test=Ratio(factor=2.0)),
)


def rollout(looks: Iterable[Look], guards: tuple[Guard, ...] = GUARDS) -> Verdict:
    """The judge itself over a rollout at 10 of 100 requests; the verdict that it ends with."""
    state, verdict = JudgeState(), Verdict.UNDECIDED
    for seen in looks:
        ruling = judge(state, guards, seen, weight=10, at_full=False)
        state, verdict = ruling.state, ruling.verdict
        if verdict is Verdict.BREACH:
            break
    return verdict


def mixed_look(errors: tuple[int, int], client_errors: tuple[int, int]) -> Look:
    return Look(
        counts={
            "errorRate": Pair(Count(10, errors[0]), Count(90, errors[1])),
            "clientErrors": Pair(Count(10, client_errors[0]), Count(90, client_errors[1])),
        },
        canary_arrived=10,
        stable_arrived=90,
    )


def test_whole_rollouts_under_four_guards_at_their_limits_end_without_a_revert() -> None:
    rng = random.Random(3006)
    runs, reverted = 200, 0
    for _ in range(runs):
        canary = bad_counts(rng, n=10, p=0.01, looks=60)
        stable = bad_counts(rng, n=90, p=0.01 / 1.5, looks=60)
        refused = bad_counts(rng, n=10, p=0.04, looks=60)
        stable_refused = bad_counts(rng, n=90, p=0.02, looks=60)
        looks = (mixed_look((a, b), (c, d)) for a, b, c, d in zip(canary, stable, refused, stable_refused, strict=True))
        reverted += rollout(looks) is Verdict.BREACH
    assert reverted <= runs * ALPHA


@pytest.mark.parametrize("outage", [0.05, 0.5, 1.0])
def test_an_outage_that_stable_shares_reverts_nobody_neither_during_nor_after_it(outage: float) -> None:
    rng = random.Random(3007)
    runs, reverted = 40, 0
    for _ in range(runs):
        rates = [0.002] * 30 + [outage] * 30 + [0.002] * 40
        looks = (
            look((10, bad_counts(rng, n=10, p=rate, looks=1)[0]), (90, bad_counts(rng, n=90, p=rate, looks=1)[0]))
            for rate in rates
        )
        reverted += rollout(looks, GUARDS[:3]) is Verdict.BREACH
    assert reverted == 0
