"""Seeded draws for simulations: counts of bad requests per look, and looks made of them."""

import math
import random
from collections.abc import Iterator
from itertools import accumulate

from tidegate.core.evidence import Count, Look, Pair
from tidegate.core.guards import Absolute, Guard, Kind

ERRORS = Kind.ERROR_RATE.value


def cumulative_binomial(n: int, p: float) -> list[float]:
    return list(accumulate(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)))


def bad_counts(rng: random.Random, *, n: int, p: float, looks: int) -> list[int]:
    """Independent looks of `n` requests of which each is bad with chance `p`."""
    return rng.choices(range(n + 1), cum_weights=cumulative_binomial(n, p), k=looks)


def sticky_counts(rng: random.Random, *, n: int, rates: tuple[float, float], stay: float, looks: int) -> Iterator[int]:
    """A two-state Markov chain: bursts at the higher rate that last 1/(1 - stay) looks on average."""
    tables = [cumulative_binomial(n, p) for p in rates]
    state = 0
    for _ in range(looks):
        yield rng.choices(range(n + 1), cum_weights=tables[state])[0]
        if rng.random() > stay:
            state = 1 - state


def beta_binomial_counts(rng: random.Random, *, n: int, mean: float, size: float, looks: int) -> Iterator[int]:
    """Looks whose rate is itself drawn, from a beta distribution of that mean and sample size."""
    for _ in range(looks):
        p = rng.betavariate(mean * size, (1 - mean) * size)
        yield sum(rng.random() < p for _ in range(n))


def look(canary: tuple[int, int], stable: tuple[int, int] = (0, 0)) -> Look:
    """A look at the error rate: (n, bad) of either side."""
    return Look(
        counts={ERRORS: Pair(Count(*canary), Count(*stable))}, canary_arrived=canary[0], stable_arrived=stable[0]
    )


def error_limit(limit: float) -> Guard:
    return Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=limit))
