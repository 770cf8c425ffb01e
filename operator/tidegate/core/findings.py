"""What a guard found, in words: numbers first, then what they are compared with, then what follows from it."""

from dataclasses import dataclass
from enum import Enum, auto

from tidegate.core.evidence import Edges, Pair
from tidegate.core.guards import Absolute, Guard, Increase, Kind, Ratio
from tidegate.core.sequential import Count

_PERCENT = 100
_MILLISECONDS = 1000


class Standing(Enum):
    """Where a guard stands; each has its own sentence."""

    BREACHED = auto()
    SUSPECTED = auto()
    HELD = auto()
    RESTING = auto()
    UNANSWERED = auto()
    WITHOUT_STABLE = auto()
    TOO_FEW = auto()
    OVER = auto()
    WITHIN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a sentence is about. `bound` is the limit where it is a plain share, None where it follows stable's."""

    standing: Standing
    counts: Pair
    stable_lately: Count
    bound: float | None
    edges: Edges | None


def describe(guard: Guard, case: Case) -> str:
    """One sentence for a person, without the guard's name: `8.1% errors (34 of 420) over the limit of 1%`."""
    seen = _counted(guard, case.counts.canary, case.edges)
    bound = _bound(guard, case)
    stable = _share(case.stable_lately)
    sentences = {
        Standing.BREACHED: f"{seen} over {bound}",
        Standing.SUSPECTED: f"{seen}: suspected to be over {bound}",
        Standing.HELD: f"{seen}; stable itself has {stable}, over {bound}: held, measured by stable",
        Standing.RESTING: "stable gets no requests at 100%: the absolute limit judges",
        Standing.UNANSWERED: f"no pod can tell {_unknown(guard)}",
        Standing.WITHOUT_STABLE: f"{seen}; stable had no requests to compare with",
        Standing.TOO_FEW: f"{seen} so far, {guard.requests_needed} requests needed for {bound}",
        Standing.OVER: f"{seen} over {bound}, but not beyond chance",
        Standing.WITHIN: f"{seen} within {bound}",
    }
    return sentences[case.standing]


def seconds_text(seconds: float) -> str:
    """`500 ms`, `1.2 s`."""
    return f"{seconds * _MILLISECONDS:.3g} ms" if seconds < 1 else f"{seconds:.4g} s"


def percent_text(share: float) -> str:
    """`8.1%`, `0.04%`: two significant digits, whole numbers above ten."""
    percent = share * _PERCENT
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"  # noqa: PLR2004 - two digits


def _share(count: Count) -> str:
    return f"{percent_text(count.share)} ({count.bad} of {count.n})"


def _counted(guard: Guard, count: Count, edges: Edges | None) -> str:
    edge = edges.canary if edges else None
    than = "the limit" if edge is None else seconds_text(edge)
    what = {Kind.ERROR_RATE: "errors", Kind.CLIENT_ERRORS: "client errors", Kind.LATENCY: f"slower than {than}"}
    return f"{percent_text(count.share)} {what[guard.kind]} ({count.bad} of {count.n})"


def _bound(guard: Guard, case: Case) -> str:
    if case.bound is not None:
        kind = "the limit of" if isinstance(guard.test, Absolute) else "stable's last bound of"
        return f"{kind} {percent_text(case.bound)}"
    stable = _share(case.counts.stable)
    match guard.test:
        case Increase(points=points):
            return f"stable's {stable} plus {points * _PERCENT:.3g} points"
        case Ratio(factor=factor) if guard.kind is not Kind.LATENCY:
            return f"{factor:g} times stable's {stable}"
        case _:
            edge = case.edges.stable if case.edges else None
            than = "its own percentile" if edge is None else seconds_text(edge)
            return f"stable's {stable} slower than {than}"


def _unknown(guard: Guard) -> str:
    if guard.percentile is None:
        return f"its {guard.kind.value}"
    if guard.relative:
        return f"stable's p{guard.percentile * _PERCENT:g} yet, or how many of the canary's requests are slower"
    return f"how many requests take longer than {seconds_text(guard.threshold_seconds or 0.0)}"
