"""What is told as somebody else's edit is one, and not what another leader of ours did."""

import pytest
from tests.fakes.cluster import FakeCluster
from tests.fixtures.plans import CONFIG, plan, revision, rollout

from tidegate.core.frozen import freeze
from tidegate.core.labels import ROLE
from tidegate.core.manifests import Known
from tidegate.core.record import Record
from tidegate.loop.children import Children
from tidegate.loop.world import World

PLAN, OLD, NEW = plan(), revision("7"), revision("8")
KNOWN = Known(frozen={each.name: freeze(PLAN, each, CONFIG) for each in (OLD, NEW)}, digests={}, sizes={})
UNDER_WAY = Record(stable=OLD, rollout=rollout("8", 100))
PROMOTED = Record(stable=NEW)


class Replica:
    """One operator's part that writes children, and what its watches told it."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.world = World()
        self.children = Children(cluster=cluster, world=self.world)
        self._cluster = cluster

    async def ensure(self, record: Record) -> list[str]:
        for kind in ("Service", "Deployment", "ConfigMap", "ControllerRevision"):
            for name in (OLD.name, NEW.name):
                if (live := await self._cluster.get(kind, PLAN.ref.namespace, name)) is not None:
                    self.world.put(live)
        return await self.children.ensure(PLAN, record, KNOWN)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(namespaces=frozenset({PLAN.ref.namespace}))


async def role(cluster: FakeCluster) -> str:
    live = await cluster.get("Service", PLAN.ref.namespace, NEW.name)
    assert live is not None
    return str(live["metadata"]["labels"][ROLE])


async def test_a_promotion_that_another_leader_could_not_finish_is_undone_and_told_as_nobodys_edit(
    cluster: FakeCluster,
) -> None:
    one, two = Replica(cluster), Replica(cluster)
    assert await one.ensure(UNDER_WAY) == []
    # The other one leads, applies the children of the promotion, and loses its lease before it writes the route.
    await two.ensure(PROMOTED)
    assert await role(cluster) == "stable"
    one.children.begin()
    assert await one.ensure(UNDER_WAY) == []
    assert await role(cluster) == "canary"


async def test_an_edit_while_one_replica_leads_is_put_back_and_told(cluster: FakeCluster) -> None:
    one = Replica(cluster)
    one.children.begin()
    await one.ensure(UNDER_WAY)
    cluster.edit("Service", PLAN.ref.namespace, NEW.name, lambda live: live["metadata"]["labels"].update({ROLE: "x"}))
    assert await one.ensure(UNDER_WAY) == [f"Service {NEW.name}"]
    assert await role(cluster) == "canary"
