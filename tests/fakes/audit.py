"""An audit trail in memory, held to the same contract as the real one."""

from tidegate.core.audit import AuditEvent
from tidegate.errors import AuditFailed


class FakeTrail:
    """`ports.AuditTrail`. While it is `full` nothing is taken."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.full = False

    def append(self, event: AuditEvent) -> None:
        if self.full:
            raise AuditFailed("no space left on device")
        self.events.append(event)

    def once(self) -> list[AuditEvent]:
        """What an auditor has who drops repetitions by id."""
        return list({event.id: event for event in reversed(self.events)}.values())[::-1]
