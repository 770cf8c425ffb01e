"""Tells a person what is being done, how far it is, and for how long it has been going on."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

QUIET_SECONDS = 30.0


class Progress:
    """Prints steps as they run: one live line on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int = 0, *, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def expect(self, steps: int) -> None:
        """Adds `steps` to those that are still to come."""
        self._total += steps

    def note(self, text: str) -> None:
        """Prints one line as it is."""
        with self._lock:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows `title` as under way until the block ends, with the seconds it has taken."""
        self._done += 1
        count = f"[{self._done}/{self._total}] " if self._total >= self._done else ""
        began, over = time.monotonic(), threading.Event()
        ticker = threading.Thread(target=self._tick, args=(f"{count}{title}", began, over), daemon=True)
        ticker.start()
        outcome = "failed after"
        try:
            yield
            outcome = "in"
        finally:
            over.set()
            ticker.join()
            self._finish(f"{count}{title}: {outcome} {time.monotonic() - began:.1f} s")

    def _tick(self, title: str, began: float, over: threading.Event) -> None:
        if not self._live:
            self.note(f"{title} ...")
        while not over.wait(1.0 if self._live else QUIET_SECONDS):
            line = f"{title} ... {time.monotonic() - began:.0f} s (of {time.monotonic() - self._began:.0f} s in all)"
            if self._live:
                with self._lock:
                    print(f"\r\033[K{line}", end="", file=self._stream, flush=True)
            else:
                self.note(line)

    def _finish(self, line: str) -> None:
        with self._lock:
            print(f"\r\033[K{line}" if self._live else line, file=self._stream, flush=True)
