"""What must keep holding while a canary gets requests, and what a look at the evidence found of it."""

import math
from dataclasses import dataclass
from enum import StrEnum

#: Fewer requests than this never speak in favour of a canary.
FEWEST_REQUESTS = 50
#: What a limit of 0 % asks for: by the rule of three (Hanley, Lippman-Hand 1983), no bad request in 300 bounds the
#: rate at 1 %.
REQUESTS_FOR_ZERO = 300
RULE_OF_THREE = 3


class Kind(StrEnum):
    """Which requests a guard calls bad."""

    ERROR_RATE = "errorRate"
    CLIENT_ERRORS = "clientErrors"
    LATENCY = "latency"


class Mode(StrEnum):
    """Whether a breach reverts, or is only told."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


class Verdict(StrEnum):
    """What the evidence says; there is always the third answer."""

    HEALTHY = "Healthy"
    BREACH = "Breach"
    UNDECIDED = "Undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absolute:
    """At most this share (0 to 1) of the canary's requests may be bad."""

    limit: float

    @property
    def number(self) -> float:
        """The `limit`, by the name that all tests share."""
        return self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The canary may be at most this many times as bad as stable."""

    factor: float

    @property
    def number(self) -> float:
        """The `factor`, by the name that all tests share."""
        return self.factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Increase:
    """The canary's share of bad requests may be at most this much (0 to 1) above stable's."""

    points: float

    @property
    def number(self) -> float:
        """The `points`, by the name that all tests share."""
        return self.points


Test = Absolute | Ratio | Increase


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guard, parsed.

    `name` is its place in the spec (`errorRate.max`, `latency.p95.maxRatio`). A latency guard has a `percentile`
    (0 to 1, exclusive): `Absolute` with `threshold_seconds` says that at most `limit` = 1 - percentile of the requests
    may take longer than that; `Ratio` says it of `factor` times stable's percentile, and has no threshold of its own.
    `min_requests` is what a healthy verdict needs at each step; None takes the default.

    Raises:
        ValueError: percentile or threshold missing where the kind needs it, present where it has no meaning, or an
            `Increase` of a latency.
    """

    name: str
    kind: Kind
    test: Test
    percentile: float | None = None
    threshold_seconds: float | None = None
    mode: Mode = Mode.ENFORCE
    min_requests: int | None = None

    def __post_init__(self) -> None:
        latency = self.kind is Kind.LATENCY
        if latency != (self.percentile is not None) or (latency and isinstance(self.test, Increase)):
            raise ValueError(f"{self.name}: a percentile is for latency guards, which take a limit or a ratio")
        if (self.threshold_seconds is not None) != (latency and isinstance(self.test, Absolute)):
            raise ValueError(f"{self.name}: a threshold in seconds is for absolute latency guards")

    @property
    def metric(self) -> str:
        """The key of the counts that this guard is judged on: equal keys are equal counts."""
        if self.percentile is None:
            return self.kind.value
        if self.threshold_seconds is not None:
            return f"latency>{self.threshold_seconds:g}s"
        return f"latency>{self.factor:g}*p{self.percentile * 100:g}"

    @property
    def identity(self) -> str:
        """Names the guard with its limit: a guard that was edited starts with no evidence against anybody."""
        return f"{self.name}={self.test.number:g}"

    @property
    def factor(self) -> float:
        """How many times as bad (or as slow) as stable the canary may be; 1 where the test is no ratio."""
        return self.test.factor if isinstance(self.test, Ratio) else 1.0

    @property
    def share_factor(self) -> float:
        """How many times stable's share of bad requests the canary's may be.

        1 for latencies: there the factor is in the threshold that either side is measured at.
        """
        return 1.0 if self.kind is Kind.LATENCY else self.factor

    @property
    def relative(self) -> bool:
        """Whether stable's own traffic sets the limit."""
        return not isinstance(self.test, Absolute)

    def yields_to(self, other: "Guard") -> bool:
        """Whether `other` sets a plain limit to what this one compares with stable, and no less strictly."""
        same = (self.kind, self.percentile) == (other.kind, other.percentile)
        return self.relative and not other.relative and same and (other.enforced or not self.enforced)

    @property
    def enforced(self) -> bool:
        """Whether a breach of it reverts."""
        return self.mode is Mode.ENFORCE

    @property
    def requests_needed(self) -> int:
        """Requests at one step before it may be called healthy: by default the rule of three, at least 50.

        Three over the share allowed is the number of requests that would show a bad one with 95 % chance at the limit.
        """
        if self.min_requests is not None:
            return self.min_requests
        if not isinstance(self.test, Ratio):
            share = self.test.number
        else:
            share = 1.0 if self.percentile is None else 1.0 - self.percentile
        if share <= 0:
            return REQUESTS_FOR_ZERO
        return max(FEWEST_REQUESTS, math.ceil(RULE_OF_THREE / share - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one guard says after a look.

    `bad` of `samples` requests is `value`, to be compared with `limit` (shares, 0 to 1; both None while nothing is
    known). With suspicion they are counted since it arose, otherwise since the present step was confirmed. `log_e`
    is the natural logarithm of the e-value against the canary. `held`: stable itself is over the limit, so that the
    canary is measured by stable meanwhile. `edge` is the histogram edge (seconds) that the latency was really
    compared with. `message` is for a person and names all of it.
    """

    guard: str
    mode: Mode
    verdict: Verdict
    value: float | None
    limit: float | None
    samples: int
    bad: int
    log_e: float
    message: str
    held: bool = False
    edge: float | None = None
