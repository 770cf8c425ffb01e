"""ModelDeployments as kubectl hands them out."""

from typing import Any


def body(**status: Any) -> dict[str, Any]:
    """Version 6 serves; `status` is what is there besides. Keys `paused` and `annotations` go where they belong."""
    notes = {f"tidegate.dev/{action}": value for action, value in status.pop("annotations", {}).items()}
    paused = status.pop("paused", False)
    meta = {"namespace": "ml", "name": "fraud", "uid": "u-1", "generation": 3, "resourceVersion": "10"}
    meta |= {"creationTimestamp": "2026-11-20T12:00:00Z", "annotations": notes}
    stable = {"revision": "fraud-v6-bbbbbbbb", "version": "6", "model": "fraud-detector"}
    base = {"observedGeneration": 3, "phase": "Ready", "version": "6", "stable": stable}
    return {"metadata": meta, "spec": {"paused": paused}, "status": base | status}


def rollout(**fields: Any) -> dict[str, Any]:
    """Version 7, second attempt, at 25 %."""
    base = {"revision": "fraud-v7-cccccccc", "version": "7", "attempt": 2, "step": 2, "steps": 4, "weight": 25}
    return base | {"started": "2026-11-21T11:00:00Z"} | fields


def ended(version: str = "7", attempt: int = 1, **fields: Any) -> dict[str, Any]:
    """An entry of `rejected`."""
    base = {"revision": f"fraud-v{version}-cccccccc", "version": version, "attempt": attempt}
    return base | {"reason": "GuardBreached", "message": "8% errors", "time": "2026-11-21T10:00:00Z"} | fields


def verdict(*, rejects: bool = True) -> dict[str, Any]:
    """Why a rollout goes back."""
    return {"reason": "GuardBreached", "message": "8% errors", "rejects": rejects, "time": "2026-11-21T11:30:00Z"}
