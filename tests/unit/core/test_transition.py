from dataclasses import replace

import pytest
from tests.unit.core import builders as make

from tidegate.core.reasons import Reason
from tidegate.core.record import Past, Record, Rejection
from tidegate.core.transition import Transition, transition

REF = make.plan().ref
RAISED = replace(make.record(), rollout=make.rollout(weight=25))


def told(before: Record, after: Record, reason: Reason = Reason.ADVANCING) -> Transition:
    return transition(REF, before, after, reason, "because")


def past(reason: Reason) -> Past:
    return Past(revision=make.V7, attempt=1, reason=reason, message="m", started=10.0, ended=70.0)


def test_a_raise_says_who_comes_beside_whom_from_what_to_what() -> None:
    fields = told(make.record(), RAISED).fields()
    decision = fields.pop("decision")
    assert isinstance(decision, str)
    assert decision
    assert fields == {
        "object": "ml/fraud",
        "attempt": 1,
        "stable": "6",
        "canary": "7",
        "from_weight": 5,
        "to_weight": 25,
        "reason": "Advancing",
        "message": "because",
    }


def test_a_promotion_names_the_stable_that_was_and_the_canary_with_everything() -> None:
    full = replace(make.record(), rollout=make.rollout(weight=100))
    after = Record(stable=make.V7, history=(past(Reason.PROMOTED),))
    seen = told(full, after, Reason.PROMOTED)
    assert (seen.stable, seen.canary, seen.attempt, seen.from_weight, seen.to_weight) == ("6", "7", 1, 100, 100)
    assert seen.ended == ((past(Reason.PROMOTED), "promoted"),)


def test_what_concerns_no_rollout_has_no_weights() -> None:
    seen = told(make.idle(), replace(make.idle(), attempts=()))
    assert (seen.canary, seen.attempt, seen.from_weight, seen.to_weight) == (None, None, None, None)
    assert (seen.stable, seen.ended) == ("6", ())


def test_a_first_version_has_no_stable_beside_it() -> None:
    seen = told(Record(), Record(rollout=make.starting()), Reason.STARTING)
    assert (seen.stable, seen.canary, seen.from_weight, seen.to_weight) == (None, "7", 0, 0)


@pytest.mark.parametrize(("filed", "result"), [(True, "rejected"), (False, "parked")])
def test_an_attempt_that_ended_early_is_rejected_or_parked(filed: bool, result: str) -> None:
    entry = Rejection(revision=make.V7, attempt=1, reason=Reason.CRASHED, message="m", at=70.0)
    after = replace(make.idle(), history=(past(Reason.CRASHED),), rejected=(entry,) if filed else ())
    assert told(make.record(), after, Reason.CRASHED).ended == ((past(Reason.CRASHED), result),)


def test_an_attempt_that_had_ended_before_is_not_told_again() -> None:
    before = replace(make.record(), history=(past(Reason.CRASHED),))
    assert told(before, replace(before, rollout=RAISED.rollout)).ended == ()


def test_one_decision_has_one_id_wherever_it_is_made_and_another_one_another() -> None:
    first = told(make.record(), RAISED).decision
    assert told(make.record(), RAISED).decision == first
    assert told(make.record(), make.idle()).decision != first
    assert told(make.idle(), RAISED).decision != first
    other = replace(REF, uid="u-2")
    assert transition(other, make.record(), RAISED, Reason.ADVANCING, "because").decision != first
