"""Tells the audit trail what was done: each act at least once, those of one object in their order.

Acts stand in the journal of their object, put there by the write that carried them out: on the route of a
`ModelDeployment`, in the status of what people ask for. The leader tells them in the next pass, then notes in status up
to which number it did, for a `ModelDeployment` in the write that status needs after an act anyway. One that dies in
between leaves them to the next leader. What was told and not noted is told again, under the same id.

The stream of lines and the webhook (`loop/posting.py`) have a mark each, and neither waits for the other.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from tidegate.core.audit import Act, AuditEvent, Journal, Marks, lost, untold
from tidegate.errors import AuditFailed
from tidegate.loop.posting import Posting
from tidegate.ports import AuditTrail
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")


class Audit:
    """Whom everybody tells who does something that an auditor asks for. Without a trail nothing is told or noted."""

    def __init__(self, trail: AuditTrail | None, posting: Posting, metrics: Metrics) -> None:
        self._trail = trail
        self._posting = posting
        self._metrics = metrics
        #: Up to which entry an object's journal was told by this process, by uid, until its status says so.
        self._told: dict[str, int] = {}

    def tell(self, event: AuditEvent) -> bool:
        """Tell of one act; False where the trail can't take it now, so that it has to be told again.

        For acts on the record of a `ModelDeployment`, `core.journal.SOURCES` is the place: they can't be lost there.
        """
        if not self._write(event):
            return False
        self._posting.add(event)
        return True

    def catch_up(self, journal: Journal, noted: Marks) -> Marks:
        """Tell what the journal has and nobody has told; up to where all of it is told, for status."""
        return Marks(told=self._lines(journal, noted.told), posted=self._posting.follow(journal, noted.posted))

    def end(self, journal: Journal, noted: Marks) -> None:
        """The same for an object that is gone: what can't be written now is lost."""
        self.catch_up(journal, noted)
        self._told.pop(journal.ref.uid, None)

    def behind(self, journal: Journal, marks: Marks) -> bool:
        """Whether something of the journal could not be written, and is to be tried again."""
        return self._trail is not None and journal.last > (marks.told or 0)

    def _lines(self, journal: Journal, noted: int | None) -> int | None:
        if self._trail is None or (not journal.entries and noted is None):
            return noted
        # What went before the trail was there at all is no gap of it.
        told = max(self._told.pop(journal.ref.uid, 0), journal.dropped if noted is None else noted)
        for event in untold(journal, told):
            if not self._write(event):
                break
            told = event.sequence or told
        if told != noted:
            self._told[journal.ref.uid] = told
        return told

    def _write(self, event: AuditEvent) -> bool:
        if self._trail is None:
            return True
        try:
            self._trail.append(event)
        except AuditFailed as error:
            self._metrics.audit_events.labels(result="failed").inc()
            _log.error("audit event not written, it is tried again", object=event.ref.key, error=str(error))
            return False
        if event.act is Act.GAP:
            _log.error("audit trail has a gap", object=event.ref.key, message=event.message)
        self._metrics.audit_events.labels(result="lost").inc(lost(event))
        self._metrics.audit_events.labels(result="written").inc()
        return True


def marks_of(status: Mapping[str, Any] | None) -> Marks:
    """How far an object was told by its status."""
    return Marks(told=(status or {}).get("audited"), posted=(status or {}).get("posted"))
