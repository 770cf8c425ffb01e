"""The route: every write of it is a compare-and-set on what was read."""

from collections.abc import Awaitable, Callable

from tidegate.api.record import encode
from tidegate.core.drift import differs
from tidegate.core.httproute import reweighted, route
from tidegate.core.labels import KIND, ROUTE_KIND
from tidegate.core.plan import Plan
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef
from tidegate.errors import Conflict
from tidegate.loop.world import World
from tidegate.ports import Cluster, Manifest


class Routes:
    """Writes routes, and keeps the cache as new as the answers.

    `cluster` takes what any replica may write, `leading` what only the leader may.
    """

    def __init__(self, *, cluster: Cluster, leading: Cluster, world: World) -> None:
        self._cluster = cluster
        self._leading = leading
        self._world = world

    async def ensure(self, plan: Plan, record: Record, live: Manifest | None) -> bool:
        """Make the route carry the record and its weights; whether that took a write.

        Raises:
            Conflict: the route is another than `live`; the cache holds the newest one then.
            NotLeading: this replica may not.
        """
        versions = {revision.name: revision.version.number for revision in record.revisions()}
        meta = live["metadata"] if live is not None else {}
        wanted = route(
            plan,
            record.weights(),
            versions,
            encode(record),
            uid=meta.get("uid"),
            resource_version=meta.get("resourceVersion"),
        )
        if live is not None and not differs(live, _unconditional(wanted)):
            return False
        if live is None:
            await owner_lives(self._cluster, plan.ref)
            # An apply without a resourceVersion would take over whatever the watch has not told of yet.
            await self._write(self._leading.create, wanted)
        else:
            await self._write(self._leading.apply, wanted)
        return True

    async def revert(self, live: Manifest, record: Record) -> None:
        """The one write of a revert: the live route with other weights and the record that says why.

        Any replica may do it.

        Raises:
            Conflict: as in `ensure`.
        """
        await self._write(self._cluster.apply, reweighted(live, record.weights(), encode(record)))

    async def note(self, live: Manifest, record: Record) -> None:
        """Write a record that takes no weight away onto the live route, and leave the rest of it.

        Raises:
            Conflict, NotLeading: as in `ensure`.
        """
        await self._write(self._leading.apply, reweighted(live, record.weights(), encode(record)))

    async def _write(self, write: Callable[[Manifest], Awaitable[Manifest]], wanted: Manifest) -> None:
        try:
            self._world.put(await write(wanted))
        except Conflict:
            await self.refresh(wanted["metadata"]["namespace"], wanted["metadata"]["name"])
            raise

    async def refresh(self, namespace: str, name: str) -> None:
        """Read the route from the API server itself."""
        newest = await self._cluster.get(ROUTE_KIND, namespace, name)
        known = self._world.get(ROUTE_KIND, f"{namespace}/{name}")
        if newest is not None:
            self._world.put(newest)
        elif known is not None:
            self._world.drop(known)


async def owner_lives(cluster: Cluster, owner: ObjectRef) -> None:
    """Before something is made anew that was there: it may have gone with its owner, of which watches tell later.

    Raises:
        Conflict: the owner is gone, or going.
    """
    body = await cluster.get(KIND, owner.namespace, owner.name)
    if body is None or body["metadata"]["uid"] != owner.uid or body["metadata"].get("deletionTimestamp"):
        raise Conflict(f"{KIND} {owner.key} is being deleted")


def _unconditional(wanted: Manifest) -> Manifest:
    meta = {key: value for key, value in wanted["metadata"].items() if key not in {"uid", "resourceVersion"}}
    return {**wanted, "metadata": meta}
