"""The fence: what only the leader may write, it writes while its lease holds and not a moment longer."""

import asyncio
from collections.abc import AsyncIterator

from tidegate.errors import NotLeading
from tidegate.ports import Cluster, Manifest, Page


class Fence:
    """Whether this replica leads, by its own monotonic clock. A process that was stopped finds it shut."""

    def __init__(self) -> None:
        self._until: float | None = None

    @property
    def open(self) -> bool:
        """Whether the lease holds now."""
        return self._until is not None and asyncio.get_running_loop().time() < self._until

    def hold(self, until: float | None) -> None:
        """The lease holds until then, in the event loop's time; None: it does not."""
        self._until = until

    def check(self) -> None:
        """Pass while the lease holds.

        Raises:
            NotLeading: it does not.
        """
        if not self.open:
            raise NotLeading("the lease is not held any more: another replica decides")


class Fenced:
    """`ports.Cluster` for what only the leader may write: looks at the fence right before each write.

    Reads pass. A write that was begun in time is cut short with the pass that it belongs to when the lease is lost.
    """

    def __init__(self, cluster: Cluster, fence: Fence) -> None:
        self._cluster = cluster
        self._fence = fence

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """See `Cluster.get`."""
        return await self._cluster.get(kind, namespace, name)

    async def list(self, kind: str, namespace: str | None) -> "list[Manifest]":
        """See `Cluster.list`."""
        return await self._cluster.list(kind, namespace)

    def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        """See `Cluster.pages`."""
        return self._cluster.pages(kind, namespace)

    async def apply(self, manifest: Manifest) -> Manifest:
        """See `Cluster.apply`."""
        self._fence.check()
        return await self._cluster.apply(manifest)

    async def create(self, manifest: Manifest) -> Manifest:
        """See `Cluster.create`."""
        self._fence.check()
        return await self._cluster.create(manifest)

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        """See `Cluster.delete`."""
        self._fence.check()
        await self._cluster.delete(kind, namespace, name, uid=uid, version=version)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """See `Cluster.apply_status`."""
        self._fence.check()
        return await self._cluster.apply_status(manifest)

    async def emit(self, event: Manifest) -> None:
        """See `Cluster.emit`: an Event tells of what was done, whoever did it."""
        await self._cluster.emit(event)
