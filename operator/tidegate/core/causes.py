"""Why a rollout must end early. Each cause looks at one thing; the first that holds is the verdict.

What lowers risk is judged before, and independently of, everything that raises it: none of these asks whether the
registry answers, the route was confirmed or stable is complete.
"""

from collections.abc import Callable
from dataclasses import replace

from tidegate.core import approvals
from tidegate.core.alerts import describe, fresh
from tidegate.core.decision import Situation
from tidegate.core.gatekeeping import refused, tried
from tidegate.core.observed import Judgement, Obstacle
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rollout, Verdict
from tidegate.core.values import Revision

MODEL_CONTAINER = "model"
ABORTED = "aborted by annotation"
#: Characters kept of a cause: it is written into the route's annotations, which are bounded.
LONGEST = 500
#: A canary that no request reaches is rejected when so many of its attempts have failed.
SILENT_TRIES = 3


def condemned(s: Situation, rollout: Rollout) -> Verdict | None:
    """It was condemned before, and the route could not take the verdict."""
    saved = s.seen.condemned
    return saved and (second_cause(s, rollout, saved) or saved)


def alerted(s: Situation, rollout: Rollout) -> Verdict | None:
    """An alert of this object began after the canary first had weight, and it still has some."""
    if not s.plan.alerts.enforced or rollout.weight == 0 or rollout.canary_since is None:
        return None
    alert = fresh(s, rollout.canary_since)
    if alert is None:
        return None
    return Verdict(reason=Reason.ALERT_FIRING, message=describe(alert), rejects=True, at=s.now)


def breached(s: Situation, rollout: Rollout) -> Verdict | None:
    """A guard's limit is broken."""
    found = _held_against(s, rollout)
    if found is None or found.reason is Reason.UNREACHABLE:
        return None
    return Verdict(reason=found.reason, message=found.message, rejects=True, at=s.now)


def drifted(s: Situation, rollout: Rollout) -> Verdict | None:
    """At the end of a hold the canary's predictions are no longer stable's, and the object asks for a revert then."""
    found = drift(s, rollout)
    if found is None or s.plan.drift is None or not s.plan.drift.reverts:
        return None
    return Verdict(reason=Reason.PREDICTIONS_DRIFTED, message=found, rejects=True, at=s.now)


def drift(s: Situation, rollout: Rollout) -> str | None:
    """How the canary's predictions differ from stable's, once the hold of the step that they were made in is over.

    One that a person promotes, or that served before, has no hold and is not asked.
    """
    judged, left = s.seen.evidence, s.hold_left(rollout)
    if left is None or left > 0 or not isinstance(judged, Judgement):
        return None
    same = (judged.canary, judged.attempt, judged.weight) == (rollout.canary.name, rollout.attempt, rollout.weight)
    return judged.drifted if same else None


def unreachable(s: Situation, rollout: Rollout) -> Verdict | None:
    """The canary is given traffic and never counts any: it hangs, or nothing gets there.

    Where a router's own control plane begins anew, a new backend may get nothing for half a minute, and the version
    has no part in it. So it is tried again, and rejected when so many attempts have failed, the last two in this way.
    """
    found = _held_against(s, rollout)
    if found is None or found.reason is not Reason.UNREACHABLE:
        return None
    before = s.record.parking(rollout.canary)
    again = before is not None and before.reason is Reason.UNREACHABLE and before.tries >= SILENT_TRIES - 1
    return Verdict(reason=found.reason, message=found.message, rejects=again, at=s.now)


def _held_against(s: Situation, rollout: Rollout) -> Obstacle | None:
    """What the evidence of this attempt says against its canary."""
    judged = s.seen.evidence
    if not isinstance(judged, Judgement) or (judged.canary, judged.attempt) != (rollout.canary.name, rollout.attempt):
        return None
    return judged.breach


def crashed(s: Situation, rollout: Rollout) -> Verdict | None:
    """A canary container exited or restarted while it had weight."""
    if rollout.canary_since is None:
        return None
    facts = s.facts(rollout.canary)
    before = dict(rollout.restarts)
    fresh = [pod for pod, count in sorted(facts.restarts.items()) if count > before.get(pod, 0)]
    ended = [end for end in facts.exits if end.container == MODEL_CONTAINER and (end.current or end.pod in fresh)]
    if not fresh and not ended:
        return None
    said = f": {ended[0].message}" if ended and ended[0].message else ""
    how = f"exited with code {ended[0].code}" if ended else "was restarted"
    pod = ended[0].pod if ended else fresh[0]
    message = f"pod {pod} {how} while the version had traffic{said}"
    return Verdict(reason=Reason.CRASHED, message=message, rejects=True, at=s.now)


def endpoints_lost(s: Situation, rollout: Rollout) -> Verdict | None:
    """The canary has weight and no endpoint, and nothing exited: its pods were taken away."""
    if rollout.weight == 0 or s.facts(rollout.canary).endpoints > 0:
        return None
    if s.seen.of(s.seen.astray.get(rollout.canary.name, "")).endpoints > 0:
        return None  # somebody edited its Service: others answer for it until that is put back
    message = f"no ready endpoint was left at {rollout.weight}% of the traffic"
    return Verdict(reason=Reason.ENDPOINTS_LOST, message=message, rejects=False, at=s.now)


