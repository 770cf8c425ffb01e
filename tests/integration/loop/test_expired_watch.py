"""A watch that comes back too late: what it was to go on from was compacted away, and the API server says 410."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.cluster.light import LightCluster
from tests.driver.relay import Relay
from tests.integration.loop.test_api_server import RealStage

from tidegate.adapters.access import Access
from tidegate.adapters.kube import RESOURCES
from tidegate.loop.relist import AGAIN

pytestmark = [pytest.mark.apiserver, pytest.mark.long]


@pytest.fixture
def relay(apiserver: LightCluster) -> Relay:
    return Relay(apiserver.server, ca_file=apiserver.ca_file, token=apiserver.token)


class Watching(RealStage):
    """Its informer sees the API server through a relay, and begins anew as the product's does: with the operator."""

    def __init__(self, access: Access, namespace: str, server: str) -> None:
        super().__init__(access, namespace)
        self.books.by_hand = True
        self.watched = replace(access.identity, server=server)
        self.since = self._begun_anew

    async def _begun_anew(self, kind: str, namespace: str | None) -> str | None:
        return await self.operator.relister.since(kind, namespace) if self.operator is not None else None


@pytest.fixture
async def watched(relay: Relay, kube_access: Access, namespace: str) -> AsyncIterator[RealStage]:
    made = Watching(kube_access, namespace, relay.url)
    await made.open()
    yield made
    try:
        await made.close()
    finally:
        await asyncio.to_thread(relay.stop)


async def test_what_a_watch_missed_that_expired_is_listed_and_acted_upon_also_what_is_not_there_any_more(
    watched: RealStage, relay: Relay, apiserver: LightCluster
) -> None:
    """Scenario 26: while nothing is heard, a person aborts a rollout and deletes stable's Deployment and a Service."""
    first = await watched.serve(watched.manifest(rollout={"weights": [25, 100], "hold": "3000s"}))
    second = await watched.rolling(25)
    name = await watched.named(first)
    await asyncio.to_thread(relay.cut)
    await watched.annotate("abort", f"{second}/1")
    await watched.hands.remove("Deployment", name)
    await watched.hands.remove("Service", name)
    await asyncio.to_thread(apiserver.forget_the_past)
    look = await watched.look()
    assert look.weights == {first: 75, second: 25}, "somebody heard of it all the same"
    assert await watched.hands.read("Deployment", name) is None
    relay.mend()
    began = asyncio.get_running_loop().time()
    look = await watched.until(lambda look: look.weights == {first: 100} and second in look.rejected, "aborted", 30)
    assert look.rejected[second]["reason"] == "Aborted"
    await watched.until_kind("Deployment", 1)
    for kind in ("Deployment", "Service"):
        while await watched.hands.read(kind, name) is None:
            assert asyncio.get_running_loop().time() < began + 60, f"nobody missed the {kind}"
            await asyncio.sleep(watched.PATIENCE)
    assert asyncio.get_running_loop().time() < began + AGAIN / 2, "that was no more than the list of every ten minutes"
    for kind in ("ModelDeployment", "Deployment", "Service"):
        assert RESOURCES[kind].path(watched.hands.namespace) in relay.expired
