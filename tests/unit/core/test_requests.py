"""The acts on promotions and on requests for training, entered by the write that carries them out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.audit import Entry
from tidegate.core.journal import KEPT, LONGEST
from tidegate.core.promotion import VOTES, Outcome, Standing, Vote, last_words
from tidegate.core.reasons import Reason
from tidegate.core.requests import Asked, Voice, deleted_acts, handing_acts, promotion_acts
from tidegate.core.retraining import Handing

NOW = 2_000.0
ASKED = Asked(uid="u-1", requester="ann", at=1_000.0, model="fraud", version="7", source="Staging", target="Production")
#: What a first write has entered.
BEGUN = promotion_acts(
    ASKED,
    (),
    (Standing.PENDING, ()),
    Outcome(standing=Standing.PENDING, reason=Reason.WAITING_FOR_APPROVAL, message="waits"),
    (),
    now=NOW,
)
YES = Vote(approver="bob", granted=True, name="bob-yes", at=1_100.0)
NO = Vote(approver="bob", granted=False, name="bob-no", at=1_200.0)
OWN = Vote(approver="ann", granted=True, name="ann-yes", at=1_100.0)


def voice(vote: Vote) -> Voice:
    return Voice(approver=vote.approver, granted=vote.granted, name=vote.name, at=vote.at)


def shown(entries: tuple[Entry, ...]) -> list[tuple[int, str, str, str]]:
    return [(entry.number, entry.act.value, entry.actor, entry.outcome) for entry in entries]


@pytest.mark.parametrize(
    ("was", "heard", "votes", "standing", "expected"),
    [
        (Standing.PENDING, (), (), Standing.PENDING, []),
        (Standing.PENDING, (), (YES,), Standing.PENDING, [("approved", "user:bob", "done")]),
        (Standing.PENDING, (YES,), (YES,), Standing.PENDING, []),
        (Standing.PENDING, (), (OWN,), Standing.PENDING, []),
        (
            Standing.PENDING, (), (NO, YES), Standing.REFUSED,
            [("approved", "user:bob", "done"), ("refused", "user:bob", "done"), ("refused", "tidegate", "done")],
        ),
        (Standing.PENDING, (YES,), (YES, NO), Standing.PENDING, [("refused", "user:bob", "done")]),
        (Standing.PENDING, (YES,), (), Standing.PENDING, [("withdrawn", "person", "done")]),
        (Standing.PENDING, (NO,), (YES,), Standing.PENDING, [("withdrawn", "person", "done")]),
        (Standing.APPROVED, (YES,), (), Standing.DONE, [("written-back", "tidegate", "done")]),
        (
            Standing.PENDING, (), (YES,), Standing.APPROVED,
            [("approved", "user:bob", "done"), ("started", "tidegate", "done")],
        ),
        (Standing.PENDING, (), (), Standing.DONE, [("written-back", "tidegate", "unneeded")]),
        (Standing.APPROVED, (), (), Standing.FAILED, [("written-back", "tidegate", "failed")]),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_write_of_a_promotion_enters(
    was: Standing,
    heard: tuple[Vote, ...],
    votes: tuple[Vote, ...],
    standing: Standing,
    expected: list[tuple[str, str, str]],
) -> None:
    outcome = Outcome(standing=standing, reason=Reason.MOVED, message="so it is")
    after = promotion_acts(ASKED, BEGUN, (was, tuple(voice(vote) for vote in heard)), outcome, votes, now=NOW)
    assert after[:1] == BEGUN
    assert shown(after[1:]) == [(number, *what) for number, what in enumerate(expected, start=2)]
    assert len({entry.decision for entry in after[1:]}) <= 1


def test_it_begins_with_who_asked_for_what_and_when() -> None:
    (first,) = BEGUN
    assert shown(BEGUN) == [(1, "requested", "user:ann", "done")]
    assert (first.at, first.model, first.version) == (1_000.0, "fraud", "7")
    assert (first.source, first.target) == ("Staging", "Production")


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Handing.PENDING, []),
        (Handing.DELIVERED, [("handed-over", "done")]),
        (Handing.REFUSED, [("handed-over", "refused")]),
        (Handing.FAILED, [("handed-over", "failed")]),
    ],
)
def test_what_a_write_of_a_request_for_training_enters(phase: Handing, expected: list[tuple[str, str]]) -> None:
    begun = handing_acts(ASKED, (), Handing.PENDING, phase, "x" * 1000, now=NOW)
    assert [(entry.act.value, entry.outcome) for entry in begun] == [("requested", "done"), *expected]
    assert all(len(entry.message) <= LONGEST for entry in begun)
    assert handing_acts(ASKED, begun, phase, phase, "x", now=NOW) == begun


def test_the_journal_of_what_was_deleted_undecided_ends_with_it_and_numbers_go_on() -> None:
    after = deleted_acts(ASKED, BEGUN, now=NOW)
    assert after[:1] == BEGUN
    assert shown(after[1:]) == [(2, "withdrawn", "person", "done")]
    assert (after[1].at, after[1].message) == (NOW, "deleted before it was decided")


VOTERS = st.lists(
    st.builds(
        Vote,
        approver=st.integers(0, 2 * VOTES).map(lambda number: f"p{number}"),
        granted=st.booleans(),
        name=st.uuids().map(str),
        at=st.integers(1, 50).map(float),
    ),
    max_size=3 * VOTES,
    unique_by=lambda vote: vote.name,
)


@given(VOTERS)
def test_what_was_entered_is_not_entered_again_however_many_speak(votes: list[Vote]) -> None:
    outcome = Outcome(standing=Standing.PENDING, reason=Reason.WAITING_FOR_APPROVAL, message="waits")
    after = promotion_acts(ASKED, BEGUN, (Standing.PENDING, ()), outcome, votes, now=NOW)
    heard = tuple(voice(vote) for vote in last_words(votes)[-VOTES:])
    assert promotion_acts(ASKED, after, (Standing.PENDING, heard), outcome, votes, now=NOW) == after
    assert len(after) <= KEPT
    assert after[-1].number == 1 + len(votes)
