"""Workers: take a key, run a pass, and see that a pass that failed is run again."""

import asyncio

import structlog

from tidegate.core.backoff import backoff
from tidegate.errors import ClusterError, Conflict, NotLeading
from tidegate.loop.queue import WorkQueue
from tidegate.loop.reconcile import Reconciler
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
FIRST_BACKOFF = 0.2
LAST_BACKOFF = 30.0


class Workers:
    """A fixed number of them; one key is never with two."""

    def __init__(self, *, queue: WorkQueue, reconciler: Reconciler, metrics: Metrics, count: int) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics
        self._count = count
        self._failures: dict[str, int] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                with self._metrics.pass_seconds.time():
                    outcome = await self.one(key)
            finally:
                self._queue.done(key)
            self._metrics.passes.labels(outcome=outcome).inc()
            # A pass that finds nothing to write waits for nothing: a thousand of them in a row would hold everybody
            # else up for seconds, reverts and the renewal of the lease among them.
            await asyncio.sleep(0)

    async def one(self, key: str) -> str:
        """Run one pass; the outcome in a word. Never raises for what a pass can meet."""
        try:
            await self._reconciler.run_pass(key)
        except Conflict:
            # The normal case right after a write: the gateway wrote its status meanwhile.
            self._metrics.conflicts.inc()
            self._queue.add(key)
            return "conflict"
        except NotLeading:
            # The lease ran out under this pass; the leader's passes go on from what stands on the route.
            self._queue.add(key)
            return "not leading"
        except ClusterError as error:
            self._again(key)
            _log.warning("pass failed", object=key, error=str(error))
            return "unreachable"
        except Exception:  # noqa: BLE001 (logged with its trace)
            # The one place for what nobody foresaw: one object's trouble must not stop the others.
            self._again(key)
            _log.exception("pass failed", object=key)
            return "error"
        self._failures.pop(key, None)
        return "done"

    def _again(self, key: str) -> None:
        self._failures[key] = self._failures.get(key, 0) + 1
        self._queue.add_after(key, backoff(self._failures[key], first=FIRST_BACKOFF, last=LAST_BACKOFF))
