"""One pass over one object: the only place that orders I/O.

    snapshot -> decide -> children -> route (compare-and-set) -> status -> prune -> announce

A decision that takes weight off a canary writes the route first, and where the route can't be written, has the canary's
Service diverted (`loop/diversion.py`). Everything but the writes is pure and lives in `core`; a pass that finds nothing
to write makes no request.
"""

from dataclasses import replace

import structlog

from tidegate.core.audit import Journal, Marks
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.diversion import condemned
from tidegate.core.entry import asked_about, sent
from tidegate.core.frozen import freeze
from tidegate.core.journal import entered
from tidegate.core.labels import KIND, ROUTE_KIND
from tidegate.core.manifests import Known
from tidegate.core.plan import Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.revert import lowers
from tidegate.core.revision import serving_digest
from tidegate.errors import Conflict, InvalidSpec, Refused
from tidegate.loop.announce import Announcer
from tidegate.loop.audit import Audit, marks_of
from tidegate.loop.children import Children
from tidegate.loop.diversion import NotWritten, SecondPlane
from tidegate.loop.follow import Follower
from tidegate.loop.observe import Observer, Snapshot
from tidegate.loop.pointers import PointerSaga
from tidegate.loop.queue import WorkQueue
from tidegate.loop.reverts import RevertLane
from tidegate.loop.routes import Routes
from tidegate.loop.statuses import Statuses
from tidegate.loop.tags import TagWriter
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Seconds until something that the API server refused is asked for again.
REFUSED_AGAIN = 10.0
#: Seconds until a route that somebody else claims is looked at again: its release tells nobody.
TAKEN_AGAIN = 10.0
#: Seconds until the audit trail is told again what it could not take.
AUDIT_AGAIN = 5.0


