"""Two pointers: what they ask for together, and how they are moved."""

from dataclasses import replace

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.decision import Decision, Situation
from tidegate.core.observed import Errand, Observed
from tidegate.core.plan import Candidate, Plan, Pointer, PointerKind
from tidegate.core.pointers import (
    asked_for,
    discarding,
    rejection_shown,
)
from tidegate.core.reasons import Reason
from tidegate.core.record import Discard, Handled, Parking, Past, Promotion, Record, Rejection, Verdict
from tidegate.core.report import Phase, report
from tidegate.core.values import Revision, Unavailable

CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")
CHALLENGER = Pointer(kind=PointerKind.ALIAS, value="challenger")
PRODUCTION = Pointer(kind=PointerKind.STAGE, value="Production")
STAGING = Pointer(kind=PointerKind.STAGE, value="Staging")
NO_ALIAS = Unavailable(reason=Reason.ALIAS_NOT_FOUND, message="no alias")
NOT_READY = Unavailable(reason=Reason.VERSION_NOT_READY, message="not ready")
NOT_POLLED = Unavailable(reason=Reason.NOT_POLLED_YET, message="not asked")


def plan(candidate: Pointer = CHALLENGER, *, discard: bool = False, **fields: object) -> Plan:
    return make.plan(candidate=Candidate(pointer=candidate, discard=discard), **fields)


def seen(of: Record, first: int | Unavailable, second: int | Unavailable, **fields: object) -> Observed:
    """What the pointers name."""
    named = [n if isinstance(n, Unavailable) else make.version(n) for n in (first, second)]
    return make.seen(of, wanted=named[0], candidate=named[1], **fields)


