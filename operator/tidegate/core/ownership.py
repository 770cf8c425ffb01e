"""Whose an object is."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.labels import API_VERSION, KIND
from tidegate.core.values import ObjectRef


def owner_references(owner: ObjectRef) -> list[dict[str, Any]]:
    """The `metadata.ownerReferences` of everything that a `ModelDeployment` owns.

    `blockOwnerDeletion` is false: it would ask for the right to change the owner's finalizers, and nobody who deletes
    an object in the foreground has to wait for it.
    """
    reference = {"apiVersion": API_VERSION, "kind": KIND, "name": owner.name, "uid": owner.uid}
    return [{**reference, "controller": True, "blockOwnerDeletion": False}]


def owned_by(obj: Mapping[str, Any], owner: ObjectRef) -> bool:
    """Whether the object's controller is that very `ModelDeployment`, not one of the same name before it."""
    references = (obj.get("metadata") or {}).get("ownerReferences") or ()
    return any(ref.get("controller") and ref.get("uid") == owner.uid for ref in references)
