"""Keeps parts of the loop running: a fault in one of them, foreseen by nobody, must cost nothing but that part."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
FIRST_BACKOFF = 1.0
LAST_BACKOFF = 30.0


class Supervisor:
    """Starts what failed again, later each time; one that ran for a while begins with the first wait anew.

    What decides and reverts is not kept like this: where that fails the process ends, and another replica leads.

    Args:
        metrics: Count failures.
        look_again: Called before a part is started again: it forgot what it was asked for, and is to be asked anew.
    """

    def __init__(self, metrics: Metrics, look_again: Callable[[], None]) -> None:
        self._metrics = metrics
        self._look_again = look_again

    async def keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run until cancelled, or until `run` returns."""
        loop = asyncio.get_running_loop()
        backoff = FIRST_BACKOFF
        failures = self._metrics.part_failures.labels(part=name)  # from zero, so that the first one is a rate
        while True:
            began = loop.time()
            try:
                await run()
            except Exception:  # noqa: BLE001 (logged with its trace)
                failures.inc()
                backoff = FIRST_BACKOFF if loop.time() - began > LAST_BACKOFF else backoff
                _log.exception("a part failed", part=name, again_in_seconds=backoff)
            else:
                return
            await asyncio.sleep(backoff)
            self._look_again()
            backoff = min(LAST_BACKOFF, 2 * backoff)
