"""Machines with one thing wrong, each what a slip or a well-meant simplification would make of `decide`."""

from collections.abc import Callable
from dataclasses import replace

from tests.property.world import Decide

from tidegate.core import advance, alerts, approvals, begin, causes, decide, entry, revert
from tidegate.core.decide import RULES, Rule
from tidegate.core.decision import Decision, Situation
from tidegate.core.gates import Outcome, VersionDetails
from tidegate.core.observed import Alerts, Judgement, Observed
from tidegate.core.plan import Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Leaving, Rollout, Stopwatch, Verdict
from tidegate.core.trials import Tried
from tidegate.core.values import Unavailable


def _with(old: Rule, new: Rule | None) -> Decide:
    """The machine with one rule replaced, or missing."""
    assert old in RULES
    rules = tuple(found for rule in RULES if (found := new if rule is old else rule) is not None)
    return lambda plan, record, seen: decide.decide(plan, record, seen, rules=rules)


def _unless(old: Rule, excuse: Callable[[Situation], bool]) -> Decide:
    """The machine with one rule that looks away in some situations."""
    return _with(old, lambda s: None if excuse(s) else old(s))


def _after(change: Callable[[Plan, Observed, Decision], Decision]) -> Decide:
    """The machine with something done to its decisions."""
    return lambda plan, record, seen: change(plan, seen, decide.decide(plan, record, seen))


def _seeing(change: Callable[[Observed], Observed]) -> Decide:
    """The machine that takes one thing for another."""
    return lambda plan, record, seen: decide.decide(plan, record, change(seen))


def _taken_as(**fields: object) -> Decide:
    """Takes evidence for better than it is."""

    def better(seen: Observed) -> Observed:
        if not isinstance(seen.evidence, Judgement):
            return seen
        return replace(seen, evidence=replace(seen.evidence, **fields))  # type: ignore[arg-type]  # a table of fields

    return _seeing(better)


def _at_present_weight(seen: Observed) -> Observed:
    rollout, said = seen.record.rollout, seen.evidence
    if rollout is None or not isinstance(said, Judgement):
        return seen
    return replace(seen, evidence=replace(said, weight=rollout.weight))


def _all_stay(seen: Observed) -> Observed:
    return replace(seen, revisions={name: replace(facts, own=None) for name, facts in seen.revisions.items()})


def _verdictless(s: Situation) -> Rollout | None:
    rollout = s.record.rollout
    return rollout if rollout is not None and rollout.verdict is None else None


def _without_cause(*gone: causes.Cause) -> Decide:
    """Knows some causes less."""

    def rule(s: Situation) -> Decision | None:
        rollout = _verdictless(s)
        left = [find for find in causes.CAUSES if find not in gone]
        verdict = next((v for find in left if rollout and (v := find(s, rollout)) is not None), None)
        if rollout is None or verdict is None:
            return None
        return s.go(revert.reverting(s, rollout, verdict), verdict.reason, verdict.message)

    return _with(decide.revert, rule)


def _third_keeps(s: Situation) -> Decision | None:
    """A third version takes the canary's place and its weight."""
    rollout = _verdictless(s)
    verdict = causes.cause(s)
    if (
        rollout is None
        or verdict is None
        or verdict.reason is not Reason.SUPERSEDED
        or isinstance(s.wished, Unavailable)
    ):
        return decide.revert(s)
    return s.roll(replace(rollout, canary=s.wished), Reason.ADVANCING, "the third takes over")


def _two_writes(s: Situation) -> Decision | None:
    """The verdict first, the weights in the next pass."""
    rollout, verdict = _verdictless(s), causes.cause(s)
    if rollout is None or verdict is None:
        return None
    return s.roll(replace(rollout, verdict=verdict), verdict.reason, verdict.message)


def _blind_revert(s: Situation) -> Decision | None:
    """All traffic to stable, whether anybody is there or not."""
    rollout, verdict = _verdictless(s), causes.cause(s)
    if rollout is None or verdict is None:
        return None
    record = revert.reverted(s.record, verdict, stable_endpoints=1, canary_endpoints=1)
    return s.go(record, verdict.reason, verdict.message)


