"""Hands the acts of every object to a receiver over HTTP: each at least once, those of one object in their order.

The journals of the objects are the queue: they are on the API server, so that neither a crash nor a receiver that is
down for days costs more than what falls out of them. Here is only known which objects are behind. The leader posts one
act at a time and has the object's status note how far it is; nothing waits for that, no pass, no revert and no line of
the stream.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

import structlog

from tidegate.core.audit import Act, AuditEvent, Journal, lost, untold
from tidegate.core.backoff import backoff
from tidegate.loop.pause import pause
from tidegate.ports import Answer, AuditReceiver, Clock, Delivery
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Seconds that one try may take.
DEADLINE = 5.0
#: Seconds until the next try where the receiver did not take one: first, and at most.
FIRST_BACKOFF = 0.5
LAST_BACKOFF = 30.0
#: Seconds that an object's acts are left alone after the receiver refused one of them.
REFUSED_AGAIN = 60.0
#: Events that no journal keeps, and journals of deleted objects, that wait here: one more costs the oldest.
MOST = 1000

#: Reads an object's journal as it stands, by kind, `namespace/name` and uid; None where the object is not there.
Reader = Callable[[str, str, str], Journal | None]


class Posting:
    """One worker for all objects.

    Args:
        receiver: None: nothing is posted.
        read: See `Reader`.
        noted: Called with kind and key of an object all of whose acts the receiver has, to have its status say so.
    """

    def __init__(
        self,
        receiver: AuditReceiver | None,
        *,
        read: Reader,
        noted: Callable[[str, str], None],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._receiver = receiver
        self._read = read
        self._noted = noted
        self._clock = clock
        self._metrics = metrics
        #: Kind and key of the objects that are behind, by uid; whose turn is next comes first.
        self._behind: OrderedDict[str, tuple[str, str]] = OrderedDict()
        #: Up to which act the receiver has an object's, by uid, until its status says so.
        self._posted: dict[str, int] = {}
        self._refused: dict[str, float] = {}
        self._loose: deque[AuditEvent] = deque()
        self._failures = 0
        self._news = asyncio.Event()
        metrics.audit_behind.set_function(lambda: len(self._behind) + len(self._loose))

    def add(self, event: AuditEvent) -> None:
        """Queue an event that no journal keeps. It is lost with this process."""
        if self._receiver is None:
            return
        if len(self._loose) >= MOST:
            self._loose.popleft()
            self._count("lost")
        self._loose.append(event)
        self._news.set()

    def follow(self, journal: Journal, noted: int | None) -> int | None:
        """Post what the journal has and the receiver has not, by and by; up to where it has it, for status."""
        if self._receiver is None or (not journal.entries and noted is None):
            return noted
        uid = journal.ref.uid
        posted = max(self._posted.get(uid, 0), journal.dropped if noted is None else noted)
        if journal.last > posted:
            self._posted[uid] = posted
            if uid not in self._behind:
                self._behind[uid] = (journal.kind, journal.ref.key)
                self._news.set()
        elif posted == noted:
            self._posted.pop(uid, None)
        return posted

    def leave(self, journal: Journal) -> None:
        """The object is being deleted, and its journal with it: what the receiver has not is kept here."""
        uid = journal.ref.uid
        if uid in self._behind:
            later = [event for event in self._loose if event.ref.uid == uid]
            self._loose = deque(event for event in self._loose if event.ref.uid != uid)
            for event in (*untold(journal, self._posted.get(uid, 0)), *later):
                self.add(event)
            self._end(uid)

    async def run(self) -> None:
        """Post until cancelled. Whoever leads then knows from the objects what is left."""
        if self._receiver is None:
            return
        try:
            while True:
                self._news.clear()
                wait = await self._round(self._receiver)
                await pause(self._news, wait)
        finally:
            for uid in list(self._behind):
                self._end(uid)
            self._posted.clear()
            self._refused.clear()

    async def _round(self, receiver: AuditReceiver) -> float | None:
        """One turn for everybody who is behind; the seconds until the next one, None where nobody is any more."""
        for uid in list(self._behind):
            if self._due(uid):
                await self._turn(receiver, uid)
        while (event := next(filter(self._has_its_turn, self._loose), None)) is not None:
            if not await self._delivered(receiver, event):
                break
            self._refused.pop(event.ref.uid, None)
            if event in self._loose:  # it may have been dropped meanwhile
                self._loose.remove(event)
        now, waiting = self._clock.monotonic(), [*self._behind, *(event.ref.uid for event in self._loose)]
        return min((max(0.0, self._refused.get(uid, now) - now) for uid in waiting), default=None)

    def _has_its_turn(self, event: AuditEvent) -> bool:
        """What is in no journal comes after all that is in its object's."""
        return event.ref.uid not in self._behind and self._due(event.ref.uid)

    def _due(self, uid: str) -> bool:
        return self._refused.get(uid, 0.0) <= self._clock.monotonic()

    async def _turn(self, receiver: AuditReceiver, uid: str) -> None:
        """Post what one object has, until it has nothing more or the receiver does not take it."""
        kind, key = self._behind[uid]
        began = self._posted.get(uid, 0)
        while uid in self._behind:
            journal = self._read(kind, key, uid)
            posted = self._posted.get(uid, 0)
            event = next(untold(journal, posted), None) if journal is not None else None
            if event is None:
                self._end(uid)
                if journal is not None:
                    self._posted[uid] = posted  # until its status says so
            elif await self._delivered(receiver, event):
                self._posted[uid] = event.sequence or posted
            else:
                self._behind.move_to_end(uid)
                break
        if self._posted.get(uid, 0) > began:
            self._noted(kind, key)

    def _end(self, uid: str) -> None:
        self._behind.pop(uid, None)
        self._posted.pop(uid, None)
        self._refused.pop(uid, None)

    async def _delivered(self, receiver: AuditReceiver, event: AuditEvent) -> bool:
        """Whether one try had success. After one that had not, this returns when the next one is due."""
        answer = await _answered(receiver, event)
        self._count(answer.delivery.value)
        if answer.delivery is Delivery.DELIVERED:
            if self._failures:
                _log.info("audit webhook takes events again", failures=self._failures)
            self._failures = 0
            if event.act is Act.GAP:
                _log.error("audit webhook has a gap", object=event.ref.key, message=event.message)
                self._count("lost", lost(event))
            return True
        self._failures += 1
        if self._failures == 1:
            _log.warning("audit event not posted, it is tried again", object=event.ref.key, error=answer.detail)
        if answer.delivery is Delivery.REFUSED:
            # The next object's may be taken: a receiver can dislike one event, or all of them.
            self._refused[event.ref.uid] = self._clock.monotonic() + REFUSED_AGAIN
        wait = backoff(self._failures, first=FIRST_BACKOFF, last=LAST_BACKOFF)
        await asyncio.sleep(max(wait, answer.wait or 0.0))
        return False

    def _count(self, result: str, number: int = 1) -> None:
        self._metrics.audit_posts.labels(result=result).inc(number)


async def _answered(receiver: AuditReceiver, event: AuditEvent) -> Answer:
    try:
        async with asyncio.timeout(DEADLINE):
            return await receiver.take(event)
    except TimeoutError:
        return Answer(delivery=Delivery.FAILED, detail=f"no answer within {DEADLINE:g}s")
    except Exception as error:  # noqa: BLE001 (a receiver's trouble must not end the operator)
        # Without its trace: the address may be in it.
        return Answer(delivery=Delivery.FAILED, detail=type(error).__name__)
