"""The HTTPRoute of an object: its weights, and the record that explains them, in one write."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.labels import KIND, MANAGED_BY, MANAGER, OWNER, RECORD, ROUTE_API_VERSION, ROUTE_KIND
from tidegate.core.merge import plain
from tidegate.core.ownership import owner_references
from tidegate.core.plan import Plan

#: The Services' port.
SERVICE_PORT = 80
#: Tells clients which version was chosen. With a filter of its own each backendRef also stays an Envoy cluster of its
#: own in gateways that would merge plain ones.
VERSION_HEADER = "x-model-version"


def route(
    plan: Plan,
    weights: Mapping[str, int],
    versions: Mapping[str, str],
    annotation: str,
    *,
    uid: str | None = None,
    resource_version: str | None = None,
) -> dict[str, Any]:
    """The route that gives each revision its share.

    `weights` are per cent by revision name, `versions` version numbers by revision name, `annotation` is the encoded
    record. With `uid` and `resource_version` the apply is a compare-and-set on that very object.
    """
    gateway = plan.gateway
    rule = {
        **({"matches": plain(gateway.matches)} if gateway.matches else {}),
        **({"filters": plain(gateway.filters)} if gateway.filters else {}),
        **({"timeouts": dict(gateway.timeouts)} if gateway.timeouts else {}),
        "backendRefs": [_backend(name, weight, versions[name]) for name, weight in weights.items()],
    }
    spec = {
        "parentRefs": plain(gateway.parent_refs),
        # Always there, so that the list is ours also when it is empty.
        "hostnames": list(gateway.hostnames),
        "rules": [rule],
    }
    metadata = {
        "name": plan.ref.name,
        "namespace": plan.ref.namespace,
        "labels": {MANAGED_BY: MANAGER, OWNER: plan.ref.name},
        "annotations": {RECORD: annotation},
        "ownerReferences": owner_references(plan.ref),
    }
    return {
        "apiVersion": ROUTE_API_VERSION,
        "kind": ROUTE_KIND,
        "metadata": {**metadata, **_precondition(uid, resource_version)},
        "spec": spec,
    }


def reweighted(live: Mapping[str, Any], weights: Mapping[str, int], annotation: str) -> dict[str, Any]:
    """The live route with other weights and another record, and nothing else changed: what a revert writes.

    A backend that `weights` does not name gets 0. The apply is a compare-and-set on the route as it was read. Whoever
    applies it needs no plan, so any version of the operator can.
    """
    metadata = live["metadata"]
    spec = plain(live["spec"])
    for rule in spec.get("rules", ()):
        for backend in rule.get("backendRefs", ()):
            backend["weight"] = weights.get(backend.get("name"), 0)
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key in {MANAGED_BY, OWNER}}
    owners = [plain(owner) for owner in metadata.get("ownerReferences") or () if owner.get("kind") == KIND]
    return {
        "apiVersion": ROUTE_API_VERSION,
        "kind": ROUTE_KIND,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {RECORD: annotation},
            "ownerReferences": owners,
            **_precondition(metadata["uid"], metadata["resourceVersion"]),
        },
        "spec": spec,
    }


def _precondition(uid: str | None, resource_version: str | None) -> dict[str, str]:
    return {
        **({"uid": uid} if uid else {}),
        **({"resourceVersion": resource_version} if resource_version else {}),
    }


def _backend(name: str, weight: int, version: str) -> dict[str, Any]:
    header = {"set": [{"name": VERSION_HEADER, "value": version}]}
    return {
        "group": "",
        "kind": "Service",
        "name": name,
        "port": SERVICE_PORT,
        "weight": weight,
        "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": header}],
    }
