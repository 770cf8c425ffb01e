"""What the watches told: the newest state of every object that matters, by kind and name.

Handlers only put and drop here and learn which `ModelDeployment`s to look at again. Reading costs no I/O.
"""

import sys
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate import jsontext
from tidegate.adapters.gateway import Claims
from tidegate.api.approval import approved_object
from tidegate.core.autoscaling import scaled_deployment
from tidegate.core.labels import APPROVAL_KIND, AUTOSCALER_KIND, KIND, OWNER, RECORD, ROUTE_KIND
from tidegate.loop.newest import Newest
from tidegate.ports import Manifest

#: Every kind that is watched, those first that others are read with.
WATCHED = (
    "Pod",
    "EndpointSlice",
    "ControllerRevision",
    "ConfigMap",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "HTTPRoute",
    "ModelApproval",
    "ModelRegistry",
    "PromotionPolicy",
    "RetrainingRequest",
    "ModelPromotion",
    "ModelDeployment",
)
#: Fields that nobody reads and that weigh most: of every object's metadata, of its annotations, of kinds.
HEAVY = ("managedFields", "selfLink")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
UNREAD: Mapping[str, frozenset[str]] = {"Pod": frozenset({"spec"}), AUTOSCALER_KIND: frozenset({"status"})}
#: Objects kept as Python values beside the packed ones: enough for those of some dozens of rollouts.
UNPACKED = 512
#: Objects that are known to be gone: more than any watch lags behind.
BURIED = 4096
#: zlib's fastest. Higher ones take twice the time for a quarter of the bytes.
LEVEL = 1
#: How a record with a rollout reads. Within a text its quotes would be escaped.
_ROLLOUT = '"rollout":'
_NO_HEADER = -15  # a raw stream with the largest window


class World:
    """A cache of raw objects. `put` keeps the newer of two states of one object, whichever way they came.

    Objects are kept packed: as Python values they weigh forty times as much, and of thousands only those that something
    happens to are read. The last ones that were read stay unpacked.
    """

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Kept]] = defaultdict(dict)
        self._owned: dict[str, tuple[Kept, ...]] = {}
        self._claims = Claims()
        self._packing: dict[str, Packing] = {}
        self._buried: dict[str, None] = {}
        self._values: Newest[Kept, Manifest] = Newest(UNPACKED)
        self._scalers: dict[str, set[str]] = defaultdict(set)
        #: How often anything here became another.
        self.changes = 0

    def put(self, body: Mapping[str, Any]) -> str | None:
        """Take an object's state; returns the key of the `ModelDeployment` that it concerns, None if it is not news."""
        kind, name, meta = body["kind"], _name(body), body["metadata"]
        known = self._kept[kind].get(name)
        if meta.get("uid") in self._buried or (known is not None and not _newer(meta, known)):
            return None
        slim = _slim(body)
        kept = Kept(
            kind=kind,
            name=name,
            uid=meta.get("uid"),
            version=_version(meta),
            concerns=_concerns(slim),
            packed=self._pack(slim),
            rolling=kind == ROUTE_KIND and _ROLLOUT in (slim["metadata"].get("annotations") or {}).get(RECORD, ""),
        )
        self._kept[kind][name] = kept
        self.changes += 1
        if kind == ROUTE_KIND:
            self._claims.put(slim)
        self._own(known, kept)
        return self._scales(known, kept) if kind == AUTOSCALER_KIND else kept.concerns

    def drop(self, body: Mapping[str, Any]) -> str | None:
        """Forget a deleted object; returns the key that it concerned."""
        known = self._kept[body["kind"]].get(_name(body))
        if known is None:
            return _concerns(body)
        if known.uid == body["metadata"].get("uid"):
            return self.forget(known)
        return known.concerns

    def bury(self, body: Mapping[str, Any]) -> None:
        """Forget an object that the API server itself says is gone: what a watch still tells of it is the past."""
        self._buried[body["metadata"]["uid"]] = None
        if len(self._buried) > BURIED:
            del self._buried[next(iter(self._buried))]
        self.drop(body)

    def forget(self, kept: "Kept") -> str | None:
        """Forget an object that is not there any more; returns the key that it concerned."""
        del self._kept[kept.kind][kept.name]
        self.changes += 1
        if kept.kind == ROUTE_KIND:
            self._claims.drop(*kept.name.split("/"))
        self._own(kept, None)
        concerns = self._scales(kept, None) if kept.kind == AUTOSCALER_KIND else kept.concerns
        self._values.forget((kept.kind, kept.name))
        return concerns

    def get(self, kind: str, key: str) -> Manifest | None:
        """One object by `namespace/name`."""
        kept = self._kept[kind].get(key)
        return self._unpacked(kept) if kept is not None else None

    def state(self, kind: str, key: str) -> "Kept | None":
        """One object as it is kept: another one after each change."""
        return self._kept[kind].get(key)

    def names(self, kind: str) -> list[str]:
        """`namespace/name` of every object of a kind."""
        return list(self._kept[kind])

    def rolling(self, key: str) -> bool:
        """Whether the record on an object's route has a rollout: looked for and not decoded, as every event asks."""
        route = self._kept[ROUTE_KIND].get(key)
        return route is not None and route.rolling

    def bodies(self, kind: str, namespace: str | None = None) -> list[Manifest]:
        """Every object of a kind, by name; those of one namespace alone where that is given."""
        kept = sorted(self._kept[kind].items())
        return [self._unpacked(one) for name, one in kept if namespace in {None, name.partition("/")[0]}]

    def taken_by(self, route: Manifest) -> str | None:
        """`namespace/name` of an older route that claims what this one (live or about to be) claims."""
        return self._claims.taken_by(route)

    def scaled(self, key: str) -> frozenset[str]:
        """The names of the Deployments of one `ModelDeployment` that an autoscaler of somebody else's sizes."""
        names = (kept.name for kept in self._owned.get(key, ()) if kept.kind == "Deployment")
        return frozenset(name.partition("/")[2] for name in names if self._scalers.get(name))

    def _scales(self, before: "Kept | None", after: "Kept | None") -> str | None:
        """Keep which Deployments others scale; the key that this concerns, None where nothing changed for anybody."""
        was, is_ = (self._scaled_by(kept) if kept else None for kept in (before, after))
        if was == is_:
            return self._ours(before, after)
        if before is not None and was is not None:
            self._scalers[was].discard(before.name)
        if after is not None and is_ is not None:
            self._scalers[is_].add(after.name)
        deployment = self._kept["Deployment"].get(is_ or was or "")
        return deployment.concerns if deployment is not None else None

    def _scaled_by(self, kept: "Kept") -> str | None:
        """The Deployment that an autoscaler of somebody else's scales."""
        return scaled_deployment(self._unpacked(kept)) if kept.concerns is None else None

    def _ours(self, before: "Kept | None", after: "Kept | None") -> str | None:
        """Whom a change of an autoscaler of ours concerns: nobody, if it is that of its status, every few seconds."""
        kept = after or before
        same = before is not None and after is not None and self._meant(before) == self._meant(after)
        return None if kept is None or same else kept.concerns

    def _meant(self, kept: "Kept") -> Manifest:
        body = self._unpacked(kept)
        return {**body, "metadata": {**body["metadata"], "resourceVersion": ""}}

    def owned(self, kind: str, key: str) -> list[Manifest]:
        """The objects of a kind that carry the labels of one `ModelDeployment`."""
        return [self._unpacked(kept) for kept in self._owned.get(key, ()) if kept.kind == kind]

    def _pack(self, slim: Manifest) -> bytes:
        text = jsontext.write(slim)
        return self._packing.setdefault(slim["kind"], Packing(like=text)).pack(text)

    def _unpacked(self, kept: "Kept") -> Manifest:
        return self._values.of((kept.kind, kept.name), kept, self._unpack)

    def _unpack(self, kept: "Kept") -> Manifest:
        body: Manifest = jsontext.read(self._packing[kept.kind].unpack(kept.packed))
        return body

    def _own(self, before: "Kept | None", after: "Kept | None") -> None:
        if before is not None and before.concerns in self._owned:
            left = tuple(kept for kept in self._owned[before.concerns] if kept is not before)
            self._owned[before.concerns] = left
            if not left:
                del self._owned[before.concerns]
        if after is not None and after.concerns is not None and after.kind not in {KIND, ROUTE_KIND}:
            self._owned[after.concerns] = (*self._owned.get(after.concerns, ()), after)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """One state of an object. `concerns` is the key of its `ModelDeployment`, `version` its resourceVersion.

    `rolling`: it is a route whose record has a rollout.
    """

    kind: str
    name: str
    uid: str | None
    version: int | None
    concerns: str | None
    packed: bytes
    rolling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """zlib with a dictionary (RFC 1950, 2.2): the first object of a kind, which all others are like but for names.

    A Deployment of 3.3 kB has 1.5 kB without a dictionary and 0.2 kB with it, in a tenth of the time.
    """

    like: bytes

    def pack(self, text: bytes) -> bytes:
        """As few bytes as can be had quickly."""
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _NO_HEADER, zdict=self.like)
        return packer.compress(text) + packer.flush()

    def unpack(self, packed: bytes) -> bytes:
        """What `pack` was given."""
        return zlib.decompressobj(_NO_HEADER, zdict=self.like).decompress(packed)


