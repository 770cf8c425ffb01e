"""As many operators as are started on one API server, each on lines of its own."""

import asyncio
from dataclasses import dataclass, field

from tests.fakes.cluster import Fault
from tests.fakes.leases import FakeLeases
from tests.integration.loop.line import LeaseLine, Line
from tests.integration.loop.stage import FakeStage

from tidegate.ports import Manifest
from tidegate.wiring import Operator


class Hanging(Line):
    """A line whose writes get no answer while it hangs, as those of a process that is stuck."""

    hangs = False

    async def _way(self) -> None:
        await super()._way()
        if self.hangs:
            await asyncio.get_running_loop().create_future()


@dataclass
class Replica:
    """One operator, and its lines."""

    operator: Operator
    line: Hanging
    leases: LeaseLine
    deaf: set[str] = field(default_factory=set)
    work: "asyncio.Task[None]" = field(init=False)

    @property
    def leads(self) -> bool:
        return self.operator.elector.leads

    async def kill(self) -> None:
        self.line.kill()
        self.leases.cut = True
        lane = list(self.operator.reverts._tasks.values())
        for task in (self.work, *lane):
            task.cancel()
        await self.operator.standby.close()
        await asyncio.gather(self.work, *lane, return_exceptions=True)

    async def stop(self) -> None:
        """As at SIGTERM."""
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)
        await self.operator.stop()


class Pair(FakeStage):
    """As many replicas as are started."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = FakeLeases()
        self.replicas: list[Replica] = []

    def join(self, *faults: Fault) -> Replica:
        """One more. When a fault kills it, another one like it comes."""
        line = Hanging(self.cluster, on_death=lambda: self.spawn(self._replaced(replica, faults)), latency=self.latency)
        line.faults += faults
        leases = LeaseLine(line, self.leases)
        operator = self.another(line, leases)
        replica = Replica(operator, line, leases)
        replica.work = asyncio.create_task(operator.run())
        self.replicas.append(replica)
        return replica

    async def _replaced(self, dead: Replica, faults: tuple[Fault, ...]) -> None:
        await dead.kill()
        self.replicas.remove(dead)
        self.join(*faults)

    async def leader(self, seconds: float = 10.0) -> Replica:
        """The one that leads."""
        async with asyncio.timeout(seconds):
            while True:
                for replica in self.replicas:
                    if replica.leads:
                        return replica
                await asyncio.sleep(0.01)

    def other(self, one: Replica) -> Replica:
        return next(replica for replica in self.replicas if replica is not one)

    def hear(self, event: str, body: Manifest) -> None:
        super().hear(event, body)
        for replica in self.replicas:
            if not replica.line.dead and not replica.line.hangs and body["kind"] not in replica.deaf:
                tell = replica.operator.gone if event == "DELETED" else replica.operator.seen
                tell(body["kind"], body)

    async def close(self) -> None:
        for replica in self.replicas:
            await replica.kill()
        await super().close()

    async def served(self) -> str:
        """Version 1 serves; its number."""
        first = self.point()
        await self.apply(self.manifest())
        await self.until(lambda look: look.ready and look.version == first, "the first serves")
        return first

    async def begun(self, weight: int = 25) -> tuple[str, str]:
        """Version 1 serves, version 2 has this weight."""
        return await self.served(), await self.rolling(weight)
