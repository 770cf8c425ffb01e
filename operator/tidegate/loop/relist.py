"""All lists: before the first decision, where a watch has to begin anew, and now and then.

A decision on half a cache could take a route for missing, so nothing is decided before everything was listed. And an
object that vanishes while a watch is away gets no event; only a list can tell. Watches go on from these lists: kopf has
none of its own (ADR 15).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog

from tidegate.core.labels import APPROVAL_KIND, POLICY_KIND, PROMOTION_KIND, RETRAINING_KIND, ROUTE_KIND
from tidegate.errors import ClusterError, NotServed
from tidegate.loop.pause import pause
from tidegate.loop.world import WATCHED, Kept, World
from tidegate.ports import Cluster, Manifest

_log = structlog.get_logger("tidegate")
AGAIN = 600.0  # seconds between two lists
RETRY = 2.0  # seconds after a list that failed
#: Kinds without which there is still much to do, and to revert: Gateway API's CRDs may be gone, and those of people's
#: words are newer than the ModelDeployments of who upgraded without them.
DISPENSABLE = frozenset({ROUTE_KIND, APPROVAL_KIND, PROMOTION_KIND, POLICY_KIND, RETRAINING_KIND})
#: Seconds for which a watch may begin at a list: API servers keep at least a minute of what happened since.
USABLE = 30.0


class Relister:
    """Keeps the cache complete."""

    def __init__(
        self, *, cluster: Cluster, world: World, namespaces: Sequence[str], changed: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._world = world
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._changed = changed
        self.complete = asyncio.Event()
        self._lists: dict[tuple[str, str | None], _List] = {}
        self._waiting: list[tuple[str, str | None]] = []
        self._asked = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """List for ever; `complete` is set after the first time."""
        while True:
            try:
                await self.once()
            except ClusterError as error:
                _log.warning("list failed", error=str(error))
                await asyncio.sleep(RETRY)
                continue
            self.complete.set()
            self._asked.clear()
            # Whoever asked for a list after his was made up, and before all of them were.
            if all(self._usable(key) for key in self._waiting):
                await pause(self._asked, AGAIN)

    async def since(self, kind: str, namespace: str | None) -> str | None:
        """What a watch of a kind goes on from: the version of a list that no watch has begun at yet.

        One that was made up just now, or the next one; with that everything is listed, as what a watch has missed may
        concern objects of other kinds. None where the kind isn't served.
        """
        key = (kind, namespace)
        self._waiting.append(key)
        try:
            while not self._usable(key):
                self._asked.set()
                await self._news.wait()
            return self._lists.pop(key).version
        finally:
            self._waiting.remove(key)

    def _usable(self, key: tuple[str, str | None]) -> bool:
        found = self._lists.get(key)
        return found is not None and asyncio.get_running_loop().time() - found.at < USABLE

    def _made(self, kind: str, namespace: str | None, version: str | None) -> None:
        self._lists[kind, namespace] = _List(version=version, at=asyncio.get_running_loop().time())
        self._news.set()
        self._news = asyncio.Event()

    async def once(self) -> None:
        """List every kind, take what is there and drop what is not any more.

        Raises:
            ClusterError: a list failed; what was listed before it is kept, and nothing is dropped.
        """
        told: set[str | None] = set()
        vanished: list[Kept] = []
        for kind in WATCHED:
            known = {name: self._world.state(kind, name) for name in self._world.names(kind)}
            listed: set[str] = set()
            for namespace in self._namespaces:
                async for body in self._all(kind, namespace):
                    listed.add(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
                    told.add(self._world.put(body))
            vanished += [kept for name, kept in known.items() if kept is not None and name not in listed]
        # All at once: a pass in between would make anew what was deleted with its owner.
        for kept in vanished:
            # What appeared during the list is in the cache as another object than before it.
            if self._world.state(kept.kind, kept.name) is kept:
                told.add(self._world.forget(kept))
        for key in sorted(key for key in told if key is not None):
            self._changed(key)

    async def _all(self, kind: str, namespace: str | None) -> AsyncIterator[Manifest]:
        version: str | None = None
        try:
            async for page in self._cluster.pages(kind, namespace):
                version = page.version
                for body in page.items:
                    yield body
        except NotServed as error:
            if kind not in DISPENSABLE:
                raise
            _log.error("a kind is not served: are its CRDs there?", kind=kind, error=str(error))
        self._made(kind, namespace, version)


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """The version of a list that no watch has begun at; None where the kind isn't served. `at` is the loop's time."""

    version: str | None
    at: float
