"""Carries out the intents that records keep: moves pointers in the registry, one write after the other.

From a queue of its own that nothing waits for. An intent is on the route before its first write; each write is looked
at anew by `core.pointers.next_write`, so a process that ends anywhere leaves the rest to the next leader.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from tidegate.core.backoff import backoff
from tidegate.core.observed import Errand
from tidegate.core.plan import PointerKind
from tidegate.core.pointers import ARCHIVED, Point, Write, next_write, pointed
from tidegate.core.reasons import Reason
from tidegate.core.record import Intent
from tidegate.core.registered import RegisteredModel
from tidegate.core.values import Unavailable
from tidegate.errors import NotLeading
from tidegate.loop.fence import Fence
from tidegate.loop.pause import pause
from tidegate.loop.registries import Registries
from tidegate.ports import Clock, RegistryWriter

_log = structlog.get_logger("tidegate")
#: Objects whose intents are carried out at the same time.
AT_ONCE = 4
#: Seconds until an intent is tried again: first, and at most.
FIRST_BACKOFF = 1.0
LAST_BACKOFF = 30.0
#: Writes of one try. An intent takes three at most; more come of somebody else who writes at the same time.
MOST_WRITES = 6


@dataclass(slots=True, kw_only=True)
class _Task:
    """The intent of one object that is being carried out."""

    intent: Intent
    failures: int = 0
    due: float = 0.0
    busy: bool = False
    errand: Errand | None = None


class PointerSaga:
    """The queue. `changed` is called with the key of an object about whose intent there is news."""

    def __init__(self, registries: Registries, *, fence: Fence, clock: Clock, changed: Callable[[str], None]) -> None:
        self._registries = registries
        self._fence = fence
        self._clock = clock
        self._changed = changed
        self._tasks: OrderedDict[str, _Task] = OrderedDict()
        self._news = asyncio.Event()

    def follow(self, key: str, intents: tuple[Intent, ...]) -> None:
        """Carry out the first of the intents of a record that is on the route; without any, leave the object alone."""
        known = self._tasks.get(key)
        if not intents:
            self._tasks.pop(key, None)
        elif known is None or known.intent != intents[0]:
            self._tasks[key] = _Task(intent=intents[0])
            self._news.set()

    def errand(self, key: str) -> Errand | None:
        """What came of the intent that an object was last followed with; None while nothing is known."""
        task = self._tasks.get(key)
        return task.errand if task is not None else None

    def forget(self, key: str) -> None:
        """The object is gone. What it wanted of the registry goes with it."""
        self._tasks.pop(key, None)

    async def run(self) -> None:
        """Work until cancelled. What an earlier run knew is forgotten: another replica may have led since."""
        self._tasks.clear()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = self._next()
            if key is None:
                await self._wait()
                continue
            task = self._tasks[key]
            task.busy = True
            try:
                await self._try(key, task)
            finally:
                task.busy = False

    def _next(self) -> str | None:
        now = self._clock.monotonic()
        return next((key for key, task in self._tasks.items() if _open(task) and task.due <= now), None)

    async def _wait(self) -> None:
        self._news.clear()
        due = min((task.due for task in self._tasks.values() if _open(task)), default=None)
        left = None if due is None else max(0.0, due - self._clock.monotonic())
        await pause(self._news, left)

    async def _try(self, key: str, task: _Task) -> None:
        before = task.errand
        try:
            task.errand = await self._carry_out(key, task.intent)
        except NotLeading:
            task.due = self._clock.monotonic() + FIRST_BACKOFF
            return
        if task.errand.failed is not None:
            task.failures += 1
            wait = backoff(task.failures, first=FIRST_BACKOFF, last=LAST_BACKOFF)
            task.due = self._clock.monotonic() + wait
        if task.errand != before:
            self._changed(key)

    async def _carry_out(self, key: str, intent: Intent) -> Errand:
        writer = self._registries.writer(key, intent.version.registry)
        if isinstance(writer, Unavailable):
            return Errand(intent=intent, failed=writer)
        for _ in range(MOST_WRITES):
            model = await writer.read(intent.version.model)
            if isinstance(model, Unavailable) and model.reason != Reason.MODEL_NOT_FOUND:
                return Errand(intent=intent, failed=model)
            write = next_write(intent, model) if isinstance(model, RegisteredModel) else None
            if write is None:
                # What is asked for now has to be known before the intent is closed.
                await self._registries.refresh(key)
                return Errand(intent=intent, pointed=isinstance(model, RegisteredModel) and pointed(intent, model))
            self._fence.check()
            failed = await written(writer, intent.version.model, write)
            _log.info(
                "pointer", object=key, model=intent.version.model, write=str(write), error=failed and failed.message
            )
            if failed is not None:
                return Errand(intent=intent, failed=failed)
        message = f"somebody else moves the pointers of model {intent.version.model!r} again and again"
        return Errand(intent=intent, failed=Unavailable(reason=Reason.REGISTRY_FAILING, message=message))


async def written(writer: RegistryWriter, model: str, write: Write) -> Unavailable | None:
    """Do one write; why it is not done, if it is not."""
    alias = write.pointer.kind is PointerKind.ALIAS
    match write:
        case Point() if alias:
            return await writer.set_alias(model, write.pointer.value, write.number)
        case Point():
            return await writer.move(model, write.number, write.pointer.value, archive=True)
        case _ if alias:
            return await writer.delete_alias(model, write.pointer.value)
    return await writer.move(model, write.number, ARCHIVED, archive=False)


def _open(task: _Task) -> bool:
    return not task.busy and (task.errand is None or task.errand.failed is not None)
