"""What pods, endpoints and Deployments say of each revision, in the machine's own words.

Takes objects as the API server sends them (of one `ModelDeployment`, or of many) and looks at nothing else.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.core.labels import revision_label
from tidegate.core.observed import Exit, Obstacle, RevisionFacts
from tidegate.core.presets import DOWNLOAD
from tidegate.core.reasons import Reason

Object = Mapping[str, Any]

_IMAGE_REASONS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError"})
#: The most telling obstacle first: one that names a culprit before one that is its consequence.
_ORDER = (
    Reason.CONFIGURATION_MISSING,
    Reason.IMAGE_PULL_FAILED,
    Reason.ARTIFACT_FAILED,
    Reason.EXITED,
    Reason.UNSCHEDULABLE,
    Reason.APPLY_FAILED,
)
_LONGEST = 500


def facts_by_revision(
    pods: Iterable[Object],
    slices: Iterable[Object],
    deployments: Iterable[Object] = (),
    scaled: Collection[str] = (),
) -> dict[str, RevisionFacts]:
    """The facts of every revision that a live pod or a Deployment belongs to, by revision name.

    `slices` are `discovery.k8s.io/v1` EndpointSlices, `scaled` the names of the Deployments with an
    autoscaler. A pod that is being deleted, or that ended as a whole (evicted,
    preempted, its node gone), is no fact of its revision any more: nothing that it did then is the model's doing.
    """
    grouped: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        revision = revision_label(pod)
        if revision is not None and _live(pod):
            grouped[revision].append(pod)
    kept = list(deployments)
    refused, own, sizes = dict(_refused(kept)), dict(_own(kept)), dict(_sizes(kept, scaled))
    ready = _ready(slices)
    facts = {
        name: _facts(sorted(grouped.get(name, []), key=_age), ready, own.get(name, 0), refused.get(name))
        for name in sorted({*grouped, *refused, *own})
    }
    return {name: replace(found, scaled=sizes[name]) if name in sizes else found for name, found in facts.items()}


def _sizes(deployments: Iterable[Object], scaled: Collection[str]) -> Iterator[tuple[str, int]]:
    for deployment in deployments:
        revision = revision_label(deployment)
        if revision and deployment["metadata"].get("name") in scaled:
            yield revision, (deployment.get("spec") or {}).get("replicas", 1)


def _live(pod: Object) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and _status(pod).get("phase") not in {"Failed", "Succeeded"}


def _status(obj: Object) -> Object:
    return obj.get("status") or {}


def _age(pod: Object) -> tuple[str, str]:
    return str(pod["metadata"].get("creationTimestamp", "")), _name(pod)


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _ready(slices: Iterable[Object]) -> frozenset[tuple[str, str]]:
    """(namespace, pod name) of each endpoint that gets requests, whichever Service lists it."""
    listed = ((piece, endpoint) for piece in slices for endpoint in piece.get("endpoints") or ())
    serving = ((piece, endpoint.get("targetRef") or {}) for piece, endpoint in listed if _serves(endpoint))
    return frozenset(
        (target.get("namespace") or piece["metadata"].get("namespace", ""), target["name"])
        for piece, target in serving
        if target.get("kind") == "Pod"
    )


def answering(revision: str, slices: Iterable[Object], pods: Iterable[Object]) -> str | None:
    """The other revision whose ready pods are endpoints of one's Service; None where no pod of another is."""
    listed = _ready(piece for piece in slices if revision_label(piece) == revision)
    others = {
        found
        for pod in pods
        if (pod["metadata"].get("namespace", ""), _name(pod)) in listed and (found := revision_label(pod)) is not None
    }
    return min(others - {revision}, default=None)


def _serves(endpoint: Object) -> bool:
    conditions = endpoint.get("conditions") or {}
    # An unknown (absent) `ready` is to be read as true, says the API.
    return conditions.get("ready") is not False and not conditions.get("terminating")


def _refused(deployments: Iterable[Object]) -> Iterator[tuple[str, Obstacle]]:
    """Deployments whose pods the API server refuses: a quota, an admission policy."""
    for deployment in deployments:
        revision = revision_label(deployment)
        for condition in _status(deployment).get("conditions") or ():
            if revision and condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                yield revision, Obstacle(reason=Reason.APPLY_FAILED, message=_cut(condition.get("message", "")))


def _own(deployments: Iterable[Object]) -> Iterator[tuple[str, int]]:
    """How many ready pods each Deployment has; one that is being deleted takes its pods with it."""
    for deployment in deployments:
        revision = revision_label(deployment)
        if revision and not deployment["metadata"].get("deletionTimestamp"):
            yield revision, int(_status(deployment).get("readyReplicas") or 0)


