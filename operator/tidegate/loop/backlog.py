"""A bounded queue that one task empties, and nobody waits for."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Backlog(Generic[Entry]):
    """What waits, oldest first; one more than `most` drops the oldest. `dropped` is told how many were."""

    def __init__(self, most: int, dropped: Callable[[int], None]) -> None:
        self.waiting: deque[Entry] = deque()
        self._most = most
        self._dropped = dropped
        self._filled = asyncio.Event()

    def add(self, entry: Entry) -> None:
        """Queue it, in the place of the oldest where there is no room."""
        if len(self.waiting) >= self._most:
            self.waiting.popleft()
            self._dropped(1)
        self.waiting.append(entry)
        self._filled.set()

    async def keep(self, flush: Callable[[], Awaitable[None]]) -> None:
        """Call `flush` whenever something waits, until cancelled; what waits then stays."""
        while True:
            await self._filled.wait()
            await flush()
            self._filled.clear()

    def give_up(self) -> None:
        """Forget what waits."""
        if self.waiting:
            self._dropped(len(self.waiting))
        self.waiting.clear()
