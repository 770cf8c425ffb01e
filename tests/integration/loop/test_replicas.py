"""Two replicas on one API server: one acts, either reverts, and when one goes the other goes on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fakes.cluster import Fault, Phase, crash_at
from tests.fakes.leases import FakeLeases
from tests.fixtures.until import until
from tests.integration.loop.line import Line
from tests.integration.loop.look import Look
from tests.integration.loop.stage import FakeStage

from tidegate.core.election import Lease
from tidegate.errors import Unreachable
from tidegate.ports import Manifest
from tidegate.wiring import Operator

LEADER_ONLY = {"create", "delete", "status"}


class LeaseLine:
    """One replica's way to the lease, which can be cut."""

    def __init__(self, leases: FakeLeases) -> None:
        self.cut = False
        self._leases = leases

    async def read(self) -> Lease | None:
        self._pass()
        return await self._leases.read()

    async def write(self, lease: Lease) -> Lease:
        self._pass()
        return await self._leases.write(lease)

    def _pass(self) -> None:
        if self.cut:
            raise Unreachable("cut")


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
        leases = LeaseLine(self.leases)
        operator = Operator(
            settings=self.settings,
            cluster=line,
            registry=self.registry,
            writer=self.registry.writer,
            evidence=self.evidence,
            clock=self.clock,
            leases=leases,
        )
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

    async def begun(self, weight: int = 25) -> tuple[str, str]:
        """Version 1 serves, version 2 has this weight."""
        first = self.point()
        await self.apply(self.manifest())
        await self.until(lambda look: look.ready and look.version == first, "the first serves")
        return first, await self.rolling(weight)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    await made.open()
    made.join()
    made.join()
    yield made
    await made.close()


def written(replica: Replica) -> list[Any]:
    return [(write.verb, write.kind) for write in replica.line.writes]


async def test_one_of_two_writes_and_the_other_nothing_at_all(pair: Pair) -> None:
    await pair.begun(5)
    leader = await pair.leader()
    look = await pair.serves("2")
    assert look.version == "2"
    assert pair.books.raises("2") == [5, 25, 50, 100]
    assert written(pair.other(leader)) == []
    assert [replica.leads for replica in pair.replicas].count(True) == 1
    await pair.quiet()


async def test_the_leader_killed_in_mid_step_the_other_ends_the_rollout_and_begins_no_hold_anew(pair: Pair) -> None:
    await pair.begun(25)
    leader, died = await pair.leader(), asyncio.get_running_loop().time()
    await asyncio.sleep(20)
    await leader.kill()
    pair.replicas.remove(leader)
    died = asyncio.get_running_loop().time()
    heir = await pair.leader()
    assert asyncio.get_running_loop().time() - died < 5
    await pair.serves("2")
    assert pair.books.raises("2") == [5, 25, 50, 100]
    assert pair.books.when("2", 50) - pair.books.when("2", 25) < 30 + 15
    assert written(heir)
    await pair.quiet()


async def test_an_abort_that_the_leader_carries_out_costs_the_standby_no_write_and_no_conflict(pair: Pair) -> None:
    first, second = await pair.begun()
    leader = await pair.leader()
    await pair.annotate("abort", f"{second}/1")
    look = await pair.reverted(second)
    assert look.weights == {first: 100}
    await asyncio.sleep(10)
    assert written(pair.other(leader)) == []
    await pair.quiet()


async def test_an_abort_that_a_hung_leader_does_not_see_is_carried_out_by_the_standby(pair: Pair) -> None:
    first, second = await pair.begun()
    leader = await pair.leader()
    leader.line.hangs = True
    await pair.annotate("abort", f"{second}/1")
    aborted = asyncio.get_running_loop().time()
    await pair.until(lambda look: look.weights == {first: 100}, "the standby reverts", 3)
    assert leader.leads
    assert asyncio.get_running_loop().time() - aborted < 2.5
    standby = pair.other(leader)
    assert [what for what in written(standby) if what[1] != "Event"] == [("apply", "HTTPRoute")]


async def test_a_container_that_restarts_under_a_hung_leader_is_seen_by_the_standby(pair: Pair) -> None:
    first, second = await pair.begun()
    (await pair.leader()).line.hangs = True
    await pair.kubelet.restart(second)
    await pair.until(lambda look: look.weights == {first: 100}, "the standby reverts", 3)


async def test_a_standby_that_has_not_heard_of_endpoints_yet_reads_them_before_it_takes_them_for_lost(
    pair: Pair,
) -> None:
    leader = await pair.leader()
    first = pair.point()
    await pair.apply(pair.manifest())
    await pair.until(lambda look: look.ready and look.version == first, "the first serves")
    standby = pair.other(leader)
    standby.deaf.add("EndpointSlice")
    await pair.rolling(5)
    await asyncio.sleep(10)
    assert written(standby) == []
    assert standby.line.reads["EndpointSlice"] == 2
    await pair.serves("2")


async def test_a_standby_that_can_not_reach_the_api_server_reverts_as_soon_as_it_can(pair: Pair) -> None:
    first, second = await pair.begun()
    leader = await pair.leader()
    leader.line.hangs = True
    standby = pair.other(leader)
    standby.line.down = Unreachable("down")
    await pair.annotate("abort", f"{second}/1")
    await asyncio.sleep(20)
    standby.line.down = None
    await pair.until(lambda look: look.weights == {first: 100}, "the standby reverts", 3)


