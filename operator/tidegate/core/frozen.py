"""The immutable record of how a revision is served, as an `apps/v1` ControllerRevision.

A Deployment that was deleted by hand, or whose operator has another preset by now, is made again from it to the
letter. The API server refuses to change the data of a ControllerRevision.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tidegate.core.labels import MANAGED_BY, MANAGER, OWNER, REVISION
from tidegate.core.merge import plain
from tidegate.core.ownership import owner_references
from tidegate.core.plan import MetricsFormat, Plan, Runtime
from tidegate.core.presets import MetricsTarget, PresetConfig, metrics_of, template_of
from tidegate.core.values import ObjectRef, Revision, VersionId

CONTROLLER_REVISION = "ControllerRevision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """How one revision is served, for as long as it lives.

    `template` is a `PodTemplateSpec` as JSON. `metrics` is where its pods show their counters and `counters` how a
    `custom` runtime names them; both are None where nothing can be read.
    """

    revision: Revision
    runtime: Runtime
    template: Mapping[str, Any]
    metrics: MetricsTarget | None = None
    counters: MetricsFormat | None = None


def freeze(plan: Plan, revision: Revision, config: PresetConfig) -> Frozen:
    """Render a new revision."""
    return Frozen(
        revision=revision,
        runtime=plan.serving.runtime,
        template=template_of(plan, revision, config),
        metrics=metrics_of(plan),
        counters=plan.serving.metrics if plan.serving.runtime is Runtime.CUSTOM else None,
    )


def frozen(kept: Frozen, owner: ObjectRef) -> dict[str, Any]:
    """The ControllerRevision of a revision."""
    version = kept.revision.version
    data = {
        "revision": {
            "name": kept.revision.name,
            "registry": version.registry,
            "model": version.model,
            "modelCreatedMs": version.model_created_ms,
            "number": version.number,
            "serving": kept.revision.serving,
            "preset": kept.revision.preset,
        },
        "runtime": kept.runtime.value,
        "template": plain(kept.template),
        "metrics": asdict(kept.metrics) if kept.metrics else None,
        "counters": asdict(kept.counters) if kept.counters else None,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": CONTROLLER_REVISION,
        "metadata": {
            "name": kept.revision.name,
            "namespace": owner.namespace,
            "labels": {MANAGED_BY: MANAGER, OWNER: owner.name, REVISION: kept.revision.name},
            "ownerReferences": owner_references(owner),
        },
        "revision": 1,
        "data": plain(data),
    }


def frozen_from(controller_revision: Mapping[str, Any]) -> Frozen | None:
    """Read back what `frozen` wrote; None for a ControllerRevision that holds something else."""
    data = controller_revision.get("data")
    try:
        return _thawed(data) if isinstance(data, Mapping) else None
    except (KeyError, TypeError, ValueError):
        return None


def _thawed(data: Mapping[str, Any]) -> Frozen:
    identity, metrics, counters = data["revision"], data.get("metrics"), data.get("counters")
    version = VersionId(
        registry=str(identity["registry"]),
        model=str(identity["model"]),
        model_created_ms=int(identity["modelCreatedMs"]),
        number=str(identity["number"]),
    )
    return Frozen(
        revision=Revision(
            name=str(identity["name"]),
            version=version,
            serving=str(identity["serving"]),
            preset=str(identity["preset"]),
        ),
        runtime=Runtime(data["runtime"]),
        template=dict(data["template"]),
        metrics=MetricsTarget(**metrics) if metrics else None,
        counters=MetricsFormat(**counters) if counters else None,
    )
