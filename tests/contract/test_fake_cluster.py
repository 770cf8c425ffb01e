"""What only the cluster in memory has: other people's hands, watches and faults."""

import pytest
from tests.contract.cluster_cases import config_map, deployment
from tests.fakes.cluster import Crash, FakeCluster, conflict_every, crash_at, fail_write, refuse_kind

from tidegate.errors import Conflict, Refused, Unreachable


async def test_watchers_are_told_of_every_change_in_order_and_of_nothing_else() -> None:
    cluster, told = FakeCluster(), list[tuple[str, str]]()
    cluster.watchers.append(lambda event, body: told.append((event, body["metadata"]["resourceVersion"])))

    made = await cluster.apply(config_map("ml", a="1"))
    await cluster.apply(config_map("ml", a="1"))
    cluster.edit("ConfigMap", "ml", "box", lambda body: body["data"].update(a="2"))
    cluster.set_status("ConfigMap", "ml", "box", {"x": 1})
    await cluster.delete("ConfigMap", "ml", "box", uid=made["metadata"]["uid"])

    assert told == [("ADDED", "1"), ("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")]


async def test_a_failed_write_changes_nothing_and_is_counted() -> None:
    cluster = FakeCluster()
    cluster.faults.append(fail_write(2, Unreachable("down")))
    await cluster.apply(config_map("ml", a="1"))
    with pytest.raises(Unreachable):
        await cluster.apply(config_map("ml", a="2"))
    assert cluster.all("ConfigMap")[0]["data"] == {"a": "1"}
    assert [(write.number, write.verb) for write in cluster.writes] == [(1, "apply"), (2, "apply")]


async def test_every_second_apply_conflicts_and_other_verbs_do_not() -> None:
    cluster = FakeCluster()
    cluster.faults.append(conflict_every(2))
    outcomes = []
    for number in range(4):
        try:
            await cluster.apply(config_map("ml", a=str(number)))
            outcomes.append("done")
        except Conflict:
            outcomes.append("conflict")
        await cluster.create(config_map("ml", f"other-{number}"))
    assert outcomes == ["done", "conflict", "done", "conflict"]


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
async def test_a_crash_comes_before_or_after_the_write_is_done(when: str, there: bool) -> None:
    cluster = FakeCluster()
    cluster.faults.append(crash_at(1, "before" if when == "before" else "after"))
    with pytest.raises(Crash):
        await cluster.apply(config_map("ml", a="1"))
    assert (cluster.read("ConfigMap", "ml", "box") is not None) is there


async def test_a_kind_can_be_denied() -> None:
    cluster = FakeCluster()
    cluster.faults.append(refuse_kind("ConfigMap"))
    with pytest.raises(Refused, match="denied by policy"):
        await cluster.apply(config_map("ml", a="1"))
    await cluster.apply(deployment("ml"))


async def test_garbage_goes_with_its_owner_down_to_the_last_generation() -> None:
    cluster = FakeCluster()
    owner = cluster.put(config_map("ml", "owner"))
    child = config_map("ml", "child")
    child["metadata"]["ownerReferences"] = [{"uid": owner["metadata"]["uid"]}]
    made = cluster.put(child)
    grandchild = config_map("ml", "grandchild")
    grandchild["metadata"]["ownerReferences"] = [{"uid": made["metadata"]["uid"]}]
    cluster.put(grandchild)

    cluster.collect_garbage()
    assert len(cluster.all()) == 3
    cluster.remove("ConfigMap", "ml", "owner")
    cluster.remove("ConfigMap", "ml", "owner")
    cluster.collect_garbage()
    assert cluster.all() == []


async def test_what_is_read_is_a_copy() -> None:
    cluster = FakeCluster()
    made = await cluster.apply(config_map("ml", a="1"))
    made["data"]["a"] = "2"
    cluster.all()[0]["data"]["a"] = "3"
    assert cluster.all()[0]["data"] == {"a": "1"}
