"""How many pods an autoscaler may give to a version, and by what it decides."""

from typing import Annotated, Literal

from pydantic import Field

from tidegate.api.rules import Open, Rule, Wire

#: The field that a metric's type asks for, as in `autoscaling/v2`.
_SOURCES = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


class MetricSource(Open):
    """What is measured, and its target; the fields are those of Kubernetes."""


def _named_by_type(metric: "Metric") -> bool:
    given = {
        "resource": metric.resource,
        "containerResource": metric.container_resource,
        "pods": metric.pods,
        "object": metric.object,
        "external": metric.external,
    }
    return [name for name, source in given.items() if source is not None] == [_SOURCES[metric.type]]


class Metric(Wire):
    """A metric as in a HorizontalPodAutoscaler of autoscaling/v2."""

    rules = (
        Rule(
            cel=" && ".join(f"(self.type == '{kind}') == has(self.{field})" for kind, field in _SOURCES.items()),
            holds=_named_by_type,
            message="must have the field that type names, and no other: resource for Resource, pods for Pods, ...",
            field="type",
        ),
    )
    type: Literal["Resource", "ContainerResource", "Pods", "Object", "External"]
    """What kind of metric it is. Resource, ContainerResource and Pods are measured on the pods of each version by
    themselves; Object and External are the same for stable and canary."""
    resource: MetricSource | None = None
    """For Resource: name and target."""
    container_resource: MetricSource | None = None
    """For ContainerResource: name, container and target."""
    pods: MetricSource | None = None
    """For Pods: metric and target."""
    object: MetricSource | None = None
    """For Object: describedObject, metric and target."""
    external: MetricSource | None = None
    """For External: metric and target."""


class Autoscaling(Wire):
    """A HorizontalPodAutoscaler for each version, made by Tidegate."""

    rules = (
        Rule(
            cel="self.minReplicas <= self.maxReplicas",
            holds=lambda scaling: scaling.min_replicas <= scaling.max_replicas,
            message="must not be more than maxReplicas",
            field="minReplicas",
        ),
    )
    min_replicas: int = Field(default=1, ge=1, le=1000)
    """The fewest pods of the version that serves. In a rollout it keeps at least those that it had at the start, and
    the canary has at least those that its next weight takes."""
    max_replicas: int = Field(ge=1, le=1000)
    """The most pods of each version."""
    target_cpu_utilization: int | None = Field(default=None, alias="targetCPUUtilization", ge=1, le=1000)
    """CPU use of the container `model` that is aimed at, in per cent of what it requests. Absent, and no metrics
    either: 80."""
    metrics: Annotated[list[Metric], Field(max_length=16)] | None = None
    """Further metrics; the one that asks for the most pods counts."""
