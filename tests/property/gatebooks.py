"""What gates say, by the facts alone: nothing here is the machine's own."""

from collections.abc import Iterable, Iterator

from tidegate.core.gates import GateFinding, Gates, Outcome, SmokeGate, VersionDetails
from tidegate.core.observed import Observed
from tidegate.core.plan import Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rollout
from tidegate.core.trials import Trial, Tried
from tidegate.core.values import Revision, Unavailable, VersionId

SMOKE = SmokeGate(limit=2.0, malformed=False)
GATES = Gates(tags=(("validation", "open"),), max_age=1e5, smoke=SMOKE, body="{}")
#: What the pod of a canary does when it is asked: answers, fails, does not answer, has not been asked yet, answered in
#: an earlier attempt, or answered and its counters were not read since.
TRIALS = ("answers", "fails", "silent", "unsent", "earlier", "uncounted")
_OUTCOMES = {"fails": Outcome.FAILED, "silent": Outcome.WAITING}


def told_of(gate: str, versions: Iterable[VersionId], now: float) -> dict[VersionId, VersionDetails | Unavailable]:
    """What the registry says of versions while their gates are open, pending, shut, unknown or unasked."""
    if gate == "unasked":
        return {}
    if gate == "unknown":
        return dict.fromkeys(versions, Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="down"))
    born = now - (2e5 if gate == "shut" else 0.0)
    return dict.fromkeys(versions, VersionDetails(tags={"validation": gate}, created=born))


def tried_of(trial: str, rollout: Rollout | None) -> Tried | None:
    """How far the requests of our own to a canary are."""
    if rollout is None or trial == "unsent":
        return None
    asked = Trial(
        revision=rollout.canary.name,
        attempt=rollout.attempt - (trial == "earlier"),
        path="/invocations",
        body="{}",
        smoke=SMOKE,
        throughput=None,
    )
    found = GateFinding(gate="smoke", outcome=_OUTCOMES.get(trial, Outcome.PASSED), message=trial)
    return Tried(trial=asked, findings=(found,), unanswered=trial if trial == "silent" else None)


def failed(seen: Observed, rollout: Rollout) -> bool:
    """Whether this very attempt's pod failed to answer as it should."""
    return _found(seen, rollout) is Outcome.FAILED


def unanswered(seen: Observed, rollout: Rollout) -> bool:
    """Whether this very attempt's pod leaves requests unanswered."""
    return _found(seen, rollout) is Outcome.WAITING


def _found(seen: Observed, rollout: Rollout) -> Outcome | None:
    said = seen.tried
    if said is None or (said.trial.revision, said.trial.attempt) != (rollout.canary.name, rollout.attempt):
        return None
    return said.findings[0].outcome


def shut(plan: Plan, seen: Observed, version: VersionId, stable: Revision | None) -> bool:
    """Whether a gate says no for good."""
    said = seen.details.get(version)
    if not isinstance(said, VersionDetails) or (stable is not None and stable.version == version):
        return False
    return plan.gates.max_age is not None and seen.now - said.created > plan.gates.max_age


def passed(plan: Plan, seen: Observed, version: VersionId, stable: Revision | None) -> bool:
    """Whether every gate says yes, just now."""
    said = seen.details.get(version)
    tagged = isinstance(said, VersionDetails) and dict(plan.gates.tags) == said.tags
    return tagged and not shut(plan, seen, version, stable)


def refused_rightly(plan: Plan, seen: Observed, before: Record, after: Record) -> Iterator[str]:
    """What is rejected without a rollout was refused at its gates, or given up by a person."""
    fresh = [entry for entry in after.rejected if entry not in before.rejected]
    for entry in fresh if before.rollout is None else []:
        if entry.reason is Reason.ABORTED:
            continue
        if entry.revision.version != seen.wanted or not shut(plan, seen, entry.revision.version, before.stable):
            yield f"{entry.revision.name} was rejected at gates that do not say so"
        if after.rollout is not None or after.stable != before.stable:
            yield "more than a rejection came of a gate"


def newest(before: Record, after: Record) -> Rollout | None:
    """The rollout that a decision began, or the one that it was about."""
    old, new = before.rollout, after.rollout
    return new if new is not None and (old is None or old.attempt != new.attempt) else old


def went_on(plan: Plan, seen: Observed, at: Rollout, before: Record, after: Record) -> Iterator[str]:
    """Nobody begins, or gets a first request, whose gates do not all say yes just now."""
    share = after.rollout.weight if after.rollout else 0
    weighs = share > 0 or after.stable == at.canary
    goes_on = at != before.rollout or weighs
    if goes_on and not passed(plan, seen, at.canary.version, before.stable):
        yield f"went on past gates that say {seen.details.get(at.canary.version)}"
    if weighs and _found(seen, at) is not Outcome.PASSED:
        yield f"got its first request although its pod says {seen.tried}"
    if weighs and before.stable is not None and not seen.counted:
        yield "got its first request before it was known what its pods counted for requests of ours"
