"""What must hold of every single decision, judged from what was seen and from a ledger of what really happened.

Nothing here calls the machine's own predicates. `violations` returns sentences; none means that all is well.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.property.case import Case
from tests.property.gatebooks import failed, newest, refused_rightly, shut, unanswered, went_on
from tests.property.ledger import Ledger, named, weight_of, work

from tidegate.core.decision import Decision
from tidegate.core.observed import Judgement, Observed
from tidegate.core.plan import Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Leaving, Record, Rollout, Verdict
from tidegate.core.report import report
from tidegate.core.values import Unavailable

Machine = Callable[[Plan, Record, Observed], Decision]
DRAIN, SETTLE = 5.0, 0.5
#: Sums of floats at a million seconds may miss by this much.
ROUNDING = 1e-6
#: Times without an event that a waiting machine must sleep through.
LULLS = (1.0, 100.0, 10_000.0, 1_000_000.0)
REJECTING = {
    Reason.ALERT_FIRING,
    Reason.GUARD_BREACHED,
    Reason.PREDICTIONS_DRIFTED,
    Reason.CRASHED,
    Reason.ABORTED,
    Reason.APPROVAL_REFUSED,
    Reason.GATE_FAILED,
}


def violations(plan: Plan, seen: Observed, decision: Decision, ledger: Ledger, machine: Machine) -> list[str]:
    """Everything that is wrong with one decision."""
    case = Case(plan=plan, seen=seen, before=seen.record, after=decision.record, ledger=ledger)
    found = [sentence for check in CHECKS for sentence in check(case)]
    return [*found, *_sleeps(case, decision, machine), *_told(case, decision), *_asks(case, decision)]


def weights_add_up(c: Case) -> Iterator[str]:
    shares = c.after.weights()
    stable, rollout = c.after.stable, c.after.rollout
    if sum(shares.values()) != (100 if stable else 0):
        yield f"weights add up to {sum(shares.values())}: {shares}"
    allowed = {r.name for r in (stable, rollout.canary if rollout else None) if r is not None}
    if any(share > 0 and name not in allowed for name, share in shares.items()):
        yield f"somebody else has weight: {shares}"
    if any(not 0 <= share <= 100 for share in shares.values()):
        yield f"a weight out of range: {shares}"


def raises_only_when_allowed(c: Case) -> Iterator[str]:
    old, new = weight_of(c.before), weight_of(c.after)
    by_hand = c.by_hand  # looked at in every case: a person may ask at any weight
    rollout = c.rollout
    if new <= old or rollout is None:
        if new > old:
            yield "weight without a rollout before"
        return
    yield from _may_go_on(c, rollout, by_hand=by_hand, pods=-(-c.plan.serving.replicas * new // 100))
    yield from _approved(c, rollout, new)
    if c.before.stable is not None and c.endpoints(c.before.stable) == 0 and not by_hand:
        yield "raised while stable has no endpoint"
    if not by_hand and not c.direct(rollout):
        following = next(step.weight for step in c.plan.steps if step.weight > old)
        if new != following:
            yield f"{new}% instead of the next step {following}%"
    if old == 0:
        since = c.ledger.zero_since.get(rollout.canary.name)
        count, ready = c.ledger.ready_since.get(rollout.canary.name, (0, c.seen.now))
        if since is None or c.seen.now - max(since, ready) < SETTLE - ROUNDING:
            yield f"first weight without settling ({count} pods)"


def _may_go_on(c: Case, rollout: Rollout, *, by_hand: bool, pods: int) -> Iterator[str]:
    if not c.confirmed:
        yield "went on from weights that the router had not confirmed"
    if not c.wants(rollout.canary):
        yield "went on without a registry that wants this version"
    lasting = c.seen.of(rollout.canary.name).lasting
    if lasting < pods:
        yield f"went on with {lasting} of {pods} pods"
    if named(rollout) in c.ledger.condemned:
        yield "went on although it was condemned"
    if rollout.verdict is not None or c.seen.taken_by is not None:
        yield "went on with a verdict, or on a route that an older object claims"
    if c.before.stable is not None and (c.plan.paused or c.asked("pause")):
        yield "went on while paused"
    if work(rollout.canary) in c.ledger.rejected:
        yield "a rejected version got weight"
    if c.before.stable is not None and not by_hand and not c.direct(rollout) and c.holding:
        yield f"went on in spite of {c.holding}"
    if rollout.weight > 0 and not by_hand:
        yield from _held_and_proven(c, rollout)


def _approved(c: Case, rollout: Rollout, new: int) -> Iterator[str]:
    """Nobody refuses, and the last step on the way that asks for approval has it, but on the way back."""
    if c.ledger.refused(named(rollout)):
        yield "went on against a refusal"
    asking = [step.weight for step in c.plan.steps if step.approval and rollout.weight < step.weight <= new]
    if asking and not c.ledger.granted(named(rollout), asking[-1]) and not c.direct(rollout):
        yield f"{new}% without approval of {asking[-1]}%"


def _held_and_proven(c: Case, rollout: Rollout) -> Iterator[str]:
    reached = [step for step in c.plan.steps if step.weight <= rollout.weight] or [c.plan.steps[0]]
    if c.ledger.held < reached[-1].hold - ROUNDING:
        yield f"went on after {c.ledger.held}s of {reached[-1].hold}s"
    said = c.seen.evidence
    if not isinstance(said, Judgement):
        yield "went on without evidence"
    elif not (said.fresh and said.healthy and said.weight == rollout.weight and said.canary == rollout.canary.name):
        yield f"went on with evidence that does not speak for it: {said}"
    elif said.suspected or said.held or said.breach or said.missing or said.drifted:
        yield "went on in spite of a suspicion"


def promotes_only_when_allowed(c: Case) -> Iterator[str]:
    stable = c.after.stable
    if stable == c.before.stable:
        return
    rollout = c.rollout
    if rollout is None or stable != rollout.canary:
        yield "somebody became stable who was no canary"
        return
    if c.before.stable is not None and rollout.weight != 100:
        yield f"promoted from {rollout.weight}%"
    yield from _may_go_on(c, rollout, by_hand=c.by_hand, pods=c.plan.serving.replicas)
    yield from _approved(c, rollout, 100)


def causes(c: Case) -> set[str]:
    """Why the rollout must end, by what was seen: `rejects` or `parks`."""
    rollout = c.rollout
    if rollout is None or c.blocked:
        return set()
    found: set[str] = set()
    said, facts = _said_against(c), c.seen.of(rollout.canary.name)
    breached = said not in {None, Reason.UNREACHABLE}
    saved = c.ledger.condemned.get(named(rollout))
    revoked = c.plan.revoke_reverts and c.ledger.refused(named(rollout))
    if saved is not None:
        crashed = any(count > c.ledger.restarts.get(pod, 0) for pod, count in facts.restarts.items())
        blamed = saved.reason in {Reason.ENDPOINTS_LOST, Reason.UNREACHABLE} and (breached or crashed)
        return {"rejects"} if saved.rejects or blamed or revoked or c.asked("abort") else {"parks"}
    more = any(count > c.ledger.restarts.get(pod, 0) for pod, count in facts.restarts.items())
    if rollout.weight > 0 and c.alarming():
        found.add("rejects")
    at_gates = not (c.ledger.had_weight or c.direct(rollout))
    if at_gates and (shut(c.plan, c.seen, rollout.canary.version, c.before.stable) or failed(c.seen, rollout)):
        found.add("rejects")
    if breached or revoked or c.asked("abort") or (c.ledger.had_weight and more) or _drifted(c, rollout):
        found.add("rejects")
    if said is Reason.UNREACHABLE:
        found.add("rejects" if work(rollout.canary) in c.ledger.silent else "parks")
    unwanted = not isinstance(c.seen.wanted, Unavailable) and not c.wants(rollout.canary)
    if unwanted or (rollout.weight > 0 and facts.endpoints == 0):
        found.add("parks")
    spent = rollout.deadline.elapsed(c.seen.now)
    if c.before.stable is not None and spent >= c.plan.deadline:
        found.add("parks")
    unready = facts.lasting < _first_pods(c, rollout) or (at_gates and unanswered(c.seen, rollout))
    if rollout.canary_since is None and spent >= c.plan.progress_deadline and unready:
        found.add("parks")
    return found


def _drifted(c: Case, rollout: Rollout) -> bool:
    """Whether the step is over in which it predicted something else than stable, and that is to be reverted."""
    said, guard = c.seen.evidence, c.plan.drift
    if guard is None or not guard.reverts or rollout.unheld or not isinstance(said, Judgement) or not said.drifted:
        return False
    same = (said.canary, said.attempt, said.weight) == (rollout.canary.name, rollout.attempt, rollout.weight)
    over = [step.hold for step in c.plan.steps if step.weight <= rollout.weight] or [c.plan.steps[0].hold]
    return same and rollout.weight > 0 and rollout.hold is not None and rollout.hold.elapsed(c.seen.now) >= over[-1]


def _said_against(c: Case) -> Reason | None:
    """What the evidence says against the canary."""
    said = c.seen.evidence
    if c.rollout is None or not isinstance(said, Judgement) or said.canary != c.rollout.canary.name:
        return None
    return said.breach.reason if said.breach is not None else None


def _first_pods(c: Case, rollout: Rollout) -> int:
    whole = c.before.stable is None or rollout.direct
    share = 100 if whole else c.plan.steps[0].weight
    return max(1, -(-max(c.plan.serving.replicas, rollout.full) * share // 100))


def reverts_at_once_and_only_then(c: Case) -> Iterator[str]:
    rollout, found = c.rollout, causes(c)
    if rollout is None or c.plan.deleting:
        return
    after = c.after.rollout
    verdict = after.verdict if after is not None else None
    if c.seen.route is None and rollout.weight > 0:
        if not c.blocked and weight_of(c.after) != 0:
            yield "a route that is made anew does not give stable everything"
        return
    if rollout.verdict is None:
        yield from _rightly(verdict, found)
    if (rollout.verdict or verdict) is None:
        if weight_of(c.after) < rollout.weight and c.after.stable == c.before.stable:
            yield "weight taken away without a verdict"
        return
    if c.blocked:
        return
    helpless = c.endpoints(c.before.stable) == 0 and c.endpoints(rollout.canary) > 0
    expected = rollout.weight if helpless else 0
    if weight_of(c.after) != expected:
        yield f"{weight_of(c.after)}% after a verdict instead of {expected}%"


def _rightly(verdict: Verdict | None, found: set[str]) -> Iterator[str]:
    """Whether a new verdict, or none, is what the causes ask for."""
    if verdict is None:
        if found:
            yield f"no revert in spite of a cause that {found}"
        return
    if not found:
        yield f"reverted without a cause: {verdict}"
    if verdict.rejects != ("rejects" in found):
        yield f"{verdict.reason}: rejects={verdict.rejects}, but the causes: {found}"
    if verdict.reason is not Reason.UNREACHABLE and verdict.rejects != (verdict.reason in REJECTING):
        yield f"{verdict.reason} with rejects={verdict.rejects}"


def remembers(c: Case) -> Iterator[str]:
    """How an attempt ended is filed once, and rejections are only dropped on request."""
    rollout = c.rollout
    if rollout is not None and rollout.verdict is not None and c.after.rollout is None:
        kept = c.after.rejected if rollout.verdict.rejects else c.after.parked
        if work(rollout.canary) not in {work(entry.revision) for entry in kept}:
            yield f"{named(rollout)} ended by {rollout.verdict.reason} and is not filed"
        if c.ledger.had_weight and not c.confirmed:
            yield "filed before the router confirmed weight 0"
    if rollout is not None and rollout.verdict is None and c.after.rollout is None and c.after.stable != rollout.canary:
        yield "a rollout vanished"
    gone = {work(e.revision) for e in c.before.rejected} - {work(e.revision) for e in c.after.rejected}
    for entry in c.before.rejected:
        value = f"{entry.revision.version.number}/{entry.attempt}"
        if work(entry.revision) in gone and (c.seen.actions.get("retry") != value or value in c.ledger.retried):
            yield f"the rejection of {value} was forgotten"


def begins_only_what_is_wanted(c: Case) -> Iterator[str]:
    new = c.after.rollout
    if new is None or (c.rollout is not None and (c.rollout.canary, c.rollout.attempt) == (new.canary, new.attempt)):
        return
    if c.rollout is not None:
        yield "a rollout was replaced without an end"
    if new.weight or new.verdict is not None:
        yield "a rollout began with weight or verdict"
    if named(new) in c.ledger.attempts:
        yield f"attempt {named(new)} twice"
    if not c.wants(new.canary):
        yield "began what nobody asks for"
    if work(new.canary) in c.ledger.rejected:
        yield "began a rejected version"
    if c.ledger.failures.get(work(new.canary), 0) > 5 or c.seen.now < c.ledger.not_before.get(work(new.canary), 0.0):
        yield "began a parked version too early or too often"
    if c.before.stable is not None and (c.plan.paused or work(new.canary) == work(c.before.stable)):
        yield "began while paused, or what serves already"
    if c.seen.taken_by is not None:
        yield "began on a route that an older object claims"


def passes_its_gates(c: Case) -> Iterator[str]:
    yield from refused_rightly(c.plan, c.seen, c.before, c.after)
    at = newest(c.before, c.after)
    if at is not None and c.at_gates(at):
        yield from went_on(c.plan, c.seen, at, c.before, c.after)


def starts_behind_its_own_service(c: Case) -> Iterator[str]:
    """A revision begins, is raised and promoted only while its Service selects its own pods."""
    old, new = c.before.rollout, c.after.rollout
    if new is not None and old is None and new.canary.name in c.seen.diverted:
        yield "began a revision whose Service selects another's pods"
    if weight_of(c.after) > weight_of(c.before) and new is not None and new.canary.name in c.seen.diverted:
        yield "raised a revision whose Service selects another's pods"
    if c.after.stable != c.before.stable and c.after.stable is not None and c.after.stable.name in c.seen.diverted:
        yield "promoted a revision whose Service selects another's pods"


def retires_in_order(c: Case) -> Iterator[str]:
    """Weight 0, confirmed, drained, out of the route, confirmed; then the pods may go."""
    for leaving in c.before.retiring:
        name = leaving.revision.name
        if leaving.revision not in c.after.revisions() and (
            leaving.stage is not Leaving.UNROUTED or name in c.ledger.routed or not c.confirmed
        ):
            yield f"{name} lost its pods while the router knew it"
    for name in c.before.weights().keys() - c.after.weights().keys():
        since = c.ledger.zero_since.get(name)
        if since is None or c.seen.now - since < DRAIN - ROUNDING or c.ledger.routed.get(name, 1) != 0:
            yield f"{name} left the route without draining"
    kept = {r.name for r in c.after.revisions()}
    leaving_names = {leaving.revision.name for leaving in c.before.retiring}
    if any(r.name not in kept and r.name not in leaving_names for r in c.before.revisions()):
        yield "a revision lost its pods without retiring"


def keeps_alerts(c: Case) -> Iterator[str]:
    """What fires is kept until it is over; what was told is on the record when the machine comes to rest."""
    kept = {alert.fingerprint: alert for alert in c.after.alerts}
    if c.seen.route is None:
        return
    for alert in c.holding:
        if alert.fingerprint not in kept:
            yield f"{alert} was forgotten"
    for alert in c.after.alerts:
        if alert not in c.before.alerts and alert not in c.seen.alerts.firing:
            yield f"{alert} was made up"
    named = c.seen.actions.get("dismiss")
    for alert in c.seen.alerts.firing:
        lapsed = alert.until is not None and alert.until <= c.seen.now
        dismissed = f"{alert.fingerprint}@{alert.since:.0f}"
        known = dismissed == named or dismissed in {h.value for h in c.after.handled}
        if not lapsed and not known and alert.fingerprint not in kept:
            yield f"{alert} is not on the record"


CHECKS: tuple[Callable[[Case], Iterator[str]], ...] = (
    weights_add_up,
    raises_only_when_allowed,
    promotes_only_when_allowed,
    reverts_at_once_and_only_then,
    remembers,
    begins_only_what_is_wanted,
    starts_behind_its_own_service,
    retires_in_order,
    keeps_alerts,
    passes_its_gates,
)


def _sleeps(c: Case, decision: Decision, machine: Machine) -> Iterator[str]:
    """A machine that waits says until when; before that, time alone changes nothing."""
    if decision.record != c.before:
        return
    due = decision.requeue
    if due is not None and due <= 0:
        yield "asks to be woken in the past"
        return
    for lull in LULLS if due is None else (due * 0.5, due * 0.99):
        later = machine(c.plan, c.before, replace(c.seen, now=c.seen.now + lull))
        if (later.record, later.reason, later.stalled) != (decision.record, decision.reason, decision.stalled):
            yield f"{decision.reason} (requeue {due}) became {later.reason} after {lull}s of sleep"


def _asks(c: Case, decision: Decision) -> Iterator[str]:
    """Who waits for people is not hurried by the deadline, who does not is; nobody is asked for what was answered."""
    rollout = c.rollout
    if decision.record != c.before or rollout is None or rollout.verdict is not None:
        return
    stands, waits = rollout.deadline.since is None, decision.reason is Reason.WAITING_FOR_APPROVAL
    if waits and not stands:
        yield "the deadline runs while somebody is asked for approval"
    answered = rollout.asked is not None and c.ledger.granted(named(rollout), rollout.asked.weight)
    if (waits or stands) and (c.ledger.refused(named(rollout)) or answered) and not _paused(c):
        yield "goes on asking for what was answered"


def _paused(c: Case) -> bool:
    return c.plan.paused or c.asked("pause")


def _told(c: Case, decision: Decision) -> Iterator[str]:
    """Conditions as kstatus reads them."""
    shown = {condition.type: condition for condition in report(c.plan, decision, c.seen).conditions}
    if shown["Stalled"].status and shown["Reconciling"].status:
        yield "Stalled while Reconciling"
    if shown["Ready"].status and (shown["Stalled"].status or shown["Reconciling"].status):
        yield "Ready while something is to be done"
    if shown["Ready"].status and (c.after.rollout is not None or shown["Available"].status is not True):
        yield "Ready with a rollout under way, or without endpoints"
