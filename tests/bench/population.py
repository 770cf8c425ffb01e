"""Objects with all that they own, as they stand after a first rollout that ended long ago. Made by hand."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidegate.adapters.kube import RESOURCES, KubeCluster
from tidegate.api.parse import parse
from tidegate.api.record import encode
from tidegate.core.frozen import freeze
from tidegate.core.httproute import route
from tidegate.core.labels import MANAGED_BY, MANAGER, OWNER, REVISION
from tidegate.core.manifests import Known, revision_objects
from tidegate.core.plan import Plan, Runtime
from tidegate.core.presets import DOWNLOAD, PresetConfig, preset_version
from tidegate.core.reasons import Reason
from tidegate.core.record import Past, Proven, Record
from tidegate.core.revision import revision_of
from tidegate.core.values import Revision, VersionId

#: The kinds of which each object has one.
KINDS = (
    "ModelDeployment", "HTTPRoute", "Deployment", "ControllerRevision", "Service", "ConfigMap", "Pod", "EndpointSlice",
)  # fmt: skip
#: Objects that are made at a time.
HANDS = 24
GATEWAY = "simulated"
DIGEST = "sha256:" + "5c9d8f2k" * 8
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What to make: in which namespace, of which versions (in turn), as an operator with these presets would."""

    cluster: KubeCluster
    namespace: str
    versions: Sequence[VersionId]
    presets: PresetConfig

    async def make(self, count: int) -> None:
        """Make so many, with one ready pod each."""
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                await self._make(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(HANDS):
                group.create_task(work())

    async def _make(self, number: int) -> None:
        version = self.versions[number % len(self.versions)]
        plan = parse(await self.cluster.create(self._wish(f"scale-{number}", version.model)))
        revision = revision_of(plan.ref.name, version, plan.serving, preset_version(Runtime.TIDEGATE, self.presets))
        record = _after_the_first(revision)
        frozen = {revision.name: freeze(plan, revision, self.presets)}
        known = Known(frozen=frozen, digests={revision.name: DIGEST}, sizes={})
        for manifest in revision_objects(plan, record, known, revision):
            await self._put(manifest, _SIZE if manifest["kind"] == "Deployment" else None)
        template = frozen[revision.name].template
        pod = await self._put(_pod(plan, revision, dict(template)), _running())
        await self.cluster.create(_slice(plan, revision, pod))
        wanted = route(plan, record.weights(), {revision.name: version.number}, encode(record))
        await self._put(wanted, _accepted(plan))

    async def _put(self, manifest: Manifest, status: Manifest | None = None) -> Manifest:
        made = await self.cluster.create(manifest)
        if status is None:
            return made
        name = {key: made["metadata"][key] for key in ("namespace", "name")}
        whole = {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": name, "status": status}
        return await self.cluster.apply_status(whole)

    def _wish(self, name: str, model: str) -> Manifest:
        gateway = {"parentRefs": [{"name": GATEWAY}], "hostnames": [f"{name}.example.com"]}
        return {
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "model": {"name": model, "alias": "champion"},
                "serving": {"replicas": 1},
                "traffic": {"gateway": gateway},
                "guards": {"errorRate": {"max": "1%"}},
            },
        }


def _after_the_first(revision: Revision) -> Record:
    now = time.time()
    past = Past(
        revision=revision, attempt=1, reason=Reason.PROMOTED, message="promoted", started=now - 7200, ended=now - 3600
    )
    proven = Proven(revision=revision, at=past.ended)
    return Record(stable=revision, proven=(proven,), attempts=((revision.name, 1),), history=(past,))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _condition(kind: str, **more: Any) -> Manifest:
    return {"type": kind, "status": "True", "lastTransitionTime": _now(), **more}


_SIZE = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1}


def _running() -> Manifest:
    ended = {"exitCode": 0, "message": json.dumps({"digest": DIGEST}), "startedAt": _now(), "finishedAt": _now()}
    shared = {"restartCount": 0, "image": "tidegate-runtime:0.1.0", "imageID": "sha256:0"}
    conditions = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "podIP": "10.246.0.1",
        "podIPs": [{"ip": "10.246.0.1"}],
        "startTime": _now(),
        "conditions": [_condition(each) for each in conditions],
        "initContainerStatuses": [{"name": DOWNLOAD, "ready": True, **shared, "state": {"terminated": ended}}],
        "containerStatuses": [
            {"name": "model", "ready": True, "started": True, **shared, "state": {"running": {"startedAt": _now()}}}
        ],
    }


def _labels(plan: Plan, revision: Revision) -> dict[str, str]:
    return {MANAGED_BY: MANAGER, OWNER: plan.ref.name, REVISION: revision.name}


def _pod(plan: Plan, revision: Revision, template: Manifest) -> Manifest:
    meta = {**template["metadata"], "name": f"{revision.name}-7d9c8-x2v5q", "namespace": plan.ref.namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def _slice(plan: Plan, revision: Revision, pod: Manifest) -> Manifest:
    target = {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}
    labels = {**_labels(plan, revision), "kubernetes.io/service-name": revision.name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{revision.name}-q9x4t", "namespace": plan.ref.namespace, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": ["10.246.0.1"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"kind": "Pod", **target},
            }
        ],
    }


def _accepted(plan: Plan) -> Manifest:
    conditions = [
        _condition(each, reason=each, message="", observedGeneration=1) for each in ("Accepted", "ResolvedRefs")
    ]
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY}
    name = "example.com/nobody"
    return {"parents": [{"parentRef": parent, "controllerName": name, "conditions": conditions}]}


def paths(namespace: str) -> list[str]:
    """The collections of every kind of which each object has one."""
    return [RESOURCES[kind].path(namespace) for kind in KINDS]
