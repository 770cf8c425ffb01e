"""The whole machine: one ordered list of small rules, danger first.

`decide` looks at the rules in order and takes the first answer. Each rule looks at one thing. Those that lower risk
stand before those that raise it and need less: no registry, no confirmed route, no complete stable. What a rule
changes is a `Record`; the loop writes it to the route in one compare-and-set.
"""

from collections.abc import Callable
from dataclasses import replace

from tidegate.core import waits
from tidegate.core.advance import (
    advance,
    alike,
    approved,
    confirm,
    enough_pods,
    held,
    in_favour,
    promote,
    settled,
    unalerted,
)
from tidegate.core.alerts import informed, lapses, noted
from tidegate.core.approvals import answered
from tidegate.core.autoscaling import kept_full, released
from tidegate.core.begin import begin, first, parked, rejected, resting, unknown, up_to_date
from tidegate.core.causes import alerted, cause, second_cause, time_left
from tidegate.core.decision import Decision, Situation, handle
from tidegate.core.entry import barred, kept_out, untried
from tidegate.core.gatekeeping import gate_report, too_old
from tidegate.core.observed import Observed
from tidegate.core.plan import Plan
from tidegate.core.pointers import asked_for, discarding, pointing, renewed, unpointed
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rollout
from tidegate.core.retire import retire
from tidegate.core.revert import filed, reverting
from tidegate.core.revision import wished_revision
from tidegate.core.tags import recall


def deleting(s: Situation) -> Decision | None:
    """The object goes; the garbage collector takes what it owns."""
    return s.stay(Reason.DELETING, "the object is being deleted") if s.plan.deleting else None


def ended(s: Situation) -> Decision | None:
    """A rollout with a verdict: its traffic goes first, then it is filed."""
    rollout = s.record.rollout
    if rollout is None or rollout.verdict is None:
        return None
    verdict = second_cause(s, rollout, rollout.verdict) or rollout.verdict
    record = noted(s.seen, reverting(s, rollout, verdict))
    if record != s.record:
        return s.go(record, verdict.reason, verdict.message)
    if rollout.weight > 0:
        return s.stay(Reason.NO_ENDPOINTS, f"{verdict.message}; stable has no ready endpoint to take the traffic")
    if rollout.canary_since is not None:
        unconfirmed = waits.unconfirmed(s, verdict.message, since=verdict.at)
        if unconfirmed is not None:
            return unconfirmed
    record = kept_full(s.plan, filed(s.record, rollout, verdict, s.now), rollout, s.now)
    record = discarding(s, record, rollout.canary)
    return s.go(record, verdict.reason, verdict.message)


def revert(s: Situation) -> Decision | None:
    """Any cause to end the rollout under way."""
    rollout, verdict = s.record.rollout, cause(s)
    if rollout is None or verdict is None:
        return None
    # Alerts are noted in the same write: the one that ended this rollout is to hold the next.
    return s.go(noted(s.seen, reverting(s, rollout, verdict)), verdict.reason, verdict.message)


def foreign(s: Situation) -> Decision | None:
    """The route of our name is not ours: nothing of ours gets requests, and there is nothing to write."""
    return taken(s) if s.seen.route is None else None


def unrouted(s: Situation) -> Decision | None:
    """The route is gone, and the record is what status kept: stable gets all, and the steps start anew."""
    rollout = s.record.rollout
    if s.seen.route is not None or rollout is None or rollout.weight == 0:
        return None
    lowered = replace(rollout, weight=0, raised=None, hold=None)
    return s.roll(lowered, Reason.ROUTE_MISSING, "the route is missing: it is made anew with everything on stable")


def taken(s: Situation) -> Decision | None:
    """An older object claims the same parent, host and match."""
    if s.seen.taken_by is None:
        return None
    message = f"traffic.gateway: {s.seen.taken_by} claims the same parent, host and match and is older"
    return s.stay(Reason.ROUTE_TAKEN, message, stalled=True)


