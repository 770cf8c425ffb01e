"""The lane for reverts: a cause goes to the route at once, not behind a pass of the same object.

It makes the same decision as a pass, on the same snapshot, and carries out only what takes weight away. The route's
resourceVersion makes the two safe against each other. Where the route can't be written, `loop/diversion.py` has another
way, and the lane goes on trying.
"""

import asyncio

import structlog

from tidegate.core.alerts import noted
from tidegate.core.backoff import backoff
from tidegate.core.decide import RULES, Rule, decide
from tidegate.core.decision import Decision
from tidegate.core.journal import entered
from tidegate.core.observed import Alerts
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Verdict
from tidegate.core.revert import lowers, reverted
from tidegate.errors import ClusterError, Conflict, InvalidSpec
from tidegate.loop.announce import Announcer
from tidegate.loop.diversion import SecondPlane
from tidegate.loop.observe import Observer, Snapshot
from tidegate.loop.pause import pause
from tidegate.loop.queue import WorkQueue
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Seconds until a revert that could not be written is tried again: first, and at most.
FIRST_BACKOFF = 0.05
LAST_BACKOFF = 1.0
#: Conflicts in a row that are answered at once: a gateway writes its status only so often.
PROMPT_CONFLICTS = 5


class RevertLane:
    """Looks at objects whose canary may have weight, each time that something is told of them."""

    def __init__(
        self, *, observer: Observer, plane: SecondPlane, queue: WorkQueue, announcer: Announcer, metrics: Metrics
    ) -> None:
        self._observer = observer
        self._plane = plane
        self._queue = queue
        self._announcer = announcer
        self._metrics = metrics
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._stopping = asyncio.Event()
        metrics.reverting.set_function(lambda: len(self._tasks))

    def look(self, key: str) -> None:
        """Something was told of this object: revert if there is a cause. Returns at once."""
        if not self._observer.rolling(key):
            return
        if key in self._tasks:
            self._again.add(key)
            return
        snapshot = self._observer.snapshot(key)
        if snapshot is not None and wanted_revert(snapshot) is not None:
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"revert {key}")

    async def _run(self, key: str) -> None:
        try:
            await self._until_written(key)
        finally:
            del self._tasks[key]
            again = key in self._again
            self._again.discard(key)
            self._queue.add(key)
        # Not after a cancellation: whoever ends the lane does not want another task.
        if again:
            self.look(key)

    async def _until_written(self, key: str) -> None:
        """Write the revert, as often as it takes; each time it is decided anew on the newest route."""
        started, failures = asyncio.get_running_loop().time(), 0
        while not self._stopping.is_set():
            try:
                written = await self.attempt(key)
            except Conflict as error:
                failures += 1
                if failures <= PROMPT_CONFLICTS:
                    continue
                _log.warning("revert meets other writers", object=key, error=str(error))
                await self._diverted(key)
            except ClusterError as error:
                failures += 1
                self._metrics.revert_failures.inc()
                _log.error("revert failed, it is tried again", object=key, error=str(error))
                if failures == 1:
                    self._queue.add(key)
            else:
                if written:
                    self._metrics.reverts.observe(asyncio.get_running_loop().time() - started)
                return
            await pause(self._stopping, backoff(failures, first=FIRST_BACKOFF, last=LAST_BACKOFF))

    async def attempt(self, key: str, *, rules: tuple[Rule, ...] = RULES) -> bool:
        """Decide on the newest that is known, and write once what lowers or tells of alerts; False without a cause.

        `rules` are those of somebody who may do less than the leader.

        Raises:
            Conflict: somebody else wrote the route; it was read anew, so another attempt may follow at once.
            ClusterError: the API server did not do what it was asked.
        """
        snapshot = self._observer.snapshot(key)
        found = wanted_revert(snapshot, rules) if snapshot is not None else None
        if snapshot is None or found is None or snapshot.route is None:
            return False
        record, reason, message = found
        failed = await self._plane.revert(snapshot, snapshot.route, record)
        if failed is not None:
            raise failed.error
        self._announcer.transition(snapshot.ref, snapshot.seen.record, record, reason, message)
        return True

    async def _diverted(self, key: str) -> None:
        """A route that others write all the time can't be written either."""
        snapshot = self._observer.snapshot(key)
        found = wanted_revert(snapshot) if snapshot is not None else None
        if snapshot is not None and found is not None:
            await self._plane.divert(snapshot, found[0])

    async def stop(self, within: float) -> None:
        """Let what is being written be written, for so many seconds; what failed is left to the next process."""
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=within)


def wanted_revert(snapshot: Snapshot, rules: tuple[Rule, ...] = RULES) -> tuple[Record, Reason, str] | None:
    """The record that takes weight away from a canary now, with its reason and message; None without a cause."""
    before = snapshot.seen.record
    if snapshot.unreadable is not None or snapshot.body["metadata"].get("deletionTimestamp"):
        return None
    if isinstance(snapshot.plan, InvalidSpec):
        return _abandoned(snapshot, snapshot.plan)
    plan = snapshot.plan
    decision = decide(plan, before, snapshot.seen, rules=rules)
    told = snapshot.seen.alerts != Alerts() and decision.record.alerts != before.alerts
    if not lowers(before, decision.record) and not told:
        return None
    decision = entered(snapshot.ref, before, decision, now=snapshot.seen.now, pinned=plan.pointer.pinned)
    return decision.record, decision.reason, decision.message


def _abandoned(snapshot: Snapshot, fault: InvalidSpec) -> tuple[Record, Reason, str] | None:
    """Nobody can say any more what the rollout under way is held to: stable gets everything back."""
    before, seen = snapshot.seen.record, snapshot.seen
    rollout = before.rollout
    if rollout is None or (rollout.verdict is not None and rollout.weight == 0):
        told = noted(seen, before)
        return (told, Reason.ALERT_NOTED, f"alerts of an invalid spec: {fault}") if told != before else None
    verdict = Verdict(
        reason=Reason.INVALID_SPEC, message=f"the spec became invalid: {fault}", rejects=False, at=seen.now
    )
    stable = seen.of(before.stable.name).endpoints if before.stable else 0
    canary = seen.of(rollout.canary.name).endpoints
    lowered = reverted(before, verdict, stable_endpoints=stable, canary_endpoints=canary)
    record = noted(seen, lowered)
    if record == before:
        return None
    decision = Decision(record=record, reason=verdict.reason, message=verdict.message)
    decision = entered(snapshot.ref, before, decision, now=seen.now, pinned=False)
    return decision.record, decision.reason, decision.message
