"""What promotions, policies and approvals say, and what today's rules refuse."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.api.acts import entries_of
from tidegate.api.approval import approved_object, step_words
from tidegate.api.promotion import PromotionStatus, policy_of, registry_of, render_promotion, request_of, vote_of
from tidegate.core.promotion import VOTES, Outcome, Path, Policy, Request, Stage, Standing, Vote
from tidegate.core.reasons import Reason
from tidegate.core.record import Approval

NOW = 1_767_225_600.0
ABOUT = {"name": "p", "uid": "u-1"}
STEP = {"modelDeployment": "fraud", "version": "7", "attempt": 2, "weight": 25}


def body(spec: dict[str, Any], name: str = "o") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ml", "uid": "u-9", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
    }


def asked(**fields: Any) -> dict[str, Any]:
    spec = {"requestedBy": "ann", "model": "fraud", "version": "7", "from": "Staging", "to": "Production"}
    meta = {"name": "p", "namespace": "ml", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": "ModelPromotion", "metadata": meta, "spec": {**spec, **fields}}


def approves(**fields: Any) -> dict[str, Any]:
    return body({"approver": "bob", "decision": "Grant", **fields})


def test_a_promotion_is_read() -> None:
    expected = Request(requester="ann", model="fraud", version="7", source=Stage.STAGING, target=Stage.PRODUCTION)
    assert request_of(asked()) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "Staging"},
        {"from": "Nowhere"},
        {"version": "latest"},
        {"requestedBy": ""},
        {"model": "a/b"},
        {"x": 1},
        {"registry": {}},
        {"registry": {"name": "Team A"}},
        {"registry": {"name": ""}},
        {"registry": "team"},
    ],
    ids=str,
)
def test_a_promotion_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request_of(asked(**wrong))


def test_a_registry_is_one_of_the_same_namespace() -> None:
    assert registry_of(asked(registry={"name": "team"})) == "ml/team"
    assert registry_of(asked()) is None


def test_a_policy_is_about_its_models_or_about_all() -> None:
    spec: dict[str, Any] = {
        "paths": [{"from": "None", "to": "Staging", "approvals": 0}, {"from": "Staging", "to": "Production"}]
    }
    expected = Policy(
        name="o",
        paths=(
            Path(source=Stage.NONE, target=Stage.STAGING),
            Path(source=Stage.STAGING, target=Stage.PRODUCTION, approvals=1),
        ),
    )
    assert policy_of(body(spec), "fraud", from_="ml") == expected
    assert policy_of(body({**spec, "models": ["fraud"]}), "fraud", from_="ml") == expected
    assert policy_of(body({**spec, "models": ["other"]}), "fraud", from_="ml") is None
    # In a registry that namespaces share, a policy holds for promotions of others where it names the model.
    assert policy_of(body(spec), "fraud", from_="sandbox") is None
    assert policy_of(body({**spec, "models": ["fraud"]}), "fraud", from_="sandbox") == replace(expected, name="ml/o")
    grouped = {"paths": [{"from": "None", "to": "Staging", "groups": ["risk"]}]}
    found = policy_of(body(grouped), "fraud", from_="ml")
    assert found is not None
    assert found.paths[0].groups == ("risk",)


@pytest.mark.parametrize("spec", [{}, {"paths": 7}, {"models": "fraud"}, {"models": ["other"], "paths": None}], ids=str)
def test_a_policy_that_can_not_be_read_stops_its_own_namespace_and_nobody_whose_model_it_does_not_name(
    spec: dict[str, Any],
) -> None:
    assert policy_of(body(spec), "fraud", from_="sandbox") is None
    with pytest.raises(ValidationError):
        policy_of(body(spec), "fraud", from_="ml")
    with pytest.raises(ValidationError):
        policy_of(body({**spec, "models": ["fraud"], "paths": 7}), "fraud", from_="sandbox")


def test_a_vote_is_about_the_very_object() -> None:
    found = vote_of(approves(promotion=ABOUT, groups=["risk"]), asked())
    assert found == Vote(approver="bob", granted=True, name="o", at=NOW, groups=("risk",))
    assert vote_of(approves(promotion={**ABOUT, "uid": "u-2"}), asked()) is None
    assert vote_of(approves(step=STEP), asked()) is None


def test_words_on_steps_are_told_by_attempt_and_others_say_nothing() -> None:
    no = approves(step={**STEP, "weight": 100}, decision="Refuse")
    bodies = [approves(step=STEP), approves(promotion=ABOUT), approves(), approves(step=STEP, promotion=ABOUT), no]
    yes = Approval(weight=25, granted=True, approver="bob", name="o", at=NOW)
    refused = Approval(weight=100, granted=False, approver="bob", name="o", at=NOW)
    assert step_words(bodies) == {"7/2": (yes, refused)}
    assert [approved_object(one) for one in bodies[:3]] == ["fraud", None, None]


def test_what_a_status_keeps_of_the_acts_is_read_back_and_what_a_later_version_wrote_is_left_out() -> None:
    outcome = Outcome(standing=Standing.REFUSED, reason=Reason.PATH_NOT_ALLOWED, message="m" * 2000)
    votes = [Vote(approver="bob", granted=True, name="bob-yes", at=NOW)]
    shown = render_promotion(asked(), outcome, votes, begun=None, now=NOW + 1)
    later = {**shown["acts"][0], "number": 4, "act": "teleported"}
    read = entries_of(asked() | {"status": {**shown, "acts": [*shown["acts"], later]}})
    assert [(entry.number, entry.act.value, entry.at) for entry in read] == [
        (1, "requested", NOW),
        (2, "approved", NOW),
        (3, "refused", NOW + 1),
    ]
    assert (read[1].message, read[1].target, read[2].reason) == ("bob-yes", "Production", "PathNotAllowed")


@pytest.mark.parametrize("standing", Standing)
def test_a_status_says_when_it_became_final_and_only_then(standing: Standing) -> None:
    votes = [Vote(approver=f"bob-{n}", granted=True, name="v", at=NOW + n) for n in range(VOTES + 1)]
    outcome = Outcome(standing=standing, reason=Reason.MOVED, message="m" * 2000)
    shown = render_promotion(asked(), outcome, votes, begun=("http://mlflow", 5), now=NOW)
    PromotionStatus.model_validate(shown)
    assert (shown["phase"], len(shown["approvals"])) == (standing.value, VOTES)
    assert (shown["registry"], shown["modelCreated"]) == ("http://mlflow", 5)
    assert shown["approvals"][-1]["approver"] == f"bob-{VOTES}"
    assert ("decided" in shown) == standing.final
