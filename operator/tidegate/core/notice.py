"""What is worth telling of a rollout: started, a step up, waiting for approval, promoted, reverted.

A notice is made of the records before and after one write of the route and of nothing else, so whoever makes it of the
same write makes the same one, with the same id.
"""

from dataclasses import dataclass
from enum import StrEnum

from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rollout
from tidegate.core.values import ObjectRef, Revision


class Happening(StrEnum):
    """What happened to a rollout."""

    STARTED = "started"
    STEP = "step"
    APPROVAL = "approval"
    PROMOTED = "promoted"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened to one attempt.

    `weight` is the share of the traffic in per cent that `revision` has after it; `stable` is the revision that it
    replaces, or that has everything again (None before anything served). `rejects`: never tried again by itself. `at`
    is the time in the record, in seconds since the epoch.
    """

    happening: Happening
    ref: ObjectRef
    revision: Revision
    attempt: int
    weight: int
    stable: Revision | None
    reason: Reason
    message: str
    rejects: bool
    at: float

    @property
    def id(self) -> str:
        """The same for the same happening, whoever tells of it and however often: receivers may drop repetitions."""
        moment = round(self.at * 1000)
        return f"{self.ref.uid}/{self.revision.version.number}/{self.attempt}/{self.happening}/{moment}"


def notices(ref: ObjectRef, before: Record, after: Record, reason: Reason, message: str) -> tuple[Notice, ...]:
    """What one write of the route is worth telling, in the order in which it happened.

    `reason` and `message` are those of the decision; a revert is told with its verdict's own.
    """
    if after.rollout is None:
        return _finished(ref, before, after, reason, message)
    return _under_way(ref, before, after, after.rollout, reason=reason, message=message)


def _finished(ref: ObjectRef, before: Record, after: Record, reason: Reason, message: str) -> tuple[Notice, ...]:
    ended = before.rollout
    if ended is None:
        return _refused(ref, before, after)
    if after.stable == before.stable or after.stable != ended.canary or not after.history:
        return ()
    return (
        Notice(
            happening=Happening.PROMOTED,
            ref=ref,
            revision=ended.canary,
            attempt=ended.attempt,
            weight=100,
            stable=before.stable,
            reason=reason,
            message=message,
            rejects=False,
            at=after.history[-1].ended,
        ),
    )


def _refused(ref: ObjectRef, before: Record, after: Record) -> tuple[Notice, ...]:
    """A version whose gates refused it before anything of it was made."""
    fresh = (entry for entry in after.rejected if entry not in before.rejected)
    return tuple(
        Notice(
            happening=Happening.REVERTED,
            ref=ref,
            revision=entry.revision,
            attempt=entry.attempt,
            weight=0,
            stable=after.stable,
            reason=entry.reason,
            message=entry.message,
            rejects=True,
            at=entry.at,
        )
        for entry in fresh
        if entry.reason is Reason.GATE_FAILED
    )


def _under_way(
    ref: ObjectRef, before: Record, after: Record, rollout: Rollout, *, reason: Reason, message: str
) -> tuple[Notice, ...]:
    known = before.rollout
    same = known is not None and (known.canary, known.attempt) == (rollout.canary, rollout.attempt)
    was = known if same else None

    def told(happening: Happening, at: float, why: Reason, words: str, *, rejects: bool = False) -> Notice:
        return Notice(
            happening=happening,
            ref=ref,
            revision=rollout.canary,
            attempt=rollout.attempt,
            weight=rollout.weight,
            stable=after.stable,
            reason=why,
            message=words,
            rejects=rejects,
            at=at,
        )

    found = []
    if was is None:
        found.append(told(Happening.STARTED, rollout.started, reason, message))
    if rollout.weight > (was.weight if was else 0) and rollout.raised is not None:
        found.append(told(Happening.STEP, rollout.raised, reason, message))
    if rollout.asked is not None and rollout.asked != (was.asked if was else None):
        found.append(told(Happening.APPROVAL, rollout.asked.since, reason, message))
    verdict = rollout.verdict
    if verdict is not None and verdict != (was.verdict if was else None):
        found.append(told(Happening.REVERTED, verdict.at, verdict.reason, verdict.message, rejects=verdict.rejects))
    return tuple(found)
