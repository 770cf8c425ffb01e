"""The objects of revisions: kept as they have to be, and taken away when their revision has left."""

import hashlib
import json
from dataclasses import dataclass

from tidegate import jsontext
from tidegate.core.diversion import diversion_of
from tidegate.core.drift import differs
from tidegate.core.labels import AUTOSCALER_KIND, revision_label
from tidegate.core.manifests import CHILD_KINDS, Known, autoscaled, revision_objects
from tidegate.core.ownership import owned_by
from tidegate.core.plan import Plan
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef
from tidegate.errors import Conflict
from tidegate.loop.observe import Snapshot
from tidegate.loop.routes import owner_lives
from tidegate.loop.world import World
from tidegate.ports import Cluster, Manifest


class Children:
    """Writes only what differs from what the watches told, so that an idle object costs nothing."""

    def __init__(self, *, cluster: Cluster, world: World) -> None:
        self._cluster = cluster
        self._world = world
        self._settled: dict[tuple[str, str], _Mark] = {}

    def begin(self) -> None:
        """This replica begins to lead: what was settled before may have been changed by whoever led in between."""
        self._settled.clear()

    async def ensure(self, plan: Plan, record: Record, known: Known) -> list[str]:
        """Apply every object of the record's revisions that is not as it has to be.

        Returns those that somebody else had changed or deleted, in words.

        Raises:
            Conflict: a Service was diverted since `known` was looked at; decide anew.
            ClusterError: the first one that could not be applied; those before it are.
        """
        wanted = [o for revision in record.revisions() for o in revision_objects(plan, record, known, revision)]
        leasts = {o["metadata"]["name"]: o["spec"]["minReplicas"] for o in wanted if o["kind"] == AUTOSCALER_KIND}
        edited: list[str] = []
        for manifest in wanted:
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            live = self._world.get(kind, f"{plan.ref.namespace}/{name}")
            if kind == "Service" and live is not None and diversion_of(live) != known.diversions.get(name):
                raise Conflict(f"Service {name} was diverted meanwhile")
            if kind == AUTOSCALER_KIND and live is not None and not owned_by(live, plan.ref):
                continue  # the name is somebody else's
            meant, size = manifest, (manifest.get("spec") or {}).get("replicas")
            if kind == "Deployment" and live is not None and (name in known.scaled or plan.serving.autoscaling):
                meant, size = _sized(manifest, live, leasts.get(name, 0)), leasts.get(name)
            if await self._put_back(plan.ref, meant, live, size):
                edited.append(f"{kind} {name}")
        return edited

    async def _put_back(self, owner: ObjectRef, wanted: Manifest, live: Manifest | None, size: int | None) -> bool:
        """Apply an object where it has to be; whether it was as we mean it before."""
        kind, name = wanted["kind"], f"{wanted['metadata']['namespace']}/{wanted['metadata']['name']}"
        if live is not None and live["metadata"].get("deletionTimestamp"):
            return False  # it goes whatever is written into it; its end is told of, and then it is made anew
        settled = self._settled.get((kind, name))
        if live is not None and not differs(live, wanted):
            if settled is None or settled.size != size:
                self._settled[(kind, name)] = _mark(wanted, live, size)
            return False
        if live is not None and settled == _mark(wanted, live, size):
            return False
        if live is None and settled is not None:
            await owner_lives(self._cluster, owner)
        applied = await self._apply(kind, wanted, live)
        self._world.put(applied)
        # The API server may write a field in another way than it was given; asking again would change nothing.
        self._settled[(kind, name)] = _mark(wanted, applied, size)
        return settled is not None and settled.meant_alike(self._settled[(kind, name)])

    async def _apply(self, kind: str, wanted: Manifest, live: Manifest | None) -> Manifest:
        """Apply it, where it is as it was seen: a Service may have been diverted, or another replica may lead by now.

        Raises:
            Conflict: it is another; the cache holds the newest one then.
        """
        if live is None:
            return await self._cluster.apply(wanted)
        meta = live["metadata"]
        seen = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        try:
            return await self._cluster.apply({**wanted, "metadata": {**wanted["metadata"], **seen}})
        except Conflict:
            newest = await self._cluster.get(kind, meta["namespace"], meta["name"])
            self._world.drop(live) if newest is None else self._world.put(newest)
            raise

    async def prune(self, snapshot: Snapshot, plan: Plan, record: Record) -> None:
        """Delete what belongs to revisions that the record does not know any more: pods before the Service.

        Of those that it knows, the autoscalers that nobody asks for any more.
        """
        revisions, scaled = {revision.name for revision in record.revisions()}, autoscaled(plan, record, snapshot.known)
        routed = set(snapshot.seen.route.weights) if snapshot.seen.route else set()
        running = {revision_label(pod) for pod in self._world.owned("Pod", snapshot.key)}
        for kind in CHILD_KINDS:
            for body in self._world.owned(kind, snapshot.key):
                name, auto = revision_label(body), kind == AUTOSCALER_KIND
                if name is None or name in (scaled if auto else revisions) or not owned_by(body, snapshot.ref):
                    continue
                if name not in revisions and name in routed:
                    continue
                if name in running and not auto and kind != "Deployment":
                    continue
                await self._delete(kind, body)

    async def _delete(self, kind: str, body: Manifest) -> None:
        meta = body["metadata"]
        self._settled.pop((kind, f"{meta['namespace']}/{meta['name']}"), None)
        if meta.get("deletionTimestamp") is not None:
            return
        seen = {"uid": meta["uid"], "version": meta["resourceVersion"]}
        try:
            await self._cluster.delete(kind, meta["namespace"], meta["name"], **seen)
        except Conflict:
            # Somebody wrote it since: a status, or a leader that needs it again. Decided anew.
            await self._reread(kind, body)
            raise
        # Until a watch tells of it, a revision that is wanted again would be taken to have all that it needs.
        await self._reread(kind, body)

    async def _reread(self, kind: str, body: Manifest) -> None:
        meta = body["metadata"]
        left = await self._cluster.get(kind, meta["namespace"], meta["name"])
        if left is None or left["metadata"]["uid"] != meta["uid"]:
            self._world.bury(body)
        if left is not None:
            self._world.put(left)


