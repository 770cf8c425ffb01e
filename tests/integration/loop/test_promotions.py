"""Promotions that people ask for, carried out in the registry, whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.fakes.cluster import Crash, Phase, crash_at
from tests.integration.loop.stage import MODEL, FakeStage, Stage
from tests.integration.loop.writer_line import RegistryFault

from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.core.values import Unavailable
from tidegate.ports import Manifest

#: Seconds from death to life.
DEAD = 3.0
API = "tidegate.dev/v1alpha1"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = FakeStage()
    made.settings = made.settings.model_copy(update={"governance": True})
    await made.open()
    for where in ("Production", "Staging", "Staging"):
        made.registry.set_stage(MODEL, made.registry.add_version(MODEL), where)
    yield made
    await made.close()


async def asks(stage: Stage, name: str, version: str, *path: str, requester: str = "ann") -> Manifest:
    source, target = path or ("Staging", "Production")
    spec = {"requestedBy": requester, "model": MODEL, "version": version, "from": source, "to": target}
    meta = {"name": name, "namespace": stage.hands.namespace}
    return await stage.hands.put({"apiVersion": API, "kind": "ModelPromotion", "metadata": meta, "spec": spec})


async def votes(stage: Stage, about: Manifest, approver: str, decision: str = "Grant", **fields: Any) -> None:
    named = {"name": about["metadata"]["name"], "uid": about["metadata"]["uid"]}
    meta = {"name": f"{named['name']}-{approver}-{decision}".lower(), "namespace": stage.hands.namespace}
    spec = {"approver": approver, "decision": decision, "promotion": named, **fields}
    await stage.hands.put({"apiVersion": API, "kind": "ModelApproval", "metadata": meta, "spec": spec})


async def status(stage: Stage, name: str) -> dict[str, Any]:
    body = await stage.hands.read("ModelPromotion", name)
    return (body or {}).get("status") or {}


async def until(stage: Stage, name: str, *phases: str) -> dict[str, Any]:
    end = asyncio.get_running_loop().time() + 120.0
    while (found := await status(stage, name)).get("phase") not in phases:
        assert asyncio.get_running_loop().time() < end, f"{name}: {found}"
        await asyncio.sleep(0.1)
    return found


async def stages(stage: Stage) -> list[str]:
    """The stage of each version, oldest first."""
    model = await stage.registry.writer.read(MODEL)
    assert isinstance(model, RegisteredModel)
    return [version.stage for version in model.versions]


async def test_a_version_goes_to_production_once_somebody_else_has_approved(stage: Stage) -> None:
    stage.start()
    asked = await asks(stage, "p", "2")
    found = await until(stage, "p", "Pending")
    assert found["message"] == "waits for approval: 1 more (the default policy)"
    await votes(stage, asked, "ann")
    await asyncio.sleep(60)
    assert (await status(stage, "p"))["phase"] == "Pending"
    await votes(stage, asked, "bob")
    found = await until(stage, "p", "Done")
    assert await stages(stage) == ["Archived", "Production", "Staging"]
    assert [(said["approver"], said["granted"]) for said in found["approvals"]] == [("bob", True)]
    assert found["decided"]
    written = len(stage.writes)
    await asyncio.sleep(900)
    assert (len(stage.writes), stage.registry_writes) == (written, ["move"])


@pytest.mark.parametrize(
    ("path", "phase", "reason"),
    [
        (("None", "Production"), "Refused", "PathNotAllowed"),
        (("None", "Staging"), "Done", "Moved"),
        (("Staging", "Archived"), "Refused", "PathNotAllowed"),
    ],
    ids=str,
)
async def test_the_defaults_without_a_policy(stage: Stage, path: tuple[str, str], phase: str, reason: str) -> None:
    stage.start()
    fresh = stage.registry.add_version(MODEL)
    await asks(stage, "p", fresh, *path)
    found = await until(stage, "p", phase)
    assert found["reason"] == reason


async def test_a_policy_asks_for_two_of_a_group(stage: Stage) -> None:
    path = {"from": "Staging", "to": "Production", "approvals": 2, "groups": ["risk"]}
    meta = {"name": "strict", "namespace": stage.hands.namespace}
    spec = {"models": [MODEL], "paths": [path]}
    await stage.hands.put({"apiVersion": API, "kind": "PromotionPolicy", "metadata": meta, "spec": spec})
    stage.start()
    asked = await asks(stage, "p", "2")
    await votes(stage, asked, "bob", groups=["risk"])
    await votes(stage, asked, "carol", groups=["devs"])
    found = await until(stage, "p", "Pending")
    assert "of risk (PromotionPolicy strict)" in found["message"]
    await votes(stage, asked, "dan", groups=["risk"])
    await until(stage, "p", "Done")


async def test_a_policy_of_another_namespace_counts_where_it_names_the_model_of_a_shared_registry(stage: Stage) -> None:
    path = {"from": "Staging", "to": "Production", "approvals": 1, "groups": ["risk"]}
    stage.start()
    assert stage.operator is not None
    await asyncio.sleep(1)
    for namespace, models in (("risk", {"models": [MODEL]}), ("other", {})):
        meta = {"name": "strict", "namespace": namespace, "uid": namespace, "resourceVersion": "1"}
        paths = [path] if models else [{**path, "approvals": 9}]
        body = {"apiVersion": API, "kind": "PromotionPolicy", "metadata": meta, "spec": {**models, "paths": paths}}
        stage.operator.seen("PromotionPolicy", body)
    asked = await asks(stage, "p", "2")
    await votes(stage, asked, "bob")
    found = await until(stage, "p", "Pending")
    assert found["message"] == "waits for approval: 1 more of risk (PromotionPolicy risk/strict)"
    await votes(stage, asked, "carol", groups=["risk"])
    await until(stage, "p", "Done")


async def test_a_refusal_that_no_watch_told_of_is_read_before_the_version_is_moved(stage: Stage) -> None:
    stage.start()
    asked = await asks(stage, "p", "2")
    await until(stage, "p", "Pending")
    stage.blind = True
    await votes(stage, asked, "carol", "Refuse")
    stage.blind = False
    await votes(stage, asked, "bob")
    found = await until(stage, "p", "Refused")
    assert "carol refused" in found["message"]
    assert await stages(stage) == ["Production", "Staging", "Staging"]


async def test_a_refusal_is_final(stage: Stage) -> None:
    stage.start()
    asked = await asks(stage, "p", "2")
    await votes(stage, asked, "bob", "Refuse")
    found = await until(stage, "p", "Refused")
    assert "bob refused" in found["message"]
    await votes(stage, asked, "carol")
    await asyncio.sleep(60)
    assert await status(stage, "p") == found
    assert stage.registry_writes == []


async def test_a_refusal_after_the_approval_counts_until_the_version_was_moved(stage: Stage) -> None:
    refusing = Unavailable(reason=Reason.REGISTRY_FORBIDDEN, message="grant EDIT")
    stage.registry.writer.before = lambda write: refusing if write[0] == "move" else None
    stage.start()
    asked = await asks(stage, "p", "2")
    await votes(stage, asked, "bob")
    await until(stage, "p", "Approved")
    await votes(stage, asked, "carol", "Refuse")
    found = await until(stage, "p", "Refused")
    assert found["reason"] == "ApprovalRefused"
    assert "carol refused" in found["message"]
    acts = [(act["act"], act["actor"]) for act in found["acts"]]
    assert acts[-2:] == [("refused", "user:carol"), ("refused", "tidegate")]
    stage.registry.writer.before = lambda _: None
    await asyncio.sleep(120)
    assert await stages(stage) == ["Production", "Staging", "Staging"]
    # The model is free for the next one, whose version a refusal of this one says nothing about.
    again = await asks(stage, "q", "2")
    await votes(stage, again, "bob")
    await until(stage, "q", "Done")
    await votes(stage, again, "carol", "Refuse")
    await asyncio.sleep(60)
    assert (await status(stage, "q"))["phase"] == "Done"
    assert await stages(stage) == ["Archived", "Production", "Staging"]


async def test_a_promotion_made_anew_under_its_name_is_not_what_was_approved(stage: Stage) -> None:
    asked = await asks(stage, "p", "2")
    await votes(stage, asked, "bob")
    await stage.hands.remove("ModelPromotion", "p")
    await asks(stage, "p", "3")
    stage.start()
    await until(stage, "p", "Pending")
    await asyncio.sleep(60)
    assert await stages(stage) == ["Production", "Staging", "Staging"]


async def test_two_promotions_of_one_model_end_in_one_version_in_production(stage: Stage) -> None:
    both = [await asks(stage, "p", "2"), await asks(stage, "q", "3")]
    for asked in both:
        await votes(stage, asked, "bob")
    stage.start()
    for name in ("p", "q"):
        await until(stage, name, "Done")
    assert await stages(stage) == ["Archived", "Archived", "Production"]


async def test_somebody_else_who_moved_it_is_not_undone(stage: Stage) -> None:
    stage.start()
    asked = await asks(stage, "p", "2")
    await until(stage, "p", "Pending")
    stage.registry.set_stage(MODEL, "2", "Archived")
    await votes(stage, asked, "bob")
    found = await until(stage, "p", "Failed")
    assert found["reason"] == "MovedElsewhere"
    assert stage.registry_writes == []


async def test_a_registry_that_is_down_is_waited_for(stage: Stage) -> None:
    stage.start()
    asked = await asks(stage, "p", "2")
    stage.registry.fail(Reason.REGISTRY_UNREACHABLE)
    await votes(stage, asked, "bob")
    await asyncio.sleep(120)
    found = await status(stage, "p")
    assert (found["phase"], found["reason"]) == ("Pending", "RegistryUnreachable")
    stage.registry.fail(None)
    await until(stage, "p", "Done")


async def test_without_governance_nothing_is_carried_out(stage: Stage) -> None:
    stage.settings = stage.settings.model_copy(update={"governance": False})
    await asks(stage, "p", "4", "None", "Staging")
    stage.start()
    await asyncio.sleep(60)
    assert await status(stage, "p") == {}


def dies_at(number: int, when: Phase) -> RegistryFault:
    def fault(write: int, phase: Phase) -> None:
        if (write, phase) == (number, when):
            raise Crash

    return fault


async def two_promotions(stage: Stage) -> Sequence[str]:
    """Both versions in Staging are asked for and approved, the operator is restarted whenever it dies."""
    stage.restarting(DEAD)
    both = [await asks(stage, "p", "2"), await asks(stage, "q", "3")]
    for asked in both:
        await votes(stage, asked, "bob")
    stage.start()
    for name in ("p", "q"):
        await until(stage, name, "Done", "Failed")
    await asyncio.sleep(DEAD + 10.0)
    return [(await status(stage, name))["phase"] for name in ("p", "q")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
async def test_killed_at_a_move_it_ends_the_same(stage: Stage, number: int, when: Phase) -> None:
    stage.registry_faults.append(dies_at(number, when))
    assert await two_promotions(stage) == ["Done", "Done"]
    assert stage.lives == 2
    assert await stages(stage) == ["Archived", "Archived", "Production"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_killed_at_a_status_it_ends_the_same(stage: Stage, number: int, when: Phase) -> None:
    stage.faults.append(crash_at(number, when))
    assert await two_promotions(stage) == ["Done", "Done"]
    assert stage.lives == 2
    assert await stages(stage) == ["Archived", "Archived", "Production"]
