"""The pod templates of the runtimes, and a user's own fields laid over them.

What a template holds is in its revision's name by way of `preset_version` and the serving digest, and it is rendered
once: `core/frozen.py` keeps it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tidegate.core.labels import MANAGED_BY, MANAGER, MODEL, OWNER, REVISION, VERSION
from tidegate.core.merge import merged, plain
from tidegate.core.modelregistry import RegistryPlan
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

#: The keys of a registry's Secret; the names of MLflow's own variables do as well.
LOGIN_KEYS = ("username", "password", "token")

_HTTP_PORT = 8080
_MLSERVER_METRICS_PORT = 8082
_TRITON_PORT, _TRITON_METRICS_PORT = 8000, 8002
_VLLM_PORT = 8000
_MODELS = "/models"
_MODEL_DIR = f"{_MODELS}/model"
_CA, _CA_DIR = "registry-ca", "/etc/tidegate/registry"
_USER = 65532
#: Seconds between the end of a pod's endpoint and the server's own drain: what gateways take to learn of it.
_PRE_STOP = 5
#: Where the counters of each preset are.
_METRICS_PORTS = {
    Runtime.TIDEGATE: _HTTP_PORT,
    Runtime.MLSERVER: _MLSERVER_METRICS_PORT,
    Runtime.KSERVE: _HTTP_PORT,
    Runtime.TRITON: _TRITON_METRICS_PORT,
    Runtime.VLLM: _VLLM_PORT,
}
#: Probes in a row that must fail before a pod gets no requests. A busy node delays all pods' probes at once, and slow
#: answers are better than none; a process that ended is off its Service without any probe.
_UNREADY = 5
#: Seconds that servers get to answer what they have begun.
_DRAIN = 30
#: `_PRE_STOP`, `_DRAIN`, and some.
_GRACE = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetConfig:
    """What the operator's installation settles for all pods.

    `tracking_uri` is the registry as seen from pods. `runtime_image` holds `tidegate_runtime`; it is the init
    container of the `mlserver` preset too. `registry` is the `ModelRegistry` in the place of the operator's own.
    """

    runtime_image: str
    mlserver_image: str
    tracking_uri: str
    image_pull_policy: str = "IfNotPresent"
    registry: RegistryPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a template is rendered for. `secret` names a Secret whose keys pods get as environment."""

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
    return MetricsTarget(port=_METRICS_PORTS[plan.serving.runtime], path="/metrics")


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
        return _pod([], _custom(subject, config), config)
    pod = _pod([_downloads(subject, config)], _SERVERS[runtime](subject, config), config)
    if runtime in {Runtime.TRITON, Runtime.VLLM}:
        # Their processes speak by shared memory, of which a container has 64 MiB by default.
        pod["spec"]["volumes"].append({"name": "shm", "emptyDir": {"medium": "Memory"}})
        pod["spec"]["containers"][0]["volumeMounts"].append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    return pod


def _pod(before: list[dict[str, Any]], model: dict[str, Any], config: PresetConfig) -> dict[str, Any]:
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
            "volumes": [{"name": "models", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}, *_authority(config)],
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
        "volumeMounts": _mounts(models_read_only=models_read_only),
    }


def _mounts(*, models_read_only: bool) -> list[dict[str, Any]]:
    return [
        {"name": "models", "mountPath": _MODELS, **({"readOnly": True} if models_read_only else {})},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
    ]


