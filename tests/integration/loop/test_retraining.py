"""Requests for training: made after rejections in a row, handed over once, by whoever leads."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.trainer import FakeTrainer
from tests.integration.loop.stage import MODEL, NAME, FakeStage, Stage

from tidegate.core.retraining import Cause
from tidegate.ports import Manifest


@pytest.fixture
async def trainer() -> FakeTrainer:
    return FakeTrainer()


@pytest.fixture
async def stage(trainer: FakeTrainer) -> AsyncIterator[FakeStage]:
    made = FakeStage()
    made.memory.now = made.clock.now
    made.settings = made.settings.model_copy(update={"governance": True})
    made.trainer = trainer
    await made.open()
    yield made
    await made.close()


async def asks(stage: Stage, name: str, **fields: Any) -> None:
    spec = {"requestedBy": "ann", "model": MODEL, **fields}
    meta = {"name": name, "namespace": stage.hands.namespace}
    body = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "RetrainingRequest", "metadata": meta, "spec": spec}
    await stage.hands.put(body)


async def requests(stage: Stage) -> list[Manifest]:
    return await stage.hands.all("RetrainingRequest")


async def phase(stage: Stage, name: str) -> str | None:
    body = await stage.hands.read("RetrainingRequest", name)
    return ((body or {}).get("status") or {}).get("phase")


async def bad_version(stage: Stage) -> str:
    """A version that fails every request comes, and is rejected."""
    number = stage.point()
    stage.traffic.errors[number] = 1.0
    await stage.reverted(number)
    return number


async def test_two_rejections_in_a_row_ask_once_and_a_third_within_the_cool_down_does_not(
    stage: Stage, trainer: FakeTrainer
) -> None:
    await stage.serve()
    await bad_version(stage)
    await asyncio.sleep(60)
    assert await requests(stage) == []
    second = await bad_version(stage)
    await stage.until_kind("RetrainingRequest", 1)
    await asyncio.sleep(1)
    (order,) = trainer.taken
    assert (order.model, order.version, order.deployment, order.requester) == (MODEL, second, NAME, "tidegate")
    assert order.comment.startswith("2 versions were rejected in a row, the last: ")
    await bad_version(stage)
    await stage.reborn()
    await asyncio.sleep(60)
    assert len(await requests(stage)) == 1
    await asyncio.sleep(3600)
    assert len(await requests(stage)) == 2
    await stage.quiet()


async def test_one_rejection_for_drift_asks_at_once(stage: Stage, trainer: FakeTrainer) -> None:
    guards = {"drift": {"minPredictions": 500, "onDrift": "Revert"}}
    stage.traffic.rate = 200.0
    await stage.serve(stage.manifest(rollout={"weights": [20, 100], "hold": "20s"}, guards=guards))
    number = stage.point()
    stage.traffic.predicts[number] = (0.95,)
    await stage.reverted(number)
    await stage.until_kind("RetrainingRequest", 1)
    await asyncio.sleep(1)
    (order,) = trainer.taken
    assert (order.cause, order.version) == (Cause.DRIFT, number)
    assert order.comment.startswith("the version was rejected: PSI ")
    await stage.quiet()


async def test_a_request_that_somebody_tidied_up_is_not_made_again_within_the_cool_down(
    stage: Stage, trainer: FakeTrainer
) -> None:
    await stage.serve()
    await bad_version(stage)
    await asyncio.sleep(60)
    await bad_version(stage)
    await stage.until_kind("RetrainingRequest", 1)
    await asyncio.sleep(60)
    for body in await requests(stage):
        await stage.hands.remove("RetrainingRequest", body["metadata"]["name"])
    await asyncio.sleep(600)
    assert await requests(stage) == []
    assert len(trainer.taken) == 1


async def test_a_promotion_in_between_starts_the_count_anew(stage: Stage) -> None:
    await stage.serve()
    await bad_version(stage)
    await stage.serves(stage.point())
    await bad_version(stage)
    await asyncio.sleep(120)
    assert await requests(stage) == []


async def test_a_person_asks_and_a_trainer_that_is_away_is_tried_again(stage: Stage, trainer: FakeTrainer) -> None:
    trainer.mood = "down"
    stage.start()
    await asks(stage, "r", version="7", comment="the customers complain")
    await asyncio.sleep(100)
    assert (trainer.tries > 1, await phase(stage, "r")) == (True, "Pending")
    trainer.mood = "up"
    await asyncio.sleep(60)
    assert await phase(stage, "r") == "Delivered"
    assert [(order.requester, order.comment) for order in trainer.taken] == [("ann", "the customers complain")]
    tries = trainer.tries
    await asyncio.sleep(3600)
    assert trainer.tries == tries


@pytest.mark.parametrize(
    ("mood", "age", "expected"),
    [("refusing", 0.0, "Refused"), ("hanging", 90_000.0, "Failed"), ("hanging", 80_000.0, "Pending")],
)
async def test_a_trainer_that_will_not_or_never_answers(
    stage: FakeStage, trainer: FakeTrainer, mood: str, age: float, expected: str
) -> None:
    trainer.mood = mood
    stage.start()
    stage.memory.now = lambda: stage.clock.now() - age
    await asks(stage, "r")
    await asyncio.sleep(30)
    assert await phase(stage, "r") == expected


@pytest.mark.parametrize("fields", [{"version": "latest"}, {"cause": "Boredom"}], ids=str)
async def test_a_request_that_is_none_is_refused(stage: Stage, trainer: FakeTrainer, fields: dict[str, str]) -> None:
    stage.start()
    await asks(stage, "r", **fields)
    await asyncio.sleep(5)
    assert (await phase(stage, "r"), trainer.tries) == ("Refused", 0)


async def test_without_governance_nothing_is_handed_over(stage: Stage, trainer: FakeTrainer) -> None:
    stage.settings = stage.settings.model_copy(update={"governance": False})
    stage.start()
    await asks(stage, "r")
    await asyncio.sleep(60)
    assert (await phase(stage, "r"), trainer.tries) == (None, 0)
