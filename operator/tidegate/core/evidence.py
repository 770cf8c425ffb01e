"""From what the pods count to what a look saw: how many requests were decided since the last look, and how many badly.

Every pod's counters are cumulative. `observe` keeps for each pod what was already seen of it and hands out the
differences, per role and metric. A request is decided when it finished, or as soon as it is overdue; one that is
overdue is bad from then on, so that its end later changes nothing and each request counts once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from tidegate.core.latency import Before, Durations, Ladder, added, grown, percentile_edge
from tidegate.core.readings import (
    NOTHING,
    EvidenceConfig,
    Reading,
    Readings,
    Tally,
    Unreadable,
    count_between,
    highest,
)
from tidegate.core.sequential import NO_REQUESTS, Count

__all__ = [
    "Count",
    "Durations",
    "Edges",
    "EvidenceConfig",
    "EvidenceState",
    "Look",
    "Mark",
    "Pair",
    "Reading",
    "Readings",
    "Unreadable",
    "observe",
]

#: A pod that is not listed for this many looks is forgotten. Its uid never comes back, but lists may flicker.
FORGET_AFTER_LOOKS = 60


@dataclass(frozen=True, slots=True)
class Pair:
    """Counts of either side."""

    canary: Count = NO_REQUESTS
    stable: Count = NO_REQUESTS

    def __add__(self, other: "Pair") -> "Pair":
        return Pair(self.canary + other.canary, self.stable + other.stable)


@dataclass(frozen=True, slots=True)
class Edges:
    """The histogram edges (seconds) that a latency metric is really measured at; None where no pod can."""

    canary: float | None
    stable: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The difference that one look makes.

    `counts` and `edges` are by `Guard.metric`; a metric that no pod of the canary can answer is missing in `counts`.
    `canary_arrived` is None where nobody knows whether the canary is silent: a pod of it could not be read, or only
    answers are counted and its first ones may be under way still.
    `unreadable` is the number of looks in a row, this one included, in which no pod of the canary could be read while
    one of stable's was.
    """

    counts: Mapping[str, Pair]
    edges: Mapping[str, Edges] = field(default_factory=dict)
    canary_arrived: int | None = None
    stable_arrived: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What was already seen of one pod. `ladder` is kept only while some percentile of stable's is still wanted."""

    process_started: float | None
    answered: int
    arrived: int
    tallies: Mapping[str, Tally]
    missed: int = 0
    ladder: Ladder = ()

    def precedes(self, reading: Reading) -> bool:
        """Whether the reading goes on counting where this one stopped: the same process, no counter went down."""
        restarted = None not in (self.process_started, reading.process_started) and (
            self.process_started != reading.process_started
        )
        return not restarted and self.answered <= reading.answered


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceState:
    """What has to be remembered between the looks of one rollout.

    The pods of stable that are there at the first look count from then (`unread` are those of them that have not been
    read yet), later ones from zero. So do the canary's where it has had no request in this attempt (`untouched`): what
    they counted before belongs to an earlier one. Otherwise they count from their first request. `edges` are stable's
    percentiles (seconds) by metric, frozen when the canary gets its first request. `quiet_since` is when it was last
    heard of, or given its first weight (seconds of the readings' clock).
    """

    opened: bool = False
    untouched: bool = False
    unread_canary: frozenset[str] = frozenset()
    canary: Mapping[str, Mark] = field(default_factory=dict)
    stable: Mapping[str, Mark] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    unreadable: int = 0
    edges: Mapping[str, float] = field(default_factory=dict)
    before: Before | None = None
    quiet_since: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """As JSON values. The histograms that percentiles are frozen from are left out: they are gathered anew.

        So is `quiet_since`: another process has another clock.
        """
        metrics = sorted({metric for mark in (*self.canary.values(), *self.stable.values()) for metric in mark.tallies})
        return {
            "opened": self.opened,
            "untouched": self.untouched,
            "unreadCanary": sorted(self.unread_canary),
            "metrics": metrics,
            "canary": {uid: _mark_to_wire(mark, metrics) for uid, mark in self.canary.items()},
            "stable": {uid: _mark_to_wire(mark, metrics) for uid, mark in self.stable.items()},
            "unread": sorted(self.unread),
            "unreadable": self.unreadable,
            "edges": dict(self.edges),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "EvidenceState":
        """The inverse of `to_wire`.

        Raises:
            ValueError: it is not what `to_wire` writes; start with a new state.
        """
        try:
            metrics = wire["metrics"]
            return cls(
                opened=wire["opened"],
                untouched=wire["untouched"],
                unread_canary=frozenset(wire["unreadCanary"]),
                canary={uid: _mark_from_wire(mark, metrics) for uid, mark in wire["canary"].items()},
                stable={uid: _mark_from_wire(mark, metrics) for uid, mark in wire["stable"].items()},
                unread=frozenset(wire["unread"]),
                unreadable=wire["unreadable"],
                edges=wire["edges"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no saved evidence: {error!r}") from error


def _mark_to_wire(mark: Mark, metrics: Collection[str]) -> list[Any]:
    tallies = [list(mark.tallies[metric]) if metric in mark.tallies else None for metric in metrics]
    return [mark.process_started, mark.answered, mark.arrived, mark.missed, tallies]


def _mark_from_wire(wire: list[Any], metrics: Collection[str]) -> Mark:
    process_started, answered, arrived, missed, tallies = wire
    return Mark(
        process_started=process_started,
        answered=answered,
        arrived=arrived,
        missed=missed,
        tallies={metric: _tally(tally) for metric, tally in zip(metrics, tallies, strict=True) if tally is not None},
    )


def _tally(wire: list[int]) -> Tally:
    decided, failed, late = wire
    return decided, failed, late


def observe(state: EvidenceState, readings: Readings, config: EvidenceConfig) -> tuple[EvidenceState, Look]:
    """Take one look: what was decided since the one before, in every pod that could be read."""
    canary_read, stable_read = _read(readings.canary), _read(readings.stable)
    past = _past(state, readings, config)
    edges = _frozen_edges(state, canary_read, stable_read, config, past)
    unread = state.unread | {
        uid
        for uid in readings.stable
        if uid not in state.stable and (uid not in stable_read or not state.opened or config.shared)
    }
    wanting = bool(config.percentiles.keys() - edges.keys())
    canary_at, stable_at = config.thresholds(edges, canary=True), config.thresholds(edges, canary=False)
    canary = _advance(state.canary, canary_read, config, canary_at, past=past)
    stable = _advance(state.stable, stable_read, config, stable_at, past=unread, keep_ladder=wanting, forgiving=True)
    # A pod that can't be read is broken or out of reach; what Prometheus lacks says nothing of pods.
    blind = not config.lasting and bool(readings.canary) and not canary_read and bool(stable_read)
    unreadable = state.unreadable + 1 if blind else 0
    before = (state.before or Before(since=readings.at)).after(readings.at, stable.ladder) if wanting else None
    after = EvidenceState(
        opened=True,
        untouched=state.untouched,
        unread_canary=past - canary_read.keys(),
        canary=canary.marks,
        stable=stable.marks,
        unread=unread - stable_read.keys(),
        unreadable=unreadable,
        edges=edges,
        before=before,
        quiet_since=_quiet_since(state, readings, config, heard=canary.arrived > 0),
    )
    complete = readings.silence and bool(canary_read) and len(canary_read) == len(readings.canary)
    known = complete and (canary.arrived > 0 or not _under_way(after, readings, config))
    return after, Look(
        counts={metric: Pair(count, stable.counts.get(metric, NO_REQUESTS)) for metric, count in canary.counts.items()},
        edges={
            metric: Edges(_first_edge(canary_read, seconds), _first_edge(stable_read, stable_at[metric]))
            for metric, seconds in canary_at.items()
        },
        canary_arrived=canary.arrived if known else None,
        stable_arrived=stable.arrived,
        unreadable=unreadable,
    )


def _quiet_since(state: EvidenceState, readings: Readings, config: EvidenceConfig, *, heard: bool) -> float | None:
    if not config.receiving:
        return None
    return readings.at if heard or state.quiet_since is None else state.quiet_since


def _under_way(state: EvidenceState, readings: Readings, config: EvidenceConfig) -> bool:
    """Whether requests may have reached the canary whose answers are not due yet, where only answers are counted."""
    canary = _read(readings.canary)
    if state.quiet_since is None or all(reading.counts_arrivals for reading in canary.values()):
        return False
    edges = {**_percentiles(state, _read(readings.stable), config.percentiles), **state.edges}
    limits = (_first_edge(canary, seconds) for seconds in config.enforced(edges))
    due = min([config.timeout, *(limit for limit in limits if limit is not None)])
    return readings.at - state.quiet_since <= due


def _past(state: EvidenceState, readings: Readings, config: EvidenceConfig) -> frozenset[str]:
    """The canary's pods whose counters so far are of an earlier attempt."""
    if config.shared:
        return frozenset(uid for uid in readings.canary if uid not in state.canary)
    if not state.untouched:
        return frozenset()
    return state.unread_canary | {uid for uid in readings.canary if uid not in state.canary and not state.opened}


def _read(readings: Mapping[str, Reading | Unreadable]) -> dict[str, Reading]:
    return {uid: reading for uid, reading in readings.items() if isinstance(reading, Reading)}


def _first_edge(readings: Mapping[str, Reading], seconds: float) -> float | None:
    return next((edge for reading in readings.values() if (edge := reading.edge(seconds)) is not None), None)


def _frozen_edges(
    state: EvidenceState,
    canary: Mapping[str, Reading],
    stable: Mapping[str, Reading],
    config: EvidenceConfig,
    past: Collection[str],
) -> Mapping[str, float]:
    """Stable's percentiles, once the canary gets requests: of the last minutes, or else since stable's pods started."""
    missing = {metric: share for metric, share in config.percentiles.items() if metric not in state.edges}
    before = {uid: mark.arrived for uid, mark in state.canary.items()}
    asked = any(reading.arrived > before.get(uid, 0) for uid, reading in canary.items() if uid not in past)
    return {**state.edges, **_percentiles(state, stable, missing)} if missing and asked else state.edges


def _percentiles(state: EvidenceState, stable: Mapping[str, Reading], wanted: Mapping[str, float]) -> dict[str, float]:
    """These percentiles of stable's as far as they are known by now, in seconds, by metric."""
    known = [reading.durations for reading in stable.values() if reading.durations is not None]
    if not known or not wanted:
        return {}
    edges = known[0].edges
    lifetime = reduce(added, (durations.merged for durations in known if durations.edges == edges))
    recent = state.before.counts if state.before else ()
    found = {
        metric: percentile_edge(edges, recent, share) or percentile_edge(edges, lifetime, share)
        for metric, share in wanted.items()
    }
    return {metric: edge for metric, edge in found.items() if edge is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Advance:
    """One role's new marks, and what its pods counted since the old ones."""

    marks: Mapping[str, Mark]
    counts: Mapping[str, Count]
    arrived: int
    ladder: Ladder


def _advance(
    marks: Mapping[str, Mark],
    readings: Mapping[str, Reading],
    config: EvidenceConfig,
    thresholds: Mapping[str, float],
    *,
    past: Collection[str],
    forgiving: bool = False,
    keep_ladder: bool = False,
) -> _Advance:
    """Compare readings with marks.

    `past` are pods whose counters so far are not this rollout's. `forgiving`, of stable: a metric that was not asked
    for before starts with this look; of the canary's all counts.
    """
    after = {
        uid: replace(mark, missed=mark.missed + 1)
        for uid, mark in marks.items()
        if uid not in readings and (config.lasting or mark.missed < FORGET_AFTER_LOOKS)
    }
    counts: dict[str, Count] = {}
    arrived = 0
    ladder: Ladder = ()
    for uid, reading in readings.items():
        new = Mark(
            process_started=reading.process_started,
            answered=reading.answered,
            arrived=reading.arrived,
            tallies=config.tallies(reading, thresholds),
            ladder=reading.durations.merged if keep_ladder and reading.durations else (),
        )
        old = _baseline(marks.get(uid), new, reading, from_now=uid in past)
        for metric, tally in new.tallies.items():
            start = old.tallies.get(metric, tally if forgiving and old.tallies else NOTHING)
            labelled = reading.durations is None or reading.durations.labelled
            counts[metric] = counts.get(metric, NO_REQUESTS) + count_between(start, tally, labelled=labelled)
        arrived += max(0, new.arrived - old.arrived)
        ladder = added(ladder, grown(new.ladder, old.ladder))
        merged = {metric: highest(old.tallies.get(metric, NOTHING), tally) for metric, tally in new.tallies.items()}
        after[uid] = replace(new, arrived=max(old.arrived, new.arrived), tallies={**old.tallies, **merged})
    return _Advance(marks=after, counts=counts, arrived=arrived, ladder=ladder)


def _baseline(old: Mark | None, new: Mark, reading: Reading, *, from_now: bool) -> Mark:
    """What to compare a reading with: the pod's mark, the reading itself, or nothing counted at all."""
    if old is not None and old.precedes(reading):
        return old
    if old is None and from_now:
        return new
    return Mark(process_started=None, answered=0, arrived=0, tallies={})
