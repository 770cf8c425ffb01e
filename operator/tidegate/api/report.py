"""From what the machine reports to the status that the API server keeps."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from tidegate.api import status as wire
from tidegate.api.record import encode
from tidegate.core.alerts import identity
from tidegate.core.audit import UNTOLD, Marks
from tidegate.core.gates import GateReport
from tidegate.core.guards import Finding
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Approval, Parking, Record, Rejection, Rollout, Verdict
from tidegate.core.report import Condition, Phase, Report
from tidegate.core.values import Revision

_STATUS = {True: "True", False: "False", None: "Unknown"}


def render_status(
    report: Report,
    *,
    previous: Mapping[str, Any] | None,
    now: float,
    judge: Mapping[str, Any] | None = None,
    marks: Marks = UNTOLD,
) -> dict[str, Any]:
    """Return the whole status of a report; equal reports give equal statuses, whenever they are rendered.

    `previous` is the status that the object has; conditions keep its transition times. `judge` is the state of the
    tests to be saved with it, `marks` how far the audit trail was told.
    """
    record = report.record
    rollout = record.rollout
    status = wire.Status(
        observed_generation=report.generation,
        phase=report.phase,
        version=record.stable.version.number if record.stable else None,
        canary=rollout.canary.version.number if rollout else None,
        weight=rollout.weight if rollout else None,
        conditions=conditions_of(report.conditions, report.generation, previous, now),
        stable=_stable(record.stable) if record.stable else None,
        rollout=_rollout(rollout, report) if rollout else None,
        gates=_gates(report.gates) if report.gates is not None else None,
        weights=_weights(report.weights) if report.weights is not None else None,
        rejected=[wire.Rejected(**_rejection(entry)) for entry in record.rejected[-wire.MEMORY :]] or None,
        parked=[
            wire.Parked(**_rejection(entry), tries=entry.tries, retry_at=_time(entry.retry_at))
            for entry in record.parked[-wire.MEMORY :]
        ]
        or None,
        history=[
            wire.Past(
                **_named(entry.revision),
                attempt=entry.attempt,
                reason=entry.reason,
                message=_cut(entry.message),
                started=_time(entry.started),
                ended=_time(entry.ended),
            )
            for entry in record.history[-wire.MEMORY :]
        ]
        or None,
        alerts=[_alert(alert) for alert in record.alerts] or None,
        audited=marks.told,
        posted=marks.posted,
        record=encode(record),
        judge=dict(judge) if judge is not None else None,
    )
    # What the gates found stays to be read until another revision stands at them.
    kept = (previous or {}).get("gates") if report.gated and report.gates is None else None
    return _dump(status) | ({"gates": kept} if kept else {})


def render_failure(
    previous: Mapping[str, Any] | None,
    *,
    generation: int,
    reason: Reason,
    message: str,
    now: float,
    record: Record | None = None,
    marks: Marks = UNTOLD,
) -> dict[str, Any]:
    """Return the status of an object about which nothing could be decided, such as one with an invalid spec.

    What is known of serving stays as it was; only `Ready`, `Reconciling` and `Stalled` say what is wrong. `record` is
    what the route carries by now: a rollout may have been sent back all the same.
    """
    told = (
        Condition(type="Ready", status=False, reason=reason, message=message),
        Condition(type="Reconciling", status=False, reason=reason, message=""),
        Condition(type="Stalled", status=True, reason=reason, message=message),
    )
    kept = dict(previous or {})
    fresh = _dump(
        wire.Status(
            observed_generation=generation,
            phase=Phase.STALLED,
            conditions=conditions_of(told, generation, kept, now),
            audited=marks.told,
            posted=marks.posted,
        )
    )
    types = {condition.type for condition in told}
    others = [old for old in kept.get("conditions", []) if old["type"] not in types]
    carried = _carried(kept, record) if record is not None else {}
    return kept | fresh | carried | {"conditions": [*fresh["conditions"], *others]}


def render_verdict(previous: Mapping[str, Any] | None, record: Record) -> dict[str, Any]:
    """Return the status as it was, with the verdict that `record` has and the route could not take."""
    kept = dict(previous or {})
    return kept | _carried(kept, record)


def _carried(previous: Mapping[str, Any], record: Record) -> dict[str, Any]:
    rollout, shown = record.rollout, previous.get("rollout")
    if rollout is None or shown is None:
        return {"record": encode(record)}
    ended = {"verdict": _dump_part(_sentence(rollout.verdict))} if rollout.verdict else {}
    return {
        "record": encode(record),
        "weight": rollout.weight,
        "rollout": {**shown, "weight": rollout.weight, **ended},
    }


def _dump_part(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(mode="json", by_alias=True, exclude_none=True)


def _dump(status: wire.Status) -> dict[str, Any]:
    return _dump_part(status)


def conditions_of(
    told: Sequence[Condition], generation: int, previous: Mapping[str, Any] | None, now: float
) -> list[wire.Condition]:
    """Conditions on the wire; those whose status is as `previous` has it keep their transition time."""
    before = {old["type"]: old for old in (previous or {}).get("conditions", [])}
    conditions = []
    for condition in told:
        status = _STATUS[condition.status]
        old = before.get(condition.type)
        unchanged = old is not None and old.get("status") == status
        fields = {
            "type": condition.type,
            "status": status,
            "reason": condition.reason,
            "message": _cut(condition.message, wire.CONDITION_MESSAGE),
            "lastTransitionTime": (_when(old) if unchanged else None) or _time(now),
            "observedGeneration": generation,
        }
        conditions.append(wire.Condition.model_validate(fields))
    return conditions


def _stable(revision: Revision) -> wire.Stable:
    return wire.Stable(**_named(revision), model=revision.version.model)


def _rollout(rollout: Rollout, report: Report) -> wire.RolloutStatus:
    return wire.RolloutStatus(
        **_named(rollout.canary),
        attempt=rollout.attempt,
        step=report.step,
        steps=report.steps,
        weight=rollout.weight,
        started=_time(rollout.started),
        since=_time(rollout.canary_since) if rollout.canary_since is not None else None,
        verdict=_sentence(rollout.verdict) if rollout.verdict else None,
        waits_for=wire.Asked(weight=rollout.asked.weight, since=_time(rollout.asked.since)) if rollout.asked else None,
        approvals=[_approval(word) for word in rollout.approvals] or None,
        findings=[_finding(finding, report.found_at) for finding in report.findings] or None,
    )


def _approval(word: Approval) -> wire.Approval:
    return wire.Approval(
        weight=word.weight, granted=word.granted, approver=word.approver, name=word.name, time=_time(word.at)
    )


def _sentence(verdict: Verdict) -> wire.Sentence:
    return wire.Sentence(
        reason=verdict.reason, message=_cut(verdict.message), rejects=verdict.rejects, time=_time(verdict.at)
    )


def _finding(finding: Finding, weight: int) -> wire.Finding:
    return wire.Finding(
        guard=finding.guard,
        mode=finding.mode,
        verdict=finding.verdict,
        weight=weight,
        value=_percent(finding.value),
        limit=_percent(finding.limit),
        bad=finding.bad,
        samples=finding.samples,
        message=_cut(finding.message),
    )


def _gates(report: GateReport) -> wire.GateStatus:
    return wire.GateStatus(
        **_named(report.revision),
        findings=[
            wire.GateFinding(
                gate=found.gate,
                outcome=found.outcome,
                value=_cut(found.value, wire.WORDS) if found.value is not None else None,
                limit=_cut(found.limit, wire.WORDS) if found.limit is not None else None,
                message=_cut(found.message),
            )
            for found in report.findings
        ],
    )


def _weights(shares: Mapping[str, int]) -> list[wire.Weight]:
    # Weights are relative, and somebody else may have written them, and backends that are none of ours: what counts is
    # a revision's share of the sum.
    total = sum(shares.values()) or 1
    named = sorted((name, part) for name, part in shares.items() if len(name) <= wire.NAME)[: wire.BACKENDS]
    return [wire.Weight(revision=name, weight=round(100 * part / total)) for name, part in named]


def _alert(alert: Alert) -> wire.Alert:
    return wire.Alert(
        id=identity(alert),
        name=alert.name,
        summary=alert.summary or None,
        since=_time(alert.since),
        until=_time(alert.until) if alert.until is not None else None,
    )


def _rejection(entry: Rejection | Parking) -> dict[str, Any]:
    return {
        **_named(entry.revision),
        "attempt": entry.attempt,
        "reason": entry.reason,
        "message": _cut(entry.message),
        "time": _time(entry.at),
    }


def _named(revision: Revision) -> dict[str, str]:
    return {"revision": revision.name, "version": revision.version.number}


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.4g}%"


def _cut(message: str, longest: int = wire.MESSAGE) -> str:
    return message if len(message) <= longest else f"{message[: longest - 1]}…"


def _when(condition: Mapping[str, Any] | None) -> datetime | None:
    """When a condition changed last; None where it doesn't say."""
    try:
        return datetime.fromisoformat(str((condition or {}).get("lastTransitionTime")))
    except ValueError:
        return None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
