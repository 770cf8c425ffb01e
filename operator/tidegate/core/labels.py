"""The names by which Tidegate's objects know each other: API groups, labels, annotations."""

from collections.abc import Mapping
from typing import Any

GROUP = "tidegate.dev"
API_VERSION = f"{GROUP}/v1alpha1"
KIND = "ModelDeployment"
REGISTRY_KIND = "ModelRegistry"
GATEWAY_GROUP = "gateway.networking.k8s.io"
ROUTE_API_VERSION = f"{GATEWAY_GROUP}/v1"
ROUTE_KIND = "HTTPRoute"
#: People's words on steps and promotions.
APPROVAL_KIND = "ModelApproval"
PROMOTION_KIND = "ModelPromotion"
POLICY_KIND = "PromotionPolicy"
RETRAINING_KIND = "RetrainingRequest"
#: Ours, and anybody's: those are looked at for the Deployments that they name, and never written.
AUTOSCALER_KIND = "HorizontalPodAutoscaler"

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "tidegate"
#: The name of the `ModelDeployment` that an object belongs to.
OWNER = f"{GROUP}/modeldeployment"
#: The revision that a pod, Deployment, Service, ConfigMap or ControllerRevision belongs to.
REVISION = f"{GROUP}/revision"
#: What the revision is at the moment. On Deployments and Services only, never on pods: a promotion restarts none.
ROLE = f"{GROUP}/role"

#: The encoded record, on the HTTPRoute.
RECORD = f"{GROUP}/record"
#: The verdict by which a canary's Service selects stable's pods, on that Service.
DIVERTED = f"{GROUP}/diverted"
#: The registered model's name and the version's number, on pods: neither needs to be a valid label.
MODEL = f"{GROUP}/model"
VERSION = f"{GROUP}/version"

#: What people may ask for by annotation; the value names version and attempt, as in `7/2`.
ACTIONS = ("abort", "promote", "retry", "pause")
#: The annotation whose value names alerts that are to be forgotten.
DISMISS = "dismiss"


def revision_label(obj: Mapping[str, Any]) -> str | None:
    """The revision that an object says it belongs to, None where it says nothing."""
    labels = (obj.get("metadata") or {}).get("labels") or {}
    value = labels.get(REVISION)
    return value if isinstance(value, str) else None
