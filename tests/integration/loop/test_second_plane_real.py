"""The second plane on a real API server: a real policy, a real webhook that hangs, and the CRD taken away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.cluster.light import LightCluster
from tests.driver.denial import WORDS, denied, hanging, kubectl_of
from tests.integration.loop.test_api_server import RealStage
from tests.integration.loop.test_second_plane import nobody_reaches, selected, until_selects

from tidegate.adapters.access import Access
from tidegate.core.labels import DIVERTED, ROUTE_KIND

pytestmark = [pytest.mark.apiserver, pytest.mark.long]
CRD = "httproutes.gateway.networking.k8s.io"


@pytest.fixture
async def real(apiserver: LightCluster, kube_access: Access, namespace: str) -> AsyncIterator[RealStage]:
    made = RealStage(kube_access, namespace)
    await made.open()
    made.books.by_hand = True
    yield made
    await made.close()


class Frozen:
    """`denied` in a thread: kubectl waits, and the operator works on."""

    def __init__(self, stage: RealStage, apiserver: LightCluster) -> None:
        self._context = denied(kubectl_of(apiserver.kubectl), stage.hands.namespace, "fraud")

    async def __aenter__(self) -> None:
        await asyncio.to_thread(self._context.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._context.__exit__, None, None, None)


async def test_denied_by_a_policy_traffic_leaves_by_the_service_and_the_route_follows(
    real: RealStage, apiserver: LightCluster
) -> None:
    first = await real.serve(real.manifest(rollout={"weights": [25, 100], "hold": "600s"}))
    second = await real.rolling(25)
    async with Frozen(real, apiserver):
        real.traffic.errors[second] = 1.0
        await until_selects(real, second, first, 20)
        await nobody_reaches(real, second, 1.5)
        look = await real.until(lambda look: look.condition("Ready")["reason"] == "RouteDiverted", "said")
        assert WORDS in look.condition("Ready")["message"]
        assert look.weights == {first: 75, second: 25}
        assert look.condition("Available")["status"] == "True"
        # A new process holds to it, although the version is well again.
        real.traffic.errors.clear()
        await real.reborn()
        await nobody_reaches(real, second, 1.5)
    await real.until(lambda look: look.weights == {first: 100}, "everything back", 5)
    look = await real.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"
    await real.alone(first)


async def test_a_webhook_that_hangs_does_not_delay_the_second_plane(real: RealStage, apiserver: LightCluster) -> None:
    first = await real.serve(real.manifest(rollout={"weights": [25, 100], "hold": "600s"}))
    second = await real.rolling(25)
    kubectl = kubectl_of(apiserver.kubectl)
    with hanging(kubectl, real.hands.namespace):
        assert real.operator is not None
        await asyncio.sleep(1.0)  # a webhook takes a moment to be known
        began = asyncio.get_running_loop().time()
        await real.annotate("abort", f"{second}/1")
        await until_selects(real, second, first, 4)
        took = asyncio.get_running_loop().time() - began
        assert (await real.look()).weights == {first: 75, second: 25}, "the webhook did not hang"
        assert took < 3, took
    await real.until(lambda look: look.weights == {first: 100}, "everything back", 15)
    look = await real.reverted(second)
    assert look.rejected[second]["reason"] == "Aborted"


async def test_without_the_kind_a_bad_version_comes_off_and_everything_is_right_again_when_it_is_back(
    real: RealStage, apiserver: LightCluster
) -> None:
    first = await real.serve(real.manifest(rollout={"weights": [25, 100], "hold": "600s"}))
    second = await real.rolling(25)
    # Before the kind is gone: what it listed afterwards would be nothing.
    real.gateway.say("deaf")
    await asyncio.sleep(0.5)  # what it is about to take up is of before
    assert real.gateway.weights == {"fraud": {await real.named(first): 75, await real.named(second): 25}}
    await asyncio.to_thread(apiserver.kubectl, "delete", "crd", CRD)
    try:
        real.traffic.errors[second] = 1.0
        await until_selects(real, second, first, 30)
        await real.reborn()
        await asyncio.sleep(1.0)
        assert await selected(real, second) == first
        service = await real.hands.read("Service", await real.named(second))
        assert service is not None
        assert DIVERTED in service["metadata"]["annotations"]
    finally:
        await asyncio.to_thread(apiserver.apply_gateway_crds)
    real.gateway.say("quick")
    await real.until(lambda look: look.weights == {first: 100}, "everything on stable", 30)
    assert await real.hands.read(ROUTE_KIND, "fraud") is not None
    look = await real.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"
