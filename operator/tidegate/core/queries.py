"""Guards with a query of the user's own: a number that must stay within limits, whatever it means.

No test can be made of a number that nobody knows the distribution of. So it is held to its limits for a time, `for`:
every answer of that time has to be beyond them. What is no number says nothing: it neither breaches nor clears.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.core.guards import Finding, Mode, Verdict
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable

#: What a query may name; `window` is the seconds since the canary's first request, at most `LONGEST_WINDOW`.
PLACEHOLDERS = ("revision", "stable", "namespace", "name", "window")
LONGEST_WINDOW = 300
SHORTEST_WINDOW = 5
#: Two answers further apart than this (seconds) say nothing of the time between them.
LONGEST_GAP = 30.0
_PLACEHOLDER = re.compile(rf"\$\{{({'|'.join(PLACEHOLDERS)})\}}")
# PromQL's own ${1} is its business.
_UNKNOWN = re.compile(r"\$\{[^0-9]")
_RANGE = re.compile(r"\[\s*((?:[0-9]+(?:ms|[smhdwy]))+)\s*(?::[^\]]*)?\]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


def names_unknown(promql: str) -> bool:
    """Whether a query names a placeholder that nobody can fill in."""
    return _UNKNOWN.search(_PLACEHOLDER.sub("", promql)) is not None


def longest_range(promql: str) -> float:
    """Seconds that the longest range written in a query reaches back; 0 where none is written as a number."""
    ranges = _RANGE.findall(_STRING.sub('""', promql))
    return max((_duration(text) for text in ranges), default=0.0)


def _duration(text: str) -> float:
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text))


def window(elapsed: float) -> int:
    """The value of `${window}`: it never reaches back before the canary's first request, `elapsed` seconds ago."""
    return int(min(LONGEST_WINDOW, max(SHORTEST_WINDOW, elapsed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryGuard:
    """A query and its limits; `seconds` is how long it has to be beyond one of them."""

    name: str
    promql: str
    most: float | None = None
    least: float | None = None
    seconds: float = 0.0
    mode: Mode = Mode.ENFORCE

    @property
    def place(self) -> str:
        """Its name in findings."""
        return f"queries.{self.name}"

    @property
    def enforced(self) -> bool:
        """Whether a breach of it reverts."""
        return self.mode is Mode.ENFORCE

    def text(self, names: Mapping[str, str], elapsed: float) -> str:
        """The query to ask, `elapsed` seconds after the canary's first request."""
        known = {**names, "window": f"{window(elapsed)}s"}
        return _PLACEHOLDER.sub(lambda match: known[match[1]], self.promql)

    def wait(self, elapsed: float) -> float:
        """Seconds until its longest range no longer reaches back before the canary's first request."""
        return max(0.0, longest_range(self.promql) - elapsed)

    def beyond(self, value: float) -> float | None:
        """The limit that a value is beyond."""
        if self.most is not None and value > self.most:
            return self.most
        return self.least if self.least is not None and value < self.least else None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryState:
    """What is known of one query.

    `beyond_for` is the time (seconds) for which every answer was beyond a limit; only stretches between two answers
    that follow each other are counted. `at` is the monotonic time of the newest answer and `value` what it was;
    `answers` since the present step was confirmed, `bad` of them beyond. `missing` says why there is no newer one.
    """

    value: float | None = None
    at: float | None = None
    beyond_for: float = 0.0
    answers: int = 0
    bad: int = 0
    missing: str | None = "no answer yet"

    def after(self, guard: QueryGuard, answer: Sequence[Sample] | Unavailable, at: float) -> "QueryState":
        """With one more answer, got at `at`."""
        value = number(answer)
        if isinstance(value, str):
            return replace(self, missing=value)
        bad = guard.beyond(value) is not None
        was_bad = self.value is not None and guard.beyond(self.value) is not None
        gap = at - self.at if self.at is not None else 0.0
        grown = self.beyond_for + (gap if was_bad and gap <= LONGEST_GAP else 0.0)
        return QueryState(
            value=value,
            at=at,
            beyond_for=grown if bad else 0.0,
            answers=self.answers + 1,
            bad=self.bad + bad,
            missing=None,
        )

    def silent(self, why: str) -> "QueryState":
        """Nobody was asked, or nobody answered."""
        return replace(self, missing=why)

    def restarted(self) -> "QueryState":
        """What speaks in favour counts from now."""
        return replace(self, answers=0, bad=0, missing=self.missing or "no answer at this weight yet")

    def breached(self, guard: QueryGuard) -> bool:
        """Whether it was beyond a limit for the time that it takes; only an answer can say so."""
        over = self.value is not None and guard.beyond(self.value) is not None
        return over and self.missing is None and self.beyond_for >= guard.seconds

    def verdict(self, guard: QueryGuard) -> Verdict:
        """What is to be concluded."""
        if self.breached(guard):
            return Verdict.BREACH
        healthy = self.missing is None and self.value is not None and guard.beyond(self.value) is None
        return Verdict.HEALTHY if healthy and self.answers else Verdict.UNDECIDED

    def finding(self, guard: QueryGuard) -> Finding:
        """What is to be told."""
        limit = guard.beyond(self.value) if self.value is not None else None
        return Finding(
            guard=guard.place,
            mode=guard.mode,
            verdict=self.verdict(guard),
            value=None,
            limit=None,
            samples=self.answers,
            bad=self.bad,
            log_e=0.0,
            message=_sentence(guard, self, limit),
        )


def number(answer: Sequence[Sample] | Unavailable) -> float | str:
    """The number that an answer gives, or why it gives none."""
    if isinstance(answer, Unavailable):
        return answer.message
    if not answer:
        return "the query gives no data"
    if len(answer) > 1:
        return f"the query gives {len(answer)} series, not one: bring them together, such as with sum()"
    if not math.isfinite(answer[0].value):
        return f"the query gives {answer[0].value:g}, which is no data"
    return answer[0].value


def _sentence(guard: QueryGuard, state: QueryState, limit: float | None) -> str:
    if state.missing is not None:
        return state.missing
    value = f"{state.value:.6g}"
    if limit is None:
        bounds = [f"at most {guard.most:g}"] if guard.most is not None else []
        bounds += [f"at least {guard.least:g}"] if guard.least is not None else []
        return f"{value}, {' and '.join(bounds)} is allowed"
    side = "over" if limit == guard.most else "under"
    spent = f" for {state.beyond_for:.3g} s" if guard.seconds else ""
    wait = "" if state.breached(guard) else f", {guard.seconds:g} s are a breach"
    return f"{value} {side} the limit of {limit:g}{spent}{wait}"
