"""The pod templates of the runtimes, and a user's own fields laid over them.

What a template holds is in its revision's name by way of `preset_version` and the serving digest, and it is rendered
once: `core/frozen.py` keeps it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tidegate.core.labels import MANAGED_BY, MANAGER, MODEL, OWNER, REVISION, VERSION
from tidegate.core.merge import merged, plain
from tidegate.core.plan import Plan, Runtime
from tidegate.core.values import Revision, safe_hash

#: The container that serves, in every preset.
CONTAINER = "model"
#: The init container that brings the model's files, in presets that have one.
DOWNLOAD = "download"
#: The name of the port that serves. Services point at it by name, so it may have any number.
PORT = "http"
#: The key of a revision's ConfigMap that holds the artifact digest its first pod computed.
DIGEST_KEY = "digest"

_HTTP_PORT = 8080
_MLSERVER_METRICS_PORT = 8082
_MODELS = "/models"
_MODEL_DIR = f"{_MODELS}/model"
_USER = 65532
#: Seconds between the end of a pod's endpoint and the server's own drain: what gateways take to learn of it.
_PRE_STOP = 5
#: Probes in a row that must fail before a pod gets no requests. A busy node delays all pods' probes at once, and slow
#: answers are better than none; a process that ended is off its Service without any probe.
_UNREADY = 5
#: `_PRE_STOP`, the runtime's own drain (30 s), and some.
_GRACE = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetConfig:
    """What the operator's installation settles for all pods.

    `tracking_uri` is the registry as seen from pods. `runtime_image` holds `tidegate_runtime`; it is the init
    container of the `mlserver` preset too.
    """

    runtime_image: str
    mlserver_image: str
    tracking_uri: str
    image_pull_policy: str = "IfNotPresent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a template is rendered for. `secret` names the Secret with the registry's credentials for pods."""

    model: str
    number: str
    revision: str
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsTarget:
    """Where a revision's pods show their counters."""

    port: int
    path: str


def preset_version(runtime: Runtime, config: PresetConfig) -> str:
    """A short name for what a preset renders now; another image or another template is another name."""
    nobody = Subject(model="", number="", revision="")
    content = json.dumps(preset(runtime, nobody, config), sort_keys=True, separators=(",", ":"))
    return safe_hash(content)


def metrics_of(plan: Plan) -> MetricsTarget | None:
    """Where the plan's runtime shows its counters; None for a `custom` one that says nothing of them."""
    if plan.serving.runtime is Runtime.CUSTOM:
        own = plan.serving.metrics
        return MetricsTarget(port=own.port, path=own.path) if own else None
    port = _HTTP_PORT if plan.serving.runtime is Runtime.TIDEGATE else _MLSERVER_METRICS_PORT
    return MetricsTarget(port=port, path="/metrics")


def template_of(plan: Plan, revision: Revision, config: PresetConfig) -> dict[str, Any]:
    """The pod template (`PodTemplateSpec` as JSON) of a revision: preset, then the user's fields, then our labels."""
    subject = Subject(
        model=revision.version.model,
        number=revision.version.number,
        revision=revision.name,
        secret=plan.registry_secret,
    )
    base = preset(plan.serving.runtime, subject, config)
    resources = plan.serving.canonical.get("resources")
    if resources:
        for container in (*base["spec"].get("initContainers", ()), *base["spec"]["containers"]):
            container["resources"] = plain(resources)
    template = merged(base, plan.serving.canonical.get("template") or {})
    ours = {
        "metadata": {
            "labels": {MANAGED_BY: MANAGER, OWNER: plan.ref.name, REVISION: revision.name},
            "annotations": {MODEL: subject.model, VERSION: subject.number},
        }
    }
    return merged(template, ours)


def preset(runtime: Runtime, subject: Subject, config: PresetConfig) -> dict[str, Any]:
    """What a runtime brings by itself, without anything of the user's."""
    if runtime is Runtime.CUSTOM:
        return _pod([], _custom(subject, config))
    server = _tidegate if runtime is Runtime.TIDEGATE else _mlserver
    return _pod([_downloads(subject, config)], server(subject, config))


