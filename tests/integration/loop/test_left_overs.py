"""Pods of a Deployment that was deleted serve on until the garbage collector finds them: no weight is built on them."""

import asyncio

from tests.integration.loop.stage import Stage


async def gone(stage: Stage, version: str) -> None:
    """The Deployment of a version is deleted; its pods are there still."""
    await stage.until_kind("Deployment", 1)
    assert await stage.kubelet.pods(version)


async def test_a_retry_waits_for_pods_of_its_own_while_those_of_the_attempt_before_are_on_their_way_out(
    stage: Stage,
) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: second in look.rejected, "rejected")
    stage.traffic.errors.clear()
    stage.kubelet.collects_after, stage.kubelet.boot = 5.0, 10.0
    await gone(stage, second)
    await stage.annotate("retry", f"{second}/1")
    look = await stage.until(lambda look: look.confirmed.get(second, 0) >= 25, "has weight again")
    assert look.rollout["attempt"] == 2
    look = await stage.serves(second)
    assert not look.parked
    assert not look.rejected
    await stage.quiet()


async def test_a_deployment_that_is_long_in_going_is_made_anew_once_it_is_gone(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: second in look.rejected, "rejected")
    stage.traffic.errors.clear()
    name = await stage.named(second)
    await stage.hand(stage.hands.edit("Deployment", name, going))
    await stage.annotate("retry", f"{second}/1")
    await stage.until(lambda look: look.rollout.get("attempt") == 2, "the second attempt")
    await asyncio.sleep(20)
    look = await stage.look()
    assert look.weights.get(second, 0) == 0
    await stage.hand(stage.hands.remove("Deployment", name))
    await stage.serves(second)
    await stage.quiet()


def going(body: dict[str, dict[str, object]]) -> None:
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
