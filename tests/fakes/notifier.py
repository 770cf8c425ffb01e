"""A receiver of notices in memory, held to the same contract as the real ones."""

import asyncio

from tidegate.core.notice import Happening, Notice
from tidegate.ports import Answer, Delivery


class FakeNotifier:
    """`mood`: up, down (fails), refusing, hanging (until `release`) or broken (raises, which none may)."""

    def __init__(self, name: str = "fake", wanted: frozenset[Happening] = frozenset(Happening)) -> None:
        self.name = name
        self.wanted = wanted
        self.mood = "up"
        self.wait: float | None = None
        self.taken: list[Notice] = []
        self.tries = 0
        self.closed = False
        self._moved = asyncio.Event()

    def release(self) -> None:
        """What hangs goes on."""
        self.mood = "up"
        self._moved.set()

    async def send(self, notice: Notice) -> Answer:
        self.tries += 1
        if self.mood == "broken":
            raise RuntimeError("https://example.invalid/secret")
        while self.mood == "hanging":
            self._moved.clear()
            await self._moved.wait()
        if self.mood == "down":
            return Answer(delivery=Delivery.FAILED, detail="answered 503", wait=self.wait)
        if self.mood == "refusing":
            return Answer(delivery=Delivery.REFUSED, detail="answered 400")
        self.taken.append(notice)
        return Answer(delivery=Delivery.DELIVERED)

    async def close(self) -> None:
        self.closed = True
