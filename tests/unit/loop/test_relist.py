"""Lists that watches go on from: each watch begins at one of its own, and what a watch missed is found again."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.fakes.cluster import FakeCluster

from tidegate.core.labels import KIND, OWNER, ROUTE_KIND
from tidegate.errors import NotServed
from tidegate.loop.relist import DISPENSABLE, Relister
from tidegate.loop.world import WATCHED, World
from tidegate.ports import Page

SOON = 5.0


class Site:
    """A relister that runs over an API server, with the keys that it told of."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.told: list[str] = []
        self.relister = Relister(cluster=cluster, world=World(), namespaces=(), changed=self.told.append)
        self.task = asyncio.create_task(self.relister.run())

    async def since(self, kind: str = KIND) -> str | None:
        async with asyncio.timeout(SOON):
            return await self.relister.since(kind, None)


@pytest.fixture
async def sites() -> AsyncIterator[list[Site]]:
    made: list[Site] = []
    yield made
    for site in made:
        site.task.cancel()
    await asyncio.gather(*(site.task for site in made), return_exceptions=True)


def opened(sites: list[Site], cluster: FakeCluster) -> Site:
    sites.append(Site(cluster))
    return sites[-1]


def service(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "labels": {"app.kubernetes.io/managed-by": "tidegate", OWNER: "fraud"},
        },
    }


class Counting(FakeCluster):
    """Counts the lists of each kind; `missing` is not served."""

    def __init__(self, missing: str = "") -> None:
        super().__init__()
        self.lists: dict[str, int] = dict.fromkeys(WATCHED, 0)
        self.missing = missing

    async def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        self.lists[kind] += 1
        if kind == self.missing:
            raise NotServed(f"{kind}: not served")
        async for page in super().pages(kind, namespace):
            yield page


async def test_the_first_watch_of_each_kind_goes_on_from_the_first_lists(sites: list[Site]) -> None:
    cluster = Counting()
    cluster.put(service("a"))
    site = opened(sites, cluster)
    versions = await asyncio.gather(*(site.since(kind) for kind in WATCHED))
    assert versions == ["1"] * len(WATCHED)
    assert set(cluster.lists.values()) == {1}


async def test_a_watch_that_begins_anew_has_everything_listed_anew(sites: list[Site]) -> None:
    cluster = Counting()
    site = opened(sites, cluster)
    assert await site.since() == "0"
    cluster.put(service("a"))
    assert await site.since() == "1"
    assert set(cluster.lists.values()) == {2}
    await asyncio.wait_for(site.relister.complete.wait(), SOON)
    assert "ml/fraud" in site.told


async def test_watches_that_expire_together_share_a_list(sites: list[Site]) -> None:
    cluster = Counting()
    site = opened(sites, cluster)
    await asyncio.gather(*(site.since(kind) for kind in WATCHED))
    await asyncio.gather(*(site.since(kind) for kind in WATCHED))
    assert max(cluster.lists.values()) == 2


async def test_who_asks_while_others_are_being_listed_is_not_left_to_the_next_time(sites: list[Site]) -> None:
    cluster = Counting()
    site = opened(sites, cluster)
    assert await site.since(WATCHED[0]) == "0"
    # Kinds after it in the same round are still to be listed.
    assert cluster.lists[WATCHED[-1]] == 0
    assert await site.since(WATCHED[0]) == "0"
    assert cluster.lists[WATCHED[0]] == 2


async def test_a_kind_that_is_not_served_has_no_version_and_keeps_nobody_else_waiting(sites: list[Site]) -> None:
    cluster = Counting(missing=ROUTE_KIND)
    site = opened(sites, cluster)
    assert await site.since(ROUTE_KIND) is None
    assert await site.since() == "0"


@pytest.mark.parametrize("kind", sorted(DISPENSABLE))
async def test_an_operator_is_ready_without_a_kind_that_it_can_do_without(sites: list[Site], kind: str) -> None:
    site = opened(sites, Counting(missing=kind))
    assert await site.since() == "0"
    await asyncio.wait_for(site.relister.complete.wait(), SOON)
