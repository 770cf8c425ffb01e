"""Predictions that are no longer stable's: held until a person decides, or sent back, and judged at a hold's end."""

import asyncio
from typing import Any

import pytest
from tests.integration.loop.look import Look
from tests.integration.loop.stage import Stage

from tidegate.ports import Manifest

ROAD = {"weights": [25, 50, 100], "hold": "30s"}
HIGH = (0.85, 0.95)


def watching(stage: Stage, **drift: Any) -> Manifest:
    return stage.manifest(rollout=ROAD, guards={"drift": {"minPredictions": 500, **drift}})


def finding(look: Look) -> dict[str, Any]:
    (found,) = [each for each in look.rollout["findings"] if each["guard"] == "drift.maxPsi"]
    return found


async def other(stage: Stage, **drift: Any) -> tuple[str, str]:
    """One version serves, and another comes that predicts something else."""
    first = await stage.serve(watching(stage, **drift))
    second = stage.point()
    stage.traffic.predicts[second] = HIGH
    return first, second


async def held(stage: Stage, version: str) -> Look:
    """It has the first weight and waits for a person."""
    return await stage.until(lambda look: look.reason("Reconciling") == "PredictionsDrifted", f"{version} is held")


@pytest.fixture(autouse=True)
def busy(stage: Stage) -> None:
    stage.traffic.rate = 200.0


async def test_a_version_that_predicts_what_stable_predicts_goes_all_the_way(stage: Stage) -> None:
    await stage.serve(watching(stage, onDrift="Revert"))
    second = await stage.rolling(50)
    await asyncio.sleep(20)
    found = finding(await stage.look())
    assert found["verdict"] == "Healthy"
    assert found["samples"] > 500
    assert found["message"].startswith("PSI 0 (KS 0")
    await stage.serves(second)
    await stage.quiet()


async def test_one_that_predicts_something_else_keeps_its_weight_until_somebody_promotes_it(stage: Stage) -> None:
    _, second = await other(stage)
    look = await held(stage, second)
    assert look.weights[second] == 25
    assert finding(look)["verdict"] == "Breach"
    message = look.condition("Ready")["message"]
    assert message.startswith("held at 25%: PSI ")
    assert message.endswith("over the limit of 0.25; promote or abort it, or change spec.guards.drift")
    writes = len(stage.writes)
    await asyncio.sleep(300)
    assert (await stage.look()).weights[second] == 25
    assert {write.verb for write in stage.writes[writes:]} <= {"status"}
    await stage.annotate("promote", f"{second}/1")
    await stage.serves(second)


async def test_or_until_somebody_allows_that_much(stage: Stage) -> None:
    _, second = await other(stage)
    await held(stage, second)
    await stage.respec(guards={"drift": {"minPredictions": 500, "maxPsi": "10", "mode": "Observe"}})
    await stage.serves(second)


async def test_it_goes_back_at_the_end_of_the_hold_where_that_is_asked_for(stage: Stage) -> None:
    first, second = await other(stage, onDrift="Revert")
    await stage.rolling_of(second, 25)
    began = asyncio.get_running_loop().time()
    look = await stage.reverted(second)
    assert asyncio.get_running_loop().time() - began >= 29
    assert look.rejected[second]["reason"] == "PredictionsDrifted"
    assert look.rejected[second]["message"].startswith("PSI ")
    await stage.alone(first)
    await stage.quiet()


async def test_nobody_is_raised_without_predictions_enough(stage: Stage) -> None:
    stage.traffic.rate = 4.0
    await stage.serve(watching(stage))
    second = stage.point()
    await stage.rolling_of(second, 25)
    await asyncio.sleep(400)
    look = await stage.look()
    assert look.weights[second] == 25
    assert finding(look)["message"].endswith("500 of each are needed")
    stage.traffic.rate = 200.0
    await stage.serves(second)


async def test_a_new_leader_gathers_anew_and_comes_to_the_same_end(stage: Stage) -> None:
    first, second = await other(stage, onDrift="Revert")
    await stage.rolling_of(second, 25)
    await asyncio.sleep(25)
    await stage.reborn()
    await stage.reverted(second)
    await stage.alone(first)
    assert (await stage.look()).rejected[second]["reason"] == "PredictionsDrifted"