class Reconciler:
    """Carries out what `core` decides."""

    def __init__(
        self,
        *,
        observer: Observer,
        children: Children,
        routes: Routes,
        plane: SecondPlane,
        statuses: Statuses,
        follower: Follower,
        reverts: RevertLane,
        announcer: Announcer,
        audit: Audit,
        queue: WorkQueue,
        metrics: Metrics,
        pointers: PointerSaga,
        tags: TagWriter,
    ) -> None:
        self._pointers = pointers
        self._tags = tags
        self._observer = observer
        self._children = children
        self._routes = routes
        self._plane = plane
        self._statuses = statuses
        self._follower = follower
        self._reverts = reverts
        self._announcer = announcer
        self._audit = audit
        self._queue = queue
        self._metrics = metrics
        #: The generation that each object's route was last made to agree with.
        self._agreed: dict[str, int] = {}

    async def run_pass(self, key: str) -> None:
        """Bring one object a step nearer to what it asks for.

        Raises:
            Conflict: somebody else wrote the route, or an object; look again.
            NotLeading: the lease ran out; another replica goes on.
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
            marks = self._audited(snapshot)
            await self._statuses.fail(snapshot, Reason.INVALID_SPEC, str(snapshot.plan), marks=marks)
            return
        await self._carry_out(snapshot, snapshot.plan)

    async def _carry_out(self, snapshot: Snapshot, plan: Plan) -> None:
        before = snapshot.seen.record
        decision = decide(plan, before, snapshot.seen)
        decision = entered(snapshot.ref, before, decision, now=snapshot.seen.now, pinned=plan.pointer.pinned)
        failed = await self._write(snapshot, plan, decision)
        if failed is not None:
            decision = self._told(snapshot, decision, failed)
        self._metrics.weighed(snapshot.ref, decision.record)
        self._metrics.stands(snapshot.ref, decision.reason, stalled=decision.stalled)
        if failed is None and decision.record != before:
            self._announcer.transition(snapshot.ref, before, decision.record, decision.reason, decision.message)
        known = self._frozen(snapshot, plan, decision.record)
        asked = asked_about(plan, decision.record, snapshot.seen)
        trial = sent(plan, decision.record, snapshot.seen)
        self._follower.follow(snapshot.key, snapshot.body, plan, decision.record, known, at_gates=asked, trial=trial)
        now = self._observer.again(snapshot)
        if now is None or not isinstance(now.plan, Plan):
            return
        await self._statuses.show(now, plan, decision, marks=self._audited(now))
        if decision.reason is not Reason.NOT_POLLED_YET:
            # What an earlier process began to make for the version that is wanted is not in the record yet.
            await self._children.prune(now, plan, decision.record)
        if failed is None:
            # What the record says of the registry is on the route by now.
            self._pointers.follow(snapshot.key, decision.record.intents())
            self._tags.follow(snapshot.ref, plan, decision.record)
            self._wake(snapshot, decision)

    def _audited(self, snapshot: Snapshot) -> Marks:
        """Tell the audit trail what is on the route and was not told yet."""
        noted = marks_of(snapshot.body.get("status"))
        if snapshot.route is None:
            return noted
        journal = Journal(kind=KIND, ref=snapshot.ref, entries=snapshot.seen.record.journal)
        marks = self._audit.catch_up(journal, noted)
        if self._audit.behind(journal, marks):
            self._queue.add_after(snapshot.key, AUDIT_AGAIN)
        return marks

    async def _write(self, snapshot: Snapshot, plan: Plan, decision: Decision) -> NotWritten | None:
        before, record = snapshot.seen.record, decision.record
        if snapshot.seen.taken_by is not None:
            # The host is another's by now. What still stands there of ours may lose weight, nothing else.
            if record != before and snapshot.route is not None:
                if lowers(before, record):
                    return await self._plane.revert(snapshot, snapshot.route, record)
                await self._routes.note(snapshot.route, record)
            return None
        known, failed = self._frozen(snapshot, plan, record), None
        try:
            if lowers(before, record) and snapshot.route is not None:
                failed = await self._plane.revert(snapshot, snapshot.route, record)
                edited = await self._children.ensure(plan, record, failed.known(record, known) if failed else known)
            else:
                edited = await self._children.ensure(plan, record, known)
                failed = await self._routed(snapshot, plan, record, edited)
            for what in edited:
                self._announcer.put_back(snapshot.ref, what)
        except Conflict:
            if not lowers(before, record):
                raise
            # A revert does not wait for another pass: the lane reads the route, decides and writes at once.
            self._reverts.look(snapshot.key)
            raise
        except Refused as error:
            return failed or NotWritten(error=error)
        return failed

    async def _routed(self, snapshot: Snapshot, plan: Plan, record: Record, edited: list[str]) -> NotWritten | None:
        wrote = await self._plane.ensure(snapshot, plan, record)
        if isinstance(wrote, NotWritten):
            return wrote
        # With the plan that it agreed with before, nobody but another can have changed it.
        if wrote and record == snapshot.seen.record and self._agreed.get(snapshot.key) == plan.generation:
            edited.append(f"{ROUTE_KIND} {snapshot.ref.name}")
        self._agreed[snapshot.key] = plan.generation
        return None

    def _told(self, snapshot: Snapshot, decision: Decision, failed: NotWritten) -> Decision:
        """What is said instead of a decision that could not be written; it is tried again."""
        _log.warning("not written", object=snapshot.key, error=str(failed.error))
        self._agreed.pop(snapshot.key, None)
        self._queue.add_after(snapshot.key, min(REFUSED_AGAIN, decision.requeue or REFUSED_AGAIN))
        self._reverts.look(snapshot.key)
        record = condemned(snapshot.seen.record, decision.record)
        stalled = isinstance(failed.error, Refused)
        if record.rollout is None or record.rollout.verdict is None:
            return replace(
                decision, record=record, reason=Reason.APPLY_FAILED, message=str(failed.error), stalled=stalled
            )
        reason = Reason.ROUTE_DIVERTED if failed.away is not None else Reason.APPLY_FAILED
        message = f"{record.rollout.verdict.message}; {failed}"
        return replace(decision, record=record, reason=reason, message=message, stalled=stalled)

    def _frozen(self, snapshot: Snapshot, plan: Plan, record: Record) -> Known:
        """Add what was never rendered yet. What can't be rendered any more, as its spec is gone, stays as it stands."""
        known, presets = snapshot.known, snapshot.presets
        if presets is None:
            return known
        rendered = {
            revision.name: freeze(plan, revision, presets)
            for revision in record.revisions()
            if known.kept(revision) is None
            and revision.serving == serving_digest(plan.serving)
            and (presets.registry is None or revision.version.registry == snapshot.seen.registry)
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
        self._pointers.forget(key)
        self._tags.forget(key)
        self._follower.forget(key)
        self._statuses.forget(key)
        self._queue.forget(key)
        self._metrics.forget(key)
