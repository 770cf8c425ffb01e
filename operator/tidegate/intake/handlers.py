"""kopf as an informer: every watched event goes to the cache and asks for a pass. Nothing else happens here.

Only `on.event` handlers: with any other kind kopf writes annotations and finalizers to users' objects.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from tidegate.core.labels import GATEWAY_GROUP, GROUP, MANAGED_BY, MANAGER

#: (group, version, plural, kind, whether only what carries our label is watched)
WATCHED: tuple[tuple[str, str, str, str, bool], ...] = (
    (GROUP, "v1alpha1", "modeldeployments", "ModelDeployment", False),
    (GROUP, "v1alpha1", "modelapprovals", "ModelApproval", False),
    (GROUP, "v1alpha1", "modelregistries", "ModelRegistry", False),
    (GROUP, "v1alpha1", "modelpromotions", "ModelPromotion", False),
    (GROUP, "v1alpha1", "promotionpolicies", "PromotionPolicy", False),
    (GROUP, "v1alpha1", "retrainingrequests", "RetrainingRequest", False),
    (GATEWAY_GROUP, "v1", "httproutes", "HTTPRoute", False),
    ("apps", "v1", "deployments", "Deployment", True),
    ("apps", "v1", "controllerrevisions", "ControllerRevision", True),
    ("", "v1", "services", "Service", True),
    ("", "v1", "configmaps", "ConfigMap", True),
    ("", "v1", "pods", "Pod", True),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", False),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Where events go: `seen` for an object that is, `gone` for one that is not any more.

    `listed` takes in a list of a kind in a namespace (None: in all), and tells the version that a watch goes on from;
    None where the kind isn't served.
    """

    seen: Callable[[str, Mapping[str, Any]], None]
    gone: Callable[[str, Mapping[str, Any]], None]
    listed: Callable[[str, str | None], Awaitable[str | None]]


def register(registry: kopf.OperatorRegistry, intake: Intake) -> None:
    """Watch every kind of `WATCHED`."""
    for group, version, plural, kind, labelled in WATCHED:
        labels = {MANAGED_BY: MANAGER} if labelled else None
        kopf.on.event(group, version, plural, registry=registry, labels=labels, id=f"see-{plural}")(
            _handler(kind, intake)
        )


def _handler(kind: str, intake: Intake) -> Callable[..., Awaitable[None]]:
    # kopf runs plain functions in threads of their own; cache, queue and revert lane belong to the event loop.
    async def handle(type: str | None, event: Mapping[str, Any], **_: Any) -> None:  # noqa: A002 (kopf's own name)
        take = intake.gone if type == "DELETED" else intake.seen
        take(kind, event["object"])

    return handle