def _sized(wanted: Manifest, live: Manifest, least: int) -> Manifest:
    """A Deployment with the size that its autoscaler gave it last; where it has another by now the apply conflicts.

    `least`: what one of ours may not go below; 0 where it is somebody else's.
    """
    replicas = max(least, (live.get("spec") or {}).get("replicas", 1))
    return {**wanted, "spec": {**wanted["spec"], "replicas": replicas}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What was meant of an object when it was last as it has to be, and the state that it then had.

    `size` is the least that it may have by our word, None where somebody else decides it.
    """

    meant: bytes
    size: int | None
    state: str

    def meant_alike(self, now: "_Mark") -> bool:
        """Whether what is meant now was meant then, but for a size that is none of ours any more."""
        return self.meant == now.meant and now.size in {None, self.size}


def _mark(wanted: Manifest, live: Manifest, size: int | None) -> _Mark:
    spec = dict(wanted.get("spec") or {})
    spec.pop("replicas", None)
    return _Mark(
        meant=hashlib.blake2b(jsontext.write({**wanted, "spec": spec}), digest_size=16).digest(),
        size=size,
        state=_state(live),
    )


def _state(live: Manifest) -> str:
    meta = live["metadata"]
    if live["kind"] == AUTOSCALER_KIND:
        # It has no generation, and with each word of its status another resourceVersion.
        return f"{meta.get('uid')}/{json.dumps(live.get('spec'), sort_keys=True)}"
    return f"{meta.get('uid')}/{meta.get('generation') or meta.get('resourceVersion')}"
