"""Approval at a step, from the object that a person makes to the weight on the route."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.notifier import FakeNotifier
from tests.integration.loop.look import Look
from tests.integration.loop.stage import NAME, FakeStage, Stage

from tidegate.core.notice import Happening
from tidegate.ports import Manifest


def steps(hold: str) -> list[dict[str, Any]]:
    return [
        {"weight": 5, "hold": hold},
        {"weight": 25, "hold": hold, "approval": True},
        {"weight": 100, "hold": hold},
    ]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = FakeStage()
    made.settings = made.settings.model_copy(update={"governance": True})
    await made.open()
    yield made
    await made.close()


def word(stage: Stage, version: str, decision: str, *, weight: int = 25, approver: str = "alice") -> Manifest:
    step = {"modelDeployment": NAME, "version": version, "attempt": 1, "weight": weight}
    return {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelApproval",
        "metadata": {"name": f"{decision}-{version}-{weight}".lower(), "namespace": stage.hands.namespace},
        "spec": {"approver": approver, "decision": decision, "step": step},
    }


def waiting(look: Look) -> bool:
    return bool(look.condition("Ready").get("reason") == "WaitingForApproval")


async def at_the_step(stage: Stage, *, hold: str = "30s", **rollout: Any) -> tuple[str, str]:
    """A first version serves, and a second waits at 5 % for somebody to approve 25 %."""
    first = await stage.serve()
    await stage.respec(rollout={"steps": steps(hold), **rollout})
    second = stage.point()
    await stage.until(waiting, "waiting for approval")
    return first, second


async def test_a_step_waits_beyond_the_deadline_and_goes_on_when_somebody_approves_who_is_told_for_ever(
    stage: Stage,
) -> None:
    receiver = FakeNotifier()
    stage.notifiers.append(receiver)
    first, second = await at_the_step(stage, deadline="2m")
    await asyncio.sleep(600.0)
    look = await stage.look()
    assert waiting(look)
    assert look.weights == {first: 95, second: 5}
    assert look.rollout["waitsFor"]["weight"] == 25
    assert look.status["phase"] == "Waiting"
    assert [notice.happening for notice in receiver.taken][-1] is Happening.APPROVAL
    await stage.hands.put(word(stage, second, "Grant"))
    look = await stage.rolling_of(second, 25)
    assert [(said["weight"], said["approver"]) for said in look.rollout["approvals"]] == [(25, "alice")]
    await stage.hands.remove("ModelApproval", f"grant-{second}-25")
    look = await stage.serves(second)
    assert look.status["history"][-1]["message"].endswith("; approved: 25% by alice")
    assert [notice.happening for notice in receiver.taken].count(Happening.APPROVAL) == 1
    await stage.quiet()


async def test_a_killed_operator_goes_on_waiting_and_takes_the_answer_that_came_meanwhile(stage: Stage) -> None:
    first, second = await at_the_step(stage)
    await stage.kill()
    await stage.hands.put(word(stage, second, "Grant"))
    stage.start()
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 100]
    assert stage.books.raises(first) != []


async def test_a_revoked_approval_takes_the_canary_off_where_the_object_asks_for_that(stage: Stage) -> None:
    first, second = await at_the_step(stage, onRevoke="Revert")
    await stage.hands.put(word(stage, second, "Grant"))
    await stage.rolling_of(second, 25)
    await stage.hands.put(word(stage, second, "Refuse", approver="bob"))
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 1.0)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "ApprovalRefused"
    assert "bob refused 25%" in look.rejected[second]["message"]


async def test_a_revoked_approval_holds_otherwise_until_somebody_approves_again(stage: Stage) -> None:
    first, second = await at_the_step(stage)
    await stage.hands.put(word(stage, second, "Grant"))
    await stage.rolling_of(second, 25)
    await stage.hands.put(word(stage, second, "Refuse", approver="bob"))
    look = await stage.until(lambda look: look.reason("Stalled") == "ApprovalRefused", "held")
    await asyncio.sleep(600)
    look = await stage.look()
    assert (look.weights, look.condition("Stalled")["status"]) == ({first: 75, second: 25}, "True")
    again = word(stage, second, "Grant")
    again["metadata"]["name"] = "grant-again"
    await stage.hands.put(again)
    await stage.serves(second)


async def test_where_nobody_vouches_for_approvers_none_is_heard(stage: Stage) -> None:
    stage.settings = stage.settings.model_copy(update={"governance": False})
    await stage.serve()
    await stage.respec(rollout={"steps": steps("30s")})
    second = stage.point()
    await stage.until(lambda look: look.reason("Stalled") == "GovernanceOff", "said so")
    await stage.hands.put(word(stage, second, "Grant"))
    await asyncio.sleep(60)
    look = await stage.look()
    assert "governance.enabled" in look.condition("Ready")["message"]
    assert look.weights[second] == 5
