"""What a decision does is in the journal of the record that it writes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.core import builders as make

from tidegate.core.audit import Act, Actor, Entry, event_of
from tidegate.core.begin import finished
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.journal import KEPT, Change, deleted, entered
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.record import Approval, Asked, Discard, Handled, Promotion, Record, Rejection, Stopwatch, Verdict
from tidegate.core.transition import transition

REF = make.plan().ref
BREACH = Verdict(reason=Reason.GUARD_BREACHED, message="8% errors", rejects=True, at=make.NOW)


def journal(before: Record, after: Record, reason: Reason = Reason.ADVANCING, *, pinned: bool = False) -> list[Entry]:
    """What going from one record to the other enters."""
    decision = Decision(record=after, reason=reason, message="so it is")
    return list(entered(REF, before, decision, now=make.NOW, pinned=pinned).record.journal)


def shown(entries: list[Entry]) -> list[tuple[str, str, str, str, str]]:
    return [(e.act.value, e.actor, e.version, e.source, e.target) for e in entries]


def at(weight: int, **fields: object) -> Record:
    return make.record(rollout=make.rollout(weight=weight, **fields))


STARTED = make.record(rollout=make.starting())
PAUSED = at(5, deadline=Stopwatch(spent=1.0))
REJECTED = make.record(
    rollout=None, rejected=(Rejection(revision=make.V7, attempt=2, reason=BREACH.reason, message="", at=make.NOW),)
)
WAITING = {"deadline": Stopwatch(spent=1.0), "asked": Asked(weight=25, since=make.NOW)}
YES = Approval(weight=25, granted=True, approver="ann", name="yes", at=make.NOW)
NO = replace(YES, granted=False, approver="bob", name="no")
CHAMPION, CHALLENGER = (Pointer(kind=PointerKind.ALIAS, value=name) for name in ("champion", "challenger"))
INTENT = Promotion(version=make.V7.version, pointer=CHAMPION, before="6", candidate=CHALLENGER, at=make.NOW)
DISCARD = Discard(version=make.V8.version, candidate=CHALLENGER, at=make.NOW)
RETRY = Handled(action="retry", value="7/2")
CASES = {
    "a start by the registry": (make.idle(), STARTED, [("started", "registry", "7", "6", "7")]),
    "a step": (at(5), at(25), [("step", "tidegate", "7", "5%", "25%")]),
    "a pause": (at(5), PAUSED, [("paused", "person", "7", "", "")]),
    "its end": (PAUSED, at(5), [("resumed", "person", "7", "", "")]),
    "a breach": (at(25), at(0, verdict=BREACH), [("reverted", "tidegate", "7", "25%", "0%")]),
    "an alert": (
        at(25), at(0, verdict=replace(BREACH, reason=Reason.ALERT_FIRING)), [("reverted", "alert", "7", "25%", "0%")]
    ),
    "a verdict without an endpoint to go to": (
        at(25), at(25, verdict=BREACH), [("reverted", "tidegate", "7", "25%", "25%")]
    ),
    "its weight, later": (at(25, verdict=BREACH), at(0, verdict=BREACH), [("reverted", "tidegate", "7", "25%", "0%")]),
    "a weight lost with its route": (at(25), at(0), [("step", "tidegate", "7", "25%", "0%")]),
    "a retry": (
        REJECTED, replace(REJECTED, rejected=(), handled=(RETRY,)), [("requested", "person", "7", "", "retry")]
    ),
    "a request for what is forgotten": (REJECTED, make.idle(handled=(RETRY, Handled(action="abort", value="1/1"))), [
        ("requested", "person", "7", "", "retry")
    ]),
    "an alert that was dismissed": (
        make.idle(), make.idle(handled=(Handled(action="dismiss", value="a1"),)),
        [("requested", "person", "6", "", "dismiss")],
    ),
    "a wait for approval": (at(5), at(5, **WAITING), []),
    "its end by approval": (at(5, **WAITING), at(5, approvals=(YES,)), [("approved", "user:ann", "7", "", "25%")]),
    "a step after an approval": (
        at(5, approvals=(YES,)), at(25, approvals=(YES,)), [("step", "tidegate", "7", "5%", "25%")]
    ),
    "a refusal while it waits": (
        at(5, **WAITING), at(5, **WAITING, approvals=(NO,)), [("refused", "user:bob", "7", "", "25%")]
    ),
    "a pointer that follows": (
        make.idle(promotion=INTENT), make.idle(), [("written-back", "tidegate", "7", "6", "alias champion")]
    ),
    "a rejected version off its pointer": (
        make.idle(discards=(DISCARD,)), make.idle(), [("written-back", "tidegate", "8", "8", "alias challenger")]
    ),
    "a pointer that is still to follow": (
        make.idle(promotion=INTENT), make.idle(promotion=INTENT, discards=(DISCARD,)), []
    ),
    "pointers that nobody has moved": (make.idle(promotion=INTENT, discards=(DISCARD,)),) * 2 + ([],),
    "what is only filed": (at(0, verdict=BREACH), REJECTED, []),
    "a confirmation": (at(5, hold=None), at(5), []),
    "nothing": (at(5), at(5), []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_act_is_entered_with_who_and_from_where_to_where(case: str) -> None:
    before, after, acts = CASES[case]
    assert shown(journal(before, after)) == acts


def test_an_abort_is_entered_before_the_revert_that_it_asked_for() -> None:
    aborted = replace(BREACH, reason=Reason.ABORTED)
    after = replace(at(0, verdict=aborted), handled=(Handled(action="abort", value="7/1"),))
    acts = shown(journal(at(25), after, Reason.ABORTED))
    assert acts == [("requested", "person", "7", "", "abort"), ("reverted", "person", "7", "25%", "0%")]


def test_a_promotion_says_what_it_replaces_and_a_first_one_nothing() -> None:
    before = at(100)
    assert before.rollout is not None
    assert shown(journal(before, finished(before, before.rollout, make.NOW))) == [
        ("promoted", "tidegate", "7", "6", "7")
    ]
    before = make.record(stable=None, rollout=make.starting())
    assert before.rollout is not None
    assert shown(journal(before, finished(before, before.rollout, make.NOW))) == [
        ("promoted", "tidegate", "7", "", "7")
    ]


def test_whoever_edits_the_spec_starts_a_pinned_version_and_another_way_to_serve() -> None:
    assert journal(make.idle(), STARTED, pinned=True)[0].actor == Actor.PERSON
    served = replace(make.V6, serving="another")
    again = make.record(rollout=make.starting(canary=served))
    assert journal(make.idle(), again)[0].actor == Actor.PERSON


def test_numbers_go_on_without_a_gap_and_the_oldest_entries_go() -> None:
    record = at(0)
    for weight in range(1, KEPT + 6):
        before, after = record, replace(at(weight), journal=record.journal)
        decision = Decision(record=after, reason=Reason.ADVANCING, message="")
        record = entered(REF, before, decision, now=make.NOW + weight, pinned=False).record
    numbers = [entry.number for entry in record.journal]
    assert numbers == list(range(6, KEPT + 6))


def test_an_entry_names_the_decision_of_the_log_line_and_the_event_has_one_id() -> None:
    before = make.record(rollout=make.rollout(raised=make.NOW - 401))
    decided = decide(make.plan(), before, make.seen(before))
    decision = entered(REF, before, decided, now=make.NOW, pinned=False)
    (entry,) = decision.record.journal
    line = transition(REF, before, decision.record, decision.reason, decision.message)
    assert entry.decision == line.decision
    event = event_of("ModelDeployment", REF, entry)
    assert event == event_of("ModelDeployment", REF, entry)
    assert event.id != event_of("ModelDeployment", REF, replace(entry, at=0.0)).id
    assert (event.sequence, event.act, event.source, event.target) == (1, Act.STEP, "5%", "25%")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [(Reason.POINTER_MOVED, "done"), (Reason.POINTER_KEPT, "superseded"), (Reason.GUARD_BREACHED, "superseded")],
)
def test_what_is_in_no_registry_is_not_told_as_written_there(reason: Reason, outcome: str) -> None:
    for before in (make.idle(promotion=INTENT), make.idle(discards=(DISCARD,))):
        (entry,) = journal(before, make.idle(), reason)
        assert (entry.act, entry.outcome) == (Act.WRITTEN_BACK, outcome)


def test_a_deletion_is_the_last_act_and_says_what_had_how_much() -> None:
    rolling = replace(at(25), journal=tuple(journal(at(5), at(25))))
    gone = deleted(rolling, now=make.NOW)
    assert shown(list(gone)) == [("step", "tidegate", "7", "5%", "25%"), ("withdrawn", "person", "7", "25%", "")]
    assert [entry.number for entry in gone] == [1, 2]
    assert gone[-1].message == "the ModelDeployment was deleted in mid-rollout"
    assert shown(list(deleted(make.idle(), now=make.NOW))) == [("withdrawn", "person", "6", "100%", "")]
    assert deleted(Record(), now=make.NOW) == ()


def test_further_acts_are_entered_by_a_source_of_their_own() -> None:
    def written_back(change: Change) -> Iterator[Entry]:
        assert change.before.rollout is not None
        yield change.act(Act.WRITTEN_BACK, change.before.rollout.canary.version, Actor.TIDEGATE, target="champion")

    decision = Decision(record=at(25), reason=Reason.ADVANCING, message="")
    made = entered(REF, at(5), decision, now=make.NOW, pinned=False, sources=(written_back,))
    assert shown(list(made.record.journal)) == [("written-back", "tidegate", "7", "", "champion")]