def promotion(number: int = 7, before: str | None = "6", **fields: object) -> Promotion:
    made = Promotion(
        version=make.version(number), pointer=CHAMPION, before=before, candidate=CHALLENGER, at=make.NOW - 10
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # a table of fields


def rejection(revision: Revision = make.V7, attempt: int = 1) -> Rejection:
    return Rejection(
        revision=revision, attempt=attempt, reason=Reason.GUARD_BREACHED, message="8% errors", at=make.NOW - 50
    )


def past(revision: Revision = make.V7, reason: Reason = Reason.GUARD_BREACHED) -> Past:
    return Past(revision=revision, attempt=1, reason=reason, message="8% errors", started=0.0, ended=make.NOW - 50)


def parking(tries: int) -> Parking:
    return Parking(
        revision=make.V7,
        attempt=1,
        reason=Reason.EXITED,
        message="exited",
        at=make.NOW - 50,
        tries=tries,
        retry_at=make.NOW + 50,
    )


REJECTED = make.idle(rejected=(rejection(),), history=(past(),))


@pytest.mark.parametrize(
    ("record", "first", "second", "asked"),
    [
        pytest.param(make.idle(), 6, 7, 7, id="the champion serves, so the challenger is tried"),
        pytest.param(make.idle(), 6, NO_ALIAS, 6, id="no challenger"),
        pytest.param(make.idle(), 6, 6, 6, id="the challenger is the champion"),
        pytest.param(make.idle(), 8, 7, 8, id="a champion that a person moved goes first"),
        pytest.param(make.record(), 8, 7, 8, id="also in the middle of a rollout"),
        pytest.param(make.record(), 6, 7, 7, id="the challenger is wanted while its pointer names it"),
        pytest.param(make.record(), 7, NO_ALIAS, 7, id="and while the first one does"),
        pytest.param(make.record(), 6, NO_ALIAS, 6, id="taken away, it is not wanted"),
        pytest.param(make.idle(), NO_ALIAS, 7, NO_ALIAS, id="a champion that was taken away is no wish for another"),
        pytest.param(make.idle(), make.unavailable(), 7, make.unavailable(), id="the registry is silent"),
        pytest.param(make.record(), 6, NOT_READY, NOT_READY, id="a challenger that nobody can tell holds a rollout"),
        pytest.param(make.idle(), 6, NOT_READY, 6, id="and without one nothing"),
        pytest.param(make.idle(), 6, NOT_POLLED, NOT_POLLED, id="a challenger that was not asked for yet"),
        pytest.param(REJECTED, 6, 7, 6, id="a rejected challenger is not tried again"),
        pytest.param(REJECTED, 7, 7, 7, id="whatever a person makes champion is asked for"),
        pytest.param(make.idle(parked=(parking(2),)), 6, 7, 7, id="a parked one is, later"),
        pytest.param(make.idle(parked=(parking(6),)), 6, 7, 6, id="not for ever"),
        pytest.param(
            make.idle(tried=make.version(7)), 6, 7, 6, id="what was promoted and overruled is not tried again"
        ),
        pytest.param(make.idle(tried=make.version(7)), 6, 8, 8, id="the next one is"),
        pytest.param(Record(), 6, 7, 6, id="a first deployment is that of the champion"),
        pytest.param(Record(), NO_ALIAS, 7, 7, id="or of the challenger, where there is no champion"),
        pytest.param(Record(), NO_ALIAS, NO_ALIAS, NO_ALIAS, id="of none where there is neither"),
        pytest.param(Record(rejected=(rejection(),)), NO_ALIAS, 7, NO_ALIAS, id="never of a rejected one"),
        pytest.param(
            make.idle(promotion=promotion(6, "5")), 5, 7, 6, id="a champion that waits to be moved is no wish"
        ),
        pytest.param(make.idle(promotion=promotion(6, "5")), NO_ALIAS, 7, 6, id="nor is one that is not there yet"),
        pytest.param(make.idle(promotion=promotion(6, "5")), 9, 7, 9, id="any other value is a person's"),
        pytest.param(
            make.idle(promotion=promotion(6, "5")), make.unavailable(), 7, make.unavailable(), id="silent while moving"
        ),
    ],
)
def test_what_two_pointers_ask_for(
    record: Record, first: int | Unavailable, second: int | Unavailable, asked: int | Unavailable
) -> None:
    wanted = asked if isinstance(asked, Unavailable) else make.version(asked)
    assert asked_for(plan(), record, seen(record, first, second)) == wanted


def test_without_a_candidate_there_is_one_pointer() -> None:
    assert asked_for(make.plan(), make.idle(), seen(make.idle(), 8, 7)) == make.version(8)


def test_a_changed_spec_goes_through_the_champion_first() -> None:
    other = replace(make.SERVING, canonical={"runtime": "tidegate", "resources": {"limits": {"cpu": "1"}}})
    assert asked_for(plan(serving=other), make.idle(), seen(make.idle(), 6, 7)) == make.version(6)


def test_a_person_s_retry_is_asked_for_once() -> None:
    asks = seen(REJECTED, 6, 7, actions={"retry": "7/1"})
    assert asked_for(plan(), REJECTED, asks) == make.version(7)
    told = decide(plan(), REJECTED, asks)
    assert told.record.rejected == ()
    done = replace(REJECTED, handled=(Handled(action="retry", value="7/1"),))
    assert asked_for(plan(), done, asks) == make.version(6)


def finished() -> Record:
    return make.record(rollout=make.rollout(weight=100))


def test_a_finished_rollout_records_the_intent_in_the_same_write() -> None:
    told = decide(plan(), finished(), seen(finished(), 6, 7))
    assert told.reason is Reason.PROMOTED
    assert told.record.stable == make.V7
    assert told.record.promotion == promotion(at=make.NOW)


@pytest.mark.parametrize(
    ("wish", "first", "second"),
    [
        pytest.param(plan(), 7, 7, id="the champion is there already"),
        pytest.param(make.plan(), 7, NO_ALIAS, id="one pointer"),
    ],
)
def test_nothing_is_to_be_moved_where_the_first_pointer_names_the_version(
    wish: Plan, first: int, second: int | Unavailable
) -> None:
    assert decide(wish, finished(), seen(finished(), first, second)).record.promotion is None


def test_a_challenger_that_is_the_first_version_becomes_champion() -> None:
    first = Record(rollout=make.starting())
    told = decide(plan(), first, seen(first, NO_ALIAS, 7))
    assert told.reason is Reason.PROMOTED
    assert told.record.promotion == promotion(before=None, at=make.NOW)


PENDING = make.idle(stable=make.V7, promotion=promotion())
DISCARD = Discard(version=make.version(7), candidate=CHALLENGER, at=make.NOW)


def after(record: Record, first: int, wish: Plan | None = None, **errand: object) -> Decision:
    intent = record.intents()[0]
    came = Errand(intent=intent, **errand) if errand else None  # type: ignore[arg-type]  # a table of fields
    return decide(wish or plan(), record, seen(record, first, 7, errand=came))


def test_until_the_pointer_is_moved_the_new_version_is_ready_and_nothing_else_begins() -> None:
    told = decide(plan(), PENDING, seen(PENDING, 6, 8))
    assert (told.record, told.reason, told.stalled) == (PENDING, Reason.POINTER_PENDING, False)
    shown = report(plan(), told, seen(PENDING, 6, 8))
    assert shown.conditions[0].status is True
    assert shown.conditions[1].status is True
    assert shown.phase is Phase.READY


def test_a_registry_that_is_away_is_waited_for_and_one_that_forbids_it_calls_for_a_person() -> None:
    away = after(PENDING, 6, failed=make.unavailable())
    assert (away.record, away.stalled) == (PENDING, False)
    assert "no answer" in away.message
    forbidden = after(PENDING, 6, failed=Unavailable(reason=Reason.REGISTRY_FORBIDDEN, message="grant EDIT"))
    assert (forbidden.record, forbidden.stalled) == (PENDING, True)
    assert forbidden.message == "version 7 serves all requests; alias champion is still to name it: grant EDIT"


def test_once_it_is_moved_the_intent_is_closed() -> None:
    done = Errand(intent=promotion(), pointed=True)
    told = decide(plan(), PENDING, seen(PENDING, 7, NO_ALIAS, errand=done))
    assert told.record == replace(PENDING, promotion=None)
    assert (told.reason, told.message) == (Reason.POINTER_MOVED, "alias champion names version 7")


def test_a_person_who_was_faster_is_heard() -> None:
    told = after(PENDING, 9, pointed=False)
    assert told.reason is Reason.POINTER_KEPT
    assert told.record == replace(PENDING, promotion=None, tried=make.version(7))
    assert "that is kept" in told.message


@pytest.mark.parametrize(
    ("wish", "second", "tried"),
    [
        pytest.param(plan(), 7, True, id="still there"),
        pytest.param(plan(), NOT_READY, True, id="unknown"),
        pytest.param(plan(), NO_ALIAS, False, id="taken away"),
        pytest.param(plan(), 8, False, id="another one"),
        pytest.param(make.plan(), 8, False, id="no candidate any more"),
    ],
)
def test_what_was_tried_is_a_new_wish_once_the_pointer_has_named_something_else(
    wish: Plan, second: int | Unavailable, tried: bool
) -> None:
    record = make.idle(tried=make.version(7))
    told = decide(wish, record, seen(record, 6, second))
    assert (told.record.tried is not None) is tried


def test_an_errand_of_another_intent_says_nothing() -> None:
    other = Errand(intent=DISCARD, pointed=True)
    assert decide(plan(), PENDING, seen(PENDING, 6, 7, errand=other)).record == PENDING


@pytest.mark.parametrize(
    "wish",
    [
        make.plan(),
        plan(STAGING),
        plan(pointer=PRODUCTION),
        plan(model="another"),
    ],
    ids=["no candidate", "another candidate", "another first pointer", "another model"],
)
def test_pointers_that_left_the_spec_are_left_alone(wish: Plan) -> None:
    assert after(PENDING, 6, wish).record.promotion is None
    assert asked_for(wish, PENDING, seen(PENDING, 6, 7)) == make.version(6)


def test_an_intent_for_a_registry_that_is_asked_no_more_is_left_alone() -> None:
    elsewhere = seen(PENDING, 6, 7, registry="http://another")
    assert decide(plan(), PENDING, elsewhere).record.promotion is None
    assert decide(plan(), PENDING, replace(elsewhere, registry="http://mlflow")).record.promotion == PENDING.promotion


def test_a_spec_edit_while_a_pointer_waits_keeps_the_intent() -> None:
    other = replace(make.SERVING, canonical={"runtime": "tidegate", "resources": {"limits": {"cpu": "1"}}})
    coming = make.revision(7, other)
    record = replace(PENDING, rollout=make.rollout(canary=coming, weight=100))
    told = decide(plan(serving=other), record, seen(record, 6, 7, revisions={coming.name: make.pods()}))
    assert told.record.stable == coming
    assert told.record.promotion == PENDING.promotion
    rolling = replace(PENDING, rollout=make.rollout(canary=coming))
    unlike = seen(
        rolling,
        6,
        7,
        evidence=make.judgement(rolling, healthy=False),
        revisions={**make.EVERYBODY, coming.name: make.pods()},
    )
    assert decide(plan(serving=other), rolling, unlike).reason is Reason.GATHERING_EVIDENCE
    begun = decide(plan(serving=other), PENDING, seen(PENDING, 6, 7))
    assert begun.reason is Reason.STARTING


def rejecting(discard: bool, first: int = 6) -> Record:
    ended = make.rollout(
        weight=0, canary_since=None, verdict=Verdict(reason=Reason.GUARD_BREACHED, message="8%", rejects=True, at=0.0)
    )
    record = make.record(rollout=ended)
    return decide(plan(discard=discard), record, seen(record, first, 7)).record


def test_a_rejected_challenger_is_taken_off_its_pointer_if_that_is_asked_for() -> None:
    assert rejecting(discard=True).discards == (DISCARD,)
    assert rejecting(discard=False).discards == ()
    assert rejecting(discard=True, first=7).discards == ()


def test_what_is_only_parked_keeps_its_pointer() -> None:
    situation = Situation(plan=plan(discard=True), record=make.idle(), seen=seen(make.idle(), 6, 7), wished=make.V7)
    assert discarding(situation, make.idle(parked=(parking(1),)), make.V7).discards == ()


def test_a_challenger_that_a_person_gives_up_is_taken_off_as_well() -> None:
    record = make.idle(parked=(parking(2),))
    told = decide(plan(discard=True), record, seen(record, 6, 7, actions={"abort": "7/1"}))
    assert told.record.discards == (DISCARD,)


def test_one_intent_after_the_other_is_closed() -> None:
    both = replace(PENDING, discards=(replace(DISCARD, version=make.version(5)),))
    assert both.intents() == (PENDING.promotion, both.discards[0])
    assert after(both, 7, pointed=True).record.intents() == both.discards
    told = after(make.idle(discards=(DISCARD,)), 6, pointed=True)
    assert told.record.discards == ()
    assert told.message == "rejected version 7 was taken off alias challenger"


@pytest.mark.parametrize(
    ("record", "second", "status", "words"),
    [
        pytest.param(REJECTED, 7, True, "version 7 rejected: 8% errors", id="rejected"),
        pytest.param(REJECTED, NO_ALIAS, True, "version 7 rejected: 8% errors", id="rejected and taken away"),
        pytest.param(REJECTED, 8, False, "version 8 was not rejected", id="the next one"),
        pytest.param(make.idle(tried=make.version(7)), 7, False, "tried before", id="tried before"),
        pytest.param(make.idle(), NO_ALIAS, False, "no alias", id="none"),
        pytest.param(make.idle(), NOT_READY, False, "not ready", id="unknown"),
        pytest.param(make.idle(parked=(parking(6),)), 7, True, "version 7 rejected: exited", id="failed too often"),
        pytest.param(
            replace(REJECTED, history=(past(), past(make.V8, Reason.PROMOTED))), NO_ALIAS, False, "", id="long ago"
        ),
    ],
)
def test_a_rejected_candidate_is_a_condition_of_its_own(
    record: Record, second: int | Unavailable, status: bool, words: str
) -> None:
    look = seen(record, 6, second)
    told = report(plan(), decide(plan(), record, look), look)
    shown = {condition.type: condition for condition in told.conditions}
    assert shown["CandidateRejected"].status is status
    assert words in shown["CandidateRejected"].message


def test_with_a_rejected_candidate_the_object_is_ready() -> None:
    look = seen(REJECTED, 6, 7)
    told = report(plan(), decide(plan(), REJECTED, look), look)
    shown = {condition.type: condition.status for condition in told.conditions}
    assert (shown["Ready"], shown["Stalled"], shown["Reconciling"]) == (True, False, False)


def test_without_a_candidate_there_is_no_such_condition() -> None:
    look = make.seen(make.idle(), wanted=make.version(6))
    told = report(make.plan(), decide(make.plan(), make.idle(), look), look)
    assert "CandidateRejected" not in {condition.type for condition in told.conditions}
    assert rejection_shown(make.plan(), make.idle(), look) is None
