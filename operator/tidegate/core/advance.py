"""What must hold before a weight is raised or a canary becomes stable. Every rule here may assume a live rollout."""

from dataclasses import replace

from tidegate.core import approvals, waits
from tidegate.core.alerts import PATIENCE, describe
from tidegate.core.begin import finished
from tidegate.core.causes import drift
from tidegate.core.decision import Decision, Situation
from tidegate.core.observed import Judgement
from tidegate.core.pointers import promoting
from tidegate.core.reasons import Reason
from tidegate.core.record import Rollout, Stopwatch
from tidegate.core.values import Unavailable

#: Seconds between a canary's first ready endpoints and its first weight: the gateway learns of endpoints and of routes
#: on two ways, and the endpoints must be there first.
SETTLE = 0.5


def _rollout(s: Situation) -> Rollout:
    if s.record.rollout is None:  # the rules of `begin` answer every situation without one
        raise AssertionError("no rollout is under way")
    return s.record.rollout


def settled(s: Situation) -> Decision | None:
    """Before the first weight: the canary is named at 0, confirmed, and its pods have been ready for a moment."""
    rollout = _rollout(s)
    if rollout.weight > 0:
        return None
    missing = waits.for_pods(s, rollout)
    if missing is not None:
        # Pods that went and came again have to settle again.
        return missing if rollout.hold is None else s.roll(replace(rollout, hold=None), missing.reason, missing.message)
    unconfirmed = waits.for_router(s, rollout)
    if unconfirmed is not None:
        return unconfirmed
    if rollout.hold is None:
        clock = replace(rollout, hold=Stopwatch(since=s.now))
        return s.roll(clock, Reason.WAITING_FOR_ROUTE, f"{rollout.canary.name} is ready")
    left = SETTLE - rollout.hold.elapsed(s.now)
    if left > 0:
        return s.stay(Reason.WAITING_FOR_ROUTE, f"{rollout.canary.name} is ready", requeue=left)
    return None


def confirm(s: Situation) -> Decision | None:
    """The router has taken a weight: the clock of the step starts."""
    rollout = _rollout(s)
    unconfirmed = waits.for_router(s, rollout)
    if unconfirmed is not None:
        return unconfirmed
    if rollout.hold is not None:
        return None
    clock = replace(rollout, hold=Stopwatch(since=s.now))
    return s.roll(clock, Reason.HOLDING, f"the router confirmed {rollout.weight}%")


def held(s: Situation) -> Decision | None:
    """The step's hold is not over."""
    rollout = _rollout(s)
    left = s.hold_left(rollout)
    if left is None or left <= 0:
        return None
    hold = s.plan.step_at(rollout.weight).hold
    return s.stay(Reason.HOLDING, f"{rollout.weight}% is held for {hold:g}s", requeue=left)


def alike(s: Situation) -> Decision | None:
    """What the canary predicts is no longer what stable predicts: a person has to say whether that is meant."""
    found = drift(s, _rollout(s))
    if found is None:
        return None
    advice = "promote or abort it, or change spec.guards.drift"
    return s.stay(Reason.PREDICTIONS_DRIFTED, f"held at {_rollout(s).weight}%: {found}; {advice}")


def _missing(rollout: Rollout, judged: Judgement | Unavailable) -> str | None:
    """What keeps evidence from saying anything for a raise, if something does."""
    if isinstance(judged, Unavailable):
        return judged.message
    gathered = (judged.canary, judged.attempt, judged.weight)
    if gathered != (rollout.canary.name, rollout.attempt, rollout.weight) or not judged.fresh:
        return f"no fresh evidence at {rollout.weight}% yet"
    return judged.missing


def in_favour(s: Situation) -> Decision | None:
    """A raise needs fresh evidence, gathered at the present weight, that every enforced guard holds."""
    rollout = _rollout(s)
    if rollout.weight == 0 or rollout.unheld:
        return None
    judged = s.seen.evidence
    missing = _missing(rollout, judged)
    if isinstance(judged, Unavailable) or missing is not None:
        return s.stay(Reason.EVIDENCE_MISSING, missing or "")
    if judged.held is not None:
        return s.stay(Reason.GATHERING_EVIDENCE, judged.held)
    if judged.healthy and not judged.suspected:
        return None
    return s.stay(Reason.SUSPECTED if judged.suspected else Reason.GATHERING_EVIDENCE, _findings(judged))


def unalerted(s: Situation) -> Decision | None:
    """An alert holds every raise and the promotion, but never a way back.

    A version that has proven itself, and one that a person promotes, are what mends an alert about stable.
    """
    rollout = _rollout(s)
    if rollout.direct or not s.plan.alerts.enforced or not s.record.alerts:
        return None
    left = min(alert.since for alert in s.record.alerts) + PATIENCE - s.now
    more = f" and {len(s.record.alerts) - 1} more" if len(s.record.alerts) > 1 else ""
    message = f"held at {rollout.weight}% by {describe(s.record.alerts[0])}{more}"
    if left > 0:
        return s.stay(Reason.HELD_BY_ALERT, message, requeue=left)
    advice = "resolve it, or name it in the annotation tidegate.dev/dismiss (status.alerts[].id)"
    return s.stay(Reason.HELD_BY_ALERT, f"{message}; {advice}", stalled=True)


def enough_pods(s: Situation) -> Decision | None:
    """The canary has the pods that come next, all of them at the end, and stable can still take everything back.

    A person's `promote` does without stable, which may be what the new version is to mend.
    """
    rollout = _rollout(s)
    missing = waits.for_pods(s, rollout)
    if missing is not None:
        return missing
    raising = s.target(rollout) is not None and not rollout.unheld
    if raising and s.record.stable is not None and s.facts(s.record.stable).endpoints == 0:
        return s.stay(Reason.NO_ENDPOINTS, "stable has no ready endpoint: nothing is raised but by annotation promote")
    return None


def approved(s: Situation) -> Decision | None:
    """Somebody has approved the next weight, where it asks for that, and nobody refuses."""
    return approvals.approved(s, _rollout(s))


def advance(s: Situation) -> Decision | None:
    """The next weight."""
    rollout = _rollout(s)
    target = s.target(rollout)
    if target is None:
        return None
    raised = replace(
        rollout,
        weight=target.weight,
        raised=s.now,
        hold=None,
        canary_since=rollout.canary_since if rollout.canary_since is not None else s.now,
        restarts=rollout.restarts
        if rollout.canary_since is not None
        else tuple(sorted(s.facts(rollout.canary).restarts.items())),
    )
    return s.roll(raised, Reason.ADVANCING, f"version {rollout.canary.version.number} gets {target.weight}%")


def promote(s: Situation) -> Decision:
    """The bake is over: the canary is stable."""
    rollout = _rollout(s)
    message = f"version {rollout.canary.version.number} serves all requests{approvals.signed(rollout)}"
    return s.go(promoting(s, finished(s.record, rollout, s.now), rollout.canary), Reason.PROMOTED, message)


def _findings(judged: Judgement) -> str:
    return "; ".join(finding.message for finding in judged.findings) or "no guard has seen a request yet"
