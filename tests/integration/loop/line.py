"""The operator's line to the API server, which tests count on, slow down, cut and end with the process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from tests.fakes.cluster import Crash, Fault, Phase, Write

from tidegate.core.election import Lease
from tidegate.errors import ClusterError, Unreachable
from tidegate.ports import Cluster, Leases, Manifest, Page

T = TypeVar("T")


class Line:
    """`ports.Cluster` for one life of an operator.

    `down` is the error that every request gets. A fault that raises `Crash` ends this life: nothing is answered any
    more, as after SIGKILL, and `on_death` is called. `latency` in seconds, each way. Writes of the kinds in `hanging`
    are neither done nor answered until they time out, or until `release`.
    """

    PATIENCE = 5.0

    def __init__(self, cluster: Cluster, *, on_death: Callable[[], None], latency: float = 0.0) -> None:
        self.faults: list[Fault] = []
        self.writes: list[Write] = []
        self.reads: Counter[str] = Counter()
        self.down: ClusterError | None = None
        self.dead = False
        self.hanging: set[str] = set()
        self._released = asyncio.Event()
        self._cluster = cluster
        self._on_death = on_death
        self._latency = latency

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self._read(kind, lambda: self._cluster.get(kind, namespace, name))

    async def list(self, kind: str, namespace: str | None) -> "list[Manifest]":
        return await self._read(kind, lambda: self._cluster.list(kind, namespace))

    async def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        yield await self._read(kind, lambda: self._whole(kind, namespace))

    async def _whole(self, kind: str, namespace: str | None) -> Page:
        pages = [page async for page in self._cluster.pages(kind, namespace)]
        return Page(items=[item for page in pages for item in page.items], version=pages[-1].version)

    async def apply(self, manifest: Manifest) -> Manifest:
        return await self._write("apply", manifest, lambda: self._cluster.apply(manifest))

    async def create(self, manifest: Manifest) -> Manifest:
        return await self._write("create", manifest, lambda: self._cluster.create(manifest))

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        meant = {"kind": kind, "metadata": {"namespace": namespace, "name": name}}
        await self._write(
            "delete", meant, lambda: self._cluster.delete(kind, namespace, name, uid=uid, version=version)
        )

    async def apply_status(self, manifest: Manifest) -> Manifest:
        return await self._write("status", manifest, lambda: self._cluster.apply_status(manifest))

    async def emit(self, event: Manifest) -> None:
        await self._write("emit", event, lambda: self._cluster.emit(event))

    def release(self) -> None:
        """Do and answer what hangs."""
        self.hanging.clear()
        self._released.set()
        self._released = asyncio.Event()

    def kill(self) -> None:
        """Answer nothing any more."""
        self.dead = True

    async def moment(self) -> None:
        """What a request takes that goes elsewhere; the end of this life where it is over."""
        await self._ended()
        await asyncio.sleep(self._latency)
        await self._ended()

    async def die(self) -> None:
        """End this life, now."""
        self.kill()
        self._on_death()
        await self._ended()

    async def _read(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        self.reads[kind] += 1
        await self._way()
        answer = await call()
        await self._way()
        return answer

    async def _write(self, verb: str, manifest: Manifest, call: Callable[[], Awaitable[T]]) -> T:
        meta = manifest["metadata"]
        number = len(self.writes) + 1
        write = Write(number=number, verb=verb, kind=manifest["kind"], namespace=meta["namespace"], name=meta["name"])
        self.writes.append(write)
        await self._way()
        await self._hang(write)
        await self._meet(write, "before")
        answer = await call()
        await self._meet(write, "after")
        await self._way()
        return answer

    async def _hang(self, write: Write) -> None:
        if write.kind not in self.hanging:
            return
        try:
            await asyncio.wait_for(self._released.wait(), self.PATIENCE)
        except TimeoutError as error:
            raise Unreachable(f"{write.kind}: no answer in time") from error

    async def _way(self) -> None:
        await self._ended()
        if self._latency:
            await asyncio.sleep(self._latency)
            await self._ended()
        if self.down is not None:
            raise self.down

    async def _meet(self, write: Write, phase: Phase) -> None:
        try:
            for fault in self.faults:
                fault(write, phase)
        except Crash:
            await self.die()

    async def _ended(self) -> None:
        if self.dead:
            await asyncio.get_running_loop().create_future()


class LeaseLine:
    """`ports.Leases` by a line: where the API server is away, so is the Lease. It can be cut by itself, too."""

    def __init__(self, line: Line, leases: Leases) -> None:
        self.cut = False
        self._line = line
        self._leases = leases

    async def read(self) -> Lease | None:
        self._pass()
        return await self._leases.read()

    async def write(self, lease: Lease) -> Lease:
        self._pass()
        return await self._leases.write(lease)

    def _pass(self) -> None:
        if self._line.down is not None:
            raise self._line.down
        if self.cut:
            raise Unreachable("cut")
