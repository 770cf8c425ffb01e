"""Tells receivers outside of what happened, from queues that nothing else waits for.

Each receiver has a bounded queue and a task of its own: one that is slow, hangs or is gone delays no other, no pass and
no revert. Within a queue order is kept, so the events of one object arrive in theirs. What is lost is counted.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from tidegate.core.backoff import backoff
from tidegate.core.notice import Notice
from tidegate.loop.backlog import Backlog
from tidegate.ports import Answer, Clock, Delivery, Notifier
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Notices that wait for one receiver; one more drops the oldest.
MOST = 1000
#: Notices that are known to be told: a revert may be carried out in two ways, one after the other.
REMEMBERED = 1000
#: Seconds that one try may take.
DEADLINE = 5.0
#: Seconds until the next try: first, and at most.
FIRST_BACKOFF = 0.5
LAST_BACKOFF = 30.0
#: Seconds after which a notice is no news any more and is not tried again.
LIFETIME = 900.0
#: Seconds that the end of the process waits for what is still queued.
FAREWELL = 0.5


class Notices:
    """The queues of all receivers."""

    def __init__(self, notifiers: Sequence[Notifier], *, clock: Clock, metrics: Metrics, most: int = MOST) -> None:
        self._told: OrderedDict[str, None] = OrderedDict()
        self._outboxes = tuple(_Outbox(notifier, clock, metrics, most) for notifier in notifiers)

    def tell(self, notices: Iterable[Notice]) -> None:
        """Queue them for everybody who wants them, each once. Returns at once and never fails."""
        for notice in notices:
            if notice.id in self._told:
                continue
            self._told[notice.id] = None
            if len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
            for outbox in self._outboxes:
                outbox.add(notice)

    async def run(self) -> None:
        """Deliver until cancelled; what is queued then stays queued."""
        async with asyncio.TaskGroup() as group:
            for outbox in self._outboxes:
                group.create_task(outbox.run())

    async def stop(self) -> None:
        """Give what is queued a last moment, then forget it."""
        last = [asyncio.create_task(outbox.flush()) for outbox in self._outboxes]
        if last:
            await asyncio.wait(last, timeout=FAREWELL)
        for task in last:
            task.cancel()
        await asyncio.gather(*last, return_exceptions=True)
        for outbox in self._outboxes:
            outbox.give_up()
            await outbox.notifier.close()


class _Outbox:
    """What one receiver has not taken yet, oldest first."""

    def __init__(self, notifier: Notifier, clock: Clock, metrics: Metrics, most: int) -> None:
        self.notifier = notifier
        self._clock = clock
        self._metrics = metrics
        self._backlog: Backlog[tuple[float, Notice]] = Backlog(most, partial(self._count, "dropped"))
        self._failures = 0

    def add(self, notice: Notice) -> None:
        """Queue it, in the place of the oldest where there is no room."""
        if notice.happening not in self.notifier.wanted:
            return
        self._backlog.add((self._clock.monotonic(), notice))

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._backlog.keep(self.flush)

    async def flush(self) -> None:
        """Deliver until nothing is left."""
        waiting = self._backlog.waiting
        while waiting:
            entry = waiting[0]
            pause = await self._attempt(*entry)
            if pause is not None:
                await asyncio.sleep(pause)
            elif waiting and waiting[0] is entry:  # it may have been dropped meanwhile
                waiting.popleft()

    def give_up(self) -> None:
        """Forget what is left."""
        self._backlog.give_up()

    async def _attempt(self, since: float, notice: Notice) -> float | None:
        """One try; the seconds until the next one, None when there is to be none."""
        if self._clock.monotonic() - since > LIFETIME:
            self._count("expired")
            return None
        answer = await self._answer(notice)
        if answer.delivery is Delivery.FAILED:
            self._failures += 1
            if self._failures == 1:
                _log.warning("notice not delivered, it is tried again", **self._names(notice), error=answer.detail)
            wait = backoff(self._failures, first=FIRST_BACKOFF, last=LAST_BACKOFF)
            return max(wait, answer.wait or 0.0)
        if answer.delivery is Delivery.REFUSED:
            _log.warning("notice refused", **self._names(notice), error=answer.detail)
        elif self._failures:
            _log.info("receiver takes notices again", receiver=self.notifier.name, failures=self._failures)
        self._failures = 0
        self._count(answer.delivery.value)
        return None

    async def _answer(self, notice: Notice) -> Answer:
        try:
            async with asyncio.timeout(DEADLINE):
                return await self.notifier.send(notice)
        except TimeoutError:
            return Answer(delivery=Delivery.FAILED, detail=f"no answer within {DEADLINE:g}s")
        except Exception as error:  # noqa: BLE001 (a receiver's trouble must not end the operator)
            # Without its trace: the address may be in it.
            return Answer(delivery=Delivery.FAILED, detail=type(error).__name__)

    def _names(self, notice: Notice) -> dict[str, str]:
        return {"receiver": self.notifier.name, "object": notice.ref.key, "what": notice.happening.value}

    def _count(self, result: str, number: int = 1) -> None:
        self._metrics.notifications.labels(receiver=self.notifier.name, result=result).inc(number)
