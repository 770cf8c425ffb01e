"""How a version is served: the runtime preset, its pods, and where a `custom` runtime counts its requests."""

import re
from typing import Annotated, Literal

from pydantic import Field

from tidegate.api.autoscaling import Autoscaling
from tidegate.api.rules import Open, Rule, Text, Wire
from tidegate.api.scalars import Quantity

#: The container that serves the model, in every preset and in `template`.
CONTAINER = "model"

#: The presets whose image is the user's to give.
OWN_IMAGE = ("kserve", "triton", "vllm", "custom")
#: The presets that speak another protocol than MLflow's, in which input examples are saved.
NO_EXAMPLE = ("kserve", "triton", "vllm")

_MetricName = Annotated[
    str,
    Text(
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        max_length=200,
        remedy="must be the name of a Prometheus metric such as http_requests_total",
    ),
]
_LabelName = Annotated[
    str,
    Text(
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        max_length=200,
        remedy="must be the name of a Prometheus label such as code",
    ),
]
_DnsLabel = Annotated[
    str,
    Text(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        remedy="must be a DNS label: lower case letters, digits and '-', at most 63 characters",
    ),
]
_RESOURCE = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_ResourceList = Annotated[
    dict[str, Quantity],
    Field(max_length=16),
    Rule(
        cel=f"self.all(name, size(name) <= 253 && name.matches('{_RESOURCE}'))",
        holds=lambda names: all(len(name) <= 253 and re.fullmatch(_RESOURCE, name) for name in names),  # noqa: PLR2004
        message="must have names such as cpu, memory or nvidia.com/gpu",
    ),
]
_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_KEYS = Rule(
    cel=f"self.all(key, size(key) <= 253 && key.matches('{_KEY}') && !key.startsWith('tidegate.dev/'))",
    holds=lambda keys: all(
        len(key) <= 253 and re.fullmatch(_KEY, key) and not key.startswith("tidegate.dev/")  # noqa: PLR2004
        for key in keys
    ),
    message="must have keys such as team or example.com/team; those under tidegate.dev/ belong to Tidegate",
)
_LabelValue = Annotated[
    str,
    Text(
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        min_length=0,
        max_length=63,
        remedy="must be a label's value: letters, digits, '-', '_' and '.', at most 63 characters",
    ),
]


class RequestCounter(Wire):
    """The counter of answered requests."""

    metric: _MetricName
    """Name of the counter."""
    code_label: _LabelName
    """The label that holds the HTTP status: 200, or a class such as 2xx."""


class DurationHistogram(Wire):
    """The histogram of answer times."""

    metric: _MetricName
    """Name of the histogram, without _bucket."""
    unit: Literal["seconds", "milliseconds"] = "seconds"
    """Unit of its edges."""


class Metrics(Wire):
    """Where a custom runtime counts its requests, in Prometheus' text format."""

    port: int = Field(ge=1, le=65535)
    """The pod's port that metrics are read from."""
    path: Annotated[
        str,
        Text(
            pattern=r"^/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*$",
            max_length=256,
            remedy="must be an absolute path such as /metrics",
        ),
    ] = "/metrics"
    """The path that metrics are read from."""
    requests: RequestCounter
    """The counter that feeds errorRate and clientErrors."""
    duration: DurationHistogram | None = None
    """The histogram that feeds latency; absent: no guard on latency."""


class Resources(Wire):
    """Resources of the container `model`."""

    limits: _ResourceList | None = None
    """The most that it may use."""
    requests: _ResourceList | None = None
    """What the scheduler keeps for it."""


class Container(Open):
    """A container, merged by name over the preset's; further fields as in Kubernetes."""

    name: _DnsLabel
    """Name of the container; `model` serves the model."""
    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Image of the container. With runtimes other than tidegate and mlserver that of `model` is required."""


class PodSpec(Open):
    """Pod spec, merged over the preset's; further fields as in Kubernetes."""

    containers: (
        Annotated[
            list[Container],
            Field(max_length=8),
            Rule(
                cel="self.all(c, self.exists_one(d, d.name == c.name))",
                holds=lambda parts: len({part.name for part in parts}) == len(parts),
                message="has two containers of one name",
            ),
        ]
        | None
    ) = None
    """Containers: `model` and sidecars."""
    restart_policy: Literal["Always"] | None = None
    """Always, the only one that a Deployment takes."""


class PodMetadata(Wire):
    """Metadata of the pods."""

    labels: Annotated[dict[str, _LabelValue], Field(max_length=32), _KEYS] | None = None
    """Labels of the pods."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32), _KEYS] | None = None
    """Annotations of the pods."""


class PodTemplate(Wire):
    """Pods of the model."""

    metadata: PodMetadata | None = None
    """Labels and annotations."""
    spec: PodSpec | None = None
    """Containers, volumes, scheduling."""


def _has_image(serving: "Serving") -> bool:
    template = serving.template
    containers = template.spec.containers if template and template.spec else None
    return any(part.name == CONTAINER and part.image is not None for part in containers or [])


class Serving(Wire):
    """How a version is served."""

    rules = (
        Rule(
            cel="self.runtime == 'custom' || !has(self.metrics)",
            holds=lambda serving: serving.runtime == "custom" or serving.metrics is None,
            message="is for runtime custom only, the presets know where they count: leave it out",
            field="metrics",
        ),
        Rule(
            cel="self.runtime != 'custom' || has(self.metrics)",
            holds=lambda serving: serving.runtime != "custom" or serving.metrics is not None,
            message="runtime custom must say where it counts requests, else nothing feeds the guards: set port and "
            "requests",
            field="metrics",
        ),
        Rule(
            cel=f"!(self.runtime in {list(OWN_IMAGE)}) || (has(self.template) && has(self.template.spec) && "
            "has(self.template.spec.containers) && self.template.spec.containers.exists(c, "
            f"c.name == '{CONTAINER}' && has(c.image)))",
            holds=lambda serving: serving.runtime not in OWN_IMAGE or _has_image(serving),
            message=f"runtimes {', '.join(OWN_IMAGE)} must bring a container named {CONTAINER} with an image",
            field="template",
        ),
        Rule(
            cel="!has(self.autoscaling) || !has(self.replicas)",
            holds=lambda serving: serving.autoscaling is None or serving.replicas is None,
            message="autoscaling says how many pods there are: leave replicas out, or write autoscaling.minReplicas",
            field="replicas",
        ),
    )
    replicas: int | None = Field(default=None, ge=1, le=1000)
    """Pods of the version that serves; absent, and no autoscaling either: 1. A canary has the pods that its weight
    needs. Changing it starts no rollout."""
    autoscaling: Autoscaling | None = None
    """An autoscaler for each version. Changing it starts no rollout."""
    runtime: Literal["tidegate", "mlserver", "kserve", "triton", "vllm", "custom"] = "tidegate"
    """The preset that serves the model: Tidegate's own runtime, MLServer, a Python server of KServe, Triton, vLLM, or a
    container of your own. That one serves on the port named http: 8080 (also in the environment as TIDEGATE_PORT),
    unless the template says another."""
    metrics: Metrics | None = None
    """Where a custom runtime counts its requests."""
    resources: Resources | None = None
    """Resources of the container `model`."""
    template: PodTemplate | None = None
    """Pods of the model, merged over what the preset brings."""
