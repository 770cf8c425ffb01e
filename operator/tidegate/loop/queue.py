"""The work queue: keyed and level-triggered.

A key is in work at most once at a time; a key that is added while in work is worked on once more afterwards. Adding
says only «look again», never why, so any number of events costs one pass.
"""

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import Callable

from tidegate.loop.pause import pause

#: Wishes for later that nobody has any more, and that are kept all the same, beside as many as are wanted.
SPARE = 64


class WorkQueue:
    """Keys waiting for a pass, oldest first; and keys that want one at a later time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready: OrderedDict[str, float] = OrderedDict()
        self._working: dict[str, float] = {}
        self._taken = clock()
        self._again: set[str] = set()
        self._later: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._open = True

    def __len__(self) -> int:
        return len(self._ready)

    def open(self) -> None:
        """Somebody works from here on; whoever begins adds everything that there is."""
        self._open = True

    def shut(self) -> None:
        """Nobody works here any more: what waits is dropped, and nothing more is taken."""
        self._open = False
        self._ready.clear()
        self._again.clear()
        self._later.clear()
        self._due.clear()

    def add(self, key: str) -> None:
        """Ask for a pass as soon as a worker is free."""
        if not self._open:
            return
        if key in self._working:
            self._again.add(key)
            return
        self._ready.setdefault(key, self._clock())
        self._wake.set()

    def add_after(self, key: str, delay: float) -> None:
        """Ask for a pass in `delay` seconds; an earlier wish of the same key stands."""
        if not self._open:
            return
        due = asyncio.get_running_loop().time() + max(0.0, delay)
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key))
        if len(self._later) > 2 * len(self._due) + SPARE:
            # Wishes that an earlier one took the place of would stay until their time, which may be days away.
            self._later = [(wished, of) for of, wished in self._due.items()]
            heapq.heapify(self._later)
        self._wake.set()

    async def get(self) -> str:
        """The next key; it is in work until `done`."""
        while True:
            wait = self._release()
            if self._ready:
                key, _ = self._ready.popitem(last=False)
                self._working[key] = self._taken = self._clock()
                return key
            self._wake.clear()
            await pause(self._wake, wait)

    def done(self, key: str) -> None:
        """The pass is over; if the key was added meanwhile it waits again."""
        self._working.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def forget(self, key: str) -> None:
        """Drop the later wishes of a key that is gone."""
        self._due.pop(key, None)

    def longest_at_work(self) -> tuple[str | None, float]:
        """The key that has been in work for longest, and for how many seconds."""
        if not self._working:
            return None, 0.0
        key = min(self._working, key=self._working.__getitem__)
        return key, self._clock() - self._working[key]

    def untaken(self) -> float:
        """Seconds for which some key has been ready and no key was taken; 0 where none is ready."""
        oldest = next(iter(self._ready.values()), None)
        return 0.0 if oldest is None else self._clock() - max(oldest, self._taken)

    def _release(self) -> float | None:
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        return None if not self._later else max(0.0, self._later[0][0] - now)
