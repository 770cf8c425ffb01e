"""What the core renders, before the real API server with strict field validation."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.cluster.light import LightCluster
from tests.fixtures.plans import CONFIG, gateway, plan, revision, serving

from tidegate.adapters.access import Access
from tidegate.adapters.kube import KubeCluster
from tidegate.core.drift import differs
from tidegate.core.frozen import Frozen, freeze, frozen_from
from tidegate.core.httproute import reweighted, route
from tidegate.core.manifests import Known, revision_objects
from tidegate.core.plan import Autoscaling, Plan, Runtime
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef
from tidegate.errors import Conflict, Refused

pytestmark = pytest.mark.apiserver

#: Much of what a user may say, in the words in which people say it.
#: As a person may write quantities, and as the API server never does.
AUTOSCALING = Autoscaling(
    most=9,
    metrics=(
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu", "container": "model", "target": {"type": "Utilization", "averageUtilization": 70},
            },
        },
        {"type": "Pods", "pods": {"metric": {"name": "a"}, "target": {"type": "AverageValue", "averageValue": 4}}},
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "Value", "value": "10000m"},
            },
        },
    ),
)  # fmt: skip
TALKATIVE: dict[str, Any] = {
    "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 2, "memory": "2147483648"}},
    "template": {
        "metadata": {"labels": {"team": "risk"}, "annotations": {"note": "1000m"}},
        "spec": {
            "hostNetwork": False,
            "priorityClassName": "",
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["x"]}],
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
            ],
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "podAffinityTerm": {"topologyKey": "host", "labelSelector": {}}}
                    ]
                }
            },
            "volumes": [
                {"name": "scratch", "emptyDir": {"sizeLimit": "0.5Gi", "medium": ""}},
                {
                    "name": "both",
                    "projected": {
                        "sources": [
                            {
                                "downwardAPI": {
                                    "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
                                }
                            },
                            {"serviceAccountToken": {"path": "token", "audience": "x"}},
                        ]
                    },
                },
            ],
            "containers": [
                {
                    "name": "model",
                    "image": "example.invalid/mine:1",
                    "env": [
                        {"name": "EMPTY", "value": ""},
                        {
                            "name": "LIMIT",
                            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
                        },
                        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    ],
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch", "readOnly": False}],
                    "readinessProbe": {"grpc": {"port": 9000}},
                    "startupProbe": {
                        "httpGet": {"path": "/up", "port": "http", "httpHeaders": [{"name": "a", "value": "b"}]}
                    },
                },
                {"name": "sidecar", "image": "example.invalid/sidecar:1", "ports": [{"containerPort": 9001}]},
            ],
        },
    },
}
CUSTOM: dict[str, Any] = {"template": {"spec": {"containers": [{"name": "model", "image": "example.invalid/mine:1"}]}}}
WISHES = [
    pytest.param(Runtime.TIDEGATE, {}, id="tidegate"),
    pytest.param(Runtime.MLSERVER, {}, id="mlserver"),
    *(pytest.param(other, CUSTOM, id=other.value) for other in (Runtime.KSERVE, Runtime.TRITON, Runtime.VLLM)),
    pytest.param(Runtime.CUSTOM, CUSTOM, id="custom"),
    pytest.param(Runtime.TIDEGATE, TALKATIVE, id="tidegate, talkative"),
    pytest.param(Runtime.CUSTOM, TALKATIVE, id="custom, talkative"),
    pytest.param(Runtime.TIDEGATE, {"autoscaling": AUTOSCALING}, id="tidegate, autoscaled"),
]
ROUTES = [
    pytest.param({}, id="plain"),
    pytest.param({"hostnames": ()}, id="every host"),
    pytest.param(
        {
            "matches": (
                {"path": {"value": "/fraud"}, "headers": [{"name": "a", "value": "b"}]},
                {"queryParams": [{"name": "q", "value": "1"}], "method": "POST"},
            ),
            "filters": (
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
                {
                    "type": "URLRewrite",
                    "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/"}},
                },
            ),
            "timeouts": {"request": "10s", "backendRequest": "5s"},
        },
        id="talkative",
    ),
]


def rendered(
    namespace: str, runtime: Runtime, fields: dict[str, Any], **kept: Any
) -> tuple[Plan, list[dict[str, Any]]]:
    ref = ObjectRef(namespace=namespace, name="fraud", uid="0b5e5f0e-5a39-4a4e-8f0c-7f7d4c1c3f10")
    scaled = fields.get("autoscaling")
    served = replace(serving(runtime, **{k: v for k, v in fields.items() if k != "autoscaling"}), autoscaling=scaled)
    wish = plan(ref=ref, serving=served, registry_secret="mlflow-login", **kept)
    which = revision(served=served)
    known = Known(
        frozen={which.name: freeze(wish, which, CONFIG)}, digests={which.name: f"sha256:{'0' * 64}"}, sizes={}
    )
    return wish, revision_objects(wish, Record(stable=which), known, which)


async def settled(cluster: KubeCluster, wanted: dict[str, Any]) -> None:
    """Apply, read back, and see that nothing differs and that applying again is no write."""
    applied = await cluster.apply(wanted)
    live = await cluster.get(wanted["kind"], wanted["metadata"]["namespace"], wanted["metadata"]["name"])
    assert live is not None
    assert not differs(live, wanted)
    again = await cluster.apply(wanted)
    assert again["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]


@pytest.mark.parametrize(("runtime", "fields"), WISHES)
async def test_every_object_of_a_revision_is_taken_as_it_is_and_stays_so(
    kube_access: Access, namespace: str, runtime: Runtime, fields: dict[str, Any]
) -> None:
    _, objects = rendered(namespace, runtime, fields)
    for wanted in objects:
        await settled(KubeCluster(kube_access), wanted)


@pytest.mark.parametrize("fields", ROUTES)
async def test_a_route_is_taken_as_it_is_and_stays_so(
    kube_access: Access, namespace: str, fields: dict[str, Any]
) -> None:
    wish, _ = rendered(namespace, Runtime.TIDEGATE, {}, gateway=gateway(**fields))
    await settled(KubeCluster(kube_access), route(wish, {"v7": 75, "v8": 25}, {"v7": "7", "v8": "8"}, "record"))


async def test_a_revert_is_one_write_on_the_route_that_was_read(kube_access: Access, namespace: str) -> None:
    cluster = KubeCluster(kube_access)
    wish, _ = rendered(namespace, Runtime.TIDEGATE, {})
    live = await cluster.apply(route(wish, {"v7": 75, "v8": 25}, {"v7": "7", "v8": "8"}, "record"))
    revert = reweighted(live, {"v7": 100, "v8": 0}, "verdict")

    after = await cluster.apply(revert)

    weights = {backend["name"]: backend["weight"] for backend in after["spec"]["rules"][0]["backendRefs"]}
    assert weights == {"v7": 100, "v8": 0}
    assert not differs(after, route(wish, {"v7": 100, "v8": 0}, {"v7": "7", "v8": "8"}, "verdict"))
    with pytest.raises(Conflict):
        await cluster.apply(revert)


@pytest.mark.parametrize(("runtime", "fields"), WISHES[:3])
async def test_the_pods_of_every_preset_pass_the_restricted_pod_security_standard(
    apiserver: LightCluster, kube_access: Access, namespace: str, runtime: Runtime, fields: dict[str, Any]
) -> None:
    apiserver.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    _, objects = rendered(namespace, runtime, fields)
    template = next(o for o in objects if o["kind"] == "Deployment")["spec"]["template"]
    metadata = {**template["metadata"], "name": "probe", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    created = await KubeCluster(kube_access).create(pod)
    assert created["metadata"]["uid"]


async def test_a_frozen_revision_survives_the_api_server_and_cannot_be_changed(
    kube_access: Access, namespace: str
) -> None:
    cluster = KubeCluster(kube_access)
    wish, objects = rendered(namespace, Runtime.TIDEGATE, TALKATIVE)
    live = await cluster.apply(objects[0])
    kept = frozen_from(live)
    assert isinstance(kept, Frozen)
    assert kept == freeze(wish, kept.revision, CONFIG)
    changed = json.loads(json.dumps(objects[0]))
    changed["data"]["template"]["spec"]["containers"][0]["image"] = "other"
    with pytest.raises(Refused, match="data: Invalid value"):
        await cluster.apply(changed)


async def test_a_typing_error_in_a_users_template_is_refused_with_its_path(kube_access: Access, namespace: str) -> None:
    wrong = {"template": {"spec": {"containers": [{"name": "model", "imagePullpolicy": "Always"}]}}}
    _, objects = rendered(namespace, Runtime.TIDEGATE, wrong)
    with pytest.raises(Refused, match=r"containers.*imagePullpolicy"):
        await KubeCluster(kube_access).apply(objects[-1])


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("Deployment", {"spec": {"replicas": 0}}),
        ("Deployment", {"metadata": {"labels": {"tidegate.dev/role": "canary"}}}),
        ("Service", {"spec": {"selector": {"app": "mine"}}}),
        ("Service", {"metadata": {"ownerReferences": None}}),
        ("ConfigMap", {"data": {"digest": "sha256:1"}}),
    ],
)
async def test_what_is_changed_by_hand_is_seen_and_put_back(
    apiserver: LightCluster, kube_access: Access, namespace: str, kind: str, patch: dict[str, Any]
) -> None:
    cluster = KubeCluster(kube_access)
    _, objects = rendered(namespace, Runtime.TIDEGATE, {})
    wanted = next(o for o in objects if o["kind"] == kind)
    name = wanted["metadata"]["name"]
    await cluster.apply(wanted)
    apiserver.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(patch))
    edited = await cluster.get(kind, namespace, name)
    assert edited is not None
    assert differs(edited, wanted)
    assert not differs(await cluster.apply(wanted), wanted)
