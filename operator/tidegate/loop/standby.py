"""What a replica does that does not lead: it may take weight off a canary, and waits a moment for the leader to do it.

A leader that lives acts within milliseconds, and two writers would only conflict. One that hangs is not waited for: a
revert must not take as long as a lease.
"""

import asyncio

import structlog

from tidegate.core.reasons import Reason
from tidegate.errors import ClusterError
from tidegate.loop.observe import Observer
from tidegate.loop.reverts import RevertLane, wanted_revert
from tidegate.loop.world import World
from tidegate.ports import Cluster

_log = structlog.get_logger("tidegate")
#: Seconds that the leader is given to act on a cause that it must have seen as well.
GRACE = 1.5
#: Seconds until a cause is looked at again where the API server could not say whether it is real.
AGAIN = 1.0
#: What a cache may lack that hears of endpoints and of routes on different ways.
_READ_ANEW = ("Pod", "EndpointSlice")


class Standby:
    """Sees to it that a cause which a watch told of is acted on, whether there is a leader or not."""

    def __init__(self, *, cluster: Cluster, world: World, observer: Observer, reverts: RevertLane) -> None:
        self._cluster = cluster
        self._world = world
        self._observer = observer
        self._reverts = reverts
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def told(self, key: str) -> None:
        """A watch told something of this object. Returns at once."""
        if key not in self._waiting and self._concerns(key):
            self._waiting[key] = asyncio.create_task(self._see_to_it(key), name=f"standby {key}")

    def _concerns(self, key: str) -> bool:
        """Whether there is a cause that this replica may act on, and a weight that it could take away.

        Not where the time alone is the cause: this machine's clock may be wrong, and the next leader will look. Nor
        where the canary's traffic has left by its Service: the route is left to who diverted it, or leads next.
        """
        if not self._world.rolling(key):
            return False
        snapshot = self._observer.snapshot(key)
        found = wanted_revert(snapshot) if snapshot is not None else None
        if snapshot is None or found is None:
            return False
        rollout = snapshot.seen.record.rollout
        if rollout is None or rollout.canary.name in snapshot.seen.diverted:
            return False
        return rollout.weight > 0 and found[1] is not Reason.DEADLINE_EXCEEDED

    async def _see_to_it(self, key: str) -> None:
        try:
            await asyncio.sleep(GRACE)
            while self._concerns(key):
                try:
                    await self._read_anew(key)
                except ClusterError as error:
                    _log.warning("standby can't see whether to revert", object=key, error=str(error))
                    await asyncio.sleep(AGAIN)
                    continue
                if self._concerns(key):
                    _log.warning("the leader has not reverted, the standby does", object=key)
                    self._reverts.look(key)
                return
        finally:
            del self._waiting[key]

    async def _read_anew(self, key: str) -> None:
        """Pods and endpoints from the API server itself: a canary's first endpoints may not have been heard of yet."""
        namespace, _, _ = key.partition("/")
        for kind in _READ_ANEW:
            for body in await self._cluster.list(kind, namespace):
                self._world.put(body)

    async def close(self) -> None:
        """Wait for nobody any more."""
        tasks = list(self._waiting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
