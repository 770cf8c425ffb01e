"""Autoscalers that Tidegate makes, beside a controller of autoscalers that has wishes of its own."""

import asyncio
from typing import Any

import pytest
from tests.fakes.cluster import crash_at
from tests.integration.loop.stage import FakeStage, Stage

from tidegate.core.labels import AUTOSCALER_KIND
from tidegate.ports import Manifest

pytestmark = pytest.mark.long

SCALING = {"minReplicas": 2, "maxReplicas": 8, "targetCPUUtilization": 70}
#: Seconds between two rounds of the controller.
SYNC = 15.0


class Controller:
    """kube-controller-manager's: gives each Deployment what it wishes for its version, within the bounds.

    As the real one it leaves a Deployment of no replicas alone.
    """

    def __init__(self, stage: Stage) -> None:
        self.wishes: dict[str, int] = {}
        #: What it gave, and what the bounds were, by Deployment.
        self.bounds: dict[str, list[tuple[int, int]]] = {}
        self._stage = stage

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SYNC)
            for body in await self._stage.hands.all(AUTOSCALER_KIND):
                await self._sync(body)

    async def _sync(self, body: Manifest) -> None:
        spec, name = body["spec"], body["spec"]["scaleTargetRef"]["name"]
        bounds = (spec["minReplicas"], spec["maxReplicas"])
        seen = self.bounds.setdefault(name, [])
        if not seen or seen[-1] != bounds:
            seen.append(bounds)
        deployment = await self._stage.hands.read("Deployment", name)
        replicas = deployment["spec"]["replicas"] if deployment else 0
        wanted = min(max(self.wishes.get(name, replicas), bounds[0]), bounds[1])
        if deployment and replicas and replicas != wanted:
            await self._stage.hands.scale(name, wanted)
        status = {"currentReplicas": replicas, "desiredReplicas": wanted, "currentMetrics": []}
        await self._stage.hands.set_status(AUTOSCALER_KIND, body["metadata"]["name"], status)


def manifest(stage: Stage, **serving: Any) -> Manifest:
    """The object with an autoscaler."""
    body = stage.manifest()
    body["spec"]["serving"] = serving or {"autoscaling": SCALING}
    stage.books.replicas = 2
    return body


async def autoscaled(stage: Stage, pods: int) -> tuple[Controller, str]:
    """A first version serves, and its autoscaler has given it so many pods."""
    controller = Controller(stage)
    stage.spawn(controller.run())
    first = await stage.serve(manifest(stage))
    name = await stage.named(first)
    controller.wishes[name] = pods
    await stage.until_kind("Pod", pods)
    stage.books.replicas = pods
    await asyncio.sleep(5)
    return controller, first


async def scaler(stage: Stage, version: str) -> Manifest:
    body = await stage.hands.read(AUTOSCALER_KIND, await stage.named(version))
    assert body is not None
    return body


async def size(stage: Stage, version: str) -> int:
    body = await stage.hands.read("Deployment", await stage.named(version))
    assert body is not None
    return int(body["spec"]["replicas"])


async def put_back(stage: Stage) -> list[str]:
    return [event["note"].split()[0] for event in await stage.events() if event["reason"] == "PutBack"]


async def test_the_operator_never_answers_what_its_autoscaler_does(stage: Stage) -> None:
    controller, first = await autoscaled(stage, 6)
    name = await stage.named(first)
    writes = len(stage.writes)
    for wish in (8, 3, 20, 2, 5):
        controller.wishes[name] = wish
        await asyncio.sleep(40)
        assert await size(stage, first) == min(max(wish, 2), 8)
    assert stage.writes[writes:] == []


async def test_a_rollout_keeps_stable_at_its_size_and_brings_the_canary_up_by_its_weights(stage: Stage) -> None:
    controller, first = await autoscaled(stage, 6)
    old = await stage.named(first)
    controller.wishes[old] = 1  # its traffic goes
    second = stage.point()
    await stage.rolling_of(second, 100)
    assert await size(stage, first) == 6
    new = await stage.named(second)
    await stage.serves(second)
    assert controller.bounds[old] == [(2, 8), (6, 8)]
    # What 5 % takes is what was made first; before each further weight there is what that one takes.
    assert controller.bounds[new][:1] == [(2, 8)]
    assert controller.bounds[new][-1] == (6, 8)
    controller.wishes[new] = 1
    await asyncio.sleep(200)
    assert await size(stage, second) == 6
    await asyncio.sleep(200)
    assert await size(stage, second) == 2
    assert (await scaler(stage, second))["spec"]["minReplicas"] == 2
    assert await put_back(stage) == []
    await stage.quiet()


async def test_after_a_revert_stable_has_its_size_until_its_autoscaler_knows_its_load(stage: Stage) -> None:
    controller, first = await autoscaled(stage, 6)
    second = stage.point()
    await stage.rolling_of(second, 100)
    controller.wishes[await stage.named(first)] = 1
    stage.traffic.errors[second] = 1.0
    await stage.reverted(second)
    await stage.alone(first)
    await asyncio.sleep(200)
    assert await size(stage, first) == 6
    await asyncio.sleep(200)
    assert await size(stage, first) == 2
    await stage.quiet()


