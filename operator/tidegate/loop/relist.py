"""Lists beside the watches: before the first decision, and now and then after it.

A decision on half a cache could take a route for missing, so nothing is decided before everything was listed. And an
object that vanishes while a watch is away gets no event; only a list can tell.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from tidegate.core.labels import ROUTE_KIND
from tidegate.errors import ClusterError, NotServed
from tidegate.loop.world import WATCHED, Kept, World
from tidegate.ports import Cluster, Manifest

_log = structlog.get_logger("tidegate")
AGAIN = 600.0  # seconds between two lists
RETRY = 2.0  # seconds after a list that failed


class Relister:
    """Keeps the cache complete."""

    def __init__(
        self, *, cluster: Cluster, world: World, namespaces: Sequence[str], changed: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._world = world
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._changed = changed
        self.complete = asyncio.Event()

    async def run(self) -> None:
        """List for ever; `complete` is set after the first time."""
        while True:
            try:
                await self.once()
            except ClusterError as error:
                _log.warning("list failed", error=str(error))
                await asyncio.sleep(RETRY)
                continue
            self.complete.set()
            await asyncio.sleep(AGAIN)

    async def once(self) -> None:
        """List every kind, take what is there and drop what is not any more.

        Raises:
            ClusterError: a list failed; what was listed before it is kept, and nothing is dropped.
        """
        told: set[str | None] = set()
        vanished: list[Kept] = []
        for kind in WATCHED:
            known = {name: self._world.state(kind, name) for name in self._world.names(kind)}
            listed: set[str] = set()
            for namespace in self._namespaces:
                for body in await self._all(kind, namespace):
                    listed.add(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
                    told.add(self._world.put(body))
            vanished += [kept for name, kept in known.items() if kept is not None and name not in listed]
        # All at once: a pass in between would make anew what was deleted with its owner.
        for kept in vanished:
            # What appeared during the list is in the cache as another object than before it.
            if self._world.state(kept.kind, kept.name) is kept:
                told.add(self._world.forget(kept))
        for key in sorted(key for key in told if key is not None):
            self._changed(key)

    async def _all(self, kind: str, namespace: str | None) -> list[Manifest]:
        try:
            return await self._cluster.list(kind, namespace)
        except NotServed as error:
            if kind != ROUTE_KIND:
                raise
            # Without routes there is still much to do, and to revert.
            _log.error("no HTTPRoutes: are Gateway API's CRDs gone?", error=str(error))
            return []
