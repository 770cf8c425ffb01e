"""What is told of a transition after it was carried out: a log line, numbers, an Event on the object, notices."""

import structlog

from tidegate.core.diversion import Diversion
from tidegate.core.notice import notices
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.transition import transition
from tidegate.core.values import ObjectRef
from tidegate.loop.events import EventRecorder
from tidegate.loop.notices import Notices
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")


class Announcer:
    """Tells of what was done, once."""

    def __init__(self, *, events: EventRecorder, notices: Notices, metrics: Metrics) -> None:
        self._events = events
        self._notices = notices
        self._metrics = metrics

    def transition(self, ref: ObjectRef, before: Record, after: Record, reason: Reason, message: str) -> None:
        """Tell that the record went from one to the other."""
        told = transition(ref, before, after, reason, message)
        _log.info("decided", **told.fields())
        self._metrics.decided(reason)
        self._notices.tell(notices(ref, before, after, reason, message))
        for past, result in told.ended:
            self._metrics.rollouts.labels(result=result).observe(max(0.0, past.ended - past.started))
        if _shown(before) != _shown(after):
            warning = after.rollout is not None and after.rollout.verdict is not None
            self._events.tell(
                ref, reason=reason.value, action="Rollout", note=message, warning=warning, decision=told.decision
            )

    def diverted(self, ref: ObjectRef, before: Record, after: Record, away: Diversion) -> None:
        """Tell that a canary's Service was taken off its own pods, as the route could not be given the record."""
        canary = after.rollout.canary.name if after.rollout is not None else ""
        # The clients' requests are with stable now, whenever the route follows. That is told to nobody again.
        self._notices.tell(notices(ref, before, after, away.verdict.reason, away.verdict.message))
        _log.error("diverted", object=ref.key, service=canary, to=away.to, verdict=away.verdict.message)
        note = f"{away.verdict.message}; the route can't be written, so Service {canary} selects the pods of {away.to}"
        self._events.tell(ref, reason=Reason.ROUTE_DIVERTED.value, action="Divert", note=note, warning=True)

    def put_back(self, ref: ObjectRef, what: str) -> None:
        """Tell that an object of ours (kind and name) was not as it has to be and was put back."""
        _log.warning("put back", object=ref.key, what=what)
        self._metrics.put_back.labels(kind=what.partition(" ")[0]).inc()
        note = f"{what} was changed by somebody else and was put back"
        self._events.tell(ref, reason="PutBack", action="PutBack", note=note, warning=True)


def _shown(record: Record) -> tuple[object, ...]:
    """What of a record is worth an Event: who serves, who comes with which weight, and why it goes."""
    rollout = record.rollout
    return (record.stable, rollout and (rollout.canary, rollout.attempt, rollout.weight, rollout.verdict))
