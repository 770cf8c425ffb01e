"""Whether the loop does its work: asked by `/healthz`, so that the kubelet starts a process that is stuck anew.

A pass that failed is no sign: it is tried again. A pass that never ends is one, and so is work that nobody takes. Both
are judged by what waits, not by what was done: an idle queue looks like a stuck one to whoever counts passes, and a
queue that was emptied by workers that then hang looks idle to whoever counts keys. An event loop that stands still
answers nothing at all, which the probe's own time limit notices.
"""

import asyncio

from tidegate.loop.queue import WorkQueue
from tidegate.ports import Clock
from tidegate.telemetry import Metrics

#: Seconds. A request to the API server is given up after a few (`api_timeout`), and the first failure ends a pass.
STUCK = 120.0
BEAT = 1.0


class Watchdog:
    """Looks at the queue and at the event loop."""

    def __init__(self, *, queue: WorkQueue, clock: Clock, metrics: Metrics) -> None:
        self._queue = queue
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> None:
        """Measure the event loop's lag, and count its tasks, until cancelled."""
        while True:
            self._metrics.tasks.set(len(asyncio.all_tasks()))
            asked = self._clock.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self._metrics.loop_lag.observe(max(0.0, self._clock.monotonic() - asked))

    def trouble(self) -> str | None:
        """What is stuck, for a person; None while nothing is."""
        key, seconds = self._queue.longest_at_work()
        if key is not None and seconds > STUCK:
            return f"the pass of {key} has not ended for {seconds:.0f} s"
        untaken = self._queue.untaken()
        if untaken > STUCK:
            return f"{len(self._queue)} objects wait and none was taken for {untaken:.0f} s"
        return None
