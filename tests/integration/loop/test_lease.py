"""The elector at work: the leader's work and the fence follow the lease, to the moment."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import structlog
from tests.fakes.cluster import FakeCluster
from tests.fakes.leases import FakeLeases
from tests.fixtures.loopclock import LoopClock

from tidegate.core.election import Lease, Terms
from tidegate.errors import NotLeading, Unreachable
from tidegate.loop.fence import Fence, Fenced
from tidegate.loop.lease import Elector


class Candidate:
    """An elector whose work notes when it began and when it was ended."""

    def __init__(self, leases: FakeLeases, identity: str = "one", *, stubborn: float = 0.0) -> None:
        self.fence = Fence()
        self.began: list[float] = []
        self.ended: list[float] = []
        self.rests = 0
        self._stubborn = stubborn
        self.elector = Elector(
            leases=leases,
            clock=LoopClock(),
            identity=identity,
            terms=Terms(),
            fence=self.fence,
            lead=self._lead,
            rest=self._rest,
        )
        self.task: asyncio.Task[None] = asyncio.create_task(self.elector.run())

    def _lead(self) -> Coroutine[Any, Any, None]:
        return self.work()

    async def work(self) -> None:
        self.began.append(now())
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended.append(now())
            await asyncio.sleep(self._stubborn)

    def _rest(self) -> None:
        self.rests += 1

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_to_come_works_at_once_and_goes_on_renewing() -> None:
    leases = FakeLeases()
    one = Candidate(leases)
    await asyncio.sleep(60)
    assert len(one.began) == 1
    assert one.elector.leads
    assert 50 <= len(leases.writes) <= 61
    await one.end()


async def test_when_renewing_fails_the_fence_is_shut_and_the_work_ended_three_seconds_after_the_last_success() -> None:
    leases = FakeLeases()
    one = Candidate(leases)
    await asyncio.sleep(10.4)
    renewed = 10.0
    leases.down = Unreachable("down")
    await asyncio.sleep(renewed + 2.99 - now())
    assert one.fence.open
    await asyncio.sleep(0.02)
    assert not one.fence.open
    assert one.ended == [pytest.approx(renewed + 3.0, abs=0.01)]
    assert one.rests == 1
    await one.end()


async def test_requests_that_hang_do_not_keep_the_fence_open() -> None:
    leases = FakeLeases()
    one = Candidate(leases)
    await asyncio.sleep(5.5)
    leases.latency = 3600.0
    await asyncio.sleep(3.0)
    assert not one.fence.open
    assert len(one.ended) == 1
    leases.latency = 0.0
    await asyncio.sleep(5.0)
    assert one.elector.leads
    assert len(one.began) == 2
    await one.end()


async def test_work_that_takes_its_time_to_end_is_fenced_off_meanwhile() -> None:
    leases = FakeLeases()
    one = Candidate(leases, stubborn=2.0)
    await asyncio.sleep(5.5)
    leases.down = Unreachable("down")
    await asyncio.sleep(3.0)
    with pytest.raises(NotLeading):
        one.fence.check()
    await one.end()


async def test_work_that_fails_ends_the_candidacy_with_its_error() -> None:
    class Failing(Candidate):
        async def work(self) -> None:
            await asyncio.sleep(1)
            raise ValueError("nobody foresaw this")

    one = Failing(FakeLeases())
    with pytest.raises(ValueError, match="nobody foresaw this"):
        await one.task
    assert not one.fence.open


async def test_a_lease_that_is_left_is_taken_within_half_a_second_and_one_that_is_not_after_four() -> None:
    leases = FakeLeases()
    one = Candidate(leases)
    await asyncio.sleep(10.2)
    two = Candidate(leases, "two")
    await asyncio.sleep(1.0)
    await one.end()
    ended = now()
    await asyncio.sleep(0.1)
    assert not two.elector.leads
    await one.elector.release()
    await asyncio.sleep(0.5)
    assert two.elector.leads
    assert two.began[0] - ended < 0.6
    three = Candidate(leases, "three")
    await asyncio.sleep(5)
    assert not three.elector.leads
    died = now()
    await two.end()
    await asyncio.sleep(5)
    assert three.elector.leads
    assert 2.9 < three.began[0] - died < 4.6
    await three.end()


async def test_what_is_not_held_any_more_is_not_left() -> None:
    leases = FakeLeases()
    one = Candidate(leases)
    await asyncio.sleep(1.5)
    await one.end()
    await asyncio.sleep(4)
    written = len(leases.writes)
    await one.elector.release()
    assert len(leases.writes) == written
    assert leases.lease is not None
    assert leases.lease.holder == "one"


async def test_a_lease_that_can_not_be_left_is_no_error() -> None:
    leases = FakeLeases()
    one = Candidate(leases)
    await asyncio.sleep(1.5)
    await one.end()
    leases.down = Unreachable("down")
    await one.elector.release()
    assert not one.elector.leads


async def test_trouble_is_said_once_and_a_conflict_is_none() -> None:
    structlog.reset_defaults()
    leases = FakeLeases()
    with structlog.testing.capture_logs() as said:
        one = Candidate(leases)
        await asyncio.sleep(2)
        leases.lease = Lease(holder="two", lasts=4.0, acquired=0.0, renewed=0.0, version="x")
        await asyncio.sleep(2)
        assert not one.elector.leads
        leases.down = Unreachable("the way is cut")
        await asyncio.sleep(30)
        await one.end()
    assert [line["error"] for line in said if line["event"] == "lease not reached"] == ["the way is cut"]


async def test_behind_the_fence_reads_and_events_pass_and_writes_do_not() -> None:
    cluster, fence = FakeCluster(), Fence()
    fenced = Fenced(cluster, fence)
    box = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "box", "namespace": "ml"}, "data": {}}
    for shut in (None, now(), now() - 1):
        fence.hold(shut)
        for write in (
            fenced.apply(box), fenced.create(box), fenced.apply_status(box),
            fenced.delete("ConfigMap", "ml", "box", uid="1"),
        ):  # fmt: skip
            with pytest.raises(NotLeading):
                await write
    assert cluster.writes == []
    assert await fenced.get("ConfigMap", "ml", "box") is None
    assert await fenced.list("ConfigMap", "ml") == []
    await fenced.emit({**box, "kind": "Event"})
    fence.hold(now() + 1)
    made = await fenced.apply(box)
    await fenced.delete("ConfigMap", "ml", "box", uid=made["metadata"]["uid"])
    assert [write.verb for write in cluster.writes] == ["create", "apply", "delete"]
