"""The audit trail: who or what moved a version, when, from where to where, and why.

Acts on a `ModelDeployment` are entered in the journal of its record, in the very write that carries them out
(`core/journal.py`), those on a `ModelPromotion` or a `RetrainingRequest` in that of its status (`core/requests.py`),
and told from there: what was done can't be missing from the trail. Acts on other objects are told by who carries them
out, with an id that is the same each time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.core.values import ObjectRef, safe_hash


class Act(StrEnum):
    """What was done."""

    REQUESTED = "requested"  # somebody asked for something, and it was granted
    APPROVED = "approved"
    REFUSED = "refused"  # somebody asked for something, or was to approve it, and it was turned down
    STARTED = "started"
    STEP = "step"
    PAUSED = "paused"
    RESUMED = "resumed"
    PROMOTED = "promoted"
    REVERTED = "reverted"
    WRITTEN_BACK = "written-back"  # the registry was told
    WITHDRAWN = "withdrawn"  # somebody deleted a request, an approval or a refusal before anything was decided
    HANDED_OVER = "handed-over"  # a request for training went to whoever trains
    GAP = "gap"  # acts fell out of a journal that could not be told in time
    DELETED = "deleted"  # a version was deleted from the registry


class Actor(StrEnum):
    """Who did it, where no name is known. Names come from the API server, as `user:alice@example.com`."""

    TIDEGATE = "tidegate"  # by its own judgement: guards, holds, what became of pods
    PERSON = "person"  # who may annotate or edit the object
    REGISTRY = "registry"  # who may move a pointer in the registry
    ALERT = "alert"  # who may tell of alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One act. `id` is the same for the same act, whoever tells of it and however often: drop repetitions by it.

    `kind` and `ref` name the object that it was done to, `at` is in seconds since the epoch. `sequence` counts the acts
    on one object without a gap, None where its acts aren't counted. `source` and `target` say from where to where it
    went: weights ("25%"), versions ("6"), stages or aliases. `decision` is that of the log line and of the Event.
    """

    id: str
    at: float
    kind: str
    ref: ObjectRef
    act: Act
    actor: str
    model: str
    version: str
    source: str = ""
    target: str = ""
    reason: str = ""
    message: str = ""
    decision: str = ""
    outcome: str = "done"
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An act as its object keeps it. `number` counts from 1; `message` is cut short."""

    number: int
    at: float
    act: Act
    actor: str
    model: str
    version: str
    source: str = ""
    target: str = ""
    reason: str = ""
    message: str = ""
    decision: str = ""
    outcome: str = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The newest acts on one object, oldest first, in its own words."""

    kind: str
    ref: ObjectRef
    entries: tuple[Entry, ...]

    @property
    def last(self) -> int:
        """The number of its newest act; 0 where there is none."""
        return self.entries[-1].number if self.entries else 0

    @property
    def dropped(self) -> int:
        """The number of the newest act that it has no room for any more; 0 where it has all of them."""
        return self.entries[0].number - 1 if self.entries else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Up to which act of an object it was told: to the stream of lines, and to the webhook. None: to nobody ever."""

    told: int | None = None
    posted: int | None = None


UNTOLD = Marks()


def untold(journal: Journal, told: int) -> Iterator[AuditEvent]:
    """What is to be told after act number `told`, oldest first; what fell out of the journal by one event."""
    if journal.dropped > told:
        yield _gap(journal.kind, journal.ref, journal.entries, told + 1, journal.dropped)
    yield from (event_of(journal.kind, journal.ref, entry) for entry in journal.entries if entry.number > told)


def lost(event: AuditEvent) -> int:
    """How many acts an event says were never told."""
    return int(event.target) - int(event.source) + 1 if event.act is Act.GAP else 0


def _gap(kind: str, ref: ObjectRef, entries: Sequence[Entry], first: int, last: int) -> AuditEvent:
    return AuditEvent(
        id=f"{ref.uid}/{first}-{last}/gap",
        at=entries[0].at,
        kind=kind,
        ref=ref,
        act=Act.GAP,
        actor=Actor.TIDEGATE,
        model=entries[0].model,
        version="",
        source=str(first),
        target=str(last),
        message=f"acts {first} to {last} fell out of the object's journal before they could be told",
        outcome="lost",
        sequence=last,
    )


def event_of(kind: str, ref: ObjectRef, entry: Entry) -> AuditEvent:
    """The event that an entry of an object's journal stands for."""
    said = safe_hash(repr((ref.uid, entry)))
    return AuditEvent(
        id=f"{ref.uid}/{entry.number}/{said}",
        at=entry.at,
        kind=kind,
        ref=ref,
        act=entry.act,
        actor=entry.actor,
        model=entry.model,
        version=entry.version,
        source=entry.source,
        target=entry.target,
        reason=entry.reason,
        message=entry.message,
        decision=entry.decision,
        outcome=entry.outcome,
        sequence=entry.number,
    )
