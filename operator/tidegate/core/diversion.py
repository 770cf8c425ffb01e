"""The second plane: where the route can't take a canary's traffic away, the canary's Service selects stable's pods.

The verdict stands beside the selector in the same write, so that whoever reads the Service knows why, and a process
that starts anew holds to it although the route has never heard of it. A diverted Service never gets its own pods back:
it stays as it is until the route is confirmed without the revision, and then it goes with it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidegate.core.labels import DIVERTED, KIND, MANAGED_BY, OWNER, REVISION, ROLE
from tidegate.core.merge import plain
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rollout, Verdict

_OURS = frozenset({MANAGED_BY, OWNER, REVISION, ROLE})
_PORT = ("name", "port", "protocol", "targetPort")
_LATEST = 1e11  # seconds since the epoch; what is later was not written by us and can't be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversion:
    """A canary's Service selects the pods of the revision `to`; `verdict` ended that `attempt`."""

    attempt: int
    to: str
    verdict: Verdict

    def annotation(self) -> str:
        """What the Service says of itself: compact JSON, equal for equal diversions."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def diversion_of(service: Mapping[str, Any]) -> Diversion | None:
    """What a live Service says; None where it is not diverted, or says what nobody here has written."""
    text = (service["metadata"].get("annotations") or {}).get(DIVERTED)
    try:
        return _read(json.loads(text)) if text else None
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError):
        return None


def selected(service: Mapping[str, Any]) -> str | None:
    """The revision whose pods a live Service selects, whoever made it so; None where it says none."""
    revision: str | None = ((service.get("spec") or {}).get("selector") or {}).get(REVISION)
    return revision


def _read(said: Mapping[str, Any]) -> Diversion:
    verdict, at = said["verdict"], float(said["verdict"]["at"])
    if not 0.0 <= at < _LATEST:
        raise ValueError(f"{at} is no time")
    return Diversion(
        attempt=int(said["attempt"]),
        to=str(said["to"]),
        verdict=Verdict(
            reason=Reason(verdict["reason"]), message=str(verdict["message"]), rejects=verdict["rejects"] is True, at=at
        ),
    )


def diversion(record: Record, *, stable_endpoints: int) -> Diversion | None:
    """How the second plane does what a route with this record would; None where it can't, or need not.

    Traffic is never diverted to nobody, and a canary that never had any needs no way off it.
    """
    rollout, stable = record.rollout, record.stable
    if rollout is None or rollout.verdict is None or stable is None:
        return None
    if rollout.canary_since is None or stable_endpoints == 0:
        return None
    return Diversion(attempt=rollout.attempt, to=stable.name, verdict=rollout.verdict)


def diverted(live: Mapping[str, Any], wanted: Diversion) -> dict[str, Any]:
    """The live Service with another's pods behind it and the reason beside them, and nothing else changed.

    The apply is a compare-and-set on the Service as it was read: a canary that was promoted meanwhile has another role
    on it. Whoever applies it needs no plan, so any version of the operator can.
    """
    metadata, ports = live["metadata"], (live.get("spec") or {}).get("ports") or ()
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            **{key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
            "labels": {key: value for key, value in (metadata.get("labels") or {}).items() if key in _OURS},
            "annotations": {DIVERTED: wanted.annotation()},
            "ownerReferences": [
                plain(owner) for owner in metadata.get("ownerReferences") or () if owner.get("kind") == KIND
            ],
        },
        "spec": {
            "selector": {REVISION: wanted.to},
            "ports": [{key: port[key] for key in _PORT if key in port} for port in ports],
        },
    }


def condemned(before: Record, after: Record) -> Record:
    """The record as the route has it (`before`), with the verdict of `after` that the route could not take.

    Status keeps it, so that the verdict outlives the process also where nothing can be diverted.
    """
    if before.rollout is None or after.rollout is None or before.rollout.verdict is not None:
        return before
    return replace(before, rollout=replace(before.rollout, verdict=after.rollout.verdict))


def saved_verdict(rollout: Rollout, found: Diversion | None, kept: Record) -> Verdict | None:
    """The verdict on the attempt under way that was saved where the route could not take it.

    `found` is what the canary's Service says, `kept` the record that status keeps. Those of other attempts are none.
    """
    if found is not None and found.attempt == rollout.attempt:
        return found.verdict
    told = kept.rollout
    if told is None or (told.canary, told.attempt) != (rollout.canary, rollout.attempt):
        return None
    return told.verdict
