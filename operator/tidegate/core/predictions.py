"""Whether a new version predicts what stable predicts: the distributions of their numeric predictions at the same time.

Two measures on the counts of one histogram. The population stability index (PSI; Siddiqi, Credit Risk Scorecards, 2006)
is `sum((p - q) * ln(p / q))` over bins, of which up to 0.1 is called stable and above 0.25 a shift. Without any drift
its expectation is `(B - 1) * (1/n + 1/m)` for B bins (Yurdakul 2018), which is taken off. The Kolmogorov-Smirnov
distance, the largest difference of the cumulative shares, is told beside it.

No sequential test: what is compared is not a rate that a limit was put to, and from `FEWEST` predictions up the index
scatters by less than 0.02 where nothing drifts, a tenth of any sensible limit. So it is judged when a step's hold is
over, and not at every look before.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.core.guards import Finding, Mode, Verdict
from tidegate.core.latency import Ladder, added, grown
from tidegate.core.readings import Predictions, Reading, Readings, Unreadable

#: Its name in findings.
PLACE = "drift.maxPsi"
#: Predictions of either side below which nothing is said.
FEWEST = 500
BINS = 10
_HALF = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftGuard:
    """The limit of the index, and the predictions (of either side) that a step needs before it is judged.

    `reverts`: what drifts is rejected; otherwise it is held where it is until a person decides.
    """

    most: float
    needed: int
    reverts: bool = False
    mode: Mode = Mode.ENFORCE

    @property
    def enforced(self) -> bool:
        """Whether it holds or reverts anything, or is only told."""
        return self.mode is Mode.ENFORCE


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftState:
    """What was predicted since the present step was confirmed.

    `marks` is the newest reading of each pod by uid: one that is seen for the first time counts from then. `canary`
    and `stable` are cumulative over `edges`. Nothing of it is saved: another process begins with the step's evidence
    anew.
    """

    edges: tuple[float, ...] = ()
    marks: Mapping[str, Predictions] = field(default_factory=dict)
    canary: Ladder = ()
    stable: Ladder = ()

    def after(self, readings: Readings) -> "DriftState":
        """With one more look. Pods whose histogram has other edges than the first one's say nothing."""
        told = {**_told(readings.stable), **_told(readings.canary)}
        edges = self.edges or next((each.edges for each in told.values()), ())
        news = {uid: _since(self.marks.get(uid, now), now) if now.edges == edges else () for uid, now in told.items()}
        known = readings.canary.keys() | readings.stable.keys()
        return DriftState(
            edges=edges,
            marks={uid: mark for uid, mark in {**self.marks, **told}.items() if uid in known},
            canary=_together(self.canary, news, readings.canary),
            stable=_together(self.stable, news, readings.stable),
        )

    def restarted(self) -> "DriftState":
        """A new step: what was predicted before says nothing of it."""
        return DriftState(edges=self.edges, marks=self.marks)

    def finding(self, guard: DriftGuard, *, at_full: bool) -> Finding:
        """What is to be told. `at_full`: stable has no traffic to compare with."""
        verdict, message = self._judged(guard, at_full=at_full)
        samples = self.canary[-1] if self.canary else 0
        return Finding(
            guard=PLACE,
            mode=guard.mode,
            verdict=verdict,
            value=None,
            limit=None,
            samples=samples,
            bad=0,
            log_e=0.0,
            message=message,
        )

    def _judged(self, guard: DriftGuard, *, at_full: bool) -> tuple[Verdict, str]:
        seen, against = (ladder[-1] if ladder else 0 for ladder in (self.canary, self.stable))
        if at_full:
            return Verdict.HEALTHY, "stable gets no requests at 100%: predictions are not compared"
        if min(seen, against) < guard.needed:
            what = f"{seen} numeric predictions so far, stable {against}"
            return Verdict.UNDECIDED, f"{what}: {guard.needed} of each are needed"
        canary, stable = _buckets(self.canary), _buckets(self.stable)
        index = stability(canary, stable)
        what = f"PSI {index:.2g} (KS {distance(canary, stable):.2g}) of {seen} predictions against stable's {against}"
        if index > guard.most:
            return Verdict.BREACH, f"{what} over the limit of {guard.most:g}"
        return Verdict.HEALTHY, f"{what} within the limit of {guard.most:g}"


def stability(canary: Sequence[int], stable: Sequence[int]) -> float:
    """The population stability index of two histograms over the same buckets, each with at least one entry.

    Buckets are put together to at most ten bins with about a tenth of the mean of both distributions each. Half a
    prediction is added to each bin of either side, or an empty one would make the index infinite. What chance alone
    would make of it is taken off; never below 0.
    """
    bins = _binned(canary, stable)
    n, m = sum(canary), sum(stable)
    index = 0.0
    for one, other in bins:
        p = (one + _HALF) / (n + _HALF * len(bins))
        q = (other + _HALF) / (m + _HALF * len(bins))
        index += (p - q) * math.log(p / q)
    return max(0.0, index - (len(bins) - 1) * (1 / n + 1 / m))


def distance(canary: Sequence[int], stable: Sequence[int]) -> float:
    """The Kolmogorov-Smirnov distance (0 to 1) of two histograms over the same buckets, as far as these tell."""
    n, m = sum(canary), sum(stable)
    largest = one = other = 0.0
    for a, b in zip(canary, stable, strict=True):
        one, other = one + a / n, other + b / m
        largest = max(largest, abs(one - other))
    return largest


def _binned(canary: Sequence[int], stable: Sequence[int]) -> list[tuple[int, int]]:
    n, m = sum(canary), sum(stable)
    bins: list[tuple[int, int]] = []
    one = other = 0
    share, next_at = 0.0, 1
    for a, b in zip(canary, stable, strict=True):
        one, other = one + a, other + b
        share += (a / n + b / m) / 2
        if share * BINS >= next_at - _ROUNDING:
            bins.append((one, other))
            one = other = 0
            next_at = math.floor(share * BINS + _ROUNDING) + 1
    return bins


def _told(readings: Mapping[str, Reading | Unreadable]) -> dict[str, Predictions]:
    found = {uid: reading.predictions for uid, reading in readings.items() if isinstance(reading, Reading)}
    return {uid: predictions for uid, predictions in found.items() if predictions is not None}


def _since(before: Predictions, now: Predictions) -> Ladder:
    """What was predicted between two readings of a pod; all of it where its process began anew."""
    return grown(now.counts, before.counts) if before.counts[-1] <= now.counts[-1] else now.counts


def _together(so_far: Ladder, news: Mapping[str, Ladder], pods: Mapping[str, object]) -> Ladder:
    for uid, counts in news.items():
        if uid in pods:
            so_far = added(so_far, counts)
    return so_far


def _buckets(cumulative: Ladder) -> list[int]:
    return [above - below for above, below in zip(cumulative, (0, *cumulative), strict=False)]
