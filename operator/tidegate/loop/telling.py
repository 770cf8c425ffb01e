"""The lane for alerts: what was told of an object goes to its route at once, and whoever told it may wait for that.

Any replica does this, leader or not: it makes the decision of a pass and carries out only what takes weight away or
notes alerts (`RevertLane.attempt`). The leader learns it from the route.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum

import structlog

from tidegate.core.alerts import MOST, missing, over
from tidegate.core.backoff import backoff
from tidegate.core.decide import TELLING
from tidegate.core.observed import Alerts
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Record
from tidegate.errors import Conflict, Unreachable
from tidegate.loop.alerts import AlertInbox
from tidegate.loop.observe import Observer
from tidegate.loop.reverts import FIRST_BACKOFF, LAST_BACKOFF, PROMPT_CONFLICTS, RevertLane
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")


class Effect(StrEnum):
    """What came of one alert."""

    REVERTED = "reverted"
    NOTED = "noted"
    RESOLVED = "resolved"
    NOTHING = "nothing"


class AlertLane:
    """Brings what was told of an object onto its route."""

    def __init__(
        self,
        *,
        inbox: AlertInbox,
        observer: Observer,
        reverts: RevertLane,
        metrics: Metrics,
        look: Callable[[str], None],
    ) -> None:
        self._inbox = inbox
        self._observer = observer
        self._reverts = reverts
        self._metrics = metrics
        self._look = look

    async def tell(self, key: str, told: Alerts) -> Sequence[tuple[Alert, Effect]]:
        """Write it to the route, as often as that takes; each time it is decided anew on the newest one.

        Returns what came of each alert once all of it is there. Whoever gives up earlier leaves it in the inbox.

        Raises:
            Refused: the API server does not let the route be written.
            Unreachable: the object has no route that could be written, or holds as many alerts as there is room for.
        """
        started = asyncio.get_running_loop().time()
        before = self._record(key)
        self._inbox.put(key, told)
        try:
            await self._written(key)
        finally:
            # Status follows; and what could not be written goes on being tried with everything else of the object.
            self._look(key)
        after = self._shown(key)
        if before is None or after is None:
            return ()
        found = effects(told, before, after)
        if any(effect is Effect.REVERTED for _, effect in found):
            self._metrics.reverts.observe(asyncio.get_running_loop().time() - started)
        return found

    async def _written(self, key: str) -> None:
        failures = 0
        while True:
            try:
                if not await self._reverts.attempt(key, rules=TELLING):
                    return
                continue
            except Conflict as error:
                failures += 1
                if failures <= PROMPT_CONFLICTS:
                    continue
                _log.warning("alert meets other writers", object=key, error=str(error))
            except Unreachable as error:
                failures += 1
                _log.error("alert is not on the route yet, it is tried again", object=key, error=str(error))
            await asyncio.sleep(backoff(failures - PROMPT_CONFLICTS + 1, first=FIRST_BACKOFF, last=LAST_BACKOFF))

    def _record(self, key: str) -> Record | None:
        snapshot = self._observer.snapshot(key)
        return snapshot.seen.record if snapshot is not None else None

    def _shown(self, key: str) -> Record | None:
        """The record that shows all that was told; None where there is nothing left to tell it of."""
        snapshot = self._observer.snapshot(key)
        if snapshot is None or snapshot.body["metadata"].get("deletionTimestamp"):
            self._inbox.forget(key)
            return None
        if snapshot.unreadable is not None:
            raise Unreachable(f"{key}: {snapshot.unreadable}")
        if snapshot.route is None:
            raise Unreachable(f"{key} has no route of its own yet")
        if snapshot.seen.alerts != Alerts():
            raise Unreachable(f"{key} has no room for more than {MOST} alerts")
        return snapshot.seen.record


def effects(told: Alerts, before: Record, after: Record) -> list[tuple[Alert, Effect]]:
    """What came of each alert between two records."""
    new = _reverts(after) - _reverts(before)
    found = []
    for alert in told.firing:
        news = missing(before, alert)
        effect = Effect.NOTHING if not news else Effect.REVERTED if new else Effect.NOTED
        found.append((alert, effect))
    found += [(a, Effect.RESOLVED if over(before, a) else Effect.NOTHING) for a in told.resolved]
    return found


def _reverts(record: Record) -> set[float]:
    """When alerts ended attempts, the one under way included: it may be filed before anybody looks."""
    verdict = record.rollout.verdict if record.rollout is not None else None
    ended = {past.ended for past in record.history if past.reason is Reason.ALERT_FIRING}
    return ended | ({verdict.at} if verdict is not None and verdict.reason is Reason.ALERT_FIRING else set())
