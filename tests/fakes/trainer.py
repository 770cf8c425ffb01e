"""Somebody who trains models, in memory, held to the same contract as the real one."""

import asyncio

from tidegate.core.retraining import Order
from tidegate.ports import Answer, Delivery


class FakeTrainer:
    """`mood`: up, down (fails), refusing or hanging (for ever)."""

    def __init__(self) -> None:
        self.mood = "up"
        self.taken: list[Order] = []
        self.tries = 0

    async def order(self, order: Order) -> Answer:
        self.tries += 1
        if self.mood == "hanging":
            await asyncio.Event().wait()
        if self.mood == "down":
            return Answer(delivery=Delivery.FAILED, detail="answered 503")
        if self.mood == "refusing":
            return Answer(delivery=Delivery.REFUSED, detail="answered 400")
        self.taken.append(order)
        return Answer(delivery=Delivery.DELIVERED)

    async def close(self) -> None:
        pass