def _judged(rejects: bool, only: Reason | None = None) -> Decide:
    """Mixes up parking and rejecting, of one reason or of all."""

    def change(plan: Plan, seen: Observed, made: Decision) -> Decision:
        rollout = made.record.rollout
        if rollout is None or rollout.verdict is None or only not in {None, rollout.verdict.reason}:
            return made
        verdict: Verdict = replace(rollout.verdict, rejects=rejects)
        return replace(made, record=replace(made.record, rollout=replace(rollout, verdict=verdict)))

    return _after(change)


def _silent_clock(s: Situation) -> Decision | None:
    """Believes a weight before the router has confirmed it."""
    rollout = s.record.rollout
    if rollout is None or rollout.hold is not None:
        return None
    return s.roll(replace(rollout, hold=Stopwatch(since=s.now)), Reason.HOLDING, "clock started")


def _running_pause(s: Situation) -> Decision | None:
    """Pauses without stopping the clocks."""
    found = decide.paused(s)
    return None if found is None else s.stay(found.reason, found.message)


def _unhandled_retry(s: Situation) -> Decision | None:
    """Forgets that a retry was granted, and so grants it again."""
    found = begin.rejected(s)
    if found is None or found.stalled:
        return found
    return replace(found, record=replace(found.record, handled=(), attempts=s.record.attempts[:0]))


def _all_direct(s: Situation) -> Decision | None:
    """Takes every version for a proven one."""
    found = begin.begin(s)
    if found is None or found.record.rollout is None:
        return found
    return replace(found, record=replace(found.record, rollout=replace(found.record.rollout, direct=True)))


def _parks_forever(s: Situation) -> Decision | None:
    """Tries what failed again at once."""
    rollout = s.record.rollout
    return None if rollout is None else begin.parked(s)


def _retires_at_once(plan: Plan, seen: Observed, made: Decision) -> Decision:
    """Takes a revision out of the route as soon as it has no weight."""
    return replace(made, record=replace(made.record, retiring=()))


def _undrained(plan: Plan, seen: Observed, made: Decision) -> Decision:
    """Does not wait until what is in flight is answered."""
    gone = tuple(replace(r, stage=Leaving.UNROUTED) for r in made.record.retiring)
    return replace(made, record=replace(made.record, retiring=gone))


def _sleeper(plan: Plan, seen: Observed, made: Decision) -> Decision:
    """Forgets to be woken."""
    return replace(made, requeue=None)


def _forgets_history(plan: Plan, seen: Observed, made: Decision) -> Decision:
    """Files nothing."""
    return replace(made, record=replace(made.record, rejected=seen.record.rejected, parked=seen.record.parked))


def _hasty_registry(seen: Observed) -> Observed:
    """Takes silence of the registry for a wish to go on."""
    rollout = seen.record.rollout
    if rollout is None or not isinstance(seen.wanted, Unavailable):
        return seen
    return replace(seen, wanted=rollout.canary.version)


def _skipping_promote(s: Situation) -> Decision | None:
    """A person's `promote` that skips readiness too."""
    rollout = s.record.rollout
    return None if rollout is None or rollout.unheld else advance.enough_pods(s)


def _empty_hands(s: Situation) -> bool:
    return s.record.stable is not None and s.facts(s.record.stable).endpoints < s.plan.serving.replicas


def _bake(s: Situation) -> bool:
    return s.record.rollout is not None and s.record.rollout.weight == 100


def _seeing_no_alert(rule: Rule) -> Decide:
    """Reverts, and forgets on account of which alert."""

    def forgetful(s: Situation) -> Decision | None:
        found = rule(s)
        return None if found is None else replace(found, record=replace(found.record, alerts=s.record.alerts))

    return _without(rule, forgetful)


def _without(old: Rule, new: Rule) -> Decide:
    rules = tuple(new if rule is old else rule for rule in RULES if rule is not alerts.informed)
    return lambda plan, record, seen: decide.decide(plan, record, seen, rules=rules)


def _told_of(change: Callable[[Alert, float], Alert]) -> Decide:
    """Hears of alerts what was not said."""

    def other(seen: Observed) -> Observed:
        return replace(seen, alerts=Alerts(firing=tuple(change(alert, seen.now) for alert in seen.alerts.firing)))

    return _seeing(other)


def _deaf_to_resolved(plan: Plan, seen: Observed, made: Decision) -> Decision:
    """Keeps what is over."""
    return replace(made, record=replace(made.record, alerts=made.record.alerts or seen.record.alerts))


