"""What the watches told: the newest state of every object that matters, by kind and name.

Handlers only put and drop here and learn which `ModelDeployment`s to look at again. Reading costs no I/O.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tidegate.adapters.gateway import Claims
from tidegate.core.labels import KIND, OWNER, ROUTE_KIND
from tidegate.ports import Manifest

#: Every kind that is watched, those first that others are read with.
WATCHED = (
    "Pod",
    "EndpointSlice",
    "ControllerRevision",
    "ConfigMap",
    "Service",
    "Deployment",
    "HTTPRoute",
    "ModelDeployment",
)
#: Fields that nobody reads and that weigh most: of every object's metadata, of its annotations, of kinds.
HEAVY = ("managedFields", "selfLink")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
UNREAD: Mapping[str, frozenset[str]] = {"Pod": frozenset({"spec"})}
#: Characters of the longest text that is likely to be another object's, too.
COMMON = 64


class World:
    """A cache of raw objects. `put` keeps the newer of two states of one object, whichever way they came."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Manifest]] = defaultdict(dict)
        self._owned: dict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)
        self._claims = Claims()

    def put(self, body: Mapping[str, Any]) -> str | None:
        """Take an object's state; returns the key of the `ModelDeployment` that it concerns."""
        slim = _slim(body)
        kind, name = slim["kind"], _name(slim)
        known = self._objects[kind].get(name)
        if known is not None and not _newer(slim, known):
            return _concerns(known)
        self._objects[kind][name] = slim
        if kind == ROUTE_KIND:
            self._claims.put(slim)
        key = _concerns(slim)
        if key is not None and kind not in {KIND, ROUTE_KIND}:
            self._owned[(kind, key)][name] = slim
        return key

    def drop(self, body: Mapping[str, Any]) -> str | None:
        """Forget a deleted object; returns the key that it concerned."""
        kind, name = body["kind"], _name(body)
        known = self._objects[kind].get(name)
        key = _concerns(known) if known is not None else _concerns(body)
        if known is not None and known["metadata"].get("uid") == body["metadata"].get("uid"):
            del self._objects[kind][name]
            if kind == ROUTE_KIND:
                self._claims.drop(*name.split("/"))
            if key is not None:
                self._owned[(kind, key)].pop(name, None)
        return key

    def get(self, kind: str, key: str) -> Manifest | None:
        """One object by `namespace/name`."""
        return self._objects[kind].get(key)

    def names(self, kind: str) -> list[str]:
        """`namespace/name` of every object of a kind."""
        return list(self._objects[kind])

    def taken_by(self, route: Manifest) -> str | None:
        """`namespace/name` of an older route that claims what this one (live or about to be) claims."""
        return self._claims.taken_by(route)

    def owned(self, kind: str, key: str) -> list[Manifest]:
        """The objects of a kind that carry the labels of one `ModelDeployment`."""
        return list(self._owned.get((kind, key), {}).values())


def _name(body: Mapping[str, Any]) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"


def _slim(body: Mapping[str, Any]) -> Manifest:
    unread = UNREAD.get(body["kind"], frozenset())
    slim = {field: value for field, value in body.items() if field not in unread}
    meta = {field: value for field, value in body["metadata"].items() if field not in HEAVY}
    if LAST_APPLIED in (meta.get("annotations") or {}):
        meta["annotations"] = {name: text for name, text in meta["annotations"].items() if name != LAST_APPLIED}
    slim["metadata"] = meta
    shared: Manifest = _shared(slim)
    return shared


def _shared(value: Any) -> Any:
    """A copy whose names and short texts are one in memory with those of all other objects: half of their weight."""
    if isinstance(value, dict):
        return {sys.intern(name): _shared(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shared(inner) for inner in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= COMMON else value


def _concerns(body: Mapping[str, Any]) -> str | None:
    meta = body["metadata"]
    if body["kind"] in {KIND, ROUTE_KIND}:
        return _name(body)
    owner = (meta.get("labels") or {}).get(OWNER)
    return f"{meta['namespace']}/{owner}" if owner else None


def _newer(body: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    # Resource versions of one resource are comparable as integers (KEP-5504).
    if body["metadata"].get("uid") != known["metadata"].get("uid"):
        return True
    try:
        return int(body["metadata"]["resourceVersion"]) >= int(known["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return True
