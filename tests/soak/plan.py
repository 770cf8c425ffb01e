"""What a soak does, drawn from one seed before it begins. Pure."""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice
from typing import Any


class Kind(StrEnum):
    """What a version is like, or what happens to it."""

    GOOD = "good"
    ERRORS = "errors"
    SOME_ERRORS = "some errors"
    REFUSES = "refuses"
    SLOW = "slow"
    CRASHES = "crashes"
    HANGS = "hangs"
    TURNS = "turns bad"
    ALERT = "alert"
    WITHDRAWN = "withdrawn"
    CORRUPT = "corrupt"


class End(StrEnum):
    """How a rollout ends."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    PARKED = "parked"
    BACK = "back"


#: The end that each kind deserves.
DESERVED: Mapping[Kind, End] = {
    Kind.GOOD: End.PROMOTED,
    Kind.ERRORS: End.REJECTED,
    Kind.SOME_ERRORS: End.REJECTED,
    Kind.REFUSES: End.REJECTED,
    Kind.SLOW: End.REJECTED,
    Kind.CRASHES: End.REJECTED,
    Kind.HANGS: End.REJECTED,
    Kind.TURNS: End.REJECTED,
    Kind.ALERT: End.REJECTED,
    Kind.WITHDRAWN: End.BACK,
    Kind.CORRUPT: End.PARKED,
}

#: How the small server is told to be bad from its start; a kind that isn't here begins well.
BEHAVES: Mapping[Kind, Mapping[str, Any]] = {
    Kind.ERRORS: {"error_rate": 1},
    Kind.SOME_ERRORS: {"error_rate": 0.3},
    Kind.REFUSES: {"error_rate": 1, "status": 422},
    Kind.SLOW: {"latency_ms": 1200},
    Kind.CRASHES: {"exit_on_request": True},
    Kind.HANGS: {"hang": True},
}


class Flavour(StrEnum):
    """How an object is set up: which server it has, and by what it is judged."""

    SMALL = "small"
    GATEWAY = "gateway"
    ALERT = "alert"
    RUNTIME = "runtime"


_BAD = (
    Kind.ERRORS, Kind.SOME_ERRORS, Kind.REFUSES, Kind.SLOW, Kind.CRASHES, Kind.HANGS, Kind.TURNS, Kind.WITHDRAWN,
)  # fmt: skip
#: Besides good ones, which are half of all.
KINDS: Mapping[Flavour, tuple[Kind, ...]] = {
    Flavour.SMALL: _BAD,
    Flavour.GATEWAY: (Kind.ERRORS, Kind.SOME_ERRORS, Kind.TURNS, Kind.WITHDRAWN),
    Flavour.ALERT: (Kind.ALERT,),
    Flavour.RUNTIME: (Kind.SOME_ERRORS, Kind.CORRUPT),
}
#: Seconds that no rollout of a flavour stays under, so that a plan never runs out.
FASTEST: Mapping[Flavour, float] = {
    Flavour.SMALL: 12.0, Flavour.GATEWAY: 12.0, Flavour.ALERT: 15.0, Flavour.RUNTIME: 25.0,
}  # fmt: skip
SITES = (Flavour.SMALL, Flavour.SMALL, Flavour.SMALL, Flavour.GATEWAY, Flavour.ALERT, Flavour.RUNTIME)


class Fault(StrEnum):
    """What befalls the cluster, one at a time; the last one is planned by nobody."""

    API_SERVER = "API server"
    MLFLOW = "MLflow"
    PROMETHEUS = "Prometheus"
    GATEWAY = "gateway's control plane"
    LEADER_KILLED = "leader SIGKILL"
    LEADER_ENDED = "leader SIGTERM"
    LEADER_HANGS = "leader SIGSTOP"
    STARVED = "machine too busy"


#: These end an operator process. They come first: one that lives through all the rest is judged for growth.
LETHAL = (Fault.LEADER_KILLED, Fault.LEADER_ENDED)
GENTLE = (Fault.API_SERVER, Fault.MLFLOW, Fault.GATEWAY, Fault.PROMETHEUS, Fault.LEADER_HANGS)
LETHAL_SHARE = 0.4  # of the whole time
GAP = (12.0, 35.0)  # seconds from one to the next
LASTS = (2.0, 12.0)  # seconds that a fault goes on by itself, where it does not end at once
RESTS = (0.0, 6.0)  # seconds from a rollout's end to the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One version, and how long to wait before it is pointed at (seconds)."""

    kind: Kind
    rest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One object and its rollouts, one after another."""

    name: str
    flavour: Flavour
    rollouts: tuple[Rollout, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfortune:
    """A fault, when it comes (seconds from the begin, or once the one before is over) and how long it goes on."""

    fault: Fault
    at: float
    lasts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a soak does."""

    seed: int
    seconds: float
    subjects: tuple[Subject, ...]
    misfortunes: tuple[Misfortune, ...]

    def lines(self) -> Iterator[str]:
        """The plan for a person."""
        yield f"seed {self.seed}, {self.seconds:g} s"
        for each in self.misfortunes:
            yield f"  at {each.at:6.1f} s  {each.fault} ({each.lasts:.1f} s)"
        for subject in self.subjects:
            yield f"  {subject.name}: " + ", ".join(f"{r.kind} +{r.rest:.1f}" for r in subject.rollouts)


