"""What whoever trains models owes the loop: the fake and the one that really posts alike."""

from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from tests.fakes.trainer import FakeTrainer
from tests.fixtures.receiver import Receiver

from tidegate.adapters.cloudevents import CONTENT_TYPE, TRAINING, TrainingEvents, render_order
from tidegate.core.retraining import Cause, Order
from tidegate.core.values import ObjectRef
from tidegate.ports import Delivery, Trainer

ORDER = Order(
    ref=ObjectRef(namespace="ml", name="fraud-abc", uid="u-1"),
    requester="ann",
    model="fraud-detector",
    cause=Cause.REPEATED_REJECTION,
    at=1_767_225_600.0,
    version="7",
    deployment="fraud",
    comment="3 versions were rejected in a row",
)


class Outside(Protocol):
    """The other end, that the test moves."""

    mood: str


@pytest.fixture(params=["fake", "cloudevents"])
async def pair(request: pytest.FixtureRequest, receiver: Receiver) -> AsyncIterator[tuple[Trainer, Outside]]:
    if request.param == "fake":
        fake = FakeTrainer()
        yield fake, fake
        return
    made = TrainingEvents(receiver.url, token="secret", cluster="prod")
    yield made, receiver
    await made.close()


@pytest.mark.parametrize(
    ("mood", "delivery"),
    [("up", Delivery.DELIVERED), ("down", Delivery.FAILED), ("refusing", Delivery.REFUSED)],
)
async def test_an_order_is_answered(pair: tuple[Trainer, Outside], mood: str, delivery: Delivery) -> None:
    trainer, outside = pair
    outside.mood = mood
    assert (await trainer.order(ORDER)).delivery is delivery


async def test_it_is_posted_as_a_cloud_event_with_the_objects_uid(receiver: Receiver) -> None:
    trainer = TrainingEvents(receiver.url, token="secret", cluster="prod")
    await trainer.order(ORDER)
    await trainer.close()
    ((headers, event),) = receiver.taken
    assert headers["Content-Type"] == CONTENT_TYPE
    assert headers["Authorization"] == "Bearer secret"
    assert event == render_order(ORDER, cluster="prod")
    assert event["source"] == "//prod/apis/tidegate.dev/v1alpha1/namespaces/ml/retrainingrequests/fraud-abc"
    assert (event["id"], event["type"], event["time"]) == ("u-1", TRAINING, "2026-01-01T00:00:00Z")
    assert event["data"] == {
        "namespace": "ml",
        "name": "fraud-abc",
        "model": "fraud-detector",
        "version": "7",
        "modelDeployment": "fraud",
        "cause": "RepeatedRejection",
        "requestedBy": "ann",
        "comment": "3 versions were rejected in a row",
    }


def test_without_a_clusters_name_the_source_is_the_path() -> None:
    assert render_order(ORDER)["source"].startswith("/apis/tidegate.dev/")
