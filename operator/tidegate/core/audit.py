"""The audit trail: who or what moved a version, when, from where to where, and why.

Acts on a `ModelDeployment` are entered in the journal of its record, in the very write that carries them out
(`core/journal.py`), and told from there: what was done can't be missing from the trail. Acts on other objects are told
by who carries them out, with an id that is the same each time.
"""

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
    """An act as the record keeps it. `number` counts from 1; `message` is cut short."""

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
        sequence=entry.number,
    )
