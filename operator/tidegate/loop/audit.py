"""Tells the audit trail what was done: each act at least once, those of one object in their order.

Acts on a `ModelDeployment` stand in its record's journal, put there by the write that carried them out. The leader
tells them in the next pass, then notes in status up to which number it did, in the write that status needs after an act
anyway. One that dies in between leaves them to the next leader. What was told and not noted is told again, under the
same id.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from tidegate.core.audit import AuditEvent, event_of
from tidegate.core.labels import KIND
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef
from tidegate.errors import AuditFailed
from tidegate.ports import AuditTrail
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")


class Audit:
    """Whom everybody tells who does something that an auditor asks for. Without a trail nothing is told or noted."""

    def __init__(self, trail: AuditTrail | None, metrics: Metrics) -> None:
        self._trail = trail
        self._metrics = metrics
        #: Up to which entry an object's journal was told by this process, by uid.
        self._told: dict[str, int] = {}

    def tell(self, event: AuditEvent) -> bool:
        """Tell of one act; False where the trail can't take it now, so that it has to be told again.

        For acts on the record of a `ModelDeployment`, `core.journal.SOURCES` is the place: they can't be lost there.
        """
        if self._trail is None:
            return True
        try:
            self._trail.append(event)
        except AuditFailed as error:
            self._metrics.audit_events.labels(result="failed").inc()
            _log.error("audit event not written, it is tried again", object=event.ref.key, error=str(error))
            return False
        self._metrics.audit_events.labels(result="written").inc()
        return True

    def catch_up(self, ref: ObjectRef, record: Record, status: Mapping[str, Any] | None) -> int | None:
        """Tell what the journal has and nobody has told; the number up to which all of it is told, for status."""
        noted = (status or {}).get("audited")
        if self._trail is None or (not record.journal and noted is None):
            return noted
        told = max(self._told.get(ref.uid, 0), noted or 0)
        for entry in record.journal:
            if entry.number > told:
                if not self.tell(event_of(KIND, ref, entry)):
                    break
                told = entry.number
        self._told[ref.uid] = told
        return told

    def behind(self, record: Record, told: int | None) -> bool:
        """Whether something of the journal could not be told."""
        return self._trail is not None and bool(record.journal) and record.journal[-1].number > (told or 0)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._told.pop(uid, None)
