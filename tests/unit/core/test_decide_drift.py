"""Predictions that drift: judged when a hold is over, held for a person or sent back as the object says."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.predictions import DriftGuard
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Stopwatch

AT_5 = make.record()
WORDS = "PSI 0.41 (KS 0.3) of 1200 predictions against stable's 9000 over the limit of 0.25"
HOLDS = DriftGuard(most=0.25, needed=1000)
REVERTS = replace(HOLDS, reverts=True)


def within_the_hold(left: float = 20.0) -> Record:
    return make.record(rollout=make.rollout(hold=Stopwatch(since=make.NOW - 300 + left)))


def drifted(of: Record, **fields: Any) -> dict[str, Any]:
    return {"evidence": make.judgement(of, healthy=False, drifted=WORDS, **fields)}


DRIFTED = drifted(AT_5)


def test_at_the_end_of_the_hold_it_waits_for_a_person() -> None:
    decision = decide(make.plan(drift=HOLDS), AT_5, make.seen(AT_5, **drifted(AT_5)))
    assert (decision.reason, decision.record) == (Reason.PREDICTIONS_DRIFTED, AT_5)
    assert decision.message == f"held at 5%: {WORDS}; promote or abort it, or change spec.guards.drift"


def test_or_it_goes_back_where_the_object_says_so() -> None:
    decision = decide(make.plan(drift=REVERTS), AT_5, make.seen(AT_5, **drifted(AT_5)))
    rollout = decision.record.rollout
    assert rollout is not None
    assert rollout.verdict is not None
    assert (rollout.weight, rollout.verdict.reason, rollout.verdict.rejects) == (0, Reason.PREDICTIONS_DRIFTED, True)
    assert rollout.verdict.message == WORDS


@pytest.mark.parametrize("guard", [HOLDS, REVERTS])
def test_before_that_nothing_is_judged_and_the_end_of_the_hold_is_not_slept_through(guard: DriftGuard) -> None:
    record = within_the_hold(20.0)
    decision = decide(make.plan(drift=guard), record, make.seen(record, **drifted(record)))
    assert (decision.reason, decision.record) == (Reason.HOLDING, record)
    assert decision.requeue == pytest.approx(20.0)


def test_it_goes_back_at_the_end_of_the_hold_whatever_else_it_waits_for() -> None:
    record = within_the_hold(20.0)
    decision = decide(make.plan(drift=REVERTS), record, make.seen(record, taken_by="ml/older", **drifted(record)))
    assert decision.reason is Reason.ROUTE_TAKEN
    assert decision.requeue == pytest.approx(20.0)


@pytest.mark.parametrize(
    "fields", [{"weight": 25}, {"attempt": 2}, {"canary": make.V8.name}], ids=["weight", "attempt", "canary"]
)
@pytest.mark.parametrize("guard", [HOLDS, REVERTS])
def test_what_was_found_of_something_else_says_nothing(guard: DriftGuard, fields: dict[str, Any]) -> None:
    decision = decide(make.plan(drift=guard), AT_5, make.seen(AT_5, **drifted(AT_5, **fields)))
    assert decision.reason is Reason.EVIDENCE_MISSING
    assert decision.record == AT_5


def test_a_person_who_promotes_it_has_said_that_it_is_meant() -> None:
    fast = make.record(rollout=make.rollout(unheld=True, direct=True))
    decision = decide(make.plan(drift=REVERTS), fast, make.seen(fast, **drifted(fast)))
    assert decision.reason is Reason.ADVANCING
    record = decision.record
    assert record.rollout is not None
    assert record.rollout.weight == 100


def test_without_any_drift_it_goes_on() -> None:
    decision = decide(make.plan(drift=REVERTS), AT_5, make.seen(AT_5, evidence=make.judgement(AT_5)))
    assert decision.reason is Reason.ADVANCING