def _downloads(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    return {
        **_container(DOWNLOAD, config, image=config.runtime_image, models_read_only=False),
        "command": ["python", "-m", "tidegate_runtime", "download"],
        **_reading(subject, config),
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


def _foreign(subject: Subject, config: PresetConfig, *, port: int, ready: str) -> dict[str, Any]:
    """A server of another project's, in an image of the user's."""
    return {
        **_container(CONTAINER, config, image=None, models_read_only=True),
        **_serving(port),
        "env": _identity(subject),
        "readinessProbe": _probe(ready, period=2, failures=_UNREADY),
    }


def _kserve(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    # The image's own program: each kind of model has another, all of them read these.
    arguments = [f"--model_name={subject.model}", f"--model_dir={_MODEL_DIR}", f"--http_port={_HTTP_PORT}"]
    ready = f"/v2/models/{quote(subject.model, safe='')}/ready"
    return {**_foreign(subject, config, port=_HTTP_PORT, ready=ready), "args": [_literal(word) for word in arguments]}


def _triton(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    return {
        **_foreign(subject, config, port=_TRITON_PORT, ready="/v2/health/ready"),
        "command": ["tritonserver"],
        "args": [
            f"--model-repository={_MODEL_DIR}/artifacts/repository",
            f"--http-port={_TRITON_PORT}",
            f"--metrics-port={_TRITON_METRICS_PORT}",
            f"--exit-timeout-secs={_DRAIN}",
        ],
    }


def _vllm(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    return {
        **_foreign(subject, config, port=_VLLM_PORT, ready="/health"),
        "command": ["vllm", "serve", f"{_MODEL_DIR}/model"],
        "args": [
            f"--tokenizer={_MODEL_DIR}/components/tokenizer",
            _literal(f"--served-model-name={subject.model}"),
            f"--port={_VLLM_PORT}",
            # Without it, what is being answered is cut off at the end of a pod.
            f"--shutdown-timeout={_DRAIN}",
        ],
    }


_SERVERS: Mapping[Runtime, Callable[[Subject, PresetConfig], dict[str, Any]]] = {
    Runtime.TIDEGATE: _tidegate,
    Runtime.MLSERVER: _mlserver,
    Runtime.KSERVE: _kserve,
    Runtime.TRITON: _triton,
    Runtime.VLLM: _vllm,
}


def _custom(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    # The image is the user's to give; a server that listens is the least that readiness can mean.
    reading = _reading(subject, config)
    port = {"tcpSocket": {"port": PORT}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": _UNREADY}
    return {
        **_container(CONTAINER, config, image=None, models_read_only=False),
        **_serving(_HTTP_PORT),
        **reading,
        "env": [*reading["env"], _variable("TIDEGATE_PORT", str(_HTTP_PORT))],
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
    own = config.registry
    return [
        _variable("MLFLOW_TRACKING_URI", own.url if own else config.tracking_uri),
        *([_variable("MLFLOW_WORKSPACE", own.workspace)] if own and own.workspace else []),
        *([_variable("MLFLOW_TRACKING_SERVER_CERT_PATH", f"{_CA_DIR}/{own.ca.key}")] if own and own.ca else []),
        {"name": "TIDEGATE_MODEL_DIGEST", "valueFrom": {"configMapKeyRef": digest}},
    ]


def _reading(subject: Subject, config: PresetConfig) -> dict[str, Any]:
    """What a container needs that reads the registry. Secrets by reference, never as a copy."""
    own = config.registry
    secret = subject.secret or (own.secret if own else None)
    # A Secret of Kubernetes' own type for logins names its keys otherwise than MLflow does.
    named = {f"MLFLOW_TRACKING_{key.upper()}": key for key in LOGIN_KEYS} if secret and not subject.secret else {}
    logins = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": True}}}
        for variable, key in named.items()
    ]
    mounted = {"name": _CA, "mountPath": _CA_DIR, "readOnly": True}
    return {
        "env": [*_identity(subject), *_registry(subject, config), *logins],
        **({"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}),
        **({"volumeMounts": [*_mounts(models_read_only=False), mounted]} if own and own.ca else {}),
    }


def _authority(config: PresetConfig) -> list[dict[str, Any]]:
    """The volume with the certificates that the registry's own is signed by."""
    ca = config.registry.ca if config.registry else None
    if ca is None:
        return []
    items = [{"key": ca.key, "path": ca.key}]
    if ca.kind == "Secret":
        return [{"name": _CA, "secret": {"secretName": ca.name, "items": items}}]
    return [{"name": _CA, "configMap": {"name": ca.name, "items": items}}]


def _variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": _literal(value)}


def _literal(text: str) -> str:
    # Kubernetes expands $(OTHER) in values and arguments; a doubled $ stands for itself.
    return text.replace("$", "$$")
