"""Tests that may be looked at after every look: mixtures of likelihood ratios over when and how far a rate rose.

A process starts at 1 and, while its hypothesis holds, is expected never to grow, whatever it did before (a test
supermartingale). By Ville's inequality (1939) it then reaches 1/alpha with a chance of at most alpha, however often
one looks and whenever one stops. Sources: Wald 1945 (likelihood ratios), Shiryaev 1963 (a prior over the moment of
change), Robbins 1970 (mixtures), Shin, Ramdas, Rinaldo 2022 (e-detectors), Turner, Ly, Gruenwald 2021 and
Turner, Gruenwald 2022 (two samples).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

#: How many rates above the limit are tried side by side.
ALTERNATIVES = 12
#: The highest rate tried. At 1 a single good request would end that alternative for good.
HIGHEST_RATE = 0.99
#: Sums stop growing here, many orders above any threshold. Less evidence than there is keeps the test valid.
CEILING = 1e100
_LOG_CEILING = math.log(CEILING)
#: A stable rate assumed before anything is known of it counts as much as this many requests.
PRIOR_REQUESTS = 50
_PRIOR_BAD = 0.5
_LOWEST_RATE = 1e-6
_BISECTIONS = 40

NEUTRAL: tuple[float, ...] = (1.0,) * ALTERNATIVES


@dataclass(frozen=True, slots=True)
class Count:
    """`bad` of `n` requests."""

    n: int = 0
    bad: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.n + other.n, self.bad + other.bad)

    @property
    def share(self) -> float:
        """The share of bad ones; 0 of none is 0."""
        return self.bad / self.n if self.n else 0.0


NO_REQUESTS = Count()


@dataclass(frozen=True, slots=True)
class Process:
    """Evidence that a rate rose over its limit at some look, gathered over all looks so far.

    `sums[j]` is S_j: for each alternative j the likelihood ratio of all requests since look k, summed over k with
    prior weight 1/(k(k+1)). Kept as plain numbers that stop at `CEILING`; the likelihood ratios themselves are
    computed in logarithms.
    """

    looks: int = 0
    sums: tuple[float, ...] = (0.0,) * ALTERNATIVES

    def after(self, factors: tuple[float, ...]) -> "Process":
        """The process after a look whose likelihood ratios are `factors`: S_j <- (S_j + w_k) * L_j."""
        looks = self.looks + 1
        weight = 1.0 / (looks * (looks + 1))
        sums = tuple([(s + weight) * factor for s, factor in zip(self.sums, factors, strict=True)])
        return Process(looks, sums if max(sums) < CEILING else tuple(min(CEILING, s) for s in sums))

    @property
    def value(self) -> float:
        """E: the mean over the alternatives, and the prior weight of all looks still to come, 1/(k+1)."""
        return sum(self.sums) / ALTERNATIVES + 1.0 / (self.looks + 1)


@dataclass(frozen=True, slots=True)
class Silence:
    """Evidence that no request reaches the canary any more, since some look.

    Of each request the canary should get the share `weight`; a stretch of N requests of stable without one is
    (1 - weight)^-N times likelier if nothing reaches it. The moment at which that began has the same prior as in
    `Process`; a request that arrives refutes every stretch before it. `unheard` requests of stable in `quiet_looks`
    looks make up the present stretch.
    """

    looks: int = 0
    total: float = 0.0
    unheard: int = 0
    quiet_looks: int = 0

    def after(self, *, canary: int, stable: int, weight: float) -> "Silence":
        """The process after a look with so many requests on either side; `weight` between 0 and 1, exclusive."""
        looks = self.looks + 1
        if canary:
            return Silence(looks)
        growth = math.exp(min(_LOG_CEILING, -stable * math.log1p(-weight)))
        total = min(CEILING, (self.total + 1.0 / (looks * (looks + 1))) * growth)
        return Silence(looks, total, self.unheard + stable, self.quiet_looks + 1)

    @property
    def value(self) -> float:
        """E, as in `Process.value`."""
        return self.total + 1.0 / (self.looks + 1)


@lru_cache(maxsize=64)
def _against_limit(limit: float) -> tuple[tuple[float, float], ...]:
    """Log likelihood ratios of one bad and of one good request, for each alternative."""
    highest = max(HIGHEST_RATE, (1.0 + limit) / 2.0)
    rates = [limit * (highest / limit) ** (j / ALTERNATIVES) for j in range(1, ALTERNATIVES + 1)]
    return tuple((math.log(rate / limit), math.log((1.0 - rate) / (1.0 - limit))) for rate in rates)


@lru_cache(maxsize=1024)
def absolute_factors(limit: float, count: Count) -> tuple[float, ...]:
    """Likelihood ratios of one look for the hypothesis rate <= `limit` (0 < limit < 1).

    Alternatives are log-spaced from the limit (exclusive) to `HIGHEST_RATE`. Each grows with the number of bad
    requests, so its expectation is at most 1 for every rate up to the limit.
    """
    good = count.n - count.bad
    return tuple([math.exp(min(_LOG_CEILING, count.bad * up + good * down)) for up, down in _against_limit(limit)])


def two_sample_factors(ratio: float, forecast: float, canary: Count, stable: Count) -> tuple[float, ...]:
    """Likelihood ratios of one look for the hypothesis rate of canary <= `ratio` * rate of stable.

    Alternative j says (a_j, b): b is the `forecast` of stable's rate (from earlier looks only), a_j is log-spaced from
    ratio * b (exclusive) to `HIGHEST_RATE`. It is compared with the point (ratio * t, t) of the hypothesis that is
    nearest to it in Kullback-Leibler divergence for these sample sizes. With c_i the slopes there, the expected
    ratio is the product of (1 + c_i * d_i)^n_i <= exp(sum of n_i * c_i * d_i) <= 1 for every pair of rates in the
    hypothesis (a convex set), so this is exact at any rate and any sample size, also when both rates jump together.
    A look without requests on one side says nothing.
    """
    base = min(HIGHEST_RATE, max(_LOWEST_RATE, forecast))
    low = ratio * base
    if not canary.n or not stable.n or low >= HIGHEST_RATE:
        return NEUTRAL
    factors = []
    for j in range(1, ALTERNATIVES + 1):
        rate = low * (HIGHEST_RATE / low) ** (j / ALTERNATIVES)
        near = _nearest(ratio, rate, base, canary.n, stable.n)
        log_ratio = _log_ratio(canary, rate, ratio * near) + _log_ratio(stable, base, near)
        factors.append(math.exp(min(_LOG_CEILING, log_ratio)))
    return tuple(factors)


def _nearest(ratio: float, a: float, b: float, n_a: int, n_b: int) -> float:
    """The t that minimises n_a * KL(a, ratio * t) + n_b * KL(b, t).

    Where its derivative is 0: n_a (ratio t - a)(1 - t) + n_b (t - b)(1 - ratio t) = 0, the smaller root of a quadratic,
    which lies between b and a / ratio. Written so that nothing cancels.
    """
    square = ratio * (n_a + n_b)
    linear = n_a * (ratio + a) + n_b * (1.0 + ratio * b)
    constant = n_a * a + n_b * b
    return 2.0 * constant / (linear + math.sqrt(linear * linear - 4.0 * square * constant))


def _log_ratio(count: Count, alternative: float, null: float) -> float:
    """The log likelihood ratio of a count between two rates."""
    return count.bad * math.log(alternative / null) + (count.n - count.bad) * math.log((1 - alternative) / (1 - null))


@lru_cache(maxsize=1024)
def upper_bound(count: Count, risk: float) -> float:
    """The rate that is exceeded with a chance of at most `risk`: Chernoff's bound, n * KL(share, u) = log(1/risk).

    1 where nothing was counted.
    """
    if not count.n:
        return 1.0
    low, high, share = count.share, 1.0, count.share
    budget = -math.log(risk) / count.n
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        divergence = (share * math.log(share / middle) if share else 0.0) + (
            (1 - share) * math.log((1 - share) / (1 - middle)) if share < 1 else 0.0
        )
        low, high = (middle, high) if divergence < budget else (low, middle)
    return high


def forecast_rate(minutes: Count, looks: Count) -> float:
    """A guess of the rate in the next look: what the last `looks` showed, drawn towards the last `minutes`."""
    long_run = (minutes.bad + _PRIOR_BAD) / (minutes.n + PRIOR_REQUESTS)
    return (looks.bad + PRIOR_REQUESTS * long_run) / (looks.n + PRIOR_REQUESTS)
