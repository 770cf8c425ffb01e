"""The clock of this process."""

import time


class SteadyClock:
    """The wall clock at start plus the monotonic time since: a step of the wall clock shortens no hold.

    Two processes agree as far as their machines' wall clocks did when each started.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._offset + time.monotonic()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()
