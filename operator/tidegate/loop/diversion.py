"""How traffic is taken off a canary: by the route, and where that fails or hangs, by the canary's Service."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from tidegate.core.diversion import Diversion, condemned, diversion, diverted
from tidegate.core.drift import differs
from tidegate.core.manifests import Known
from tidegate.core.plan import Plan
from tidegate.core.record import Record
from tidegate.errors import ClusterError, Conflict
from tidegate.loop.announce import Announcer
from tidegate.loop.observe import Snapshot
from tidegate.loop.routes import Routes
from tidegate.loop.statuses import Statuses
from tidegate.loop.world import World
from tidegate.ports import Cluster, Manifest
from tidegate.telemetry import Metrics

T = TypeVar("T")
_log = structlog.get_logger("tidegate")
#: Seconds that the route's write may take before the second plane is used beside it. A denied write answers at once;
#: one that only waits its turn among a hundred others should not cost two more.
PATIENCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NotWritten:
    """What kept an object from being written, and the diversion that is in use instead of a revert's route."""

    error: ClusterError
    away: Diversion | None = None

    def __str__(self) -> str:
        if self.away is None:
            return f"the route can't be written: {self.error}"
        return f"the route can't be written, so the canary's Service selects the pods of {self.away.to}: {self.error}"

    def known(self, record: Record, known: Known) -> Known:
        """What is known, with the diversion that was just written."""
        if self.away is None or record.rollout is None:
            return known
        return replace(known, diversions={**known.diversions, record.rollout.canary.name: self.away})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPlane:
    """Writes routes. A Service is only ever diverted for a verdict, so a needless diversion costs nobody anything."""

    cluster: Cluster
    world: World
    routes: Routes
    statuses: Statuses
    announcer: Announcer
    metrics: Metrics

    async def revert(self, snapshot: Snapshot, route: Manifest, record: Record) -> NotWritten | None:
        """The one write of a revert; where the API server refuses it or does not answer, the diversion as well.

        Raises:
            Conflict: the route is another than `route`; decide anew.
        """
        found = await self._watched(snapshot, record, self.routes.revert(route, record))
        return found if isinstance(found, NotWritten) else None

    async def ensure(self, snapshot: Snapshot, plan: Plan, record: Record) -> bool | NotWritten:
        """Make the route carry a record, as `Routes.ensure` does; where it can't carry a verdict, divert.

        Raises:
            Conflict: the route is another than was seen; decide anew.
            ClusterError: the route can't be written, and no canary is condemned.
        """
        work = self.routes.ensure(plan, record, snapshot.route)
        if record.rollout is None or record.rollout.verdict is None:
            return await work
        return await self._watched(snapshot, record, work)

    async def _watched(self, snapshot: Snapshot, record: Record, work: Coroutine[Any, Any, T]) -> T | NotWritten:
        write = asyncio.create_task(work, name=f"route {snapshot.key}")
        away: Diversion | None = None
        try:
            await asyncio.wait({write}, timeout=PATIENCE)
            if not write.done() or _failed(write):
                away = await self.divert(snapshot, record)
            return await write
        except Conflict:
            raise
        except ClusterError as error:
            return NotWritten(error=error, away=away)
        finally:
            write.cancel()

    async def divert(self, snapshot: Snapshot, record: Record) -> Diversion | None:
        """Save the verdict in status and on the canary's Service, both at once; None where nothing is diverted.

        Never raises for what the API server does: the error to tell of is the route's.
        """
        if record.rollout is None or record.rollout.verdict is None:
            return None  # a note that could not be written takes nobody off traffic
        saved = self._saved(snapshot, condemned(snapshot.seen.record, record))
        wanted = self._wanted(snapshot, record)
        if wanted is None:
            await saved
            return None
        _, away = await asyncio.gather(saved, self._diverted(snapshot, record, wanted))
        return wanted if away else None

    def _wanted(self, snapshot: Snapshot, record: Record) -> Diversion | None:
        stable = snapshot.seen.of(record.stable.name).endpoints if record.stable is not None else 0
        return diversion(record, stable_endpoints=stable)

    async def _saved(self, snapshot: Snapshot, record: Record) -> None:
        try:
            await self.statuses.condemn(snapshot, record)
        except ClusterError as error:
            _log.error("verdict not saved in status", object=snapshot.key, error=str(error))

    async def _diverted(self, snapshot: Snapshot, record: Record, wanted: Diversion) -> bool:
        """Whether the canary's Service selects stable's pods now."""
        canary = record.rollout.canary.name if record.rollout is not None else ""
        live = self.world.get("Service", f"{snapshot.ref.namespace}/{canary}")
        if live is None:
            return False
        manifest = diverted(live, wanted)
        if not differs(live, manifest):
            return True
        try:
            self.world.put(await self.cluster.apply(manifest))
        except Conflict:
            # Perhaps it is the promoted version's by now: the next attempt decides on what is there.
            await self._refresh(snapshot, canary)
            return False
        except ClusterError as error:
            _log.error("diversion failed, it is tried again", object=snapshot.key, error=str(error))
            return False
        self.metrics.diversions.inc()
        self.announcer.diverted(snapshot.ref, snapshot.seen.record, record, wanted)
        return True

    async def _refresh(self, snapshot: Snapshot, canary: str) -> None:
        try:
            await self.routes.refresh(snapshot.ref.namespace, snapshot.ref.name)
            newest = await self.cluster.get("Service", snapshot.ref.namespace, canary)
        except ClusterError as error:
            _log.warning("not read anew", object=snapshot.key, error=str(error))
            return
        if newest is not None:
            self.world.put(newest)


def _failed(write: "asyncio.Task[Any]") -> bool:
    error = write.exception()
    return isinstance(error, ClusterError) and not isinstance(error, Conflict)
