"""What became of each version of a model under one object, as tags in the registry, and what they tell a new cluster.

`tidegate.<cluster>.<namespace>.<name>.state|weight|reason|at` on a version. They are written after the route, from what
the record says; nothing follows from them while there is a record. An object without one (a new cluster, or the object
deleted and made anew) learns from them what was stable and what was rejected.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from tidegate.core.decision import REJECTIONS, Decision, Situation
from tidegate.core.observed import Memory
from tidegate.core.plan import Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rejection
from tidegate.core.registered import RegisteredModel
from tidegate.core.revision import revision_of
from tidegate.core.values import ObjectRef, Unavailable, VersionId

#: Versions that are tagged besides stable and canary: those that something happened to last.
OTHERS = 5
#: Characters of a reason with its words.
LONGEST = 500


class State(StrEnum):
    """What a version is to an object."""

    STABLE = "stable"
    CANARY = "canary"
    REJECTED = "rejected"
    PARKED = "parked"
    RETIRED = "retired"  # it served, and another one does now


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is told of one version. `at`: seconds since the epoch when it came to that."""

    state: State
    weight: int
    reason: str
    at: float

    def tags(self, prefix: str) -> dict[str, str]:
        """The tags by key; the state, which says most, first."""
        return {
            f"{prefix}.state": self.state.value,
            f"{prefix}.weight": str(self.weight),
            f"{prefix}.reason": self.reason,
            f"{prefix}.at": datetime.fromtimestamp(int(self.at), UTC).isoformat().replace("+00:00", "Z"),
        }


def prefix(cluster: str, ref: ObjectRef) -> str:
    """What the keys of one object's tags begin with. Namespaces hold no dots, so two objects never share one."""
    return f"tidegate.{cluster or 'default'}.{ref.namespace}.{ref.name}"


def notes(record: Record) -> Mapping[VersionId, Note]:
    """What is to be told of the versions that something happened to; each by the first that is true of it."""
    found: dict[VersionId, Note] = {}
    for version, note in (*_present(record), *sorted(_past(record), key=lambda entry: -entry[1].at)):
        if version not in found and len(found) < OTHERS + 2:
            found[version] = note
    return found


def _present(record: Record) -> Iterator[tuple[VersionId, Note]]:
    rollout, stable = record.rollout, record.stable
    if stable is not None:
        at = next((proven.at for proven in record.proven if proven.revision == stable), 0.0)
        weight = 100 - (rollout.weight if rollout is not None else 0)
        yield stable.version, Note(state=State.STABLE, weight=weight, reason=Reason.PROMOTED.value, at=at)
    if rollout is not None and rollout.verdict is None:
        reason = Reason.ADVANCING if rollout.weight else Reason.STARTING
        at = rollout.started if rollout.raised is None else rollout.raised
        yield rollout.canary.version, Note(state=State.CANARY, weight=rollout.weight, reason=reason.value, at=at)
    elif rollout is not None and rollout.verdict is not None:
        verdict = rollout.verdict
        state = State.REJECTED if verdict.rejects else State.PARKED
        words = _words(verdict.reason, verdict.message)
        yield rollout.canary.version, Note(state=state, weight=rollout.weight, reason=words, at=verdict.at)


def _past(record: Record) -> Iterator[tuple[VersionId, Note]]:
    for state, entries in ((State.REJECTED, record.rejected), (State.PARKED, record.parked)):
        for entry in entries:
            words = _words(entry.reason, entry.message)
            yield entry.revision.version, Note(state=state, weight=0, reason=words, at=entry.at)
    for proven in record.proven:
        note = Note(state=State.RETIRED, weight=0, reason=Reason.SUPERSEDED.value, at=proven.at)
        yield proven.revision.version, note


def _words(reason: Reason, message: str) -> str:
    words = f"{reason.value}: {message}"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def recollection(prefix: str, registry: str, model: RegisteredModel) -> Memory:
    """What the tags of a model's versions say of one object. Of several that were stable, the one tagged last."""

    def identity(number: str) -> VersionId:
        return VersionId(registry=registry, model=model.name, model_created_ms=model.created_ms, number=number)

    by_state = [(version.tags.get(f"{prefix}.state"), version) for version in model.versions]
    stable = [version for state, version in by_state if state == State.STABLE and version.ready]
    last = max(stable, key=lambda version: version.tags.get(f"{prefix}.at", ""), default=None)
    rejected = (
        (identity(version.number), version.tags.get(f"{prefix}.reason", ""))
        for state, version in by_state
        if state == State.REJECTED
    )
    return Memory(stable=identity(last.number) if last is not None else None, rejected=tuple(rejected))


def blank(record: Record) -> bool:
    """Whether nothing is known of an object."""
    known = (record.rejected, record.parked, record.proven, record.attempts, record.history)
    return record.stable is None and record.rollout is None and record.recalled is None and not any(known)


def recall(s: Situation) -> Decision | None:
    """Nothing is known here, and the registry remembers: what it says goes into the record before anything begins."""
    memory = s.seen.memory
    if memory is None or not blank(s.record):
        return None
    if isinstance(memory, Unavailable):
        return s.stay(Reason(memory.reason), memory.message)
    if memory.stable is None and not memory.rejected:
        return None
    record = remembered(s.plan, s.record, memory, preset=s.seen.preset, now=s.now)
    words = [f"version {memory.stable.number} was stable"] if memory.stable is not None else []
    words += [f"version {version.number} was rejected" for version, _ in memory.rejected]
    return s.go(record, Reason.RECALLED, f"by the registry's tags {', '.join(words)}")


def remembered(plan: Plan, record: Record, memory: Memory, *, preset: str, now: float) -> Record:
    """The record with what a memory says. A rejection is taken to be of the present serving fields."""
    rejected = tuple(
        Rejection(
            revision=revision_of(plan.ref.name, version, plan.serving, preset),
            attempt=1,
            reason=_reason(words),
            message=words.partition(": ")[2] or "by the registry's tags",
            at=now,
        )
        for version, words in memory.rejected[-REJECTIONS:]
    )
    attempts = tuple((entry.revision.version.number, entry.attempt) for entry in rejected)
    return replace(record, rejected=rejected, attempts=attempts, recalled=memory.stable)


def _reason(words: str) -> Reason:
    try:
        return Reason(words.partition(": ")[0])
    except ValueError:
        return Reason.GUARD_BREACHED
