"""What the promise rests on: a process is expected not to grow, whatever came before, while its hypothesis holds."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.sequential import (
    Count,
    Process,
    Silence,
    absolute_factors,
    forecast_rate,
    two_sample_factors,
    upper_bound,
)

SLACK = 1 + 1e-9

shares = st.floats(0.001, 0.999)
counts = st.integers(0, 60).flatmap(lambda n: st.builds(Count, st.just(n), st.integers(0, n)))
few = st.integers(1, 7)


def chance(n: int, bad: int, p: float) -> float:
    return math.comb(n, bad) * p**bad * (1 - p) ** (n - bad)


def process_after(limit: float, past: list[Count]) -> Process:
    process = Process()
    for count in past:
        process = process.after(absolute_factors(limit, count))
    return process


@given(limit=shares, part=st.floats(0, 1), n=st.integers(1, 25), past=st.lists(counts, max_size=6))
def test_evidence_against_a_limit_is_not_expected_to_grow_while_the_rate_is_within_it(
    limit: float, part: float, n: int, past: list[Count]
) -> None:
    process = process_after(limit, past)
    expected = sum(
        chance(n, bad, part * limit) * process.after(absolute_factors(limit, Count(n, bad))).value
        for bad in range(n + 1)
    )
    assert expected <= process.value * SLACK


@given(
    ratio=st.floats(0.2, 10),
    forecast=st.floats(0, 1),
    stable_rate=st.floats(0, 1),
    part=st.floats(0, 1),
    sizes=st.tuples(few, few),
)
def test_evidence_against_a_ratio_is_not_expected_to_grow_at_any_rates_within_it(
    ratio: float, forecast: float, stable_rate: float, part: float, sizes: tuple[int, int]
) -> None:
    """Exact, for each alternative by itself, also where stable's rate has nothing to do with its forecast."""
    n_canary, n_stable = sizes
    canary_rate = min(1.0, ratio * stable_rate) * part
    outcomes = [
        (
            chance(n_canary, bad, canary_rate) * chance(n_stable, stable_bad, stable_rate),
            two_sample_factors(ratio, forecast, Count(n_canary, bad), Count(n_stable, stable_bad)),
        )
        for bad in range(n_canary + 1)
        for stable_bad in range(n_stable + 1)
    ]
    for j in range(len(outcomes[0][1])):
        assert sum(weight * factors[j] for weight, factors in outcomes) <= SLACK


@given(
    weight=st.floats(0.01, 0.99),
    extra=st.floats(0, 1),
    requests=st.integers(1, 200),
    past=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=5),
)
def test_evidence_of_silence_is_not_expected_to_grow_while_the_canary_gets_its_share(
    weight: float, extra: float, requests: int, past: list[tuple[int, int]]
) -> None:
    silence = Silence()
    for canary, stable in past:
        silence = silence.after(canary=canary, stable=stable, weight=weight)
    share = weight + extra * (1 - weight)
    none = (1 - share) ** requests
    quiet = silence.after(canary=0, stable=requests, weight=weight).value
    heard = silence.after(canary=1, stable=requests - 1, weight=weight).value
    assert none * quiet + (1 - none) * heard <= silence.value * SLACK


@given(limit=shares, past=st.lists(counts, max_size=5), count=counts.filter(lambda count: count.bad < count.n))
def test_one_more_bad_request_never_lowers_the_evidence_against_a_limit(
    limit: float, past: list[Count], count: Count
) -> None:
    process = process_after(limit, past)
    worse = Count(count.n, count.bad + 1)
    assert process.after(absolute_factors(limit, worse)).value >= process.after(absolute_factors(limit, count)).value


@given(
    ratio=st.floats(0.5, 5),
    forecast=st.floats(0, 0.5),
    canary=counts.filter(lambda count: count.bad < count.n),
    stable=counts.filter(lambda count: count.bad < count.n),
)
def test_more_bad_requests_of_the_canary_weigh_against_it_and_more_of_stable_for_it(
    ratio: float, forecast: float, canary: Count, stable: Count
) -> None:
    as_it_is = two_sample_factors(ratio, forecast, canary, stable)
    worse = two_sample_factors(ratio, forecast, Count(canary.n, canary.bad + 1), stable)
    excused = two_sample_factors(ratio, forecast, canary, Count(stable.n, stable.bad + 1))
    assert all(
        more * SLACK >= before >= less / SLACK for more, before, less in zip(worse, as_it_is, excused, strict=True)
    )


@given(count=counts, risk=st.floats(1e-6, 0.5), minutes=counts, looks=counts)
def test_bounds_lie_above_what_was_seen_and_forecasts_are_rates(
    count: Count, risk: float, minutes: Count, looks: Count
) -> None:
    assert count.share <= upper_bound(count, risk) <= 1.0
    assert 0.0 < forecast_rate(minutes, looks) < 1.0
