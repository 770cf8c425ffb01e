"""Retention of a ModelRegistry: told in its status first, then carried out, by whoever leads."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.audit import FakeTrail
from tests.fakes.cluster import Crash, Phase
from tests.fakes.registry import FakeRegistry
from tests.fixtures.loopclock import EPOCH
from tests.integration.loop.stage import MODEL, FakeStage
from tests.integration.loop.writer_line import WriterLine

from tidegate.core.labels import API_VERSION, KIND, REGISTRY_KIND
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.loop.retention import RETRY
from tidegate.ports import Login, RegistryWriter

URL = "http://team.test"
DAY = 86_400.0
EVERY = 3600.0  # seconds between two looks, if nobody says otherwise


@pytest.fixture
def team(stage: FakeStage) -> FakeRegistry:
    """The registry of a ModelRegistry: versions 1 and 2 archived 91 days ago, 3 the champion."""
    registry = FakeRegistry(URL)
    registry.register(MODEL)
    for number in ("1", "2", "3"):
        registry.add_version(MODEL)
        if number != "3":
            registry.set_stage(MODEL, number, "Archived")
            registry.change(MODEL, number, at=EPOCH - 91 * DAY)
    registry.set_alias(MODEL, "champion", "3")
    stage.trail = FakeTrail()
    stage.open_registry = lambda _: registry

    def writer(_login: Login) -> RegistryWriter:
        assert stage.line is not None
        return WriterLine(registry.writer, stage.line, stage.registry_writes, stage.registry_faults)

    stage.open_writer = writer
    return registry


def asks(stage: FakeStage, **retention: Any) -> None:
    """The ModelRegistry `team`, and what it asks for."""
    meta = {"name": "team", "namespace": "ml"}
    spec = {"url": URL, "pollInterval": "1h", **retention}
    stage.memory.put({"apiVersion": API_VERSION, "kind": REGISTRY_KIND, "metadata": meta, "spec": spec})


def edits(stage: FakeStage, **retention: Any) -> None:
    stage.memory.edit(REGISTRY_KIND, "ml", "team", lambda body: body["spec"].update(retention))


async def told(stage: FakeStage, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the status says of retention, once something holds of it."""
    end = asyncio.get_running_loop().time() + 2 * EVERY
    while True:
        status = (stage.memory.read(REGISTRY_KIND, "ml", "team") or {}).get("status") or {}
        found: dict[str, Any] = status.get("retention") or {}
        if holds(found):
            return found
        assert asyncio.get_running_loop().time() < end, status
        await asyncio.sleep(1)


async def numbers(team: FakeRegistry) -> list[str]:
    model = team.model(MODEL)
    return sorted(getattr(model, "ready", {}))


async def serve(stage: FakeStage) -> None:
    model = {"name": MODEL, "alias": "champion", "registry": {"name": "team"}}
    await stage.apply(stage.manifest(model=model))
    stage.start()
    await stage.until(lambda look: look.ready, "it serves")


async def test_it_is_told_then_done_and_an_idle_registry_is_written_nothing(
    stage: FakeStage, team: FakeRegistry
) -> None:
    asks(stage)
    await serve(stage)
    await asyncio.sleep(60)
    assert await numbers(team) == ["1", "2", "3"]
    assert await told(stage, lambda found: not found) == {}
    edits(stage, retention={})
    found = await told(stage, lambda found: found.get("due") == 2)
    assert found["dryRun"] is True
    assert [one["version"] for one in found["versions"]] == ["1", "2"]
    assert await numbers(team) == ["1", "2", "3"]
    edits(stage, retention={"days": 90, "dryRun": False})
    await asyncio.sleep(60)
    assert await numbers(team) == ["1", "2", "3"]  # told of for a minute only
    found = await told(stage, lambda found: found.get("deleted") is not None)
    assert [(one["model"], one["version"]) for one in found["deleted"]] == [(MODEL, "1"), (MODEL, "2")]
    assert (found["due"], found.get("versions"), found.get("message")) == (0, None, None)
    assert await numbers(team) == ["3"]
    assert stage.trail is not None
    (event, *_) = [event for event in stage.trail.events if event.act.value == "deleted"]
    assert (event.kind, event.ref.key, event.version) == (REGISTRY_KIND, "ml/team", "1")
    written = len(stage.writes)
    await asyncio.sleep(EVERY + 60)  # another look
    assert len(stage.writes) == written
    assert (await told(stage, bool))["deleted"] == found["deleted"]


