"""What one written decision changed, in the terms of those who read logs, numbers and Events."""

from dataclasses import dataclass, replace

from tidegate.core.reasons import Reason
from tidegate.core.record import Past, Record
from tidegate.core.values import ObjectRef, safe_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """From one record of an object to the next.

    `decision` is the same for whoever makes this decision on the same record, so that lines and Events of several
    replicas can be told to be one. Weights are the canary's share in per cent; `attempt`, `canary` and the weights are
    None where no rollout is concerned. `ended`: how attempts ended by this decision, with the word for the result.
    """

    ref: ObjectRef
    decision: str
    reason: Reason
    message: str
    attempt: int | None
    stable: str | None
    canary: str | None
    from_weight: int | None
    to_weight: int | None
    ended: tuple[tuple[Past, str], ...] = ()

    def fields(self) -> dict[str, str | int | None]:
        """The fields of the one log line."""
        return {
            "object": self.ref.key,
            "decision": self.decision,
            "attempt": self.attempt,
            "stable": self.stable,
            "canary": self.canary,
            "from_weight": self.from_weight,
            "to_weight": self.to_weight,
            "reason": self.reason.value,
            "message": self.message,
        }


def transition(ref: ObjectRef, before: Record, after: Record, reason: Reason, message: str) -> Transition:
    """Tell how two records differ. The canary is the one that comes, or, at a rollout's end, the one that was."""
    rollout = after.rollout or before.rollout
    canary = rollout.canary if rollout else None
    # A promotion: who is stable now was the canary, and has everything.
    stable = before.stable if canary is not None and after.stable == canary else after.stable
    return Transition(
        ref=ref,
        decision=decision_id(ref, before, after, reason),
        reason=reason,
        message=message,
        attempt=rollout.attempt if rollout else None,
        stable=stable.version.number if stable else None,
        canary=canary.version.number if canary else None,
        from_weight=before.weights().get(canary.name, 0) if canary else None,
        to_weight=after.weights().get(canary.name, 0) if canary else None,
        ended=tuple((past, _result(after, past)) for past in after.history if past not in before.history),
    )


def decision_id(ref: ObjectRef, before: Record, after: Record, reason: Reason) -> str:
    """Names a decision. The journal, which names it itself, is no part of what was decided."""
    was, is_ = (replace(record, journal=()) for record in (before, after))
    return safe_hash(repr((ref.uid, was, is_, reason)))


def _result(after: Record, past: Past) -> str:
    """`promoted`, `rejected` or `parked`."""
    if past.reason is Reason.PROMOTED:
        return "promoted"
    filed = {(entry.revision, entry.attempt) for entry in after.rejected}
    return "rejected" if (past.revision, past.attempt) in filed else "parked"