def _facts(
    pods: Sequence[Object], ready: frozenset[tuple[str, str]], own: int, refused: Obstacle | None
) -> RevisionFacts:
    restarts = {_name(pod): count for pod in pods if (count := _restarts(pod))}
    obstacles = [obstacle for pod in pods for obstacle in _obstacles(pod)]
    if refused is not None:
        obstacles.append(refused)
    return RevisionFacts(
        endpoints=sum((pod["metadata"].get("namespace", ""), _name(pod)) in ready for pod in pods),
        own=own,
        pods=len(pods),
        restarts=restarts,
        exits=tuple(end for pod in pods for end in _exits(pod)),
        obstacle=min(obstacles, key=lambda obstacle: _ORDER.index(obstacle.reason), default=None),
        digest=next((digest for pod in pods if (digest := _digest(pod))), None),
    )


def _containers(pod: Object, field: str = "containerStatuses") -> Sequence[Object]:
    return _status(pod).get(field) or ()


def _restarts(pod: Object) -> int:
    return sum(int(container.get("restartCount", 0)) for container in _containers(pod))


def _ended(container: Object) -> tuple[Object, bool] | None:
    """How a container ended last, and whether it has not been started since."""
    for field, current in (("state", True), ("lastState", False)):
        terminated = (container.get(field) or {}).get("terminated")
        if terminated:
            return terminated, current or "running" not in (container.get("state") or {})
    return None


def _exits(pod: Object) -> Iterator[Exit]:
    for container in _containers(pod):
        ended = _ended(container)
        if ended is not None:
            terminated, current = ended
            code, words = int(terminated.get("exitCode", -1)), _words(terminated)
            yield Exit(pod=_name(pod), container=container["name"], code=code, message=words, current=current)


def _obstacles(pod: Object) -> Iterator[Obstacle]:
    """What keeps a pod from getting ready."""
    conditions = {condition["type"]: condition for condition in _status(pod).get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield Obstacle(reason=Reason.UNSCHEDULABLE, message=_cut(f"pod {_name(pod)}: {scheduled.get('message', '')}"))
    for container in _containers(pod, "initContainerStatuses"):
        yield from _hindered(pod, container, init=True)
    for container in _containers(pod):
        yield from _hindered(pod, container, init=False)


def _hindered(pod: Object, container: Object, *, init: bool) -> Iterator[Obstacle]:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, where = waiting.get("reason", ""), f"container {container['name']} of pod {_name(pod)}"
    if reason in _IMAGE_REASONS or reason in _CONFIG_REASONS:
        known = Reason.IMAGE_PULL_FAILED if reason in _IMAGE_REASONS else Reason.CONFIGURATION_MISSING
        yield Obstacle(reason=known, message=_cut(f"{where}: {waiting.get('message') or reason}"))
        return
    ended = _ended(container)
    if ended is None:
        return
    terminated = ended[0]
    code = terminated.get("exitCode", -1)
    if init and code == 0:
        return
    known = Reason.ARTIFACT_FAILED if init and container["name"] == DOWNLOAD else Reason.EXITED
    words = _words(terminated)
    message = f"{where} exited with code {code}" + (f": {words}" if words else "")
    yield Obstacle(reason=known, message=_cut(message))


def _words(terminated: Object) -> str:
    """The last thing that a container said: its runtime's termination message, or the last line of its log."""
    text = str(terminated.get("message") or "").strip()
    said = _parsed(text)
    if "message" in said:
        return _cut(f"{said['error']}: {said['message']}" if "error" in said else str(said["message"]))
    lines = text.splitlines()
    reason = terminated.get("reason", "")
    # `Error` and `Completed` say no more than the exit code; `OOMKilled` does.
    telling = [reason] if reason not in {"", "Error", "Completed"} else []
    return _cut(": ".join([*telling, *lines[-1:]]))


def _digest(pod: Object) -> str | None:
    for container in _containers(pod, "initContainerStatuses"):
        terminated = (container.get("state") or {}).get("terminated") or {}
        if container["name"] == DOWNLOAD and terminated.get("exitCode") == 0:
            digest = _parsed(str(terminated.get("message") or "")).get("digest")
            return digest if isinstance(digest, str) else None
    return None


def _parsed(text: str) -> Object:
    if not text.startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # The words are the model's own: nothing that it says may keep its end from being seen.
        return {}
    return value if isinstance(value, dict) else {}


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
