"""Autoscaling that is right and that is wrong, for pydantic and the real API server alike."""

from collections.abc import Mapping
from typing import Any

from tests.unit.api.case import Case, right, wrong

_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
_QUEUE = {
    "type": "External",
    "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"a": "b"}}},
        "target": {"type": "Value", "value": "10"},
    },
}


def _autoscaled(**fields: Any) -> Mapping[str, Any]:
    return {"serving": {"autoscaling": fields}}


def _refused(says: str, field: str, **fields: Any) -> Case:
    return wrong(says, f"spec.serving.autoscaling.{field}", _autoscaled(**fields))


AUTOSCALED = (
    right("an autoscaler with no more than a maximum", _autoscaled(maxReplicas=5)),
    right("an autoscaler that may do nothing", _autoscaled(minReplicas=2, maxReplicas=2)),
    right("an autoscaler that overcommits", _autoscaled(maxReplicas=5, targetCPUUtilization=150)),
    right("an autoscaler by metrics of several kinds", _autoscaled(maxReplicas=5, metrics=[_CPU, _QUEUE])),
    right("an autoscaler by no metrics", _autoscaled(maxReplicas=5, metrics=[])),
)
NOT_AUTOSCALED = (
    wrong(
        "replicas beside an autoscaler",
        "spec.serving.replicas",
        {"serving": {"replicas": 2, "autoscaling": {"maxReplicas": 5}}},
    ),
    _refused("an autoscaler without an end", "maxReplicas", minReplicas=2),
    _refused("a minimum above the maximum", "minReplicas", minReplicas=6, maxReplicas=5),
    _refused("an autoscaler down to nothing", "minReplicas", minReplicas=0, maxReplicas=5),
    _refused("a maximum as text", "maxReplicas", maxReplicas="5"),
    _refused("a target of nothing", "targetCPUUtilization", maxReplicas=5, targetCPUUtilization=0),
    _refused(
        "a field of an older API", "targetCPUUtilizationPercentage", maxReplicas=5, targetCPUUtilizationPercentage=5
    ),
    _refused("a metric of no kind", "metrics[0].type", maxReplicas=5, metrics=[{"resource": _CPU["resource"]}]),
    _refused("a metric of an unknown kind", "metrics[0].type", maxReplicas=5, metrics=[{"type": "Cpu"}]),
    _refused("a metric without its source", "metrics[0].type", maxReplicas=5, metrics=[{"type": "Pods"}]),
    _refused(
        "a metric with another's source", "metrics[1].type", maxReplicas=5, metrics=[_CPU, {**_QUEUE, "type": "Pods"}]
    ),
    _refused("a metric with two sources", "metrics[0].type", maxReplicas=5, metrics=[{**_QUEUE, **_CPU}]),
)
