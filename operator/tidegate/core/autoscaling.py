"""Autoscalers that somebody else put on a revision's Deployment: its size is theirs then, and no longer ours."""

from collections.abc import Mapping
from typing import Any


def scaled_deployment(autoscaler: Mapping[str, Any]) -> str | None:
    """`namespace/name` of the Deployment that an `autoscaling/v2` HorizontalPodAutoscaler scales; None for another."""
    target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    if target.get("kind") != "Deployment" or not str(target.get("apiVersion", "apps/v1")).startswith("apps/"):
        return None
    return f"{autoscaler['metadata']['namespace']}/{target.get('name')}"
