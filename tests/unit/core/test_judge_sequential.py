import math

import pytest

from tidegate.core.sequential import (
    ALTERNATIVES,
    CEILING,
    NEUTRAL,
    Count,
    Process,
    Silence,
    absolute_factors,
    forecast_rate,
    two_sample_factors,
    upper_bound,
)


def test_evidence_starts_at_one_and_neutral_looks_leave_it_there() -> None:
    process = Process()
    assert process.value == 1.0
    for _ in range(5):
        process = process.after(NEUTRAL)
        assert process.value == pytest.approx(1.0)


def test_the_recursion_is_a_mixture_over_the_moment_of_change() -> None:
    """Three looks by hand: E = mean over alternatives of sum over k of w_k * L_k * ... * L_3, plus w beyond."""
    looks = [absolute_factors(0.01, Count(10, bad)) for bad in (1, 0, 2)]
    process = Process()
    for factors in looks:
        process = process.after(factors)
    by_hand = 0.0
    for j in range(ALTERNATIVES):
        for k in range(3):
            by_hand += math.prod(factors[j] for factors in looks[k:]) / ((k + 1) * (k + 2))
    assert process.value == pytest.approx(by_hand / ALTERNATIVES + 1 / 4)


def test_sums_stop_growing_before_numbers_overflow() -> None:
    process = Process()
    for _ in range(5):
        process = process.after(absolute_factors(0.01, Count(10_000, 10_000)))
    assert max(process.sums) == CEILING
    assert math.isfinite(process.value)


def test_a_limit_above_the_highest_rate_still_has_alternatives_above_it() -> None:
    assert all(factor > 1 for factor in absolute_factors(0.995, Count(10, 10)))


def test_a_look_without_requests_on_one_side_says_nothing_about_a_ratio() -> None:
    assert two_sample_factors(1.5, 0.01, Count(10, 10), Count(0, 0)) == NEUTRAL
    assert two_sample_factors(1.5, 0.01, Count(0, 0), Count(10, 10)) == NEUTRAL


def test_a_stable_rate_so_high_that_no_canary_could_be_worse_says_nothing() -> None:
    assert two_sample_factors(1.5, 0.7, Count(10, 10), Count(10, 7)) == NEUTRAL


def test_the_upper_bound_is_chernoffs() -> None:
    bound = upper_bound(Count(100, 5), 0.01)
    divergence = 0.05 * math.log(0.05 / bound) + 0.95 * math.log(0.95 / (1 - bound))
    assert bound > 0.05
    assert 100 * divergence == pytest.approx(math.log(100))
    assert upper_bound(Count(100, 0), 0.01) == pytest.approx(1 - 0.01 ** (1 / 100))
    assert upper_bound(Count(5, 5), 0.01) == 1.0
    assert upper_bound(Count(0, 0), 0.01) == 1.0


def test_a_forecast_follows_the_last_looks_and_leans_on_the_last_minutes() -> None:
    assert forecast_rate(Count(), Count()) == pytest.approx(0.01)
    assert forecast_rate(Count(10_000, 10), Count(1000, 500)) == pytest.approx(0.476, abs=0.01)
    assert forecast_rate(Count(10_000, 1000), Count(10, 0)) == pytest.approx(0.083, abs=0.01)


def test_silence_grows_with_every_request_that_should_have_come_and_one_that_comes_ends_it() -> None:
    silence = Silence().after(canary=0, stable=95, weight=0.05)
    assert silence.value == pytest.approx(0.5 * 0.95**-95 + 0.5)
    silence = silence.after(canary=0, stable=5, weight=0.05)
    assert (silence.unheard, silence.quiet_looks) == (100, 2)
    heard = silence.after(canary=1, stable=0, weight=0.05)
    assert heard == Silence(3)
    assert heard.value < 1


def test_silence_stops_growing_before_numbers_overflow() -> None:
    silence = Silence()
    for _ in range(3):
        silence = silence.after(canary=0, stable=10**6, weight=0.99)
    assert silence.total == CEILING