def _forgets_alerts(plan: Plan, seen: Observed, made: Decision) -> Decision:
    """Drops them with the next write that is about something else."""
    return made if made.record == seen.record else replace(made, record=replace(made.record, alerts=()))


def _unapproved_first(s: Situation) -> Decision | None:
    steps = tuple(replace(step, approval=False) for step in s.plan.steps)
    return begin.first(replace(s, plan=replace(s.plan, steps=steps)))


def _forgetful(s: Situation) -> Decision | None:
    """Believes that nobody is asked any more as soon as it looks again."""
    rollout = s.record.rollout
    if rollout is None or rollout.asked is None:
        return approvals.answered(s)
    heard = approvals.words(s, rollout)
    if heard == rollout.approvals:
        return None
    return s.roll(replace(rollout, approvals=heard), Reason.APPROVED, "said")


def _hurried(s: Situation) -> Decision | None:
    """Lets the deadline run while somebody is asked."""
    found, rollout = advance.approved(s), s.record.rollout
    if found is None or rollout is None or found.record.rollout is None:
        return found
    running = replace(found.record.rollout, deadline=rollout.deadline)
    return replace(found, record=replace(found.record, rollout=running))


def _yes_men(seen: Observed) -> Observed:
    told = {attempt: tuple(replace(word, granted=True) for word in heard) for attempt, heard in seen.approvals.items()}
    return replace(seen, approvals=told)


def _seeing_gates_open(where: Callable[[VersionDetails | Unavailable | None], bool]) -> Decide:
    """Takes what the registry says of a version, or does not say, for a yes."""

    def open_(seen: Observed) -> Observed:
        rollout, known = seen.record.rollout, dict(seen.details)
        named = [rollout.canary.version] if rollout else []
        named += [seen.wanted] if not isinstance(seen.wanted, Unavailable) else []
        yes = VersionDetails(tags={"validation": "open"}, created=seen.now)
        return replace(seen, details=known | {version: yes for version in named if where(known.get(version))})

    return _seeing(open_)


def _tried_as(change: Callable[[Tried], Tried], where: Callable[[Observed], bool] = lambda _: True) -> Decide:
    """Takes what came of requests of our own for something else."""

    def other(seen: Observed) -> Observed:
        return replace(seen, tried=change(seen.tried)) if seen.tried is not None and where(seen) else seen

    return _seeing(other)


def _answered(*outcomes: Outcome) -> Callable[[Tried], Tried]:
    """Those outcomes are taken for passed ones."""

    def change(tried: Tried) -> Tried:
        found = tuple(replace(f, outcome=Outcome.PASSED) if f.outcome in outcomes else f for f in tried.findings)
        return replace(tried, findings=found)

    return change


def _of_this_attempt(seen: Observed) -> Observed:
    rollout, tried = seen.record.rollout, seen.tried
    if rollout is None or tried is None:
        return seen
    return replace(seen, tried=replace(tried, trial=replace(tried.trial, attempt=rollout.attempt)))


