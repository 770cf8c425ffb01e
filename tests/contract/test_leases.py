"""What electors rely on from `ports.Leases`, held against the fake and a real API server alike."""

import json
from dataclasses import dataclass, replace

import pytest
from tests.cluster.light import LightCluster
from tests.fakes.leases import FakeLeases

from tidegate.adapters.access import Access
from tidegate.adapters.kube import KubeCluster
from tidegate.adapters.lease import UNSAID, KubeLease
from tidegate.core.election import Lease, released
from tidegate.errors import Conflict
from tidegate.ports import Leases

NEW = Lease(holder="one", lasts=4.0, acquired=1_760_000_000.25, renewed=1_760_000_001.5)


@dataclass(frozen=True)
class Stage:
    """Two who compete for one lease."""

    one: Leases
    two: Leases


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.apiserver)])
def stage(request: pytest.FixtureRequest) -> Stage:
    if request.param == "fake":
        shared = FakeLeases()
        return Stage(shared, shared)
    access, namespace = request.getfixturevalue("kube_access"), request.getfixturevalue("namespace")
    one, two = (KubeLease(KubeCluster(access), namespace=namespace, name="tidegate") for _ in range(2))
    return Stage(one, two)


async def test_nothing_is_read_where_there_is_no_lease(stage: Stage) -> None:
    assert await stage.one.read() is None


async def test_what_was_made_is_read_with_a_version(stage: Stage) -> None:
    made = await stage.one.write(NEW)
    assert made.version
    assert replace(made, version="") == NEW
    assert await stage.two.read() == made


async def test_only_one_of_two_can_make_it(stage: Stage) -> None:
    made = await stage.one.write(NEW)
    with pytest.raises(Conflict):
        await stage.two.write(replace(NEW, holder="two"))
    assert await stage.two.read() == made


async def test_a_renewal_changes_the_version(stage: Stage) -> None:
    made = await stage.one.write(NEW)
    renewed = await stage.one.write(replace(made, renewed=NEW.renewed + 1))
    assert renewed.version != made.version
    assert replace(renewed, version=made.version, renewed=made.renewed) == made


async def test_a_write_on_an_older_version_conflicts_and_changes_nothing(stage: Stage) -> None:
    made = await stage.one.write(NEW)
    renewed = await stage.one.write(replace(made, renewed=NEW.renewed + 1))
    with pytest.raises(Conflict):
        await stage.two.write(replace(made, holder="two", transitions=1))
    assert await stage.one.read() == renewed


async def test_a_lease_that_was_left_has_no_holder_and_is_taken(stage: Stage) -> None:
    made = await stage.one.write(NEW)
    await stage.one.write(released(made, wall=NEW.renewed + 1))
    left = await stage.two.read()
    assert left is not None
    assert left.holder == ""
    taken = await stage.two.write(replace(left, holder="two", transitions=1))
    assert (taken.holder, taken.transitions) == ("two", 1)


@pytest.mark.apiserver
async def test_a_lease_that_was_deleted_conflicts_and_is_made_anew(
    apiserver: LightCluster, kube_access: Access, namespace: str
) -> None:
    leases = KubeLease(KubeCluster(kube_access), namespace=namespace, name="tidegate")
    made = await leases.write(NEW)
    apiserver.kubectl("delete", "lease", "tidegate", "-n", namespace)
    with pytest.raises(Conflict):
        await leases.write(made)
    assert await leases.read() is None
    assert (await leases.write(NEW)).version != made.version


@pytest.mark.apiserver
async def test_a_lease_that_somebody_else_made_empty_is_free(
    apiserver: LightCluster, kube_access: Access, namespace: str
) -> None:
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "tidegate", "namespace": namespace},
        "spec": {},
    }
    apiserver.kubectl("create", "-f", "-", text=json.dumps(body))
    leases = KubeLease(KubeCluster(kube_access), namespace=namespace, name="tidegate")
    found = await leases.read()
    assert found is not None
    assert (found.holder, found.lasts, found.acquired) == ("", UNSAID, 0.0)
    assert (await leases.write(replace(found, holder="one", lasts=4.0))).holder == "one"
