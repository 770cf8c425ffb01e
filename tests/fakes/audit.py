"""An audit trail and an outside receiver of its events, in memory, held to the same contracts as the real ones."""

import asyncio

from tidegate.core.audit import AuditEvent
from tidegate.errors import AuditFailed
from tidegate.ports import Answer, Delivery


class FakeTrail:
    """`ports.AuditTrail`. While it is `full` nothing is taken."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.full = False

    def append(self, event: AuditEvent) -> None:
        if self.full:
            raise AuditFailed("no space left on device")
        self.events.append(event)

    @property
    def counted(self) -> list[AuditEvent]:
        """Those of some object's journal."""
        return counted(self.events)

    def once(self) -> list[AuditEvent]:
        """What an auditor has who drops repetitions by id."""
        return once(self.events)


class FakeAuditor:
    """`ports.AuditReceiver`. `mood`: up, down (fails), refusing, or hanging (for ever).

    What concerns an object in `disliked` is refused in any mood.
    """

    def __init__(self) -> None:
        self.mood = "up"
        self.events: list[AuditEvent] = []
        self.disliked: set[str] = set()
        self.tries = 0

    async def take(self, event: AuditEvent) -> Answer:
        self.tries += 1
        await asyncio.sleep(0)
        if self.mood == "hanging":
            await asyncio.Event().wait()
        if self.mood == "down":
            return Answer(delivery=Delivery.FAILED, detail="answered 503")
        if self.mood == "refusing" or event.ref.key in self.disliked:
            return Answer(delivery=Delivery.REFUSED, detail="answered 400")
        self.events.append(event)
        return Answer(delivery=Delivery.DELIVERED)

    async def close(self) -> None:
        pass

    @property
    def counted(self) -> list[AuditEvent]:
        """Those of some object's journal."""
        return counted(self.events)

    def once(self) -> list[AuditEvent]:
        """What an auditor has who drops repetitions by id."""
        return once(self.events)


def once(events: list[AuditEvent]) -> list[AuditEvent]:
    """Events without those that came before under the same id."""
    return list({event.id: event for event in reversed(events)}.values())[::-1]


def counted(events: list[AuditEvent]) -> list[AuditEvent]:
    """Events without those that no journal has: of tags, and of deletions."""
    return [event for event in events if event.sequence is not None]
