"""Events on an object, as `events.k8s.io/v1` means them: repeated ones are one with a series, and a flood is cut off.

An Event that is told again is not made again: its series counts, written at once the first time and then with a
heartbeat. (`series.count` is, by the API, the number of occurrences up to the last heartbeat.) However much an object
flaps, it can't fill the API server's store: each object has a budget, as in client-go (EventSourceObjectSpamFilter).
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from tidegate.core.labels import API_VERSION, GROUP, KIND
from tidegate.core.values import ObjectRef
from tidegate.errors import ClusterError
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
    def identity(self) -> tuple[str, ...]:
        """What makes two of them the same one."""
        return self.ref.uid, self.reason, self.action, self.note, str(self.warning)


@dataclass(slots=True, kw_only=True)
class _Budget:
    """Writes that an object has left, and when that was counted."""

    left: float
    at: float


class EventRecorder:
    """Writes Events. What it can't write is lost: an Event is worth no retry."""

    def __init__(self, *, cluster: Cluster, clock: Clock, metrics: Metrics, instance: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._metrics = metrics
        self._instance = instance
        self._told: OrderedDict[tuple[str, ...], _Told] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    async def emit(
        self, ref: ObjectRef, *, reason: str, action: str, note: str, warning: bool, decision: str | None = None
    ) -> None:
        """Tell something of an object; `decision` joins the Event to the log's line."""
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
        if known is None:
            await self._first(words, decision)
        else:
            await self._again(words, known, now)

    def _series(self, identity: tuple[str, ...], now: float) -> _Told | None:
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

    async def _first(self, words: _Words, decision: str | None) -> None:
        wall, now = self._clock.now(), self._clock.monotonic()
        name = f"{words.ref.name}.{int(wall * 1e6):x}"
        # Before the write: what is told while it is under way is the same Event.
        made = _Told(name=name, at=wall, decision=decision, count=1, seen=now, written=now)
        self._told[words.identity] = made
        _bounded(self._told)
        try:
            await self._cluster.emit(self._manifest(words, made))
        except ClusterError as error:
            self._lost(words.ref, error)

    async def _again(self, words: _Words, known: _Told, now: float) -> None:
        known.written = now
        series = {"count": known.count, "lastObservedTime": _stamp(self._clock.now())}
        try:
            # An apply: an Event that has expired meanwhile is there again.
            await self._cluster.apply({**self._manifest(words, known), "series": series})
        except ClusterError as error:
            self._lost(words.ref, error)

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

    def _lost(self, ref: ObjectRef, error: ClusterError) -> None:
        self._metrics.events_dropped.labels(cause="error").inc()
        _log.warning("event lost", object=ref.key, error=str(error))


def _stamp(seconds: float) -> str:
    """A MicroTime."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _bounded(kept: "OrderedDict[Any, Any]") -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
