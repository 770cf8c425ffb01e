"""What status says of a decision. A projection: nothing is read back from it while the route exists."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from tidegate.core.decision import Decision
from tidegate.core.gates import NO_GATES, GateReport
from tidegate.core.guards import Finding
from tidegate.core.observed import Judgement, Observed
from tidegate.core.plan import Plan
from tidegate.core.pointers import PASSING, empty, first_pointer, rejection_shown
from tidegate.core.reasons import Reason
from tidegate.core.record import Leaving, Record
from tidegate.core.revision import serving_digest, wished_revision
from tidegate.core.values import Unavailable, VersionId

UNCONFIRMED = "the gateway has not confirmed the newest weights yet"


class Phase(StrEnum):
    """One word for the printer column."""

    PENDING = "Pending"
    STARTING = "Starting"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    REVERTING = "Reverting"
    READY = "Ready"
    WAITING = "Waiting"
    STALLED = "Stalled"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of the Kubernetes API conventions; `status` None is `Unknown`."""

    type: str
    status: bool | None
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that status shows. `weights` are those that the router confirmed, None before it did.

    `step` counts from 1 and is 0 before the first weight. `findings` are those of the newest look, gathered at the
    weight `found_at`: right after a raise that of the step before, which is what it was raised for. `gates` is None
    while nobody stands at them; `gated` says whether there are any.
    """

    generation: int
    phase: Phase
    conditions: tuple[Condition, ...]
    record: Record
    weights: Mapping[str, int] | None
    step: int
    steps: int
    findings: tuple[Finding, ...]
    found_at: int
    gates: GateReport | None = None
    gated: bool = False


def report(plan: Plan, decision: Decision, seen: Observed) -> Report:
    """The status of an object after a decision was carried out."""
    record = decision.record
    rollout = record.rollout
    route = seen.route
    confirmed = route is not None and route.confirmed
    judged = seen.evidence if isinstance(seen.evidence, Judgement) else None
    if judged is not None and (rollout is None or judged.canary != rollout.canary.name):
        judged = None
    told = conditions(plan, decision, seen)
    return Report(
        generation=plan.generation,
        phase=phase(decision, ready=told[0].status is True),
        conditions=told,
        record=record,
        weights=dict(route.weights) if confirmed and route is not None else None,
        step=sum(1 for step in plan.steps if rollout is not None and step.weight <= rollout.weight),
        steps=len(plan.steps),
        findings=judged.findings if judged is not None else (),
        found_at=judged.weight if judged is not None else 0,
        gates=decision.gates,
        gated=plan.gates != NO_GATES,
    )


def phase(decision: Decision, *, ready: bool) -> Phase:
    """The word for a decision; `ready` is the condition's."""
    rollout = decision.record.rollout
    words = (
        (decision.reason is Reason.DELETING, Phase.DELETING),
        (decision.stalled, Phase.STALLED),
        (decision.reason is Reason.PAUSED, Phase.PAUSED),
        (decision.reason is Reason.WAITING_FOR_APPROVAL, Phase.WAITING),
        (rollout is not None and rollout.verdict is not None, Phase.REVERTING),
        (rollout is not None and rollout.weight > 0, Phase.PROGRESSING),
        (rollout is not None, Phase.STARTING),
        (decision.record.stable is None, Phase.PENDING),
        (ready, Phase.READY),
    )
    return next((word for holds, word in words if holds), Phase.WAITING)


def conditions(plan: Plan, decision: Decision, seen: Observed) -> tuple[Condition, ...]:
    """All conditions of the object, each from its own facts; `Ready` is the first."""
    available, accepted = _available(decision.record, seen), _accepted(seen)
    routed = _routed(decision.record, seen)
    return (
        _ready(plan, decision, seen, available if routed else _unrouted(accepted)),
        _reconciling(decision, routed=routed),
        Condition(
            type="Stalled",
            status=decision.stalled,
            reason=decision.reason,
            message=_only(decision, when=decision.stalled),
        ),
        available,
        _resolved(plan, decision, seen),
        _evidence(decision.record, seen),
        accepted,
        *_candidate(plan, decision.record, seen),
    )


def _candidate(plan: Plan, record: Record, seen: Observed) -> tuple[Condition, ...]:
    """With a candidate pointer: whether what it names was rejected. What is asked for is told by `Ready`."""
    if plan.candidate is None:
        return ()
    entry = rejection_shown(plan, record, seen)
    if entry is not None:
        number = entry.revision.version.number
        message = f"version {number} rejected: {entry.message}"
        return (Condition(type="CandidateRejected", status=True, reason=entry.reason, message=message),)
    if isinstance(seen.candidate, VersionId):
        number = seen.candidate.number
        again = "; it was tried before and is not again until the candidate pointer has named another one"
        message = f"version {number} was not rejected{again if seen.candidate == record.tried else ''}"
        return (Condition(type="CandidateRejected", status=False, reason=Reason.RESOLVED, message=message),)
    reason = Reason.NO_CANDIDATE if seen.candidate is None or empty(seen.candidate) else Reason(seen.candidate.reason)
    message = seen.candidate.message if seen.candidate is not None else ""
    return (Condition(type="CandidateRejected", status=False, reason=reason, message=message),)


def _unrouted(accepted: Condition) -> Condition:
    # The last word that was heard may be about weights that are being replaced.
    if accepted.status is True:
        return replace(accepted, status=None, reason=Reason.ROUTE_NOT_CONFIRMED, message=UNCONFIRMED)
    return accepted


def _routed(record: Record, seen: Observed) -> bool:
    """Whether the router is known to do what the record says.

    One that did and is only being told of a revision without weight that leaves still does.
    """
    route = seen.route
    if route is None or route.refusal is not None or dict(route.weights) != record.weights():
        return False
    return route.confirmed or any(leaving.stage is Leaving.UNROUTED for leaving in record.retiring)


