"""A Lease in memory. `tests/contract/test_leases.py` holds it to the real one."""

import asyncio
from dataclasses import replace

from tidegate.core.election import Lease
from tidegate.errors import ClusterError, Conflict


class FakeLeases:
    """`ports.Leases`. `down` is the error that every request gets, `latency` what each takes, in seconds.

    `writes` are the leases that were written, in order.
    """

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.down: ClusterError | None = None
        self.latency = 0.0
        self.writes: list[Lease] = []

    async def read(self) -> Lease | None:
        await self._way()
        return self.lease

    async def write(self, lease: Lease) -> Lease:
        await self._way()
        if lease.version != (self.lease.version if self.lease else ""):
            raise Conflict(f"{lease.version!r} is not the newest")
        self.lease = replace(lease, version=str(len(self.writes) + 1))
        self.writes.append(self.lease)
        return self.lease

    async def _way(self) -> None:
        await asyncio.sleep(self.latency)
        if self.down is not None:
            raise self.down
