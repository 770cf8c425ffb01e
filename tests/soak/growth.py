"""Whether a process grows: the median of the last third of its life against that of the first. Pure."""

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

MIB = 1024 * 1024
#: What is left out of each role: what a process imports, caches and connects to when it begins. So many seconds, or
#: that share of the time if it is more: an allocator's first minutes look like a leak.
WARM_UP, WARM_SHARE = 30.0, 0.2
#: Readings of a role that there must be after that, or nothing is said of it.
LEAST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """One reading of one process: when (seconds), who, whether it led, and what it had."""

    at: float
    process: str
    leads: bool
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What may come on top of the first third's median: so much, or that share of it, if it is more."""

    least: float
    share: float

    def most(self, first: float) -> float:
        """The largest median of the last third that is no growth."""
        return first + max(self.least, self.share * first)


#: Memory: the allocator takes arenas of a MiB and keeps them, and one more object in mid-rollout is some of
#: them. A leak of 10 KiB for each rollout would be 3 MiB in 300.
#: Descriptors and tasks: six objects roll at any time, each with a connection and a reader or two for each of its
#: pods, so a median moves by a few. One that is lost for each rollout would be hundreds.
TOLERANCES: Mapping[str, Tolerance] = {
    "rss": Tolerance(least=6 * MIB, share=0.05),
    "fds": Tolerance(least=8, share=0.2),
    "tasks": Tolerance(least=8, share=0.2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One measure of one process in one role."""

    process: str
    leads: bool
    measure: str
    readings: int
    first: float
    last: float
    most: float

    @property
    def grew(self) -> bool:
        """Whether it is more than the tolerance allows."""
        return self.last > self.most


def trends(vitals: Iterable[Vital]) -> Iterator[Trend]:
    """Each measure of each process that was seen for long enough, by role.

    A leader does more, so it has more, and who has led keeps what it imported and connected to: three roles.
    """
    by_role: dict[tuple[str, bool, bool], list[Vital]] = {}
    have_led: set[str] = set()
    for vital in sorted(vitals, key=lambda each: each.at):
        if vital.leads:
            have_led.add(vital.process)
        by_role.setdefault((vital.process, vital.leads, vital.process in have_led), []).append(vital)
    for (process, leads, _), readings in by_role.items():
        begin, end = readings[0].at, readings[-1].at
        warm = [each for each in readings if each.at >= begin + max(WARM_UP, WARM_SHARE * (end - begin))]
        if len(warm) < LEAST:
            continue
        third = len(warm) // 3
        for measure, tolerance in TOLERANCES.items():
            first = statistics.median(each.values[measure] for each in warm[:third])
            last = statistics.median(each.values[measure] for each in warm[-third:])
            yield Trend(
                process=process, leads=leads, measure=measure, readings=len(warm),
                first=first, last=last, most=tolerance.most(first),
            )  # fmt: skip


def grown(found: Iterable[Trend]) -> Iterator[str]:
    """A sentence for each measure that grew, and one if no leader lived long enough to be judged."""
    found = list(found)
    for each in found:
        if each.grew:
            yield f"{each.process}: {each.measure} grew from {each.first:.6g} to {each.last:.6g}, over {each.most:.6g}"
    if not any(each.leads for each in found):
        yield f"no leader was read {LEAST} times after its first {WARM_UP:.0f} s: growth is not judged"