def aborted(s: Situation, rollout: Rollout) -> Verdict | None:
    """A person said so."""
    if not s.asked("abort", rollout.canary, rollout.attempt):
        return None
    return Verdict(reason=Reason.ABORTED, message=ABORTED, rejects=True, at=s.now)


def revoked(s: Situation, rollout: Rollout) -> Verdict | None:
    """Somebody refused a step of this attempt, and the object asks for a revert where that happens."""
    word = approvals.refusal(s, rollout) if s.plan.revoke_reverts else None
    if word is None:
        return None
    return Verdict(reason=Reason.APPROVAL_REFUSED, message=approvals.describe(word), rejects=True, at=s.now)


def unwanted(s: Situation, rollout: Rollout) -> Verdict | None:
    """Registry or spec ask for another revision now."""
    if not isinstance(s.wished, Revision) or s.wished.same_work(rollout.canary):
        return None
    if s.wished.same_work(s.record.stable):
        message = f"version {rollout.canary.version.number} is no longer asked for"
        return Verdict(reason=Reason.WITHDRAWN, message=message, rejects=False, at=s.now)
    message = f"{s.wished.name} is asked for instead"
    return Verdict(reason=Reason.SUPERSEDED, message=message, rejects=False, at=s.now)


def overdue(s: Situation, rollout: Rollout) -> Verdict | None:
    """The rollout took longer than `rollout.deadline`; pauses don't count. Nothing to go back to, nothing to end."""
    if s.record.stable is None or rollout.deadline.elapsed(s.now) < s.plan.deadline:
        return None
    message = f"the rollout did not finish within rollout.deadline ({s.plan.deadline:g}s); it reached {rollout.weight}%"
    return Verdict(reason=Reason.DEADLINE_EXCEEDED, message=message, rejects=False, at=s.now)


def never_ready(s: Situation, rollout: Rollout) -> Verdict | None:
    """The revision had no traffic yet and did not get ready within `rollout.progressDeadline`.

    One that is ready and waits for something else (the router, the registry, stable) has done its part, unless it
    leaves requests of our own unanswered.
    """
    if rollout.canary_since is not None or rollout.deadline.elapsed(s.now) < s.plan.progress_deadline:
        return None
    facts, needed = s.facts(rollout.canary), s.pods_needed(rollout)
    trial = tried(s)
    unanswered = trial.unanswered if trial is not None else None
    if facts.lasting >= needed and unanswered is None:
        return None
    reason = facts.obstacle.reason if facts.obstacle else Reason.PROGRESS_DEADLINE_EXCEEDED
    missing = facts.obstacle.message if facts.obstacle else unanswered
    detail = f": {missing}" if missing else f" ({facts.lasting} of {needed} pods ready)"
    message = f"not ready within rollout.progressDeadline ({s.plan.progress_deadline:g}s){detail}"
    return Verdict(reason=reason, message=message, rejects=False, at=s.now)


Cause = Callable[[Situation, Rollout], Verdict | None]
CAUSES: tuple[Cause, ...] = (
    condemned,
    # what rejects
    alerted,
    breached,
    crashed,
    drifted,
    refused,
    aborted,
    revoked,
    # what parks
    unreachable,
    endpoints_lost,
    unwanted,
    overdue,
    never_ready,
)


def cause(s: Situation) -> Verdict | None:
    """The first cause to end the rollout under way, None where there is none or it was ended already."""
    rollout = s.record.rollout
    if rollout is None or rollout.verdict is not None:
        return None
    return _first(s, rollout, CAUSES)


def second_cause(s: Situation, rollout: Rollout, verdict: Verdict) -> Verdict | None:
    """A cause to reject a rollout that was ended by one which only parks it.

    A person's word is heard until the end is filed. Endpoints, pods and counters are told of in three ways: what says
    why the endpoints went, or why nothing was counted, may come last.
    """
    if verdict.rejects:
        return None
    words = (aborted, revoked)
    silent = verdict.reason in {Reason.ENDPOINTS_LOST, Reason.UNREACHABLE}
    return _first(s, rollout, (breached, crashed, *words) if silent else words)


def time_left(s: Situation, record: Record) -> list[float]:
    """Seconds until each deadline of a record's rollout that still lies ahead; none while its clock stands."""
    rollout = record.rollout
    if rollout is None or rollout.verdict is not None or rollout.deadline.since is None:
        return []
    spent = rollout.deadline.elapsed(s.now)
    ahead = [s.plan.deadline] if record.stable is not None else []
    ahead += [s.plan.progress_deadline] if rollout.canary_since is None else []
    return [*_hold_left(s, rollout), *(deadline - spent for deadline in ahead if deadline > spent)]


def _hold_left(s: Situation, rollout: Rollout) -> list[float]:
    """Until `drifted` may speak, whatever else the rollout waits for."""
    left, runs = s.hold_left(rollout), rollout.hold is not None and rollout.hold.since is not None
    asked = s.plan.drift is not None and s.plan.drift.reverts
    return [left] if asked and runs and left is not None and left > 0 else []


def _first(s: Situation, rollout: Rollout, causes: tuple[Cause, ...]) -> Verdict | None:
    found = next((verdict for find in causes if (verdict := find(s, rollout)) is not None), None)
    return found and shortened(found)


def shortened(verdict: Verdict) -> Verdict:
    """The verdict with no more words than the route's annotation has room for."""
    if len(verdict.message) <= LONGEST:
        return verdict
    return replace(verdict, message=f"{verdict.message[: LONGEST - 1]}…")
