"""When gates are looked at, and what follows: a version without its gates passed gets no request.

What only the registry has to tell is judged before anything of a version is made, and again until its first weight:
a tag may be taken back while pods start. After the first weight guards judge, and gates are history.
"""

from dataclasses import replace

from tidegate.core.decision import Situation
from tidegate.core.gates import AtGates, GateFinding, GateReport, Outcome, VersionDetails, first_of
from tidegate.core.inspection import judge_registered
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rollout, Verdict
from tidegate.core.trials import Trial, Tried, trial_of
from tidegate.core.trials import untried as unsent
from tidegate.core.values import Revision, Unavailable

#: Seconds past a limit at which a look finds it exceeded, and not just reached.
_AFTER = 0.001
#: What is said before the registry was asked about a version for the first time.
NOT_ASKED = "the registry has not been asked about this version yet"
#: What is said before a pod was sent anything.
NOT_SENT = "requests are sent once a pod is ready"


def concerned(s: Situation, record: Record) -> Revision | None:
    """The revision that stands at the gates, if one does.

    None do that have had weight in this attempt, and those that go back to what has proven itself: a way back is no
    place for gates, and what is proven passed them when it came.
    """
    rollout = record.rollout
    if rollout is not None:
        past = rollout.canary_since is not None or s.proven(rollout.canary, rollout.started)
        return None if past else rollout.canary
    if isinstance(s.wished, Unavailable) or s.wished.same_work(record.stable) or s.proven(s.wished, s.now):
        return None
    return s.wished


def findings(s: Situation, revision: Revision) -> tuple[GateFinding, ...] | Unavailable:
    """What the gates find of a revision by what the registry tells now; `Unavailable` where it does not tell."""
    gates = s.plan.gates
    if not gates.registered:
        return ()
    details = s.seen.details.get(revision.version)
    if details is None:
        return Unavailable(reason=Reason.NOT_POLLED_YET, message=NOT_ASKED)
    if isinstance(details, Unavailable):
        return details
    stable = s.record.stable
    serves = stable is not None and stable.version == revision.version
    beside = stable.version if stable is not None and gates.compares and not serves else None
    other = s.seen.details.get(beside) if beside is not None else None
    if beside is not None and other is None:
        return Unavailable(reason=Reason.NOT_POLLED_YET, message=NOT_ASKED)
    if isinstance(other, Unavailable):
        return replace(other, message=f"it is compared with stable, of which is known: {other.message}")
    at = AtGates(version=revision.version, details=details, now=s.now, serves=serves, stable=other)
    return judge_registered(gates, at)


def trial(s: Situation, record: Record) -> Trial | None:
    """What a pod of the canary is asked now, before its first weight."""
    rollout = record.rollout
    if rollout is None or concerned(s, record) is None:
        return None
    return trial_of(s.plan.gates, rollout, s.seen.details)


def tried(s: Situation) -> Tried | None:
    """How far the present trial is; nothing counts that was found by other gates, or in another attempt."""
    seen = s.seen.tried
    return seen if seen is not None and seen.trial == trial(s, s.record) else None


def trial_findings(s: Situation) -> tuple[GateFinding, ...]:
    """What was found by requests of our own to the canary's pods; nothing where no rollout stands at its gates."""
    if s.record.rollout is None or concerned(s, s.record) is None:
        return ()
    known = tried(s)
    return known.findings if known is not None else unsent(s.plan.gates, NOT_SENT)


def too_old(s: Situation, record: Record) -> list[float]:
    """Seconds until the clock alone makes a version too old that stands at its gates."""
    canary, limit = concerned(s, record), s.plan.gates.max_age
    details = s.seen.details.get(canary.version) if canary is not None else None
    if limit is None or not isinstance(details, VersionDetails):
        return []
    left = details.created + limit - s.now
    return [left + _AFTER] if left >= 0 else []


def gate_report(s: Situation, record: Record) -> GateReport | None:
    """What status shows of a revision that stood at its gates when `record` was decided on."""
    canary = concerned(s, record if s.record.rollout is None else s.record)
    found = findings(s, canary) if canary is not None else ()
    if canary is None or isinstance(found, Unavailable):
        return None
    found = (*found, *trial_findings(s))
    return GateReport(revision=canary, findings=found) if found else None


def refused(s: Situation, rollout: Rollout) -> Verdict | None:
    """A gate says no while the canary has had no request yet."""
    if concerned(s, s.record) is None:
        return None
    return refusal_of(s, rollout.canary) or _verdict(s, trial_findings(s))


def refusal_of(s: Situation, canary: Revision) -> Verdict | None:
    """The verdict of the first gate that fails by what the registry tells, None where none does."""
    found = findings(s, canary)
    return None if isinstance(found, Unavailable) else _verdict(s, found)


def _verdict(s: Situation, found: tuple[GateFinding, ...]) -> Verdict | None:
    failed = first_of(found, Outcome.FAILED)
    if failed is None:
        return None
    return Verdict(reason=Reason.GATE_FAILED, message=f"{failed.gate}: {failed.message}", rejects=True, at=s.now)
