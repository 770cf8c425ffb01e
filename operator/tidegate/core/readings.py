"""What pods count, and what of it is decided and what is bad."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.core.guards import Guard, Kind
from tidegate.core.latency import Durations, Ladder, snap
from tidegate.core.sequential import Count

#: What is cumulative of one metric in one pod: decided, bad by their code, bad by their duration.
Tally = tuple[int, int, int]
NOTHING: Tally = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a process predicted since it started: `counts[i]` numbers of at most `edges[i]`, in the last entry all."""

    edges: tuple[float, ...]
    counts: Ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One scrape of one pod, cumulative since its process started.

    `finished` counts by status code ("503") or code class ("5xx"). `started` is None if the source cannot tell.
    `in_flight[i]` is the number of unanswered requests at most `durations.edges[i]` seconds old, the last, extra entry
    all of them; None if the source cannot tell their age. `process_started` is seconds since the epoch by the pod's
    clock, used only to notice that it changed. `predictions` is None where the server does not count them.
    """

    finished: Mapping[str, int]
    started: int | None = None
    durations: Durations | None = None
    in_flight: tuple[int, ...] | None = None
    process_started: float | None = None
    predictions: Predictions | None = None

    @property
    def answered(self) -> int:
        """All finished requests."""
        return sum(self.finished.values())

    @property
    def arrived(self) -> int:
        """All requests that are known to have arrived."""
        if self.started is not None:
            return self.started
        return self.answered + (self.in_flight[-1] if self.in_flight else 0)

    @property
    def counts_arrivals(self) -> bool:
        """Whether a request is known of before it is answered."""
        return self.started is not None or self.in_flight is not None

    def older(self, index: int) -> int:
        """Unanswered requests older than the edge of that index."""
        return self.in_flight[-1] - self.in_flight[index] if self.in_flight else 0

    def edge(self, seconds: float) -> float | None:
        """The edge that a limit falls on; None without a histogram, or beyond its end."""
        index = snap(self.durations.edges, seconds) if self.durations else None
        return None if index is None or self.durations is None else self.durations.edges[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A pod that did not tell: refused, timed out, or sent what cannot be read."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What one look got, by pod uid or process, at `at` (seconds of any clock that does not jump).

    `silence` is False where a canary without counts may be one that nobody counted.
    """

    at: float
    canary: Mapping[str, Reading | Unreadable]
    stable: Mapping[str, Reading | Unreadable]
    silence: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceConfig:
    """What is to be counted: the metrics of `guards`, and errors in any case.

    A request unanswered for `timeout` seconds is bad. `faults` are codes or code classes below 500 that mean a fault
    of the model, not of the client ("400" for MLServer and mlflow). `lasting`: the source may lose sight of a counter
    for long and see it again, so that nothing seen is ever forgotten. `shared`: its counters outlive rollouts, so that
    what one says when it is first seen does not count. `receiving`: the canary has weight by now.
    """

    guards: tuple[Guard, ...]
    timeout: float
    faults: frozenset[str] = frozenset()
    lasting: bool = False
    shared: bool = False
    receiving: bool = True

    @property
    def percentiles(self) -> dict[str, float]:
        """The metrics whose limit is a percentile of stable's, with that percentile (0 to 1)."""
        return {
            guard.metric: guard.percentile for guard in self.guards if guard.relative and guard.percentile is not None
        }

    def thresholds(self, edges: Mapping[str, float], *, canary: bool) -> dict[str, float]:
        """The seconds that each latency metric is measured at, for one role.

        With a percentile of stable's (from `edges`, those not frozen yet are left out) stable is measured at it and the
        canary at the ratio times it: if the canary takes exactly that many times as long, both shares are equal, and
        whatever slows both slows both shares.
        """
        found = {}
        for guard in self.guards:
            if guard.threshold_seconds is not None:
                found[guard.metric] = guard.threshold_seconds
            elif guard.metric in edges:
                found[guard.metric] = edges[guard.metric] * (guard.factor if canary else 1.0)
        return found

    def enforced(self, edges: Mapping[str, float]) -> list[float]:
        """The latencies (seconds) that are asked of the canary; `edges` as for `thresholds`."""
        asked = {guard.metric for guard in self.guards if guard.enforced}
        return [seconds for metric, seconds in self.thresholds(edges, canary=True).items() if metric in asked]

    def tallies(self, reading: Reading, thresholds: Mapping[str, float]) -> dict[str, Tally]:
        """Everything that a reading can tell, by metric."""
        found = {Kind.ERROR_RATE.value: _errors(reading, self), Kind.CLIENT_ERRORS.value: _client_errors(reading, self)}
        for metric, seconds in thresholds.items():
            slow = _slow(reading, seconds)
            if slow is not None:
                found[metric] = slow
        return found

    def faulty(self, code: str) -> bool:
        """Whether an answer of that code is the model's fault."""
        return code.startswith("5") or code in self.faults


def _errors(reading: Reading, config: EvidenceConfig) -> Tally:
    failed = sum(count for code, count in reading.finished.items() if config.faulty(code))
    index = snap(reading.durations.edges, config.timeout) if reading.durations else None
    if index is None or reading.durations is None:
        return reading.answered, failed, 0
    late = {code: counts[-1] - counts[index] for code, counts in reading.durations.counts.items()}
    overdue = reading.older(index)
    # A late fault is counted as late: it may have been overdue, and thus bad, in an earlier look.
    in_time = failed - sum(count for code, count in late.items() if config.faulty(code))
    return reading.answered + overdue, in_time, sum(late.values()) + overdue


def _client_errors(reading: Reading, config: EvidenceConfig) -> Tally:
    refused = sum(count for code, count in reading.finished.items() if code.startswith("4") and not config.faulty(code))
    return reading.answered, refused, 0


def _slow(reading: Reading, seconds: float) -> Tally | None:
    index = snap(reading.durations.edges, seconds) if reading.durations else None
    if index is None or reading.durations is None:
        return None
    merged = reading.durations.merged
    overdue = reading.older(index)
    return merged[-1] + overdue, 0, merged[-1] - merged[index] + overdue


def count_between(old: Tally, new: Tally, *, labelled: bool) -> Count:
    """What was decided between two tallies, never negative.

    Where the histogram does not tell codes apart, a request may be bad on both counts: then only as many are called
    bad as certainly are.
    """
    decided, failed, late = (max(0, b - a) for a, b in zip(old, new, strict=True))
    bad = failed + late if labelled else max(failed, late)
    return Count(max(decided, bad), bad)


def highest(old: Tally, new: Tally) -> Tally:
    """Each entry's highest value so far: a request that was overdue and vanished without an end stays counted."""
    return max(old[0], new[0]), max(old[1], new[1]), max(old[2], new[2])