def _pod(before: list[dict[str, Any]], model: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            **({"initContainers": before} if before else {}),
            "containers": [model],
            "volumes": [{"name": "models", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        },
    }


def _container(name: str, config: PresetConfig, *, image: str | None, models_read_only: bool) -> dict[str, Any]:
    return {
        "name": name,
        **({"image": image} if image else {}),
        "imagePullPolicy": config.image_pull_policy,
        # The last lines of the log are the best that a program without a termination message says.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "volumeMounts": [
            {"name": "models", "mountPath": _MODELS, **({"readOnly": True} if models_read_only else {})},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    }


def _downloads(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    return {
        **_container(DOWNLOAD, config, image=config.runtime_image, models_read_only=False),
        "command": ["python", "-m", "tidegate_runtime", "download"],
        "env": [*_identity(subject), *_registry(subject, config)],
        **_credentials(subject),
    }


def _serving(port: int) -> dict[str, Any]:
    return {
        "ports": [{"name": PORT, "containerPort": port}],
        "lifecycle": {"preStop": {"sleep": {"seconds": _PRE_STOP}}},
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    get = {"path": path, "port": PORT}
    return {"httpGet": get, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures}


def _tidegate(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    return {
        **_container(CONTAINER, config, image=config.runtime_image, models_read_only=True),
        **_serving(_HTTP_PORT),
        "command": ["python", "-m", "tidegate_runtime", "serve"],
        "env": [*_identity(subject), _variable("TIDEGATE_PORT", str(_HTTP_PORT))],
        "readinessProbe": _probe("/ready", period=2, failures=_UNREADY),
        "livenessProbe": _probe("/ping", period=10, failures=6),
    }


def _mlserver(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    # The server's own readiness stays green over a model that can't be loaded; only the model's tells the truth.
    ready = f"/v2/models/{quote(subject.model, safe='')}/ready"
    own = {
        "MLSERVER_HTTP_PORT": str(_HTTP_PORT),
        "MLSERVER_METRICS_PORT": str(_MLSERVER_METRICS_PORT),
        "MLSERVER_MODEL_NAME": subject.model,
        "MLSERVER_MODEL_URI": _MODEL_DIR,
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_mlflow.MLflowRuntime",
    }
    return {
        **_container(CONTAINER, config, image=config.mlserver_image, models_read_only=True),
        **_serving(_HTTP_PORT),
        "command": ["mlserver", "start", _MODEL_DIR],
        # It writes its metrics and environments below its working directory.
        "workingDir": "/tmp",  # noqa: S108 - a volume of the pod's own
        "env": [*_identity(subject), *(_variable(name, value) for name, value in own.items())],
        "readinessProbe": _probe(ready, period=2, failures=_UNREADY),
    }


def _custom(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    # The image is the user's to give; a server that listens is the least that readiness can mean.
    port = {"tcpSocket": {"port": PORT}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": _UNREADY}
    return {
        **_container(CONTAINER, config, image=None, models_read_only=False),
        **_serving(_HTTP_PORT),
        "env": [*_identity(subject), *_registry(subject, config), _variable("TIDEGATE_PORT", str(_HTTP_PORT))],
        **_credentials(subject),
        "readinessProbe": port,
    }


def _identity(subject: Subject) -> list[dict[str, Any]]:
    return [
        _variable("TIDEGATE_MODEL_NAME", subject.model),
        _variable("TIDEGATE_MODEL_VERSION", subject.number),
        _variable("TIDEGATE_REVISION", subject.revision),
        _variable("TIDEGATE_MODEL_DIR", _MODEL_DIR),
        _variable("HOME", "/tmp"),  # noqa: S108 - a volume of the pod's own
    ]


def _registry(subject: Subject, config: PresetConfig) -> list[dict[str, Any]]:
    digest = {"name": subject.revision, "key": DIGEST_KEY, "optional": True}
    return [
        _variable("MLFLOW_TRACKING_URI", config.tracking_uri),
        {"name": "TIDEGATE_MODEL_DIGEST", "valueFrom": {"configMapKeyRef": digest}},
    ]


def _credentials(subject: Subject) -> Mapping[str, Any]:
    """The Secret's keys as environment: a reference, never a copy. Only where the registry is read."""
    return {"envFrom": [{"secretRef": {"name": subject.secret}}]} if subject.secret else {}


def _variable(name: str, value: str) -> dict[str, str]:
    # Kubernetes expands $(OTHER) in values; a doubled $ stands for itself.
    return {"name": name, "value": value.replace("$", "$$")}