def _name(body: Mapping[str, Any]) -> str:
    # One in memory for all that speak of it.
    return sys.intern(f"{body['metadata']['namespace']}/{body['metadata']['name']}")


def _slim(body: Mapping[str, Any]) -> Manifest:
    unread = UNREAD.get(body["kind"], frozenset())
    slim = {field: value for field, value in body.items() if field not in unread}
    meta = {field: value for field, value in body["metadata"].items() if field not in HEAVY}
    if LAST_APPLIED in (meta.get("annotations") or {}):
        meta["annotations"] = {name: text for name, text in meta["annotations"].items() if name != LAST_APPLIED}
    slim["metadata"] = meta
    return slim


def _concerns(body: Mapping[str, Any]) -> str | None:
    meta = body["metadata"]
    if body["kind"] in {KIND, ROUTE_KIND}:
        return _name(body)
    if body["kind"] == APPROVAL_KIND:
        name = approved_object(body)
        return sys.intern(f"{meta['namespace']}/{name}") if name else None
    owner = (meta.get("labels") or {}).get(OWNER)
    if body["kind"] == AUTOSCALER_KIND and not _controlled(meta):
        return None  # a copy of one of ours is somebody's
    return sys.intern(f"{meta['namespace']}/{owner}") if owner else None


def _controlled(meta: Mapping[str, Any]) -> bool:
    owners = meta.get("ownerReferences") or ()
    return any(owner.get("kind") == KIND and owner.get("controller") for owner in owners)


def _version(meta: Mapping[str, Any]) -> int | None:
    try:
        return int(meta["resourceVersion"])
    except (KeyError, ValueError):
        return None


def _newer(meta: Mapping[str, Any], known: Kept) -> bool:
    # Resource versions of one resource are comparable as integers (KEP-5504).
    version = _version(meta)
    return meta.get("uid") != known.uid or version is None or known.version is None or version > known.version
