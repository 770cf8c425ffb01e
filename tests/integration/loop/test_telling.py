"""What the operator tells: one log line for each decision, Events that can't flood, numbers that agree with both."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from tests.integration.loop.stage import NAME, Stage

from tidegate.core.labels import ROUTE_KIND
from tidegate.ports import Manifest

Lines = list[Any]


@pytest.fixture
def lines(_quiet: None) -> Iterator[Lines]:
    """Every line from the level `info` up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as captured:
        yield captured


def decided(lines: Lines) -> Lines:
    return [line for line in lines if line["event"] == "decided"]


def sample(stage: Stage, family: str, /, **labels: str) -> float | None:
    assert stage.operator is not None
    return stage.operator.metrics.registry.get_sample_value(family, labels)


async def test_each_record_that_was_written_is_one_line_and_one_count(stage: Stage, lines: Lines) -> None:
    first = await stage.serve()
    second = stage.point()
    await stage.serves(second)
    third = await stage.rolling(25)
    stage.traffic.errors[third] = 1.0
    await stage.reverted(third)
    await stage.alone(second)
    told = decided(lines)
    assert len({line["decision"] for line in told}) == len(told)
    assert {line["object"] for line in told} == {f"{stage.hands.namespace}/{NAME}"}
    raises = [line for line in told if line["reason"] == "Advancing" and line["canary"] == second]
    steps = [(line["from_weight"], line["to_weight"]) for line in raises]
    assert steps == [(0, 5), (5, 25), (25, 50), (50, 100)]
    assert {(line["stable"], line["attempt"]) for line in raises} == {(first, 1)}
    lowered = [line for line in told if line["canary"] == third and line["to_weight"] < line["from_weight"]]
    assert [(line["reason"], line["stable"]) for line in lowered] == [("GuardBreached", second)]
    assert "over the limit" in lowered[0]["message"]
    reasons = {line["reason"] for line in told}
    counted = {reason: sample(stage, "tidegate_decisions_total", reason=reason) for reason in reasons}
    assert counted == {reason: sum(line["reason"] == reason for line in told) for reason in reasons}
    # The Event of a decision names it.
    notes = {event["metadata"]["annotations"]["tidegate.dev/decision"] for event in await stage.events()}
    assert notes <= {line["decision"] for line in told}


async def test_rollouts_are_counted_by_how_they_ended(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    await stage.reverted(second)
    counts = {r: sample(stage, "tidegate_rollout_duration_seconds_count", result=r) for r in ("promoted", "rejected")}
    assert counts == {"promoted": 1, "rejected": 1}
    assert sample(stage, "tidegate_revert_seconds_count") == 1
    assert sample(stage, "tidegate_stalled", namespace="ml", name=NAME, reason="GuardBreached") == 1


async def test_weights_are_shown_and_go_with_their_object(stage: Stage) -> None:
    await stage.serve()
    await stage.rolling(25)
    labels = {"namespace": "ml", "name": NAME}
    assert sample(stage, "tidegate_weight_ratio", role="canary", **labels) == 0.25
    assert sample(stage, "tidegate_weight_ratio", role="stable", **labels) == 0.75
    await stage.vanish()
    await asyncio.sleep(5)
    assert sample(stage, "tidegate_weight_ratio", role="stable", **labels) is None


async def test_an_object_that_somebody_fights_over_writes_few_events_and_counts_them_all(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    events = len([write for write in stage.writes if write.kind == "Event"])

    def edit(route: Manifest) -> None:
        route["spec"]["hostnames"] = ["mine.example.com"]

    for _ in range(100):
        await stage.hand(stage.hands.edit(ROUTE_KIND, NAME, edit))
        await asyncio.sleep(1)
    assert len([write for write in stage.writes if write.kind == "Event"]) - events <= 4
    (event,) = [event for event in await stage.events() if event["reason"] == "PutBack"]
    assert event["series"]["count"] > 2
    assert sample(stage, "tidegate_put_back_total", kind=ROUTE_KIND) == 100
    await asyncio.sleep(5)
    writes = len(stage.writes)
    await asyncio.sleep(500)
    assert stage.writes[writes:] == []
