"""Autoscalers: ours, one for each revision, and those that somebody else put on a revision's Deployment.

Ours may do what they like between the pods that the machine wants a revision to have and the most that the spec allows.
Where there is somebody else's the size is theirs, and there is none of ours. ADR 13 and 16 say why.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.core.decision import Decision, Situation
from tidegate.core.labels import AUTOSCALER_KIND
from tidegate.core.merge import plain
from tidegate.core.plan import Autoscaling, Plan
from tidegate.core.record import Record, Rollout

#: Seconds after a rollout in which stable keeps what it had at its start. What an autoscaler knows of the load is up to
#: a minute or two old, and of the last five minutes it believes the highest reading: after a revert all of those are of
#: a version without traffic. See `--horizontal-pod-autoscaler-downscale-stabilization`.
MEMORY = 300.0


def scaled_deployment(autoscaler: Mapping[str, Any]) -> str | None:
    """`namespace/name` of the Deployment that an `autoscaling/v2` HorizontalPodAutoscaler scales; None for another."""
    target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    if target.get("kind") != "Deployment" or not str(target.get("apiVersion", "apps/v1")).startswith("apps/"):
        return None
    return f"{autoscaler['metadata']['namespace']}/{target.get('name')}"


def autoscaler(metadata: Mapping[str, Any], bounds: Autoscaling, least: int) -> dict[str, Any]:
    """The autoscaler of the Deployment of its own name, with at least so many pods."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": AUTOSCALER_KIND,
        "metadata": dict(metadata),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"]},
            "minReplicas": least,
            "maxReplicas": max(least, bounds.most),
            "metrics": plain(bounds.metrics),
        },
    }


def kept_full(plan: Plan, record: Record, rollout: Rollout, now: float) -> Record:
    """The record after a rollout that ended early: stable goes on having what it had when that began."""
    return replace(record, full=rollout.full, full_since=now) if plan.serving.autoscaling is not None else record


def released(s: Situation, decision: Decision) -> Decision:
    """Some time after a rollout stable's autoscaler goes back to the spec's bounds; else the decision as it was."""
    record = s.record
    if decision.record != record or record.rollout is not None or record.full == 0 or s.seen.route is None:
        return decision
    if s.plan.serving.autoscaling is None or s.seen.taken_by is not None:
        return decision
    left = MEMORY - (s.now - record.full_since)
    if left > 0:
        return replace(decision, requeue=left if decision.requeue is None else min(left, decision.requeue))
    return replace(decision, record=replace(record, full=0, full_since=0.0))
