"""What is told of a transition after it was carried out: a line in the log, a number, an Event on the object."""

from datetime import UTC, datetime
from typing import Any

import structlog

from tidegate.core.labels import API_VERSION, KIND
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef
from tidegate.errors import ClusterError
from tidegate.ports import Clock, Cluster
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
NOTE = 1024  # characters of an Event's note, by the API


class Announcer:
    """Tells of transitions. What it can't tell is lost: an Event is worth no retry."""

    def __init__(self, *, cluster: Cluster, clock: Clock, metrics: Metrics, instance: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._metrics = metrics
        self._instance = instance

    async def transition(self, ref: ObjectRef, before: Record, after: Record, reason: Reason, message: str) -> None:
        """Tell that the record went from one to the other."""
        self._metrics.decided(reason)
        _log.info("decided", object=ref.key, reason=reason.value, message=message, weights=after.weights())
        if _told(before) != _told(after):
            ended = after.rollout is not None and after.rollout.verdict is not None
            await self._emit(ref, reason.value, message, warning=ended)

    async def put_back(self, ref: ObjectRef, what: str) -> None:
        """Tell that an object of ours was not as it has to be and was put back."""
        _log.warning("put back", object=ref.key, what=what)
        await self._emit(ref, "PutBack", f"{what} was changed by somebody else and was put back", warning=True)

    async def _emit(self, ref: ObjectRef, reason: str, note: str, *, warning: bool) -> None:
        now = self._clock.now()
        stamp = datetime.fromtimestamp(now, tz=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        event: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": ref.namespace, "name": f"{ref.name}.{int(now * 1e6):x}"},
            "eventTime": stamp,
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "action": "Rollout",
            "note": note[:NOTE],
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
        try:
            await self._cluster.emit(event)
        except ClusterError as error:
            _log.warning("event lost", object=ref.key, error=str(error))


def _told(record: Record) -> tuple[object, ...]:
    """What of a record is worth an Event: who serves, who comes with which weight, and why it goes."""
    rollout = record.rollout
    return (record.stable, rollout and (rollout.canary, rollout.attempt, rollout.weight, rollout.verdict))
