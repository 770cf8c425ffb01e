"""Many objects at once: the good ones finish, the bad ones revert, and nobody waits for another."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.integration.loop.look import Look
from tests.integration.loop.stage import MODEL, Stage
from tests.integration.loop.test_api_server import RealStage

from tidegate.adapters.access import Access
from tidegate.core.labels import KIND, ROUTE_KIND
from tidegate.ports import Manifest

MANY, ROLLING, BAD = 50, 10, 5
EVERY = 1.0  # seconds between two looks at all of them
pytestmark = [pytest.mark.apiserver, pytest.mark.long]


@pytest.fixture
async def real(kube_access: Access, namespace: str) -> AsyncIterator[RealStage]:
    made = RealStage(kube_access, namespace)
    made.traffic.rate = 100.0
    made.books.by_hand = True
    await made.open()
    yield made
    await made.close()


def manifest(stage: Stage, number: int, version: str) -> Manifest:
    gateway = {"parentRefs": [{"name": "public"}], "hostnames": [f"m{number}.example.com"]}
    made = stage.manifest(
        model={"name": MODEL, "version": version}, serving={"replicas": 1}, traffic={"gateway": gateway}
    )
    return {**made, "metadata": {**made["metadata"], "name": f"m{number}"}}


async def looks(stage: Stage) -> dict[str, Look]:
    routes = {body["metadata"]["name"]: body for body in await stage.hands.all(ROUTE_KIND)}
    return {
        body["metadata"]["name"]: Look(body, routes.get(body["metadata"]["name"]))
        for body in await stage.hands.all(KIND)
    }


async def until_ready(stage: Stage, seconds: float) -> dict[str, Look]:
    end = asyncio.get_running_loop().time() + seconds
    while True:
        seen = await looks(stage)
        if sum(look.ready for look in seen.values()) == MANY:
            return seen
        assert asyncio.get_running_loop().time() < end, "never: all serve"
        await asyncio.sleep(EVERY)


async def ask(stage: Stage, number: int, version: str) -> None:
    wanted = manifest(stage, number, version)

    def change(body: Manifest) -> None:
        body["spec"] = wanted["spec"]

    await stage.hands.edit(KIND, f"m{number}", change)


async def until_through(stage: Stage, seconds: float) -> dict[str, Look]:
    end = asyncio.get_running_loop().time() + seconds
    while True:
        seen = await looks(stage)
        ten = [seen[f"m{number}"] for number in range(ROLLING)]
        if all((look.ready and look.version == "2") or "3" in look.rejected for look in ten):
            return seen
        assert asyncio.get_running_loop().time() < end, [(look.version, look.weights) for look in ten]
        await asyncio.sleep(EVERY)


async def test_of_fifty_objects_ten_roll_and_five_of_those_are_bad_and_nobody_waits_for_another(
    real: RealStage,
) -> None:
    """Scenario 33, and beside the ten one whose new version never gets ready: it is still waiting when all are done."""
    for _ in range(4):
        real.registry.add_version(MODEL)
    for number in range(MANY):
        await real.hands.put(manifest(real, number, "1"))
    real.start()
    before = await until_ready(real, 120)
    real.traffic.errors["3"] = 1.0
    real.kubelet.moods["4"] = "never"
    await ask(real, ROLLING, "4")
    for number in range(ROLLING):
        await ask(real, number, "3" if number < BAD else "2")
    after = await until_through(real, 120)
    for number in range(ROLLING):
        look = after[f"m{number}"]
        said = (sorted(look.rejected), look.version, look.weights)
        assert said == ((["3"], "1", {"1": 100}) if number < BAD else ([], "2", {"2": 100}))
    waiting = after[f"m{ROLLING}"]
    assert (waiting.rollout["version"], waiting.rollout["weight"], waiting.weights) == ("4", 0, {"1": 100})
    for number in range(ROLLING + 1, MANY):
        assert after[f"m{number}"].route == before[f"m{number}"].route, "nobody asked anything of this one"
    assert not real.traffic.lost
