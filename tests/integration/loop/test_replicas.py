"""Two replicas on one API server: one acts, either reverts, and when one goes the other goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.cluster import Phase, crash_at
from tests.fixtures.until import until
from tests.integration.loop.look import Look
from tests.integration.loop.pair import Pair, Replica

from tidegate.errors import Unreachable
from tidegate.ports import Manifest

LEADER_ONLY = {"create", "delete", "status"}


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


def never_lowered(pair: Pair, version: str) -> bool:
    weights = [change.weights.get(version, 0) for change in pair.books.changes]
    return weights == sorted(weights)


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
    await pair.served()
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


async def test_who_led_until_the_alias_was_moved_takes_nothing_from_the_version_that_it_did_not_hear_of(
    pair: Pair,
) -> None:
    await pair.served()
    former = await pair.leader()
    former.leases.cut = True
    await until(lambda: pair.other(former).leads, 10)
    former.leases.cut = False
    count = len(former.line.writes)
    second = await pair.rolling(5)
    await pair.serves(second)
    assert never_lowered(pair, second)
    assert written(former)[count:] == []
    await pair.quiet()


async def test_who_leads_again_knows_nothing_of_the_registry_from_the_first_time(pair: Pair) -> None:
    await pair.served()
    former = await pair.leader()
    heir = pair.other(former)
    former.leases.cut = True
    await until(lambda: heir.leads, 10)
    former.leases.cut = False
    second = await pair.rolling(5)
    await heir.kill()
    pair.replicas.remove(heir)
    assert await pair.leader() is former
    await pair.serves(second)
    assert never_lowered(pair, second)
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
