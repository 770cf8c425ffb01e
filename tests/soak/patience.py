"""Reads that outlast a restart of whoever is asked."""

import http.client
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.cluster.errors import StartError
from tests.e2e.objects import Objects

#: Seconds that the API server or MLflow may be away.
PATIENCE = 180.0
AGAIN = 0.3
Found = TypeVar("Found")


def patiently(ask: Callable[[], Found]) -> Found:
    """What it comes to once whoever is asked answers.

    Raises:
        OSError, HTTPException, AssertionError, StartError: it failed for `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (OSError, http.client.HTTPException, AssertionError, StartError):
            if time.monotonic() > end:
                raise
            time.sleep(AGAIN)  # another process starts again: there is nothing to wait on


class Patient(Objects):
    """Objects of an API server that is restarted now and then."""

    def get(self, path: str) -> dict[str, Any]:
        """What is at a path; empty where there is nothing."""
        ask = super().get
        return patiently(lambda: ask(path))
