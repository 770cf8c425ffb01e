"""Approval at a step: who is asked, what the answer does, and what no answer does."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.approvals import LONGEST, MOST, signed
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.notice import Happening, notices
from tidegate.core.plan import Plan, Step
from tidegate.core.reasons import Reason
from tidegate.core.record import Approval, Asked, Past, Proven, Record, Rollout, Stopwatch
from tidegate.core.report import Phase, report

#: 25 and 100 ask for approval.
STEPS_ASKING = tuple(replace(step, approval=step.weight in {25, 100}) for step in make.STEPS)


def plan(**fields: Any) -> Plan:
    return make.plan(**{"steps": STEPS_ASKING} | fields)


def word(weight: int = 25, **fields: Any) -> Approval:
    """Alice approves, ten seconds ago."""
    said = Approval(weight=weight, granted=True, approver="alice", name="a-1", at=make.NOW - 10)
    return replace(said, **fields)


def no(weight: int = 25, **fields: Any) -> Approval:
    """Bob refuses, five seconds ago."""
    return word(weight, **{"granted": False, "approver": "bob", "name": "b-1", "at": make.NOW - 5} | fields)


def said(*heard: Approval) -> dict[str, Any]:
    return {"approvals": {"7/1": heard}}


AT_5 = make.record()
#: As it is after its question.
ASKED = make.record(
    rollout=make.rollout(asked=Asked(weight=25, since=make.NOW - 60), deadline=Stopwatch(spent=440.0, since=None))
)
GRANTED = make.record(rollout=make.rollout(approvals=(word(),)))
REFUSED = make.record(rollout=make.rollout(approvals=(no(),)))
UNASKED = make.record(rollout=make.rollout(weight=25))
FIRST = make.record(stable=None, rollout=make.starting())
PROMOTED = make.record(rollout=make.rollout(direct=True, unheld=True))
#: Version 7 was proven here an hour before this attempt began.
PROVEN = make.record(
    rollout=make.rollout(weight=5, direct=True), proven=(Proven(revision=make.V7, at=make.NOW - 4100),)
)
BAKED = make.record(rollout=make.rollout(weight=100, approvals=(word(25), word(100, approver="carol"))))

#: What is there, what is seen, and what is decided.
STEPS: dict[str, tuple[Record, dict[str, Any], Reason]] = {
    "a step asks": (AT_5, {"plan": plan()}, Reason.WAITING_FOR_APPROVAL),
    "it goes on asking": (ASKED, {"plan": plan()}, Reason.WAITING_FOR_APPROVAL),
    "somebody says yes": (ASKED, {"plan": plan(), **said(word())}, Reason.APPROVED),
    "somebody says no": (ASKED, {"plan": plan(), **said(no())}, Reason.APPROVAL_REFUSED),
    "somebody said yes": (GRANTED, {"plan": plan(), **said(word())}, Reason.ADVANCING),
    "the yes was deleted, and stands": (GRANTED, {"plan": plan()}, Reason.ADVANCING),
    "somebody said no": (REFUSED, {"plan": plan(), **said(no())}, Reason.APPROVAL_REFUSED),
    "the no was deleted, and stands": (REFUSED, {"plan": plan()}, Reason.APPROVAL_REFUSED),
    "a no that nobody asked for": (UNASKED, {"plan": plan(), **said(no(50))}, Reason.APPROVAL_REFUSED),
    "a step that does not ask": (UNASKED, {"plan": plan()}, Reason.ADVANCING),
    "the yes to another step": (AT_5, {"plan": plan(), **said(word(100))}, Reason.APPROVED),
    "the yes to another attempt": (
        AT_5,
        {"plan": plan(), "approvals": {"7/2": (word(),)}},
        Reason.WAITING_FOR_APPROVAL,
    ),
    "a yes from before the attempt": (
        AT_5,
        {"plan": plan(), **said(word(at=make.NOW - 506))},
        Reason.WAITING_FOR_APPROVAL,
    ),
    "a yes from another clock": (AT_5, {"plan": plan(), **said(word(at=make.NOW - 504))}, Reason.APPROVED),
    "nobody vouches for anybody": (AT_5, {"plan": plan(), "governed": False}, Reason.GOVERNANCE_OFF),
    "the step asks no more": (ASKED, {"plan": make.plan()}, Reason.HOLDING),
    "a first deployment asks for the last": (FIRST, {"plan": plan()}, Reason.WAITING_FOR_APPROVAL),
    "a first deployment was approved": (
        make.record(stable=None, rollout=make.starting(approvals=(word(100),))),
        {"plan": plan()},
        Reason.PROMOTED,
    ),
    "promote skips no approval": (PROMOTED, {"plan": plan()}, Reason.WAITING_FOR_APPROVAL),
    "promote with the last approval": (
        make.record(rollout=make.rollout(direct=True, unheld=True, approvals=(word(100),))),
        {"plan": plan()},
        Reason.ADVANCING,
    ),
    "a way back waits for nobody": (PROVEN, {"plan": plan()}, Reason.ADVANCING),
    "a no holds a way back": (PROVEN, {"plan": plan(), **said(no())}, Reason.APPROVAL_REFUSED),
    "a no holds the promotion": (
        make.record(rollout=make.rollout(weight=100, approvals=(no(100),))),
        {"plan": plan()},
        Reason.APPROVAL_REFUSED,
    ),
    "evidence comes first": (
        AT_5,
        {"plan": plan(), "evidence": make.unavailable("EvidenceMissing")},
        Reason.EVIDENCE_MISSING,
    ),
}


def deciding(record: Record, fields: dict[str, Any]) -> Decision:
    given = dict(fields)
    asked = given.pop("plan")
    return decide(asked, record, make.seen(record, **given))


def under_way(record: Record) -> Rollout:
    assert record.rollout is not None
    return record.rollout


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_taken_or_waits(name: str) -> None:
    record, fields, reason = STEPS[name]
    assert deciding(record, fields).reason is reason


def test_a_question_is_one_write_that_stops_the_deadline_and_keeps_the_weight() -> None:
    asked = deciding(AT_5, {"plan": plan()}).record
    assert asked == replace(
        AT_5,
        rollout=make.rollout(asked=Asked(weight=25, since=make.NOW), deadline=Stopwatch(spent=500.0, since=None)),
    )
    again = deciding(asked, {"plan": plan(), "now": make.NOW + 1e6, "wanted": make.version(7)})
    assert (again.record, again.reason, again.requeue) == (asked, Reason.WAITING_FOR_APPROVAL, None)


def test_an_answer_lets_the_deadline_run_on_and_says_whose_it_is() -> None:
    decision = deciding(ASKED, {"plan": plan(), **said(word())})
    rollout = under_way(decision.record)
    assert (rollout.asked, rollout.weight, rollout.approvals) == (None, 5, (word(),))
    assert rollout.deadline == Stopwatch(spent=440.0, since=make.NOW)
    assert decision.message == "alice approved 25% (a-1)"


def test_a_no_lets_the_deadline_run_on_too_and_needs_a_person() -> None:
    rollout = under_way(deciding(ASKED, {"plan": plan(), **said(no())}).record)
    assert (rollout.asked, rollout.deadline.since) == (None, make.NOW)
    held = deciding(REFUSED, {"plan": plan()})
    assert (held.record, held.stalled) == (REFUSED, True)
    assert held.message.startswith("held at 5%: bob refused 25% (b-1); ")


@pytest.mark.parametrize(
    ("heard", "stands"),
    [
        ((word(), no()), no()),
        ((no(at=make.NOW - 20), word()), word()),
        ((word(at=make.NOW - 5), no()), no()),
        ((no(), word(at=make.NOW - 5)), no()),
    ],
    ids=["taken back", "granted after all", "in one second", "in one second, the other way round"],
)
def test_the_later_word_stands_and_of_two_in_one_second_the_refusal(
    heard: tuple[Approval, ...], stands: Approval
) -> None:
    assert under_way(deciding(ASKED, {"plan": plan(), **said(*heard)}).record).approvals == (stands,)


def test_a_word_that_is_kept_gives_way_to_a_later_one_alone() -> None:
    late = word(at=make.NOW - 1, name="a-2")
    assert under_way(deciding(REFUSED, {"plan": plan(), **said(late)}).record).approvals == (late,)
    assert deciding(REFUSED, {"plan": plan(), **said(word())}).record == REFUSED


@pytest.mark.parametrize("weight", [0, 5, 100])
def test_a_revoked_approval_reverts_at_once_and_rejects_where_that_is_asked_for(weight: int) -> None:
    record = make.record(rollout=make.rollout(weight=weight, approvals=(word(),)))
    decision = deciding(record, {"plan": plan(revoke_reverts=True), **said(word(), no())})
    rollout = under_way(decision.record)
    assert rollout.verdict is not None
    assert (rollout.weight, rollout.verdict.reason, rollout.verdict.rejects) == (0, Reason.APPROVAL_REFUSED, True)
    assert rollout.verdict.message == "bob refused 25% (b-1)"


def test_a_no_is_heard_while_a_rollout_is_being_parked() -> None:
    parked = decide(plan(), AT_5, make.seen(AT_5, wanted=make.version(6))).record
    decision = deciding(parked, {"plan": plan(revoke_reverts=True), "wanted": make.version(6), **said(no())})
    verdict = under_way(decision.record).verdict
    assert verdict is not None
    assert (verdict.reason, verdict.rejects) == (Reason.APPROVAL_REFUSED, True)


def test_a_pause_while_somebody_is_asked_changes_nothing_and_the_answer_counts_after_it() -> None:
    assert deciding(ASKED, {"plan": plan(paused=True)}).record == ASKED
    assert deciding(ASKED, {"plan": plan()}).reason is Reason.WAITING_FOR_APPROVAL


def test_words_are_bounded_and_the_newest_are_kept() -> None:
    many = tuple(word(n, name=f"a-{n}", at=make.NOW - 200 + n) for n in range(1, 100))
    kept = under_way(deciding(AT_5, {"plan": plan(), **said(*many)}).record)
    assert kept.approvals == many[-MOST:]
    again = deciding(replace(AT_5, rollout=kept), {"plan": plan(), **said(*many)})
    assert under_way(again.record).approvals == many[-MOST:]


def test_who_approved_is_told_with_the_promotion_and_kept_in_history() -> None:
    decision = deciding(BAKED, {"plan": plan()})
    expected = "version 7 serves all requests; approved: 25% by alice, 100% by carol"
    assert (decision.reason, decision.message) == (Reason.PROMOTED, expected)
    assert [past.message for past in decision.record.history if isinstance(past, Past)] == [expected]


def test_a_long_list_of_names_is_cut() -> None:
    assert len(signed(make.rollout(approvals=(word(approver="a" * 384),)))) == LONGEST
    assert signed(make.rollout(approvals=(no(),))) == ""


def test_the_question_is_told_once_and_shown() -> None:
    decision = deciding(AT_5, {"plan": plan()})
    told = notices(plan().ref, AT_5, decision.record, decision.reason, decision.message)
    assert [(n.happening, n.weight, n.at) for n in told] == [(Happening.APPROVAL, 5, make.NOW)]
    assert "25% for 7/1" in told[0].message
    assert notices(plan().ref, decision.record, decision.record, decision.reason, decision.message) == ()
    seen = make.seen(decision.record)
    shown = report(plan(), replace(decision, record=decision.record), seen)
    assert shown.phase is Phase.WAITING


def test_a_question_for_one_weight_is_not_one_for_another() -> None:
    other = plan(steps=(*make.STEPS[:1], Step(weight=50, hold=300, approval=True), make.STEPS[-1]))
    cleared = deciding(ASKED, {"plan": other})
    assert (under_way(cleared.record).asked, cleared.reason) == (None, Reason.HOLDING)
    asked = under_way(deciding(cleared.record, {"plan": other}).record).asked
    assert asked == Asked(weight=50, since=make.NOW)
