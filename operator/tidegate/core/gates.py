"""What must hold before a version gets its first request, and what was found of it.

A gate that fails refuses the version for good; one that waits asks for something that may still come, such as a
person's tag. Nothing here knows where its facts are from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.core.values import Revision, VersionId

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


#: Characters of a tag's value that are shown.
_LONGEST = 100


class Outcome(StrEnum):
    """What a gate says; there is always the third answer."""

    PASSED = "Passed"
    FAILED = "Failed"
    WAITING = "Waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """What one gate found. `gate` is its place in `spec.gates`; `value` and `limit` are words for a person."""

    gate: str
    outcome: Outcome
    message: str
    value: str | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What the gates found of a revision that has had no request yet."""

    revision: Revision
    findings: tuple[GateFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDetails:
    """What the registry tells of a version beyond its number. `created`: when it was registered (epoch seconds)."""

    created: float
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What must hold; the default asks for nothing.

    `tags`: the tags that a version must have, each with its value, or None for any. `max_age`: seconds since it was
    registered.
    """

    tags: tuple[tuple[str, str | None], ...] = ()
    max_age: float | None = None

    @property
    def registered(self) -> bool:
        """Whether any of them needs to be told of the version by the registry."""
        return bool(self.tags) or self.max_age is not None


NO_GATES = Gates()


@dataclass(frozen=True, slots=True, kw_only=True)
class AtGates:
    """The version at the gates, and what the registry tells of it at the moment `now`.

    `serves`: requests are answered by this very version already, served in another way.
    """

    version: VersionId
    details: VersionDetails
    now: float
    serves: bool = False


def judge_registered(gates: Gates, candidate: AtGates) -> tuple[GateFinding, ...]:
    """What the gates find that need nothing but the registry's word."""
    return (*_tags(gates, candidate), *_age(gates, candidate))


def _tags(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    # A tag is a person's or a pipeline's word and may be the next minute's, whatever it says now: it is waited for.
    for name, wanted in gates.tags:
        found = candidate.details.tags.get(name)
        shown = None if found is None else _cut(found)
        passed = found is not None and wanted in {None, found}
        if passed:
            message = f"tag {name} is {shown!r}"
        elif found is None:
            message = f"version {candidate.version.number} has no tag {name}: set it" + _to(wanted)
        else:
            message = f"tag {name} of version {candidate.version.number} is {shown!r}: set it" + _to(wanted)
        yield GateFinding(
            gate=f"tags.{name}",
            outcome=Outcome.PASSED if passed else Outcome.WAITING,
            message=message,
            value=shown,
            limit=wanted,
        )


def _age(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    if gates.max_age is None:
        return
    age = max(0.0, candidate.now - candidate.details.created)
    young = age <= gates.max_age or candidate.serves
    number, limit = candidate.version.number, span(gates.max_age)
    yield GateFinding(
        gate="maxAge",
        outcome=Outcome.PASSED if young else Outcome.FAILED,
        message=f"version {number} was registered {span(age)} ago, {limit} are allowed"
        + (": it serves already" if candidate.serves else ""),
        value=span(age),
        limit=limit,
    )


def span(seconds: float) -> str:
    """A length of time for a person, as coarse as it may be: `90 s`, `90 min`, `36 h`, `45 days`."""
    units = ((2 * _DAY, _DAY, "days"), (2 * _HOUR, _HOUR, "h"), (2 * _MINUTE, _MINUTE, "min"))
    size, word = next(((unit, word) for least, unit, word in units if seconds >= least), (1.0, "s"))
    return f"{seconds / size:.4g} {word}" if seconds % size == 0 else f"{seconds // size:.0f} {word}"


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…"


def _to(wanted: str | None) -> str:
    return "" if wanted is None else f" to {wanted!r}"


def first_of(findings: tuple[GateFinding, ...], outcome: Outcome) -> GateFinding | None:
    """The first finding with an outcome."""
    return next((found for found in findings if found.outcome is outcome), None)