async def test_a_deadline_is_left_to_a_leader_whatever_the_standbys_clock_says(pair: Pair) -> None:
    await pair.begun()
    leader = await pair.leader()
    leader.line.hangs = True
    await pair.respec(rollout={"weights": [5, 25, 50, 100], "hold": "30s", "deadline": "3m"})
    await asyncio.sleep(240)
    assert written(pair.other(leader)) == []


async def test_a_leader_that_loses_the_lease_stops_raising_before_another_one_may(pair: Pair) -> None:
    await pair.begun(5)
    leader = await pair.leader()
    leader.leases.cut = True
    lost = asyncio.get_running_loop().time()
    await until(lambda: not leader.leads, 5)
    assert 2 < asyncio.get_running_loop().time() - lost <= 3.01
    count = len(leader.line.writes)
    heir = pair.other(leader)
    assert not heir.leads
    await pair.leader()
    assert heir.leads
    await pair.serves("2")
    assert len(leader.line.writes) == count
    assert not leader.work.done()
    await pair.quiet()


async def test_who_lost_the_lease_takes_it_again_when_the_other_goes(pair: Pair) -> None:
    await pair.begun(5)
    leader = await pair.leader()
    heir = pair.other(leader)
    leader.leases.cut = True
    await asyncio.sleep(6)
    leader.leases.cut = False
    assert heir.leads
    await heir.kill()
    pair.replicas.remove(heir)
    assert await pair.leader() is leader
    await pair.serves("2")
    assert pair.books.raises("2") == [5, 25, 50, 100]
    await pair.quiet()


@pytest.mark.parametrize(("number", "when"), [(13, "after"), (16, "before")])
async def test_leaders_that_are_killed_every_few_writes_come_to_the_same_end(number: int, when: Phase) -> None:
    pair = Pair()
    await pair.open()
    for _ in range(2):
        pair.join(crash_at(number, when))
    first = pair.point()
    await pair.apply(pair.manifest())
    await pair.until(lambda look: look.weights == {first: 100}, "the first serves")
    second = pair.point()
    await pair.until(lambda look: look.weights == {second: 100} and look.named == {second}, "the second serves", 3000)
    assert pair.books.raises(second) == [5, 25, 50, 100]
    await pair.quiet()
    await pair.close()


async def test_what_one_leader_rejected_no_later_one_tries_again(pair: Pair) -> None:
    first, second = await pair.begun()
    pair.traffic.errors[second] = 1.0
    await pair.reverted(second)
    await pair.alone(first)
    pair.traffic.errors.clear()
    for _ in range(2):
        leader = await pair.leader()
        await leader.kill()
        pair.replicas.remove(leader)
        pair.join()
        await pair.leader()
        await asyncio.sleep(300)
        look = await pair.look()
        assert second in look.rejected
        assert look.named == {first}
    assert pair.books.raises(second) == [5, 25]


async def test_told_to_end_the_leader_leaves_the_lease_and_the_other_leads_within_a_second(pair: Pair) -> None:
    await pair.begun(5)
    leader = await pair.leader()
    heir, told = pair.other(leader), asyncio.get_running_loop().time()
    await leader.stop()
    pair.replicas.remove(leader)
    assert await pair.leader() is heir
    assert asyncio.get_running_loop().time() - told < 1
    await pair.serves("2")
    await pair.quiet()


async def test_while_nobody_can_hold_a_lease_nothing_is_raised_and_an_abort_is_carried_out(pair: Pair) -> None:
    first, second = await pair.begun(5)
    for replica in pair.replicas:
        replica.leases.cut = True
    await asyncio.sleep(120)
    look = await pair.look()
    assert look.weights == {first: 95, second: 5}
    await pair.annotate("abort", f"{second}/1")
    await pair.until(lambda look: look.weights == {first: 100}, "reverted", 4)


async def test_a_breach_after_a_take_over_is_judged_with_the_state_that_was_saved(pair: Pair) -> None:
    await pair.begun(50)
    await asyncio.sleep(15)
    leader = await pair.leader()
    await leader.kill()
    pair.replicas.remove(leader)
    await pair.leader()

    def restored(look: Look) -> bool:
        judge = look.status.get("judge") or {}
        return judge.get("canary") is not None

    await pair.until(restored, "the state is there")
    pair.traffic.errors["2"] = 1.0
    look = await pair.reverted("2", 60)
    assert "2" in look.rejected


async def test_a_leaders_late_first_apply_of_a_revision_that_nobody_knows_any_more_is_taken_away(pair: Pair) -> None:
    """It was stopped right before the request, and another one decided meanwhile (ADR 9)."""
    first, second = await pair.begun()
    name = await pair.named(second)
    bodies = [await pair.hands.read(kind, name) for kind in ("Deployment", "Service")]
    late = [{**body, "metadata": _bare(body["metadata"])} for body in bodies if body is not None]
    pair.point(first)
    await pair.serves(first)
    for manifest in late:
        await pair.hand(pair.cluster.apply(manifest))
    await pair.alone(first)
    look = await pair.look()
    assert (look.weights, look.named) == ({first: 100}, {first})


def _bare(metadata: Manifest) -> Manifest:
    return {key: metadata[key] for key in ("name", "namespace", "labels", "ownerReferences")}
