"""Alerts read from Prometheus, for where nobody can push them: the series `ALERTS`, asked for by the leader.

Each reading is the whole truth of its moment: what is not in it any more is resolved, if Prometheus remembers that it
fired. One that has lost its data, or never had any (the other one of two behind one address), does not know. A reading
that fails says nothing, so that what fires goes on to hold; after it, nobody knows when a new alert began, and it
counts as old.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

import structlog

from tidegate.core.alerts import LONGEST_NAME, LONGEST_SUMMARY
from tidegate.core.labels import KIND
from tidegate.core.observed import Alerts
from tidegate.core.record import Alert
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable
from tidegate.errors import ClusterError
from tidegate.loop.alerts import Matching
from tidegate.loop.observe import Observer
from tidegate.loop.telling import AlertLane
from tidegate.loop.world import World
from tidegate.ports import Clock, Prometheus

_log = structlog.get_logger("tidegate")
FIRING = 'ALERTS{alertstate="firing"}'
#: The value is when the alert's condition began to hold: earlier than it fired, where the rule has a `for`.
BEGINNINGS = "ALERTS_FOR_STATE"
#: What fired lately: only asked for when something does not fire any more.
REMEMBERED = 'last_over_time(ALERTS{alertstate="firing"}[6h])'
#: Seconds between two readings: as much as the clocks of senders are allowed to differ.
INTERVAL = 5.0
#: A reading is followed by the next one within this many intervals, or what is new in that may have begun at any time.
GAP = 3
TIMEOUT = 4.0
#: Objects that are told at a time. One whose route can't be written takes an interval, and delays no other.
MOST_OBJECTS = 32
_NAME = "alertname"
_NOT_OF_THE_ALERT = frozenset({"__name__", "alertstate"})

Labels = frozenset[tuple[str, str]]


class PolledAlerts:
    """Reads which alerts fire, and tells of each change."""

    def __init__(
        self,
        *,
        prometheus: Prometheus,
        lane: AlertLane,
        matching: Matching,
        observer: Observer,
        world: World,
        clock: Clock,
    ) -> None:
        self._prometheus = prometheus
        self._lane = lane
        self._matching = matching
        self._observer = observer
        self._world = world
        self._clock = clock
        self._read_at: float | None = None
        self._since: dict[Labels, float] = {}
        self._shown: dict[str, dict[str, Alert]] | None = None

    async def run(self) -> None:
        """Read until cancelled. Begins with what the routes show: an earlier leader may have told of it."""
        self._shown, self._read_at, self._since = None, None, {}
        while True:
            await self.once()
            await asyncio.sleep(INTERVAL)

    async def once(self) -> None:
        """One reading, and what follows from it."""
        found = await self._prometheus.query(FIRING, timeout=TIMEOUT)
        if isinstance(found, Unavailable):
            _log.warning("alerts can't be read", reason=found.reason, error=found.message)
            return
        now = self._clock.now()
        firing = [_labels(sample) for sample in found]
        seamless = self._read_at is not None and now - self._read_at <= GAP * INTERVAL
        if seamless:
            began: Mapping[Labels, float] = dict.fromkeys(firing, now)
        elif (read := await self._beginnings()) is not None:
            began = read
        else:
            return
        # Of what has no beginning one only knows that it is not after the canary's.
        self._since = {labels: self._since.get(labels, began.get(labels, 1.0)) for labels in firing}
        self._read_at = now
        if self._shown is None:
            self._shown = dict(self._on_routes())
        wanted = self._wanted()
        await self._keep_unforgotten(wanted, self._shown)
        await self._tell(wanted, self._shown)

    async def _beginnings(self) -> dict[Labels, float] | None:
        found = await self._prometheus.query(BEGINNINGS, timeout=TIMEOUT)
        if isinstance(found, Unavailable):
            _log.warning("alerts can't be read", reason=found.reason, error=found.message)
            return None
        return {_labels(sample): max(1.0, sample.value) for sample in found if sample.value < self._clock.now()}

    def _wanted(self) -> defaultdict[str, dict[str, Alert]]:
        """What fires, by object and fingerprint."""
        match, wanted = self._matching.now(), defaultdict[str, dict[str, Alert]](dict)
        for labels, since in self._since.items():
            named = dict(labels)
            for key in match.keys(named):
                alert = _alert(named, since)
                wanted[key][alert.fingerprint] = alert
        return wanted

    async def _keep_unforgotten(
        self, wanted: defaultdict[str, dict[str, Alert]], shown: Mapping[str, Mapping[str, Alert]]
    ) -> None:
        """Take what is shown and fires no more for firing still, but for what Prometheus remembers."""
        gone = [(key, a) for key, known in shown.items() for a in known.values() if a.fingerprint not in wanted[key]]
        if not gone:
            return
        found = await self._prometheus.query(REMEMBERED, timeout=TIMEOUT)
        if isinstance(found, Unavailable):
            _log.warning("alerts can't be read", reason=found.reason, error=found.message)
        fired = set() if isinstance(found, Unavailable) else {_alert(dict(_labels(s)), 0.0).fingerprint for s in found}
        for key, alert in gone:
            if alert.fingerprint not in fired:
                wanted[key][alert.fingerprint] = alert

    async def _tell(self, wanted: Mapping[str, Mapping[str, Alert]], shown: dict[str, dict[str, Alert]]) -> None:
        turns = asyncio.Semaphore(MOST_OBJECTS)
        async with asyncio.TaskGroup() as group:
            for key in {*wanted, *shown}:
                group.create_task(self._change(key, wanted.get(key, {}), shown, turns))

    async def _change(
        self, key: str, new: Mapping[str, Alert], shown: dict[str, dict[str, Alert]], turns: asyncio.Semaphore
    ) -> None:
        known = shown.get(key, {})
        told = Alerts(
            firing=tuple(alert for name, alert in new.items() if name not in known),
            resolved=tuple(alert for name, alert in known.items() if name not in new),
        )
        if told == Alerts():
            return
        async with turns:
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._lane.tell(key, told)
            except (ClusterError, TimeoutError) as error:
                _log.warning("alerts are not on the route yet", object=key, error=str(error))
                return
        shown[key] = dict(new)

    def _on_routes(self) -> Iterator[tuple[str, dict[str, Alert]]]:
        for key in self._world.names(KIND):
            snapshot = self._observer.snapshot(key)
            alerts = snapshot.seen.record.alerts if snapshot is not None else ()
            if polled := {alert.fingerprint: alert for alert in alerts if alert.polled}:
                yield key, polled


def _labels(sample: Sample) -> Labels:
    return frozenset((name, value) for name, value in sample.labels.items() if name not in _NOT_OF_THE_ALERT)


def _alert(labels: Mapping[str, str], since: float) -> Alert:
    text = "\0".join(f"{name}\0{value}" for name, value in sorted(labels.items()))
    others = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != _NAME)
    return Alert(
        fingerprint=f"prom-{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        name=labels.get(_NAME, "alert")[:LONGEST_NAME],
        since=since,
        summary=others[:LONGEST_SUMMARY],
        polled=True,
    )
