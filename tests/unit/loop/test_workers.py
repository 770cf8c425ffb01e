"""Workers share the event loop with those who must never wait for them."""

import asyncio
from itertools import pairwise
from typing import Any

from tidegate.loop.queue import WorkQueue
from tidegate.loop.workers import Workers
from tidegate.telemetry import Metrics

OBJECTS, WORKERS = 1000, 4


class Instant:
    """Passes that find nothing to write, and so wait for nothing."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def run_pass(self, key: str) -> None:
        self.done.append(key)


async def test_a_thousand_passes_in_a_row_let_everybody_else_have_a_turn_in_between() -> None:
    queue, passes = WorkQueue(asyncio.get_running_loop().time), Instant()
    reconciler: Any = passes
    workers = Workers(queue=queue, reconciler=reconciler, metrics=Metrics(), count=WORKERS)
    for number in range(OBJECTS):
        queue.add(f"ml/{number}")
    task = asyncio.create_task(workers.run())
    seen = [0]
    while seen[-1] < OBJECTS:
        await asyncio.sleep(0)
        seen.append(len(passes.done))
    assert max(later - earlier for earlier, later in pairwise(seen)) <= WORKERS
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