def _only(decision: Decision, *, when: bool) -> str:
    return decision.message if when else ""


def _ready(plan: Plan, decision: Decision, seen: Observed, served: Condition) -> Condition:
    # `served` says whether requests reach what the record names: endpoints, or before that, the route.
    record = decision.record
    wished = wished_revision(plan, record, first_pointer(plan, record, seen), seen.preset, seen.registry)
    serves = record.stable is not None and record.rollout is None
    # A registry that does not answer for a while takes nothing from what was asked for and serves.
    asked = (
        _unchanged(plan, record, seen.registry) if isinstance(wished, Unavailable) else wished.same_work(record.stable)
    )
    if not (serves and asked) or decision.stalled:
        return Condition(type="Ready", status=False, reason=decision.reason, message=decision.message)
    if served.status is not True:
        return Condition(type="Ready", status=False, reason=served.reason, message=served.message)
    return Condition(type="Ready", status=True, reason=decision.reason, message=decision.message)


def _unchanged(plan: Plan, record: Record, registry: str | None) -> bool:
    stable = record.stable
    if stable is None or registry not in {None, stable.version.registry}:
        return False
    if (stable.serving, stable.version.model) != (serving_digest(plan.serving), plan.model):
        return False
    return not plan.pointer.pinned or plan.pointer.value == stable.version.number


def _reconciling(decision: Decision, *, routed: bool) -> Condition:
    record = decision.record
    coming = decision.reason in {
        Reason.RETRY_PENDING,
        Reason.STARTING,
        Reason.POINTER_PENDING,
        Reason.WAITING_FOR_GATES,
    }
    busy = record.rollout is not None or record.stable is None or not routed or coming
    going = busy and not decision.stalled and decision.reason is not Reason.DELETING
    return Condition(type="Reconciling", status=going, reason=decision.reason, message=_only(decision, when=going))


def _available(record: Record, seen: Observed) -> Condition:
    shares = seen.route.weights if seen.route is not None else {}
    serving = [r for r in record.revisions() if shares.get(r.name, 0) > 0]
    if not serving:
        return Condition(
            type="Available", status=False, reason=Reason.NOTHING_SERVES, message="no version has traffic yet"
        )
    # Requests for a diverted revision are answered by another's pods.
    empty = [r for r in serving if seen.of(seen.diverted.get(r.name, r.name)).endpoints == 0]
    if empty:
        names = ", ".join(r.name for r in empty)
        return Condition(
            type="Available", status=False, reason=Reason.NO_ENDPOINTS, message=f"no ready endpoint: {names}"
        )
    shown = ", ".join(f"version {r.version.number} {shares[r.name]}%" for r in serving)
    return Condition(type="Available", status=True, reason=Reason.SERVING, message=shown)


def _resolved(plan: Plan, decision: Decision, seen: Observed) -> Condition:
    wished = wished_revision(plan, decision.record, seen.wanted, seen.preset, seen.registry)
    if isinstance(wished, Unavailable):
        reason = Reason(wished.reason)
        return Condition(
            type="ModelResolved", status=None if reason in PASSING else False, reason=reason, message=wished.message
        )
    message = f"{plan.model} {plan.pointer.kind.value} {plan.pointer.value} is version {wished.version.number}"
    return Condition(type="ModelResolved", status=True, reason=Reason.RESOLVED, message=message)


def _evidence(record: Record, seen: Observed) -> Condition:
    if record.rollout is None or record.rollout.weight == 0:
        return Condition(
            type="EvidenceAvailable", status=True, reason=Reason.EVIDENCE_NOT_NEEDED, message="no canary has traffic"
        )
    judged = seen.evidence
    if isinstance(judged, Unavailable):
        return Condition(type="EvidenceAvailable", status=False, reason=Reason.EVIDENCE_MISSING, message=judged.message)
    if not judged.fresh:
        return Condition(
            type="EvidenceAvailable",
            status=False,
            reason=Reason.EVIDENCE_MISSING,
            message="the newest reading is too old",
        )
    if judged.missing is not None:
        return Condition(type="EvidenceAvailable", status=False, reason=Reason.EVIDENCE_MISSING, message=judged.missing)
    return Condition(
        type="EvidenceAvailable", status=True, reason=Reason.EVIDENCE_READ, message="the counters are read"
    )


def _accepted(seen: Observed) -> Condition:
    route = seen.route
    if seen.taken_by is not None:
        message = f"{seen.taken_by} claims the same parent, host and match and is older"
        return Condition(type="RouteAccepted", status=False, reason=Reason.ROUTE_TAKEN, message=message)
    if route is None:
        return Condition(type="RouteAccepted", status=None, reason=Reason.ROUTE_MISSING, message="no route yet")
    away = [name for name, share in route.weights.items() if share > 0 and name in seen.diverted]
    if away:
        message = f"the route gives {away[0]} weight and can't be written; its Service selects {seen.diverted[away[0]]}"
        return Condition(type="RouteAccepted", status=False, reason=Reason.ROUTE_DIVERTED, message=message)
    if route.refusal is not None:
        return Condition(type="RouteAccepted", status=False, reason=Reason.ROUTE_NOT_ACCEPTED, message=route.refusal)
    if not route.confirmed:
        return Condition(
            type="RouteAccepted",
            status=None,
            reason=Reason.ROUTE_NOT_CONFIRMED,
            message=UNCONFIRMED,
        )
    return Condition(
        type="RouteAccepted", status=True, reason=Reason.ROUTE_CONFIRMED, message="the gateway confirmed the weights"
    )
