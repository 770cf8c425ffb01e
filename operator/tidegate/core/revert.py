"""The one write that takes a canary off traffic, and how its end is filed."""

from dataclasses import replace

from tidegate.core.backoff import backoff
from tidegate.core.causes import shortened
from tidegate.core.decision import PARKED, REJECTIONS, Situation, handle, remember
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Record, Rejection, Retiring, Rollout, Verdict

FIRST_RETRY = 60.0
LAST_RETRY = 3600.0
MOST_TRIES = 5
#: Ends that say nothing against the revision: it is tried again as soon as it is wanted again.
BLAMELESS = frozenset({Reason.WITHDRAWN, Reason.SUPERSEDED, Reason.INVALID_SPEC})


def reverted(record: Record, verdict: Verdict, *, stable_endpoints: int, canary_endpoints: int) -> Record:
    """The record with the verdict and, where somebody can take the traffic, all of it on stable.

    Weights stay while stable has no ready endpoint and the canary has; they follow in the pass that sees one. A
    canary without endpoints loses its weight in any case. A verdict that is there already stays, unless it only parks
    and the new one rejects. Nothing else of the record changes.
    """
    rollout = record.rollout
    if rollout is None:
        return record
    kept = rollout.verdict
    if kept is None or (verdict.rejects and not kept.rejects):
        kept = shortened(verdict)
    possible = record.stable is None or stable_endpoints > 0 or canary_endpoints == 0
    weight = 0 if possible else rollout.weight
    changed = replace(record, rollout=replace(rollout, verdict=kept, weight=weight))
    if kept.reason is Reason.ABORTED:
        changed = handle(changed, "abort", rollout.canary, rollout.attempt)
    return changed


def reverting(s: Situation, rollout: Rollout, verdict: Verdict) -> Record:
    """`reverted` with the endpoints that are seen."""
    stable = s.facts(s.record.stable).endpoints if s.record.stable else 0
    return reverted(s.record, verdict, stable_endpoints=stable, canary_endpoints=s.facts(rollout.canary).endpoints)


def filed(record: Record, rollout: Rollout, verdict: Verdict, now: float) -> Record:
    """The record after the rollout: its canary retires, and what was learned of it is remembered."""
    canary = rollout.canary
    ended = replace(
        remember(record, rollout, verdict.reason, verdict.message, verdict.at),
        rollout=None,
        retiring=(*(r for r in record.retiring if r.revision != canary), Retiring(revision=canary)),
    )
    if verdict.rejects:
        entry = Rejection(
            revision=canary, attempt=rollout.attempt, reason=verdict.reason, message=verdict.message, at=verdict.at
        )
        others = tuple(r for r in record.rejected if not r.revision.same_work(canary))
        parked = tuple(p for p in record.parked if not p.revision.same_work(canary))
        # What was rejected has to earn its way up in steps again, also where a person asks for it.
        proven = tuple(p for p in record.proven if not p.revision.same_work(canary))
        return replace(ended, rejected=(*others, entry)[-REJECTIONS:], parked=parked, proven=proven)
    return replace(ended, parked=(*_parked_others(record, rollout), _parking(record, rollout, verdict, now))[-PARKED:])


def _parked_others(record: Record, rollout: Rollout) -> tuple[Parking, ...]:
    return tuple(p for p in record.parked if not p.revision.same_work(rollout.canary))


def _parking(record: Record, rollout: Rollout, verdict: Verdict, now: float) -> Parking:
    known = record.parking(rollout.canary)
    before = known.tries if known is not None else 0
    blameless = verdict.reason in BLAMELESS
    tries = before if blameless else before + 1
    wait = 0.0 if blameless else backoff(tries, first=FIRST_RETRY, last=LAST_RETRY)
    return Parking(
        revision=rollout.canary,
        attempt=rollout.attempt,
        reason=verdict.reason,
        message=verdict.message,
        at=verdict.at,
        tries=tries,
        retry_at=now + wait,
    )


def lowers(before: Record, after: Record) -> bool:
    """Whether going from one record to the other takes weight off the canary, or says why it will go."""
    if before.rollout is None:
        return False
    if after.rollout is None:
        return before.rollout.weight > 0 and after.stable == before.stable
    newly = before.rollout.verdict is None and after.rollout.verdict is not None
    return newly or after.rollout.weight < before.rollout.weight