def paused(s: Situation) -> Decision | None:
    """`spec.paused` or the annotation: weights and clocks stand still."""
    rollout = s.record.rollout
    if rollout is None or not (s.plan.paused or s.asked("pause", rollout.canary, rollout.attempt)):
        return None
    message = f"paused at {rollout.weight}%"
    hold = rollout.hold.stopped(s.now) if rollout.hold else None
    standing = replace(rollout, deadline=rollout.deadline.stopped(s.now), hold=hold)
    if rollout.deadline.since is None:
        return s.stay(Reason.PAUSED, message)
    return s.roll(standing, Reason.PAUSED, message)


def resumed(s: Situation) -> Decision | None:
    """The pause is over: the clocks run on from where they stood."""
    rollout = s.record.rollout
    if rollout is None or rollout.deadline.since is not None or rollout.asked is not None:
        return None
    hold = rollout.hold.running(s.now) if rollout.hold else None
    running = replace(rollout, deadline=rollout.deadline.running(s.now), hold=hold)
    return s.roll(running, Reason.HOLDING, f"resumed at {rollout.weight}%")


def hastened(s: Situation) -> Decision | None:
    """A person's `promote`: straight to the last weight without holds, but not without pods."""
    rollout = s.record.rollout
    if rollout is None or not s.asked("promote", rollout.canary, rollout.attempt):
        return None
    record = handle(s.record, "promote", rollout.canary, rollout.attempt)
    fast: Rollout = replace(rollout, direct=True, unheld=True)
    return s.go(replace(record, rollout=fast), Reason.ADVANCING, "promote: the remaining holds are skipped")


Rule = Callable[[Situation], Decision | None]
RULES: tuple[Rule, ...] = (
    deleting,
    # danger first
    foreign,
    unrouted,
    ended,
    revert,
    informed,
    # nothing below lowers risk
    pointing,
    renewed,
    taken,
    answered,
    first,
    paused,
    resumed,
    unknown,
    unpointed,
    up_to_date,
    rejected,
    parked,
    resting,
    recall,
    barred,
    begin,
    hastened,
    kept_out,
    settled,
    untried,
    confirm,
    held,
    alike,
    in_favour,
    unalerted,
    enough_pods,
    approved,
    advance,
    promote,
)


def alarmed(s: Situation) -> Decision | None:
    """`revert` on account of alerts alone."""
    rollout = s.record.rollout
    verdict = alerted(s, rollout) if rollout is not None and rollout.verdict is None else None
    if rollout is None or verdict is None:
        return None
    return s.go(noted(s.seen, reverting(s, rollout, verdict)), verdict.reason, verdict.message)


def unmoved(s: Situation) -> Decision:
    """Nothing was told that is news."""
    return s.stay(Reason.ALERT_NOTED, "known already")


#: What is to be done about alerts and nothing else: for replicas that do not lead, and see less than the leader.
TELLING: tuple[Rule, ...] = (deleting, foreign, unrouted, ended, alarmed, informed, unmoved)


def decide(plan: Plan, record: Record, seen: Observed, *, rules: tuple[Rule, ...] = RULES) -> Decision:
    """What the record is to be now, and why. Total: every situation has an answer.

    Where nothing else is to be written, a revision on its way out takes its next step, and stable's autoscaler is let
    loose some time after a rollout. Other `rules` than these are for
    those who may do less (`TELLING`), and for tests that want to see them missed.
    """
    wished = wished_revision(plan, record, asked_for(plan, record, seen), seen.preset, seen.registry)
    situation = Situation(plan=plan, record=record, seen=seen, wished=wished)
    decision = next(found for rule in rules if (found := rule(situation)) is not None)
    if decision.record == record and not plan.deleting:
        decision = released(situation, retire(situation, decision))
    return _woken(situation, replace(decision, gates=gate_report(situation, decision.record)))


def _woken(s: Situation, decision: Decision) -> Decision:
    # Deadlines come due by the clock alone, whatever rule spoke.
    due = [*time_left(s, decision.record), *lapses(decision.record, s.now), *too_old(s, decision.record)]
    if decision.requeue is not None:
        due.append(decision.requeue)
    return replace(decision, requeue=min(due, default=None))
