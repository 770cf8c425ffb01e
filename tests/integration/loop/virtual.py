"""An event loop whose time is a number: where everybody waits, it jumps to the moment when the first one is due.

Hours of holds and deadlines pass in milliseconds, nothing waits for the machine, and a run is the same each time. It
is for programs that do no I/O.
"""

import asyncio
import selectors

#: Seconds that each round of the loop takes: a time that stood still while things are done would be no time.
ROUND = 1e-6


class _Jumping(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again in this loop")
        self.now += max(0.0, timeout) + ROUND
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. Time starts at 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now
