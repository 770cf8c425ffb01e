"""What is asked about a version that stands at its gates, beside the passes and only while it stands there."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tidegate.core.gates import Asked, VersionDetails, Wants
from tidegate.core.values import Unavailable, VersionId

#: Replicas and objects must not ask in step: each interval is shortened by up to this share of it.
SPREAD = 0.2
Describe = Callable[[str, VersionId, Wants], Awaitable[VersionDetails | Unavailable]]
Known = Mapping[VersionId, VersionDetails | Unavailable]


@dataclass(slots=True)
class _Watch:
    asked: Asked
    task: "asyncio.Task[None]"
    known: dict[VersionId, VersionDetails | Unavailable] = field(default_factory=dict)


class GateWatch:
    """Reads what the registry tells of versions, at once and then every interval, since tags change without a sign.

    Args:
        describe: Asks the registry of an object, by its key, about a version. A server that hangs costs the object
            its own time and nothing else.
        interval: Seconds between two reads about one object's version.
        on_change: Called with an object's key when something else was told than before.
    """

    def __init__(self, describe: Describe, interval: float, *, on_change: Callable[[str], None]) -> None:
        self._describe = describe
        self._interval = interval
        self._on_change = on_change
        self._watches: dict[str, _Watch] = {}

    def follow(self, key: str, asked: Asked) -> None:
        """Ask about these versions from now on, or about none. Returns at once."""
        watch = self._watches.get(key)
        if watch is not None and watch.asked == asked:
            return
        if watch is not None:
            watch.task.cancel()
            del self._watches[key]
        if asked.versions:
            same = watch is not None and watch.asked.wants == asked.wants
            kept = {v: told for v, told in watch.known.items() if v in asked.versions} if watch and same else {}
            task = asyncio.create_task(self._read(key, asked), name=f"gates of {key}")
            self._watches[key] = _Watch(asked=asked, task=task, known=kept)

    def details(self, key: str) -> Known:
        """What is told of the versions that are asked about; nothing yet of those that are missing."""
        watch = self._watches.get(key)
        return dict(watch.known) if watch is not None else {}

    async def close(self) -> None:
        """Ask nobody any more, and forget what was told."""
        tasks = [watch.task for watch in self._watches.values()]
        self._watches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, key: str, asked: Asked) -> None:
        while True:
            told = {version: await self._describe(key, version, asked.wants_of(version)) for version in asked.versions}
            watch = self._watches[key]
            if watch.known != told:
                watch.known = told
                self._on_change(key)
            await asyncio.sleep(self._interval * (1.0 - SPREAD * random.random()))  # noqa: S311 (spreads load)
