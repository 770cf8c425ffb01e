"""Histograms of durations: which edge a limit falls on, and the percentile that stable had before the rollout."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Stable's percentile is taken over the last one to two of these: over at most the five minutes before the rollout.
WINDOW_SECONDS = 150.0
_REQUESTS_ABOVE = 10
_TOLERANCE = 1e-9

#: Cumulative counts at each edge of a ladder, and of all requests as the last entry. Empty: nothing is known.
Ladder = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long finished requests took, cumulative since the process started.

    `edges` are the upper bounds in seconds, ascending, without +Inf. `counts[code][i]` is the number of requests of
    that code (or code class, as in `Reading.finished`) that took at most `edges[i]`; the last, extra entry is all of
    them. A source that cannot tell the codes apart has one entry, under the empty string.
    """

    edges: tuple[float, ...]
    counts: Mapping[str, Ladder]

    @property
    def labelled(self) -> bool:
        """Whether the codes are told apart."""
        return "" not in self.counts

    @property
    def merged(self) -> Ladder:
        """The cumulative counts of all codes together."""
        return tuple(map(sum, zip(*self.counts.values(), strict=True))) or (0,) * (len(self.edges) + 1)


def snap(edges: Sequence[float], seconds: float) -> int | None:
    """The index of the first edge that is not below `seconds`; None beyond the last one.

    Upwards, because a limit must not get stricter than what was asked for.
    """
    index = bisect_left(edges, seconds * (1.0 - _TOLERANCE))
    return index if index < len(edges) else None


def percentile_edge(edges: Sequence[float], counts: Ladder, percentile: float) -> float | None:
    """The smallest edge that at least `percentile` (0 to 1) of the requests stayed within, None if there is none.

    None as well where so few requests were counted that fewer than ten are expected above the percentile.
    """
    if not counts or counts[-1] < math.ceil(_REQUESTS_ABOVE / (1.0 - percentile) - _TOLERANCE):
        return None
    index = bisect_left(counts, percentile * counts[-1] - _TOLERANCE, 0, len(edges))
    return edges[index] if index < len(edges) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What stable's requests took in the last minutes, in two windows of which the older one is complete."""

    since: float
    current: Ladder = ()
    previous: Ladder = ()

    def after(self, at: float, counts: Ladder) -> "Before":
        """With the requests of one more look, read at `at` (seconds)."""
        if at - self.since >= WINDOW_SECONDS:
            return Before(since=at, current=counts, previous=self.current)
        return Before(since=self.since, current=added(self.current, counts), previous=self.previous)

    @property
    def counts(self) -> Ladder:
        """Both windows together."""
        return added(self.previous, self.current)


def added(one: Ladder, other: Ladder) -> Ladder:
    """Counts together; those of a ladder of another length than the first are left out."""
    if not one or len(one) != len(other):
        return one or other
    return tuple(a + b for a, b in zip(one, other, strict=True))


def grown(now: Ladder, old: Ladder) -> Ladder:
    """What was counted between two readings of one process; nothing known where they cannot be compared."""
    if len(now) != len(old):
        return ()
    return tuple(max(0, a - b) for a, b in zip(now, old, strict=True))
