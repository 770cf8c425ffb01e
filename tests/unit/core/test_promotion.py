"""Which way a version may go, who has to agree, and what is left to do in the registry."""

from typing import Any

import pytest

from tidegate.core.promotion import (
    Outcome,
    Path,
    Policy,
    Request,
    Stage,
    Standing,
    Vote,
    judged,
    reached,
    standing_votes,
)
from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.values import Unavailable

TO_PRODUCTION = (Stage.STAGING, Stage.PRODUCTION)


def request(source: Stage = Stage.STAGING, target: Stage = Stage.PRODUCTION) -> Request:
    return Request(requester="ann", model="fraud-detector", version="7", source=source, target=target)


def yes(approver: str = "bob", at: float = 10.0, **fields: Any) -> Vote:
    return Vote(approver=approver, granted=True, name=f"{approver}-1", at=at, **fields)


def no(approver: str = "bob", at: float = 10.0) -> Vote:
    return Vote(approver=approver, granted=False, name=f"{approver}-no", at=at)


def policy(name: str = "strict", **fields: Any) -> Policy:
    return Policy(name=name, paths=(Path(source=Stage.STAGING, target=Stage.PRODUCTION, **fields),))


def models(**stages: str) -> RegisteredModel:
    """`v6="Production"` and so on."""
    versions = tuple(RegisteredVersion(number=name[1:], stage=stage) for name, stage in stages.items())
    return RegisteredModel(name="fraud-detector", created_ms=1, aliases={}, versions=versions)


@pytest.mark.parametrize("source", Stage)
@pytest.mark.parametrize("target", Stage)
def test_without_a_policy_three_ways_are_allowed_and_one_of_them_is_free(source: Stage, target: Stage) -> None:
    expected = {
        (Stage.NONE, Stage.STAGING): Standing.APPROVED,
        (Stage.STAGING, Stage.PRODUCTION): Standing.PENDING,
        (Stage.PRODUCTION, Stage.ARCHIVED): Standing.PENDING,
    }
    found = judged(request(source, target), (), ())
    assert found.standing is expected.get((source, target), Standing.REFUSED)
    if found.standing is Standing.REFUSED:
        assert found.reason is Reason.PATH_NOT_ALLOWED
        assert found.message.startswith(f"the default policy has no path from {source} to {target}; it has: None to")


@pytest.mark.parametrize(
    ("votes", "standing"),
    [
        ((yes(),), Standing.APPROVED),
        ((yes("ann"),), Standing.PENDING),
        ((no(),), Standing.REFUSED),
        ((yes("bob"), no("carol")), Standing.REFUSED),
        ((yes("bob"), no("ann")), Standing.APPROVED),
        ((yes(at=10), no(at=11)), Standing.REFUSED),
        ((no(at=10), yes(at=11)), Standing.APPROVED),
        ((yes(at=10), no(at=10)), Standing.REFUSED),
    ],
    ids=[
        "another's yes",
        "one's own yes",
        "a no",
        "a yes and a no",
        "a yes and one's own no",
        "taken back",
        "given after all",
        "both in one second",
    ],
)
def test_one_approval_of_somebody_else_is_needed(votes: tuple[Vote, ...], standing: Standing) -> None:
    assert judged(request(), (), votes).standing is standing


def test_a_person_counts_once() -> None:
    twice = policy(approvals=2)
    found = judged(request(), (twice,), (yes("bob", 1), yes("bob", 2)))
    assert (found.standing, found.message) == (
        Standing.PENDING,
        "waits for approval: 1 more (PromotionPolicy strict)",
    )
    assert judged(request(), (twice,), (yes("bob"), yes("carol"))).message == (
        "Staging to Production, approved: bob, carol"
    )


def test_an_approver_is_of_one_of_the_groups() -> None:
    grouped = policy(approvals=1, groups=("risk", "legal"))
    found = judged(request(), (grouped,), (yes(groups=("devs",)),))
    assert found.message == "waits for approval: 1 more of risk or legal (PromotionPolicy strict)"
    assert judged(request(), (grouped,), (yes(groups=("devs", "legal")),)).standing is Standing.APPROVED


def test_of_several_policies_every_one_has_to_agree() -> None:
    both = (policy("one", approvals=1), policy("two", approvals=2))
    assert judged(request(), both, (yes(),)).message == "waits for approval: 1 more (PromotionPolicy two)"
    other = Policy(name="other", paths=(Path(source=Stage.NONE, target=Stage.STAGING),))
    found = judged(request(), (*both, other), (yes(), yes("carol")))
    assert (found.standing, found.message) == (
        Standing.REFUSED,
        "PromotionPolicy other has no path from Staging to Production; it has: None to Staging",
    )


def test_a_free_way_says_so() -> None:
    assert judged(request(Stage.NONE, Stage.STAGING), (), ()).message == "None to Staging, approved: nobody has to"


def test_the_votes_that_stand_are_the_last_of_each_in_their_order() -> None:
    votes = (yes("bob", 3), no("carol", 2), yes("carol", 1), yes("ann", 1))
    assert standing_votes(request(), votes) == (no("carol", 2), yes("bob", 3))


@pytest.mark.parametrize(
    ("model", "standing", "reason"),
    [
        (models(v6="Production", v7="Staging"), Standing.APPROVED, Reason.APPROVED),
        (models(v6="Archived", v7="Production"), Standing.DONE, Reason.MOVED),
        (models(v6="Production", v7="Production"), Standing.APPROVED, Reason.APPROVED),
        (models(v6="Production", v7="Archived"), Standing.FAILED, Reason.MOVED_ELSEWHERE),
        (models(v6="Production"), Standing.FAILED, Reason.VERSION_NOT_FOUND),
        (Unavailable(reason=Reason.MODEL_NOT_FOUND, message="-"), Standing.FAILED, Reason.MODEL_NOT_FOUND),
        (
            Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="-"),
            Standing.APPROVED,
            Reason.REGISTRY_UNREACHABLE,
        ),
    ],
    ids=["to be moved", "moved", "half done", "somewhere else", "deleted", "no model", "nobody knows"],
)
def test_what_is_left_to_do_is_read_from_the_registry(
    model: RegisteredModel | Unavailable, standing: Standing, reason: Reason
) -> None:
    found: Outcome = reached(request(), model)
    assert (found.standing, found.reason) == (standing, reason)


def test_other_stages_may_have_several_versions() -> None:
    found = reached(request(Stage.NONE, Stage.STAGING), models(v6="Staging", v7="Staging"))
    assert found.standing is Standing.DONE