async def test_with_another_time_between_two_looks_a_version_is_told_of_for_that_long(
    stage: FakeStage, team: FakeRegistry
) -> None:
    stage.settings = stage.settings.model_copy(update={"retention_interval": 60.0})
    asks(stage, retention={"dryRun": False})
    await serve(stage)
    await told(stage, lambda found: found.get("due") == 2)
    await asyncio.sleep(45)
    assert await numbers(team) == ["1", "2", "3"]
    await asyncio.sleep(30)
    assert await numbers(team) == ["3"]


async def test_another_leader_keeps_what_the_status_says_and_a_registry_that_asks_no_more_loses_it(
    stage: FakeStage, team: FakeRegistry
) -> None:
    asks(stage, retention={"dryRun": False})
    await serve(stage)
    found = await told(stage, lambda found: found.get("deleted") is not None)
    await stage.reborn()
    await stage.until(lambda look: look.ready, "it serves")
    await asyncio.sleep(60)
    assert (await told(stage, bool))["deleted"] == found["deleted"]
    stage.memory.edit(REGISTRY_KIND, "ml", "team", lambda body: body["spec"].pop("retention"))
    await told(stage, lambda found: not found)


async def test_the_operators_own_registry_is_asked_for_by_a_setting(stage: FakeStage) -> None:
    """What would go is a number among the metrics, and what went another."""
    stage.trail = FakeTrail()
    for number in ("1", "2"):
        stage.registry.add_version(MODEL)
        stage.registry.set_stage(MODEL, number, "Archived")
        stage.registry.change(MODEL, number, at=EPOCH - 31 * DAY)
    stage.settings = stage.settings.model_copy(
        update={"retention": True, "retention_days": 30, "retention_dry_run": False, "registry_interval": 3600.0}
    )
    await stage.serve()
    assert stage.operator is not None
    metrics = stage.operator.metrics
    end = asyncio.get_running_loop().time() + 60
    while metrics.versions_due._value.get() != 2:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(1)
    assert await numbers(stage.registry) == ["1", "2", "3"]
    await asyncio.sleep(EVERY + 60)
    assert await numbers(stage.registry) == ["3"]
    assert metrics.versions_due._value.get() == 0
    assert metrics.versions_deleted.labels(outcome="done")._value.get() == 2
    told = [event for event in stage.trail.events if event.act.value == "deleted"]
    assert {(event.kind, event.ref.key, event.version) for event in told} == {
        (KIND, "ml/fraud", "1"),
        (KIND, "ml/fraud", "2"),
    }


async def test_a_version_that_is_pinned_between_the_dry_run_and_the_deletion_stays(
    stage: FakeStage, team: FakeRegistry
) -> None:
    asks(stage, retention={})
    await serve(stage)
    await told(stage, lambda found: found.get("due") == 2)
    pinned = stage.manifest(model={"name": MODEL, "version": "1", "registry": {"name": "team"}})
    stage.memory.put({**pinned, "kind": KIND, "metadata": {"name": "pinned", "namespace": "ml"}})
    edits(stage, retention={"dryRun": False})
    await told(stage, lambda found: found.get("deleted") is not None)
    assert await numbers(team) == ["1", "3"]


async def test_a_deletion_that_fails_is_said_and_tried_again(stage: FakeStage, team: FakeRegistry) -> None:
    away = Unavailable(reason=Reason.REGISTRY_FAILING, message="the disk is full")
    team.writer.before = lambda write: away if write[0] == "delete_version" else None
    asks(stage, retention={"dryRun": False})
    await serve(stage)
    assert (await told(stage, lambda found: "message" in found))["message"] == "the disk is full"
    team.writer.before = lambda _: None
    end = asyncio.get_running_loop().time() + 2 * RETRY
    while await numbers(team) != ["3"]:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(1)
    found = await told(stage, lambda found: "message" not in found)
    assert len(found["deleted"]) == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_dies_at_a_deletion_leaves_a_trail_of_it(
    stage: FakeStage, team: FakeRegistry, when: Phase
) -> None:
    def die(number: int, phase: Phase) -> None:
        if phase == when and stage.registry_writes[number - 1] == "delete_version":
            stage.registry_faults.clear()
            raise Crash

    stage.registry_faults.append(die)
    stage.restarting(3.0)
    asks(stage, retention={"dryRun": False})
    await serve(stage)
    # Whoever leads next tells of what is left for an hour, too.
    end = asyncio.get_running_loop().time() + 3 * EVERY
    while await numbers(team) != ["3"]:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(1)
    await told(stage, lambda found: bool(found.get("deleted")) and found["due"] == 0)
    assert stage.trail is not None
    events = [event for event in stage.trail.once() if event.act.value == "deleted"]
    assert {event.version for event in events if event.outcome == "begun"} == {"1", "2"}
