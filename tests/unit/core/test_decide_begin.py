"""What starts a rollout, what is not started, and what is tried again."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.decision import MEMORY, PAST, REJECTIONS, handle, remember
from tidegate.core.reasons import Reason
from tidegate.core.record import Handled, Leaving, Parking, Proven, Record, Rejection, Retiring, Verdict

IDLE = make.idle()
REJECTION = Rejection(
    revision=make.V7,
    attempt=2,
    reason=Reason.GUARD_BREACHED,
    message="8.1% errors (34 of 420) over the limit of 1%",
    at=make.NOW - 10,
)
PARKING = Parking(
    revision=make.V7,
    attempt=2,
    reason=Reason.ENDPOINTS_LOST,
    message="no ready endpoint was left",
    at=make.NOW - 10,
    tries=1,
    retry_at=make.NOW + 50,
)
REJECTED = make.idle(rejected=(REJECTION,), attempts=(("6", 1), ("7", 2)))
PARKED = make.idle(parked=(PARKING,), attempts=(("6", 1), ("7", 2)))


def _decide(record: Record, *, plan: Any = None, **fields: Any) -> Any:
    return decide(plan or make.plan(), record, make.seen(record, **fields))


def test_a_new_version_is_named_by_the_route_at_weight_zero() -> None:
    decision = _decide(IDLE)
    rollout = decision.record.rollout
    assert decision.reason is Reason.STARTING
    assert (rollout.canary, rollout.attempt, rollout.weight, rollout.direct) == (make.V7, 1, 0, False)
    assert decision.record.weights() == {make.V6.name: 100, make.V7.name: 0}
    assert decision.requeue == 900


def test_another_serving_of_the_same_version_takes_the_same_road() -> None:
    serving = replace(make.SERVING, canonical={"runtime": "tidegate", "template": {"image": "other"}})
    rollout = _decide(IDLE, plan=make.plan(serving=serving), wanted=make.version(6)).record.rollout
    assert rollout.canary == make.revision(6, serving)
    assert rollout.attempt == 2


UP_TO_DATE: dict[str, dict[str, Any]] = {
    "when the pointer names what serves": {},
    "after an upgrade of the operator": {"preset": "preset-2"},
    "with other replicas": {"plan": make.plan(serving=replace(make.SERVING, replicas=9))},
    "while paused": {"plan": make.plan(paused=True)},
    "with leftover annotations": {"actions": dict.fromkeys(("abort", "promote", "retry", "pause"), "7/1")},
}


@pytest.mark.parametrize("name", UP_TO_DATE)
def test_nothing_is_written(name: str) -> None:
    decision = _decide(IDLE, wanted=make.version(6), **UP_TO_DATE[name])
    assert (decision.record, decision.reason, decision.requeue) == (IDLE, Reason.UP_TO_DATE, None)


def test_a_refused_route_is_said_although_the_version_is_the_right_one() -> None:
    refused = make.route(IDLE, confirmed=False, refusal="no such gateway")
    decision = _decide(IDLE, wanted=make.version(6), route=refused)
    assert (decision.reason, decision.message, decision.stalled) == (Reason.ROUTE_NOT_ACCEPTED, "no such gateway", True)


def test_up_to_date_before_there_is_a_route() -> None:
    assert _decide(IDLE, wanted=make.version(6), route=None).reason is Reason.UP_TO_DATE


@pytest.mark.parametrize(
    ("reason", "stalled"),
    [
        ("NotPolledYet", False),
        ("RegistryUnreachable", False),
        ("RegistryFailing", False),
        ("RegistryUnauthorized", True),
        ("AliasNotFound", True),
        ("ModelNotFound", True),
    ],
)
def test_a_registry_that_does_not_say_starts_nothing(reason: str, stalled: bool) -> None:
    decision = _decide(IDLE, wanted=make.unavailable(reason))
    assert (decision.record, decision.reason.value, decision.stalled) == (IDLE, reason, stalled)


def test_a_registry_that_does_not_say_stalls_no_rollout() -> None:
    decision = _decide(make.record(), wanted=make.unavailable("RegistryUnauthorized"))
    assert (decision.reason, decision.stalled) == (Reason.REGISTRY_UNAUTHORIZED, False)


def test_nothing_new_is_started_while_paused_but_a_first_version_is() -> None:
    paused = make.plan(paused=True)
    assert _decide(IDLE, plan=paused).reason is Reason.PAUSED
    assert _decide(Record(), plan=paused).record.rollout is not None


def test_a_rejected_version_says_why_and_who_serves() -> None:
    decision = _decide(REJECTED)
    assert decision.record == REJECTED
    assert decision.reason is Reason.GUARD_BREACHED
    assert decision.stalled
    assert decision.message == "version 7 rejected: 8.1% errors (34 of 420) over the limit of 1%; version 6 serves"


def test_a_rejected_first_version_says_that_nothing_serves() -> None:
    assert _decide(replace(REJECTED, stable=None)).message.endswith("; nothing serves")


@pytest.mark.parametrize(
    "fields",
    [
        {"preset": "preset-2"},
        {"plan": make.plan(generation=99)},
        {"plan": make.plan(paused=True)},
        {"actions": {"retry": "7/1"}},
        {"actions": {"retry": "7"}},
        {"actions": {"promote": "7/2"}},
    ],
    ids=["an upgrade", "a re-apply", "a pause", "a leftover retry", "a retry without attempt", "another action"],
)
def test_a_rejected_version_stays_rejected_after(fields: dict[str, Any]) -> None:
    assert _decide(REJECTED, **fields).record == REJECTED


def test_a_retry_clears_a_rejection_once() -> None:
    asked = {"actions": {"retry": "7/2"}}
    cleared = _decide(REJECTED, **asked).record
    assert (cleared.rejected, cleared.handled) == ((), (Handled(action="retry", value="7/2"),))
    begun = _decide(cleared, **asked).record
    assert begun.rollout.attempt == 3

    rejected_again = replace(begun, rollout=None, rejected=(replace(REJECTION, attempt=3),))
    assert _decide(rejected_again, **asked).stalled
    restored = replace(REJECTED, handled=cleared.handled)
    assert _decide(restored, **asked).stalled


def test_a_parked_version_waits_for_its_time() -> None:
    decision = _decide(PARKED)
    assert (decision.record, decision.reason, decision.requeue) == (PARKED, Reason.RETRY_PENDING, 50)
    assert "(1 of 5)" in decision.message


def test_a_parked_version_is_tried_again_when_its_time_has_come() -> None:
    assert _decide(PARKED, now=make.NOW + 50).record.rollout.attempt == 3


def test_after_the_last_try_a_person_has_to_act() -> None:
    record = replace(PARKED, parked=(replace(PARKING, tries=6, retry_at=0),))
    decision = _decide(record)
    assert (decision.record, decision.reason, decision.stalled) == (record, Reason.RETRIES_EXHAUSTED, True)
    cleared = _decide(record, actions={"retry": "7/2"}).record
    assert cleared.parked == ()
    assert _decide(cleared, actions={"retry": "7/2"}).record.rollout.attempt == 3


def test_a_parked_version_can_be_given_up() -> None:
    other = replace(PARKING, revision=make.V8)
    record = replace(PARKED, parked=(other, PARKING), proven=(Proven(revision=make.V7, at=make.NOW),))
    given_up = _decide(record, actions={"abort": "7/2"}).record
    assert given_up.parked == (other,)
    assert given_up.proven == ()
    assert [(entry.revision, entry.attempt, entry.reason) for entry in given_up.rejected] == [
        (make.V7, 2, Reason.ABORTED)
    ]
    assert _decide(given_up).stalled


def test_withdrawn_and_wanted_again_goes_back_to_the_revision_that_is_still_there() -> None:
    old = make.revision(7, preset="preset-0")
    withdrawn = replace(PARKING, revision=old, reason=Reason.WITHDRAWN, tries=0, retry_at=make.NOW)
    for stage in Leaving:
        record = make.idle(retiring=(Retiring(revision=old, stage=stage, since=make.NOW - 1),), parked=(withdrawn,))
        begun = _decide(record).record
        assert begun.rollout.canary == old
        assert begun.retiring == ()
        assert begun.weights() == {make.V6.name: 100, old.name: 0}


def test_seven_eight_seven() -> None:
    """A superseded version starts again by itself as soon as it is wanted again."""
    verdict = Verdict(reason=Reason.SUPERSEDED, message="", rejects=False, at=make.NOW)
    over = make.record(rollout=make.rollout(weight=0, verdict=verdict))
    filed = _decide(over, wanted=make.version(8)).record
    eight = _decide(filed, wanted=make.version(8)).record
    assert eight.rollout.canary == make.V8
    assert eight.weights() == {make.V6.name: 100, make.V8.name: 0, make.V7.name: 0}
    ended = _decide(eight, wanted=make.version(7)).record
    assert ended.rollout.verdict.reason is Reason.SUPERSEDED
    again = _decide(_decide(ended).record).record
    assert (again.rollout.canary, again.rollout.attempt) == (make.V7, 2)


@pytest.mark.parametrize(("ago", "direct"), [(86_400, True), (86_401, False)])
def test_a_version_that_served_within_the_rollback_window_goes_straight_to_the_end(ago: float, direct: bool) -> None:
    record = make.idle(proven=(Proven(revision=make.V7, at=make.NOW - ago),))
    assert _decide(record).record.rollout.direct is direct


def test_every_list_in_the_record_is_bounded_and_keeps_the_newest() -> None:
    rollout = make.rollout()
    record = IDLE
    for attempt in range(MEMORY + 5):
        record = handle(record, "retry", make.V7, attempt)
        record = remember(record, rollout, Reason.ABORTED, str(attempt), make.NOW)
    assert [len(record.handled), len(record.history)] == [MEMORY, PAST]
    assert record.handled[-1].value == f"7/{MEMORY + 4}"
    assert record.history[-1].message == str(MEMORY + 4)

    many = tuple(replace(REJECTION, revision=make.revision(100 + n)) for n in range(REJECTIONS))
    verdict = Verdict(reason=Reason.CRASHED, message="", rejects=True, at=make.NOW)
    full = make.record(rollout=make.rollout(weight=0, verdict=verdict), rejected=many)
    filed = _decide(full).record.rejected
    assert (len(filed), filed[-1].revision) == (REJECTIONS, make.V7)
