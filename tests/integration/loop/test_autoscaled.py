"""Somebody's autoscaler on a revision's Deployment: its size is left alone, and nobody fights over it."""

import asyncio
from typing import Any

from tests.integration.loop.stage import Stage

from tidegate.ports import Manifest


def autoscaler(stage: Stage, deployment: str) -> Manifest:
    """As `kubectl autoscale` makes it."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    cpu: dict[str, Any] = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": deployment, "namespace": stage.hands.namespace},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 2,
            "maxReplicas": 8,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }


async def autoscaled(stage: Stage) -> str:
    """The name of stable's Deployment, which has an autoscaler now."""
    first = await stage.serve()
    await stage.serves(first)
    name = await stage.named(first)
    await stage.hands.put(autoscaler(stage, name))
    # The operator hears of both in the order in which they were written, but by two watches.
    key = f"{stage.hands.namespace}/fraud"
    while stage.operator is None or not stage.operator.world.scaled(key):  # noqa: ASYNC110 (the operator's own watch)
        await asyncio.sleep(stage.PATIENCE)
    return name


async def size(stage: Stage, name: str) -> int:
    body = await stage.hands.read("Deployment", name)
    assert body is not None
    return int(body["spec"]["replicas"])


async def put_back(stage: Stage) -> list[str]:
    return [event["note"] for event in await stage.events() if event["reason"] == "PutBack"]


async def test_a_rollout_beside_an_autoscaled_version_starts_from_what_that_took(stage: Stage) -> None:
    name = await autoscaled(stage)
    await stage.hands.scale(name, 6)
    await stage.until_kind("Pod", 6)
    second = stage.point()
    stage.books.replicas = 6
    await stage.rolling_of(second, 50)
    assert await size(stage, name) == 6
    await stage.hands.scale(name, 4)  # half of the traffic is gone
    await stage.serves(second)
    assert await size(stage, await stage.named(second)) == 6
    assert await put_back(stage) == []


async def test_what_an_autoscaler_says_is_never_taken_back_and_no_write_answers_it(stage: Stage) -> None:
    name = await autoscaled(stage)
    await asyncio.sleep(20)
    writes = len(stage.writes)
    for replicas in (5, 3, 8, 2):
        await stage.hands.scale(name, replicas)
        await asyncio.sleep(5)
        assert await size(stage, name) == replicas
    body = await stage.hands.read("HorizontalPodAutoscaler", name)
    assert body is not None
    for number in range(20):
        status = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [], "observedGeneration": number}
        await stage.hands.set_status("HorizontalPodAutoscaler", name, status)
        await asyncio.sleep(1)
    assert stage.writes[writes:] == []


async def test_an_edited_template_is_put_back_without_touching_the_size(stage: Stage) -> None:
    name = await autoscaled(stage)
    await stage.hands.scale(name, 5)
    await asyncio.sleep(1)

    def edit(body: Manifest) -> None:
        body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.invalid/mine:1"
        body["spec"]["replicas"] = 7  # and the autoscaler spoke in the same moment

    await stage.hand(stage.hands.edit("Deployment", name, edit))
    await asyncio.sleep(2)
    body = await stage.hands.read("Deployment", name)
    assert body is not None
    assert body["spec"]["replicas"] == 7
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "example.invalid/runtime:1"
    assert await put_back(stage) == [f"Deployment {name} was changed by somebody else and was put back"]


async def test_without_an_autoscaler_any_more_the_size_is_ours_again(stage: Stage) -> None:
    name = await autoscaled(stage)
    await stage.hands.scale(name, 5)
    await asyncio.sleep(1)
    await stage.hands.remove("HorizontalPodAutoscaler", name)
    await asyncio.sleep(2)
    assert await size(stage, name) == 2


async def test_an_autoscaler_of_another_deployment_is_none_of_ours(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    await stage.hands.put(autoscaler(stage, "somebody-elses"))
    await asyncio.sleep(1)
    await stage.hand(stage.hands.scale(await stage.named(first), 5))
    await asyncio.sleep(2)
    assert await size(stage, await stage.named(first)) == 2
    assert len(await put_back(stage)) == 1