def plan(seed: int, seconds: float, sites: Sequence[Flavour] = SITES) -> Plan:
    """The plan of a seed: the same for the same arguments, on every machine."""
    chance = random.Random(f"tidegate soak {seed}")
    subjects = tuple(
        Subject(name=f"{flavour}-{number}", flavour=flavour, rollouts=tuple(_rollouts(chance, flavour, seconds)))
        for number, flavour in enumerate(sites)
    )
    return Plan(seed=seed, seconds=seconds, subjects=subjects, misfortunes=tuple(_misfortunes(chance, seconds)))


def _rollouts(chance: random.Random, flavour: Flavour, seconds: float) -> Iterator[Rollout]:
    """Rounds in which each bad kind comes once, between good ones, in an order of their own."""
    kinds = _rounds(chance, KINDS[flavour])
    for kind in islice(kinds, math.ceil(seconds / FASTEST[flavour])):
        yield Rollout(kind=kind, rest=round(chance.uniform(*RESTS), 1))


def _rounds(chance: random.Random, bad: Sequence[Kind]) -> Iterator[Kind]:
    while True:
        order = [*bad, *([Kind.GOOD] * len(bad))]
        chance.shuffle(order)
        yield from order


def _misfortunes(chance: random.Random, seconds: float) -> Iterator[Misfortune]:
    moments = list(_moments(chance, seconds))
    early = sum(at < LETHAL_SHARE * seconds for at in moments)
    gentle = cycle(GENTLE)
    first = _shuffled(chance, _mixed(gentle, early))
    later = _shuffled(chance, islice(gentle, len(moments) - early))
    for at, fault in zip(moments, [*first, *later], strict=True):
        yield Misfortune(fault=fault, at=at, lasts=round(chance.uniform(*LASTS), 1))


def _moments(chance: random.Random, seconds: float) -> Iterator[float]:
    at = chance.uniform(*GAP)
    while at < seconds:
        yield round(at, 1)
        at += chance.uniform(*GAP)


def _mixed(gentle: Iterator[Fault], count: int) -> list[Fault]:
    """Lethal ones as often as their share of all kinds, each of them at least once where there is room."""
    lethal = min(count, max(len(LETHAL), round(count * len(LETHAL) / (len(LETHAL) + len(GENTLE)))))
    return [*islice(cycle(LETHAL), lethal), *islice(gentle, count - lethal)]


def _shuffled(chance: random.Random, faults: Iterable[Fault]) -> list[Fault]:
    order = list(faults)
    chance.shuffle(order)
    return order