async def test_an_edited_or_deleted_autoscaler_is_put_back_and_the_size_stays(stage: Stage) -> None:
    _, first = await autoscaled(stage, 6)
    name = await stage.named(first)
    before = await scaler(stage, first)

    def edit(body: Manifest) -> None:
        body["spec"]["minReplicas"], body["spec"]["maxReplicas"] = 1, 100

    await stage.hand(stage.hands.edit(AUTOSCALER_KIND, name, edit))
    await asyncio.sleep(2)
    assert (await scaler(stage, first))["spec"] == before["spec"]
    await stage.hand(stage.hands.remove(AUTOSCALER_KIND, name))
    await asyncio.sleep(2)
    assert (await scaler(stage, first))["spec"] == before["spec"]
    assert await size(stage, first) == 6
    assert set(await put_back(stage)) == {AUTOSCALER_KIND}


async def test_a_deployment_scaled_to_nothing_by_hand_which_turns_its_autoscaler_off_is_put_back(stage: Stage) -> None:
    _, first = await autoscaled(stage, 6)
    await stage.hand(stage.hands.scale(await stage.named(first), 0))
    await asyncio.sleep(2)
    assert await size(stage, first) == 2
    assert await put_back(stage) == ["Deployment"]


async def test_autoscaling_comes_and_goes_by_the_spec_without_a_rollout(stage: Stage) -> None:
    first = await stage.serve()
    await stage.respec(serving={"autoscaling": {**SCALING, "minReplicas": 3}})
    await asyncio.sleep(2)
    assert (await scaler(stage, first))["spec"]["minReplicas"] == 3
    assert await size(stage, first) == 3
    await stage.hands.scale(await stage.named(first), 5)
    await asyncio.sleep(2)
    await stage.respec(serving={"replicas": 2})
    await asyncio.sleep(2)
    assert await stage.hands.all(AUTOSCALER_KIND) == []
    assert await size(stage, first) == 2
    assert await put_back(stage) == []
    assert len(await stage.hands.all("Deployment")) == 1


async def test_somebody_elses_autoscaler_of_the_same_name_or_target_is_left_alone_and_ours_goes(stage: Stage) -> None:
    _, first = await autoscaled(stage, 6)
    ours = await scaler(stage, first)
    theirs = {**ours, "metadata": {"name": "theirs", "namespace": stage.hands.namespace}}
    await stage.hand(stage.hands.put(theirs))
    await asyncio.sleep(2)
    assert [body["metadata"]["name"] for body in await stage.hands.all(AUTOSCALER_KIND)] == ["theirs"]
    await stage.hand(stage.hands.remove(AUTOSCALER_KIND, "theirs"))
    await asyncio.sleep(2)
    assert (await scaler(stage, first))["spec"] == ours["spec"]

    def adopt(body: Manifest) -> None:
        body["metadata"].pop("ownerReferences")
        body["spec"]["maxReplicas"] = 100

    await stage.hand(stage.hands.edit(AUTOSCALER_KIND, await stage.named(first), adopt))
    await asyncio.sleep(2)
    assert (await scaler(stage, first))["spec"]["maxReplicas"] == 100
    assert await size(stage, first) == 6


async def whole(*faults: Any) -> FakeStage:
    """From nothing to a first version, its size, and on to a second one; an operator that dies is started again."""
    stage = FakeStage()
    stage.restarting(3.0)
    stage.faults += faults
    await stage.open()
    try:
        stage.traffic.rate = 100.0
        controller = Controller(stage)
        stage.spawn(controller.run())
        first = stage.point()
        body = manifest(stage)
        body["spec"]["rollout"] = {"weights": [50, 100], "hold": "15s"}
        stage.books.hold = 15.0
        await stage.apply(body)
        stage.start()
        await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
        old = await stage.named(first)
        controller.wishes[old] = 5
        await stage.until_kind("Pod", 5)
        await asyncio.sleep(5)
        controller.wishes[old] = 1
        stage.books.replicas = 5
        stage.asked = len(stage.writes)
        second = stage.point()
        await stage.rolling_of(second, 100)
        assert await size(stage, first) == 5
        await stage.serves(second)
        assert stage.books.raises(second) == [50, 100]
        assert [body["metadata"]["name"] for body in await stage.hands.all(AUTOSCALER_KIND)] == [
            await stage.named(second)
        ]
        await stage.quiet()
    finally:
        await stage.close()
    return stage


async def test_killed_after_any_one_write_no_weight_is_given_to_too_few_pods_and_stable_stays_whole() -> None:
    unharmed = await whole()
    for number in range(unharmed.asked, len(unharmed.writes) + 1):
        await whole(crash_at(number, "after" if number % 2 else "before"))
