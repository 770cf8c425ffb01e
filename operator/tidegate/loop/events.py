"""Events on an object, as `events.k8s.io/v1` means them: repeated ones are one with a series, and a flood is cut off.

An Event that is told again is not made again: its series counts, written at once the first time and then with a
heartbeat. (`series.count` is, by the API, the number of occurrences up to the last heartbeat.) However much an object
flaps, it can't fill the API server's store: each object has a budget, as in client-go (EventSourceObjectSpamFilter).

They are written from a queue: no revert, no alert's answer and no pass waits for one.
"""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from tidegate.core.labels import API_VERSION, GROUP, KIND
from tidegate.core.values import ObjectRef
from tidegate.errors import ClusterError, Conflict
from tidegate.loop.backlog import Backlog
from tidegate.ports import Clock, Cluster, Manifest
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
NOTE = 1024  # characters of an Event's note, by the API
#: Seconds without a repetition after which the same words are a new Event: an Event lives for an hour.
SERIES_ENDS = 1800.0
#: Seconds between two writes of a series that goes on.
HEARTBEAT = 60.0
#: Writes that an object may cause at once, and seconds after which it gets another one.
BURST = 25
REFILL = 60.0
#: Objects and Events remembered; the ones unused longest are forgotten first.
REMEMBERED = 2048
#: Events that wait to be written; one more drops the oldest.
MOST = 1000
#: Seconds that the end of the process waits for them.
FAREWELL = 0.5


@dataclass(slots=True, kw_only=True)
class _Told:
    """An Event that was written: what is its own beside its words, how often it was seen, and when last.

    There may be thousands, and a manifest takes kilobytes: it is made anew for a repetition. `at` is the time that it
    shows, in seconds since the epoch.
    """

    name: str
    at: float
    decision: str | None
    count: int
    seen: float
    written: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What an Event says, and of which object."""

    ref: ObjectRef
    reason: str
    action: str
    note: str
    warning: bool

    @property
    def identity(self) -> bytes:
        """What makes two of them the same one: a digest, as thousands are remembered."""
        words = (self.ref.uid, self.reason, self.action, self.note, self.warning)
        return hashlib.blake2b(repr(words).encode(), digest_size=16).digest()


@dataclass(slots=True, kw_only=True)
class _Budget:
    """Writes that an object has left, and when that was counted."""

    left: float
    at: float


class EventRecorder:
    """Writes Events, oldest first. What it can't write is lost: an Event is worth no retry."""

    def __init__(self, *, cluster: Cluster, clock: Clock, metrics: Metrics, instance: str, most: int = MOST) -> None:
        self._cluster = cluster
        self._clock = clock
        self._metrics = metrics
        self._instance = instance
        self._told: OrderedDict[bytes, _Told] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()
        self._backlog: Backlog[tuple[_Words, _Told, bool]] = Backlog(most, self._dropped)
        self._stamp = 0

    def tell(
        self, ref: ObjectRef, *, reason: str, action: str, note: str, warning: bool, decision: str | None = None
    ) -> None:
        """Queue what is told of an object; `decision` joins the Event to the log's line. Returns at once."""
        words = _Words(ref=ref, reason=reason, action=action, note=note, warning=warning)
        now = self._clock.monotonic()
        known = self._series(words.identity, now)
        if known is not None:
            known.count, known.seen = known.count + 1, now
            if known.count > 2 and now - known.written < HEARTBEAT:  # noqa: PLR2004 (one, and its first repetition)
                return
        if not self._may_write(ref.uid, now):
            self._metrics.events_dropped.labels(cause="rate").inc()
            return
        self._backlog.add((words, known or self._new(words, decision, now), known is not None))
        if known is not None:
            known.written = now

    async def run(self) -> None:
        """Write until cancelled; what is queued then stays queued."""
        await self._backlog.keep(self.flush)

    async def flush(self) -> None:
        """Write until nothing is left."""
        waiting = self._backlog.waiting
        while waiting:
            entry = waiting.popleft()
            try:
                await self._write(*entry)
            except asyncio.CancelledError:
                waiting.appendleft(entry)
                raise

    async def stop(self) -> None:
        """After `run` ended: give what is queued a last moment, then forget it."""
        try:
            async with asyncio.timeout(FAREWELL):
                await self.flush()
        except TimeoutError:
            self._backlog.give_up()

    def _dropped(self, count: int) -> None:
        self._metrics.events_dropped.labels(cause="queue").inc(count)

    def _new(self, words: _Words, decision: str | None, now: float) -> _Told:
        wall = self._clock.now()
        # Microseconds, as everybody names them; no two of ours are the same.
        self._stamp = max(int(wall * 1e6), self._stamp + 1)
        name = f"{words.ref.name}.{self._stamp:x}"
        told = _Told(name=name, at=wall, decision=decision, count=1, seen=now, written=now)
        self._told[words.identity] = told
        _bounded(self._told)
        return told

    def _series(self, identity: bytes, now: float) -> _Told | None:
        """What goes on; what was seen last too long ago is forgotten."""
        while self._told and now - next(iter(self._told.values())).seen > SERIES_ENDS:
            self._told.popitem(last=False)
        known = self._told.get(identity)
        if known is not None:
            self._told.move_to_end(identity)
        return known

    def _may_write(self, uid: str, now: float) -> bool:
        budget = self._budgets.setdefault(uid, _Budget(left=BURST, at=now))
        self._budgets.move_to_end(uid)
        _bounded(self._budgets)
        budget.left = min(BURST, budget.left + (now - budget.at) / REFILL)
        budget.at = now
        if budget.left < 1:
            return False
        budget.left -= 1
        return True

    async def _write(self, words: _Words, told: _Told, again: bool) -> None:
        manifest = self._manifest(words, told)
        try:
            if again:
                series = {"count": told.count, "lastObservedTime": _stamp(self._clock.now())}
                # An apply: an Event that has expired meanwhile is there again.
                await self._cluster.apply({**manifest, "series": series})
            else:
                await self._cluster.emit(manifest)
        except Conflict:
            # It is there: a write that was broken off had arrived.
            return
        except ClusterError as error:
            self._metrics.events_dropped.labels(cause="error").inc()
            _log.warning("event lost", object=words.ref.key, error=str(error))

    def _manifest(self, words: _Words, told: _Told) -> Manifest:
        ref = words.ref
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "namespace": ref.namespace,
                "name": told.name,
                **({"annotations": {f"{GROUP}/decision": told.decision}} if told.decision else {}),
            },
            "eventTime": _stamp(told.at),
            "type": "Warning" if words.warning else "Normal",
            "reason": words.reason,
            "action": words.action,
            "note": words.note[:NOTE],
            "reportingController": "tidegate.dev/operator",
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": ref.namespace,
                "name": ref.name,
                "uid": ref.uid,
            },
        }


def _stamp(seconds: float) -> str:
    """A MicroTime."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _bounded(kept: "OrderedDict[Any, Any]") -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