MUTANTS: dict[str, Decide] = {
    "advances on no data": _unless(advance.in_favour, lambda s: isinstance(s.seen.evidence, Unavailable)),
    "advances on stale data": _taken_as(fresh=True),
    "advances on data of another weight": _seeing(_at_present_weight),
    "advances in spite of a suspicion": _taken_as(suspected=False),
    "advances while stable fails as well": _taken_as(held=None),
    "advances while a source is missing": _taken_as(missing=None),
    "advances undecided": _taken_as(healthy=True),
    "forgets a rejection": _with(begin.rejected, None),
    "files nothing": _after(_forgets_history),
    "skips the hold": _with(advance.held, None),
    "does not settle": _with(advance.settled, None),
    "does not revert while the registry is down": _unless(decide.revert, lambda s: isinstance(s.wished, Unavailable)),
    "does not revert while the route is unconfirmed": _unless(decide.revert, lambda s: not s.confirmed()),
    "does not revert while stable is short of a pod": _unless(decide.revert, _empty_hands),
    "does not revert while paused": _unless(decide.revert, lambda s: s.plan.paused),
    "does not revert in the bake": _unless(decide.revert, _bake),
    "reverts in two writes": _with(decide.revert, _two_writes),
    "reverts to a stable that is not there": _with(decide.revert, _blind_revert),
    "forgets a verdict that the route did not take": _seeing(lambda seen: replace(seen, condemned=None)),
    "begins a revision whose Service is diverted": _seeing(lambda seen: replace(seen, diverted={})),
    "ignores guards": _without_cause(causes.breached),
    "ignores silence": _without_cause(causes.unreachable),
    "never rejects for silence": _judged(rejects=False, only=Reason.UNREACHABLE),
    "rejects for the first silence": _judged(rejects=True, only=Reason.UNREACHABLE),
    "ignores drift": _without_cause(causes.drifted),
    "takes a crash for lost endpoints": _without_cause(causes.crashed),
    "ignores lost endpoints": _without_cause(causes.endpoints_lost),
    "ignores abort": _without_cause(causes.aborted),
    "goes on with what nobody wants": _without_cause(causes.unwanted),
    "ignores deadlines": _without_cause(causes.overdue, causes.never_ready),
    "promotes and raises from unconfirmed": _with(advance.confirm, _silent_clock),
    "builds on pods that are leaving": _seeing(_all_stay),
    "raises without pods": _with(advance.enough_pods, None),
    "promote skips readiness": _with(advance.enough_pods, _skipping_promote),
    "a third version keeps the traffic": _with(decide.revert, _third_keeps),
    "parks instead of rejecting": _judged(rejects=False),
    "rejects instead of parking": _judged(rejects=True),
    "a pause does not stop the clocks": _with(decide.paused, _running_pause),
    "goes on while paused": _with(decide.paused, None),
    "never resumes": _with(decide.resumed, None),
    "starts while paused": _with(begin.resting, None),
    "retries more than once": _with(begin.rejected, _unhandled_retry),
    "does not back off": _with(begin.parked, _parks_forever),
    "skips steps": _with(begin.begin, _all_direct),
    "takes a silent registry for a wish": _seeing(_hasty_registry),
    "takes another's route": _with(decide.taken, None),
    "keeps weight on a lost route": _with(decide.unrouted, None),
    "does not revert on alerts": _without_cause(causes.alerted),
    "raises under an alert": _with(advance.unalerted, None),
    "forgets the alert that reverted": _seeing_no_alert(decide.revert),
    "keeps no alert": _with(alerts.informed, None),
    "reverts on old alerts": _told_of(lambda alert, now: replace(alert, since=now)),
    "takes resolved alerts for firing": _after(_deaf_to_resolved),
    "forgets alerts": _after(_forgets_alerts),
    "raises without approval": _with(advance.approved, None),
    "first deployment without approval": _with(begin.first, _unapproved_first),
    "forgets what was said": _with(approvals.answered, _forgetful),
    "hurries whoever is asked": _with(advance.approved, _hurried),
    "goes on asking": _with(approvals.answered, None),
    "takes a refusal for a yes": _seeing(_yes_men),
    "does not revert on a revoked approval": _without_cause(causes.revoked),
    "is blind to its gates": _seeing_gates_open(lambda said: isinstance(said, VersionDetails)),
    "takes a silent registry for open gates": _seeing_gates_open(lambda said: isinstance(said, Unavailable)),
    "takes gates that nobody asked for open ones": _seeing_gates_open(lambda said: said is None),
    "is blind to gates that are shut": _with(entry.barred, None),
    "does not reject at its gates": _without_cause(causes.refused),
    "looks at its gates once": _with(entry.kept_out, None),
    "gives weight untried": _with(entry.untried, None),
    "takes a failure to answer for an answer": _tried_as(_answered(Outcome.FAILED)),
    "takes silence for an answer": _tried_as(_answered(Outcome.WAITING)),
    "serves a first version that never answered": _tried_as(
        _answered(Outcome.WAITING, Outcome.FAILED), lambda seen: seen.record.stable is None
    ),
    "takes an earlier attempt's answer for this one's": _seeing(_of_this_attempt),
    "takes requests of ours for evidence": _seeing(lambda seen: replace(seen, counted=True)),
    "waits for ever for a silent pod": _tried_as(lambda tried: replace(tried, unanswered=None)),
    "retires at once": _after(_retires_at_once),
    "retires undrained": _after(_undrained),
    "sleeps through its deadlines": _after(_sleeper),
}
