"""The gates' rules: what is refused or waits before anything of it is made, and before its first weight."""

from dataclasses import replace

from tidegate.core.decision import REJECTIONS, Decision, Situation, next_attempt, remember
from tidegate.core.gatekeeping import concerned, findings, refusal_of, trial, trial_findings
from tidegate.core.gates import Asked, Outcome, first_of
from tidegate.core.observed import Observed
from tidegate.core.plan import Plan
from tidegate.core.pointers import asked_for, discarding
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rejection, Rollout, Stopwatch, Verdict
from tidegate.core.revision import wished_revision
from tidegate.core.trials import Trial
from tidegate.core.values import Revision, Unavailable


def asked_about(plan: Plan, record: Record, seen: Observed) -> Asked:
    """The versions of which the registry has to tell, as gates stand open or shut by it."""
    canary = concerned(_situation(plan, record, seen), record)
    if canary is None or not plan.gates.registered or any(r.revision.same_work(canary) for r in record.rejected):
        return Asked()
    beside = [record.stable.version] if record.stable is not None and plan.gates.compares else []
    return Asked(versions=tuple(dict.fromkeys([canary.version, *beside])), wants=plan.gates.wants)


def sent(plan: Plan, record: Record, seen: Observed) -> Trial | None:
    """What a pod of the canary is asked by requests of our own, before it gets any others."""
    return trial(_situation(plan, record, seen), record)


def _situation(plan: Plan, record: Record, seen: Observed) -> Situation:
    wished = wished_revision(plan, record, asked_for(plan, record, seen), seen.preset)
    return Situation(plan=plan, record=record, seen=seen, wished=wished)


def barred(s: Situation) -> Decision | None:
    """What the registry tells of a version is enough to refuse it, or to wait, before anything of it is made."""
    canary = concerned(s, s.record) if s.record.rollout is None else None
    if canary is None:
        return None
    verdict = refusal_of(s, canary)
    if verdict is not None:
        record = discarding(s, _rejected(s, canary, verdict), canary)
        return s.go(record, verdict.reason, verdict.message)
    return waiting(s, canary)


def kept_out(s: Situation) -> Decision | None:
    """A gate has nothing to say yet, or takes back what it said, before the canary's first weight."""
    canary = concerned(s, s.record) if s.record.rollout is not None else None
    return None if canary is None else waiting(s, canary)


def untried(s: Situation) -> Decision | None:
    """Requests of our own must be answered as gates ask for before the canary gets any others.

    They are no evidence: what its pods have counted is read once more, and others count from there.
    """
    found = trial_findings(s)
    waits = first_of(found, Outcome.WAITING)
    if waits is not None:
        return s.stay(Reason.WAITING_FOR_GATES, f"{waits.gate}: {waits.message}")
    if not found or s.record.stable is None or s.seen.counted:
        return None
    return s.stay(Reason.EVIDENCE_MISSING, "the pods' counters are read once more: requests of our own are no evidence")


def waiting(s: Situation, canary: Revision) -> Decision | None:
    """What the gates of a revision wait for; None where none does."""
    found = findings(s, canary)
    if isinstance(found, Unavailable):
        message = f"version {canary.version.number} waits at its gates: {found.message}"
        return s.stay(Reason(found.reason), message)
    open_ = [finding for finding in found if finding.outcome is Outcome.WAITING]
    if not open_:
        return None
    more = f" (and {len(open_) - 1} more in status.gates)" if len(open_) > 1 else ""
    return s.stay(Reason.WAITING_FOR_GATES, f"{open_[0].gate}: {open_[0].message}{more}")


def _rejected(s: Situation, canary: Revision, verdict: Verdict) -> Record:
    """The record with an attempt that ended before it began."""
    attempt, attempts = next_attempt(s.record, canary)
    never = Rollout(canary=canary, attempt=attempt, started=s.now, deadline=Stopwatch(since=s.now))
    entry = Rejection(revision=canary, attempt=attempt, reason=verdict.reason, message=verdict.message, at=s.now)
    others = tuple(r for r in s.record.rejected if not r.revision.same_work(canary))
    return replace(
        remember(s.record, never, verdict.reason, verdict.message, s.now),
        attempts=attempts,
        rejected=(*others, entry)[-REJECTIONS:],
        parked=tuple(p for p in s.record.parked if not p.revision.same_work(canary)),
        proven=tuple(p for p in s.record.proven if not p.revision.same_work(canary)),
    )
