"""The way out: weight 0, confirmed, drained, out of the route, confirmed; then pods and Service may go."""

from dataclasses import replace

from tidegate.core.decision import Decision, Situation
from tidegate.core.record import Leaving, Record, Retiring

#: Seconds at confirmed weight 0 before the route stops naming a revision. What is in flight is drained by the pods
#: themselves; this covers what the gateway's workers have not picked up yet.
DRAIN = 5.0


def retire(s: Situation, decision: Decision) -> Decision:
    """The next step of the oldest revision on its way out, or the decision as it was.

    Reason and message stay those of the decision: retiring is housekeeping and tells nobody anything new.
    """
    if not s.record.retiring or s.seen.taken_by is not None or not s.confirmed():
        return decision
    head = s.record.retiring[0]
    if head.stage is Leaving.UNROUTED:
        return replace(decision, record=replace(s.record, retiring=s.record.retiring[1:]))
    if head.since is None:
        return replace(decision, record=_with(s.record, replace(head, since=s.now)))
    left = DRAIN - (s.now - head.since)
    if left > 0:
        requeue = left if decision.requeue is None else min(left, decision.requeue)
        return replace(decision, requeue=requeue)
    return replace(decision, record=_with(s.record, replace(head, stage=Leaving.UNROUTED)))


def _with(record: Record, head: Retiring) -> Record:
    return replace(record, retiring=(head, *record.retiring[1:]))
