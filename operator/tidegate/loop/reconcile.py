"""One pass over one object: the only place that orders I/O.

    snapshot -> decide -> children -> route (compare-and-set) -> status -> prune -> announce

A decision that takes weight off a canary writes the route first. Everything but the writes is pure and lives in
`core`; a pass that finds nothing to write makes no request.
"""

from dataclasses import replace

import structlog

from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.frozen import freeze
from tidegate.core.labels import ROUTE_KIND
from tidegate.core.manifests import Known
from tidegate.core.plan import Plan
from tidegate.core.presets import PresetConfig
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.revert import lowers
from tidegate.core.revision import serving_digest
from tidegate.errors import Conflict, InvalidSpec, Refused
from tidegate.loop.announce import Announcer
from tidegate.loop.children import Children
from tidegate.loop.follow import Follower
from tidegate.loop.observe import Observer, Snapshot
from tidegate.loop.queue import WorkQueue
from tidegate.loop.reverts import RevertLane
from tidegate.loop.routes import Routes
from tidegate.loop.statuses import Statuses
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Seconds until something that the API server refused is asked for again.
REFUSED_AGAIN = 10.0
#: Seconds until a route that somebody else claims is looked at again: its release tells nobody.
TAKEN_AGAIN = 10.0


class Reconciler:
    """Carries out what `core` decides."""

    def __init__(
        self,
        *,
        observer: Observer,
        children: Children,
        routes: Routes,
        statuses: Statuses,
        follower: Follower,
        reverts: RevertLane,
        announcer: Announcer,
        queue: WorkQueue,
        presets: PresetConfig,
        metrics: Metrics,
    ) -> None:
        self._observer = observer
        self._children = children
        self._routes = routes
        self._statuses = statuses
        self._follower = follower
        self._reverts = reverts
        self._announcer = announcer
        self._queue = queue
        self._presets = presets
        self._metrics = metrics
        #: The generation that each object's route was last made to agree with.
        self._agreed: dict[str, int] = {}

    async def run_pass(self, key: str) -> None:
        """Bring one object a step nearer to what it asks for.

        Raises:
            Conflict: somebody else wrote the route; look again.
            ClusterError: the API server did not do what it was asked; look again later.
        """
        snapshot = self._observer.snapshot(key)
        if snapshot is None or snapshot.body["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return
        if snapshot.unreadable is not None:
            self._follower.rest(key)
            self._metrics.stands(snapshot.ref, Reason.RECORD_UNREADABLE, stalled=True)
            await self._statuses.fail(snapshot, Reason.RECORD_UNREADABLE, snapshot.unreadable)
            return
        if isinstance(snapshot.plan, InvalidSpec):
            self._follower.rest(key)
            self._reverts.look(key)
            self._metrics.stands(snapshot.ref, Reason.INVALID_SPEC, stalled=True)
            await self._statuses.fail(snapshot, Reason.INVALID_SPEC, str(snapshot.plan))
            return
        await self._carry_out(snapshot, snapshot.plan)

    async def _carry_out(self, snapshot: Snapshot, plan: Plan) -> None:
        before = snapshot.seen.record
        decision = decide(plan, before, snapshot.seen)
        refused = await self._write(snapshot, plan, decision)
        if refused is not None:
            self._agreed.pop(snapshot.key, None)
            decision = replace(decision, record=before, reason=Reason.APPLY_FAILED, message=str(refused), stalled=True)
            self._queue.add_after(snapshot.key, REFUSED_AGAIN)
        self._metrics.weighed(snapshot.ref, decision.record)
        self._metrics.stands(snapshot.ref, decision.reason, stalled=decision.stalled)
        if decision.record != before:
            await self._announcer.transition(snapshot.ref, before, decision.record, decision.reason, decision.message)
        known = self._frozen(plan, decision.record, snapshot.known)
        self._follower.follow(snapshot.key, snapshot.body, plan, decision.record, known)
        now = self._observer.snapshot(snapshot.key)
        if now is None or not isinstance(now.plan, Plan):
            return
        await self._statuses.show(now, plan, decision)
        if decision.reason is not Reason.NOT_POLLED_YET:
            # What an earlier process began to make for the version that is wanted is not in the record yet.
            await self._children.prune(now, decision.record)
        self._wake(snapshot, decision)

    async def _write(self, snapshot: Snapshot, plan: Plan, decision: Decision) -> Refused | None:
        before, record = snapshot.seen.record, decision.record
        if snapshot.seen.taken_by is not None:
            # The host is another's by now. What still stands there of ours may lose weight, nothing else.
            if record != before and snapshot.route is not None:
                write = self._routes.revert if lowers(before, record) else self._routes.note
                await write(snapshot.route, record)
            return None
        known = self._frozen(plan, record, snapshot.known)
        try:
            if lowers(before, record) and snapshot.route is not None:
                await self._routes.revert(snapshot.route, record)
                edited = await self._children.ensure(plan, record, known)
            else:
                edited = await self._children.ensure(plan, record, known)
                wrote = await self._routes.ensure(plan, record, snapshot.route)
                # With the plan that it agreed with before, nobody but another can have changed it.
                if wrote and record == before and self._agreed.get(snapshot.key) == plan.generation:
                    edited.append(f"{ROUTE_KIND} {snapshot.ref.name}")
                self._agreed[snapshot.key] = plan.generation
            for what in edited:
                await self._announcer.put_back(snapshot.ref, what)
        except Conflict:
            if not lowers(before, record):
                raise
            # A revert does not wait for another pass: the lane reads the route, decides and writes at once.
            self._reverts.look(snapshot.key)
            raise
        except Refused as error:
            _log.warning("refused", object=snapshot.key, error=str(error))
            return error
        return None

    def _frozen(self, plan: Plan, record: Record, known: Known) -> Known:
        """Add what was never rendered yet. What can't be rendered any more, as its spec is gone, stays as it stands."""
        rendered = {
            revision.name: freeze(plan, revision, self._presets)
            for revision in record.revisions()
            if known.kept(revision) is None and revision.serving == serving_digest(plan.serving)
        }
        return replace(known, frozen={**known.frozen, **rendered}) if rendered else known

    def _wake(self, snapshot: Snapshot, decision: Decision) -> None:
        if decision.record != snapshot.seen.record:
            self._queue.add(snapshot.key)
        elif decision.requeue is not None:
            self._queue.add_after(snapshot.key, decision.requeue)
        if snapshot.seen.taken_by is not None:
            self._queue.add_after(snapshot.key, TAKEN_AGAIN)

    def _forget(self, key: str) -> None:
        self._agreed.pop(key, None)
        self._observer.forget(key)
        self._follower.forget(key)
        self._statuses.forget(key)
        self._queue.forget(key)
        self._metrics.forget(key)
