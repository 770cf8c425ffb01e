"""Promotions in the registries of ModelRegistries, each with its own account, none waiting for another."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.registry import FakeRegistry
from tests.integration.loop.stage import MODEL, FakeStage, Stage
from tests.integration.loop.test_promotions import API, stages, status, until, votes

from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.ports import Manifest

A, B = "http://a.test", "http://b.test"


def staged(registry: FakeRegistry) -> FakeRegistry:
    """With a version in Production and two in Staging."""
    registry.register(MODEL)
    for where in ("Production", "Staging", "Staging"):
        registry.set_stage(MODEL, registry.add_version(MODEL), where)
    return registry


@pytest.fixture
def servers() -> dict[str, FakeRegistry]:
    return {uri: staged(FakeRegistry(uri)) for uri in (A, B)}


@pytest.fixture
async def stage(servers: dict[str, FakeRegistry]) -> AsyncIterator[FakeStage]:
    made = FakeStage()
    made.settings = made.settings.model_copy(update={"governance": True})
    made.open_registry = lambda login: servers[login.uri]
    made.open_writer = lambda login: servers[login.uri].writer
    await made.open()
    staged(made.registry)
    yield made
    await made.close()


async def declare(stage: FakeStage, name: str, url: str) -> None:
    spec = {"url": url, "pollInterval": "5s"}
    meta = {"name": name, "namespace": stage.hands.namespace}
    await stage.hands.put({"apiVersion": API, "kind": "ModelRegistry", "metadata": meta, "spec": spec})


async def approved(stage: Stage, name: str, registry: str | None, version: str = "2") -> Manifest:
    spec: dict[str, Any] = {"requestedBy": "ann", "model": MODEL, "version": version}
    spec |= {"from": "Staging", "to": "Production"}
    spec |= {"registry": {"name": registry}} if registry else {}
    meta = {"name": name, "namespace": stage.hands.namespace}
    asked = await stage.hands.put({"apiVersion": API, "kind": "ModelPromotion", "metadata": meta, "spec": spec})
    await votes(stage, asked, "bob")
    return asked


async def within(server: FakeRegistry) -> list[str]:
    model = await server.writer.read(MODEL)
    assert isinstance(model, RegisteredModel)
    return [version.stage for version in model.versions]


UNTOUCHED = ["Production", "Staging", "Staging"]
PROMOTED = ["Archived", "Production", "Staging"]


async def test_a_promotion_goes_to_the_registry_that_it_names_and_to_no_other(
    stage: FakeStage, servers: dict[str, FakeRegistry]
) -> None:
    await declare(stage, "team", A)
    await declare(stage, "other", B)
    await approved(stage, "p", "team")
    stage.start()
    found = await until(stage, "p", "Done")
    assert found["registry"] == A
    assert [await within(servers[A]), await within(servers[B]), await stages(stage)] == [PROMOTED, UNTOUCHED, UNTOUCHED]
    written = len(stage.writes)
    await asyncio.sleep(900)
    assert len(stage.writes) == written


async def test_one_that_names_none_goes_to_the_operators_own(
    stage: FakeStage, servers: dict[str, FakeRegistry]
) -> None:
    await declare(stage, "team", A)
    await approved(stage, "p", None)
    stage.start()
    assert (await until(stage, "p", "Done"))["registry"] == stage.registry.url
    assert [await within(servers[A]), await stages(stage)] == [UNTOUCHED, PROMOTED]


async def test_a_registry_that_is_not_there_is_said_with_its_field_and_waited_for(
    stage: FakeStage, servers: dict[str, FakeRegistry]
) -> None:
    await approved(stage, "p", "team")
    stage.start()
    found = await until(stage, "p", "Pending")
    assert found["reason"] == Reason.REGISTRY_NOT_FOUND
    assert found["message"].startswith("spec.registry.name: namespace ml has no ModelRegistry 'team': create it")
    assert [voice["approver"] for voice in found["approvals"]] == ["bob"]
    await declare(stage, "team", A)
    await until(stage, "p", "Done")
    assert await within(servers[A]) == PROMOTED


async def test_one_that_is_away_delays_no_other_and_is_said(stage: FakeStage, servers: dict[str, FakeRegistry]) -> None:
    servers[A].fail(Reason.REGISTRY_UNREACHABLE)
    await declare(stage, "away", A)
    await declare(stage, "here", B)
    for name in ("p", "q"):
        await approved(stage, name, "away")
    await approved(stage, "r", "here")
    stage.start()
    await until(stage, "r", "Done")
    await asyncio.sleep(30)
    for name in ("p", "q"):
        found = await status(stage, name)
        assert (found["phase"], found["reason"]) == ("Pending", "RegistryUnreachable")
    servers[A].fail(None)
    await until(stage, "p", "Done")


async def test_two_registries_that_are_one_server_take_turns(
    stage: FakeStage, servers: dict[str, FakeRegistry]
) -> None:
    await declare(stage, "one", A)
    await declare(stage, "two", A)
    await approved(stage, "p", "one", "2")
    await approved(stage, "q", "two", "3")
    stage.start()
    for name in ("p", "q"):
        await until(stage, name, "Done")
    assert await within(servers[A]) == ["Archived", "Archived", "Production"]


async def test_one_that_was_begun_elsewhere_is_left_to_people(
    stage: FakeStage, servers: dict[str, FakeRegistry]
) -> None:
    await declare(stage, "team", A)
    asked = await approved(stage, "p", "team")
    meta = {key: asked["metadata"][key] for key in ("namespace", "name")}
    begun = {"phase": "Approved", "reason": "Approved", "message": "", "modelCreated": 1, "registry": B}
    await stage.memory.apply_status({"apiVersion": API, "kind": "ModelPromotion", "metadata": meta, "status": begun})
    stage.start()
    found = await until(stage, "p", "Failed")
    assert found["message"] == (
        f"it was begun in {B}, and ModelRegistry ml/team names {A} by now: what was moved there is left to people"
    )
    assert [await within(servers[A]), await within(servers[B])] == [UNTOUCHED, UNTOUCHED]
