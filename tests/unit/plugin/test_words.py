"""What `approve` and `refuse` create, and when they decline."""

from typing import Any

import pytest
from tests.unit.plugin.objects import body, rollout, verdict

from tidegate.api.approval import ModelApproval
from tidegate.plugin.failures import Declined
from tidegate.plugin.words import Saying, on_promotion, on_step

ALICE = {"username": "alice", "groups": ["risk", "system:authenticated"]}
WAITING = body(rollout=rollout(waitsFor={"weight": 50, "since": "2026-11-21T11:00:00Z"}))
SAID = {"weight": 25, "granted": True, "approver": "bob", "name": "b-1", "time": "2026-11-21T11:00:00Z"}


def promotion(phase: str | None = None, requester: str = "ann") -> dict[str, Any]:
    spec = {"requestedBy": requester, "model": "fraud", "version": "7", "from": "Staging", "to": "Production"}
    status = {"phase": phase, "message": "moved"} if phase else {}
    return {"metadata": {"namespace": "ml", "name": "p", "uid": "u-5"}, "spec": spec, "status": status}


def step(found: Saying) -> Any:
    ModelApproval.model_validate(found.manifest)
    return found.manifest["spec"]["step"]


def test_the_step_that_waits_is_approved_in_ones_own_name() -> None:
    found = on_step(WAITING, ALICE, grant=True, weight=None, comment="looked at it")
    assert step(found) == {"modelDeployment": "fraud", "version": "7", "attempt": 2, "weight": 50}
    spec = found.manifest["spec"]
    assert (spec["approver"], spec["decision"], spec["comment"]) == ("alice", "Grant", "looked at it")
    assert found.manifest["metadata"] == {"generateName": "fraud-", "namespace": "ml"}
    assert found.message == "7/2 may get 50%, says alice"


@pytest.mark.parametrize(("grant", "weight", "about"), [(True, 100, 100), (False, None, 25), (False, 50, 50)], ids=str)
def test_without_a_question_it_is_the_step_that_is_named_or_the_one_last_approved(
    grant: bool, weight: int | None, about: int
) -> None:
    found = on_step(body(rollout=rollout(approvals=[SAID])), ALICE, grant=grant, weight=weight, comment=None)
    assert step(found)["weight"] == about
    assert found.manifest["spec"]["decision"] == ("Grant" if grant else "Refuse")


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (body(), "no rollout is under way"),
        (body(rollout=rollout(verdict=verdict())), "version 7 goes back: 8% errors"),
        (body(rollout=rollout(approvals=[SAID])), "no step waits for approval"),
    ],
    ids=["nothing rolls", "it goes back", "nothing waits"],
)
def test_a_step_that_is_not_there_is_declined(one: dict[str, Any], words: str) -> None:
    with pytest.raises(Declined, match=words):
        on_step(one, ALICE, grant=True, weight=None, comment=None)


def test_a_promotion_is_approved_by_name_and_uid() -> None:
    found = on_promotion(promotion("Pending"), ALICE, grant=True, groups=["risk"], comment=None)
    spec = ModelApproval.model_validate(found.manifest).spec
    assert spec.promotion is not None
    assert (spec.promotion.name, spec.promotion.uid, spec.groups) == ("p", "u-5", ["risk"])
    assert found.message == "version 7 of fraud may go to Production, says alice"
    refused = on_promotion(promotion(), ALICE, grant=False, groups=[], comment=None)
    assert refused.message == "version 7 of fraud may not go to Production, says alice"
    assert "groups" not in refused.manifest["spec"]


@pytest.mark.parametrize(
    ("one", "groups", "words"),
    [
        (promotion("Done"), [], "it is Done already: moved"),
        (promotion(requester="alice"), [], "you asked for it yourself"),
        (promotion(), ["board"], "you are not in board"),
    ],
    ids=["decided", "one's own", "another's group"],
)
def test_a_promotion_that_would_be_refused_is_declined(one: dict[str, Any], groups: list[str], words: str) -> None:
    with pytest.raises(Declined, match=words):
        on_promotion(one, ALICE, grant=True, groups=groups, comment=None)
