"""Status: a projection, written when what it says has changed and no oftener than people read."""

import json
from typing import Any

from tidegate.api.report import render_failure, render_status, render_verdict
from tidegate.core.audit import UNTOLD, Marks
from tidegate.core.decision import Decision
from tidegate.core.labels import API_VERSION, KIND
from tidegate.core.plan import Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.report import report
from tidegate.errors import Conflict
from tidegate.loop.evidence import EvidenceWatch
from tidegate.loop.observe import Snapshot
from tidegate.loop.queue import WorkQueue
from tidegate.loop.world import World
from tidegate.ports import Clock, Cluster

#: Seconds between two writes that only bring newer findings.
FINDINGS_EVERY = 10.0
#: What moves all the time while a rollout is under way, and is worth no write of its own.
_MOVING = ("judge",)


class Statuses:
    """Writes status by server-side apply of the subresource.

    `cluster` takes what any replica may write, `leading` what only the leader may.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        leading: Cluster,
        world: World,
        clock: Clock,
        evidence: EvidenceWatch,
        queue: WorkQueue,
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._world = world
        self._clock = clock
        self._evidence = evidence
        self._queue = queue
        self._written: dict[str, float] = {}

    async def show(self, snapshot: Snapshot, plan: Plan, decision: Decision, *, marks: Marks = UNTOLD) -> None:
        """Show what a pass decided and carried out, and how far the audit trail was told of it."""
        if decision.reason is Reason.NOT_POLLED_YET and snapshot.body.get("status"):
            # The answer is a moment away. Saying so would write every status twice at each start, and tell those who
            # wait for an edited object that it was looked at.
            return
        judge = self._evidence.state(snapshot.key)
        shown = report(plan, decision, snapshot.seen)
        previous = snapshot.body.get("status")
        wanted = render_status(shown, previous=previous, now=snapshot.seen.now, judge=judge, marks=marks)
        await self._write(snapshot, wanted, self._leading)

    async def fail(self, snapshot: Snapshot, reason: Reason, message: str, *, marks: Marks = UNTOLD) -> None:
        """Say why nothing could be decided; everything else that status said stays."""
        wanted = render_failure(
            snapshot.body.get("status"),
            generation=snapshot.body["metadata"]["generation"],
            reason=reason,
            message=message,
            now=snapshot.seen.now,
            record=snapshot.seen.record if snapshot.route is not None and snapshot.unreadable is None else None,
            marks=marks,
        )
        await self._write(snapshot, wanted, self._leading)

    async def condemn(self, snapshot: Snapshot, record: Record) -> None:
        """Save a verdict that the route can't take; everything else that status said stays. Any replica may do it."""
        await self._write(snapshot, render_verdict(snapshot.body.get("status"), record), self._cluster)

    async def _write(self, snapshot: Snapshot, wanted: dict[str, Any], cluster: Cluster) -> None:
        live = snapshot.body.get("status") or {}
        if _same(live, wanted):
            return
        wait = self._written.get(snapshot.key, float("-inf")) + FINDINGS_EVERY - self._clock.monotonic()
        if wait > 0 and _same(_settled(live), _settled(wanted)):
            self._queue.add_after(snapshot.key, wait)
            return
        self._written[snapshot.key] = self._clock.monotonic()
        meta = snapshot.body["metadata"]
        manifest = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            # The API server looks at no uid here; the resourceVersion keeps it from an object that was made anew.
            "metadata": {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")},
            "status": wanted,
        }
        try:
            self._world.put(await cluster.apply_status(manifest))
        except Conflict:
            return  # the object is gone or another by now; its own pass is on the way

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._written.pop(key, None)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _settled(status: dict[str, Any]) -> dict[str, Any]:
    """Status without what every look at the evidence moves: findings, the tests' state, and what quotes them."""
    kept = {key: value for key, value in status.items() if key not in _MOVING}
    if isinstance(rollout := kept.get("rollout"), dict):
        kept["rollout"] = {key: value for key, value in rollout.items() if key != "findings"}
    kept["conditions"] = [
        {key: value for key, value in condition.items() if key != "message"} for condition in kept.get("conditions", [])
    ]
    return kept
