"""Approval at a step: who has said yes or no to which weight, and what a rollout does until somebody has.

A word is a `ModelApproval`; the API server vouches for who gave it. What was heard is kept in the record, so that a
word can't be unsaid by deleting it: only a later one, on the same step, takes its place. A refusal holds every raise,
or sends everything back where the object asks for that.
"""

from dataclasses import replace

from tidegate.core.decision import Decision, Situation, action_value
from tidegate.core.plan import Step
from tidegate.core.reasons import Reason
from tidegate.core.record import Approval, Asked, Rollout

#: Seconds by which the clocks of API server and operator may differ.
CLOCKS = 5.0
#: Words kept of one attempt, the newest: more than there are steps.
MOST = 32
#: What the message of a promotion has room for.
LONGEST = 300


def words(s: Situation, rollout: Rollout) -> tuple[Approval, ...]:
    """The newest word on each step of an attempt, oldest first. Of two in one second the refusal is the newer.

    What was said before the attempt began was about another one: a deleted object's, say.
    """
    told = s.seen.approvals.get(action_value(rollout.canary, rollout.attempt), ())
    fresh = (word for word in told if word.at >= rollout.started - CLOCKS)
    newest: dict[int, Approval] = {}
    for word in sorted((*rollout.approvals, *fresh), key=_moment):
        newest[word.weight] = word
    return tuple(sorted(newest.values(), key=_moment))[-MOST:]


def refusal(s: Situation, rollout: Rollout) -> Approval | None:
    """The newest refusal that stands."""
    return next((word for word in reversed(words(s, rollout)) if not word.granted), None)


def gate(s: Situation, rollout: Rollout) -> Step | None:
    """The step whose approval the next raise takes: the last one on the way to the next weight that asks for one.

    A version that was proven here lately goes back without: a way back waits for nobody.
    """
    target = s.plan.steps[-1] if s.record.stable is None else s.target(rollout)
    if target is None or s.proven(rollout.canary, rollout.started):
        return None
    asking = [st for st in s.plan.steps if st.approval and rollout.weight < st.weight <= target.weight]
    return asking[-1] if asking else None


def answered(s: Situation) -> Decision | None:
    """Somebody approved or refused a step, or none is asked about any more: the record says so, the clock runs on."""
    rollout = s.record.rollout
    if rollout is None:
        return None
    heard, asked = words(s, rollout), rollout.asked
    changed = replace(rollout, approvals=heard)
    if asked is not None and not _open(s, changed, asked):
        changed = replace(changed, asked=None, deadline=rollout.deadline.running(s.now))
    if changed == rollout:
        return None
    new = [word for word in heard if word not in rollout.approvals]
    if not new:
        return s.roll(changed, Reason.HOLDING, "approval is not asked for any more")
    reason = Reason.APPROVED if new[-1].granted else Reason.APPROVAL_REFUSED
    return s.roll(changed, reason, "; ".join(describe(word) for word in new))


def approved(s: Situation, rollout: Rollout) -> Decision | None:
    """Nothing is raised against a refusal, nor to a weight that asks for approval and has none."""
    refused = refusal(s, rollout)
    if refused is not None:
        message = f"held at {rollout.weight}%: {describe(refused)}; a later approval lifts it, or annotate abort"
        return s.stay(Reason.APPROVAL_REFUSED, message, stalled=True)
    asking = gate(s, rollout)
    if asking is None or _granted(words(s, rollout), asking.weight):
        return None
    attempt = action_value(rollout.canary, rollout.attempt)
    message = f"waiting for approval of {asking.weight}% for {attempt}: kubectl tidegate approve, or a ModelApproval"
    if not s.seen.governed:
        message = f"{asking.weight}% asks for approval, and nobody can give it: set governance.enabled of the chart"
        return s.stay(Reason.GOVERNANCE_OFF, message, stalled=True)
    if rollout.asked is not None and rollout.asked.weight == asking.weight:
        return s.stay(Reason.WAITING_FOR_APPROVAL, message)
    waiting = replace(rollout, asked=Asked(weight=asking.weight, since=s.now), deadline=rollout.deadline.stopped(s.now))
    return s.roll(waiting, Reason.WAITING_FOR_APPROVAL, message)


def describe(word: Approval) -> str:
    """One line for a person."""
    return f"{word.approver} {'approved' if word.granted else 'refused'} {word.weight}% ({word.name})"


def signed(rollout: Rollout) -> str:
    """Who approved an attempt that came through, to follow a sentence; empty where nobody was asked."""
    granted = ", ".join(f"{word.weight}% by {word.approver}" for word in rollout.approvals if word.granted)
    said = f"; approved: {granted}" if granted else ""
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def _open(s: Situation, rollout: Rollout, asked: Asked) -> bool:
    """Whether a question still waits for its answer."""
    asking = gate(s, rollout)
    if asking is None or asking.weight != asked.weight or refusal(s, rollout) is not None:
        return False
    return not _granted(rollout.approvals, asked.weight)


def _granted(heard: tuple[Approval, ...], weight: int) -> bool:
    return any(word.granted and word.weight == weight for word in heard)


def _moment(word: Approval) -> tuple[float, bool, str]:
    return word.at, not word.granted, word.name
