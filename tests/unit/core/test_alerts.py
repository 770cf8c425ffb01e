"""Alerts: those about the canary end it, all others hold raises until somebody says that they are over."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.alerts import MOST, PATIENCE, identity, missing
from tidegate.core.decide import TELLING, decide
from tidegate.core.decision import Decision
from tidegate.core.guards import Mode
from tidegate.core.observed import Alerts
from tidegate.core.plan import AlertGuard, Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Handled, Record, Stopwatch

AT_0 = make.record(rollout=make.starting(hold=Stopwatch(since=make.NOW - 1)))
AT_5 = make.record()
FIRST_WEIGHT = make.NOW - 401
OLD = make.alert(since=FIRST_WEIGHT - 5.1)
OBSERVING = make.plan(alerts=AlertGuard(mode=Mode.OBSERVE))


def _decided(record: Record, plan: Plan | None = None, **fields: Any) -> Decision:
    return decide(plan or make.plan(), record, make.seen(record, **fields))


def test_an_alert_about_the_canary_takes_its_weight_and_is_noted_in_one_write() -> None:
    decision = _decided(AT_5, alerts=make.told(make.alert()))

    rollout = decision.record.rollout
    assert rollout is not None
    assert rollout.verdict is not None
    assert (rollout.weight, rollout.verdict.rejects) == (0, True)
    assert decision.record.alerts == (make.alert(),)
    assert rollout.verdict.message == "alert HighErrorRate (since 1970-01-12T13:45:40Z): 8% errors"


def test_an_alert_that_began_five_seconds_before_the_first_weight_may_be_one_of_the_canary() -> None:
    decision = _decided(AT_5, alerts=make.told(make.alert(since=FIRST_WEIGHT - 5)))

    assert decision.reason is Reason.ALERT_FIRING


HOLDS: dict[str, tuple[Record, dict[str, Any]]] = {
    "one that is older than the first weight": (AT_5, {"alerts": make.told(OLD)}),
    "one before the first weight": (AT_0, {"alerts": make.told(make.alert())}),
    "one while nothing rolls out": (make.idle(), {"alerts": make.told(make.alert())}),
    "one while the registry is down": (
        make.idle(),
        {"alerts": make.told(make.alert()), "wanted": make.unavailable()},
    ),
}


@pytest.mark.parametrize("name", HOLDS)
def test_noted_without_a_change_of_weights_is(name: str) -> None:
    record, fields = HOLDS[name]
    decision = _decided(record, **fields)

    assert decision.reason is Reason.ALERT_NOTED
    assert decision.record == replace(record, alerts=fields["alerts"].firing)


NOTHING: dict[str, tuple[Record, Alerts]] = {
    "a repeated one": (replace(AT_5, alerts=(make.alert(),)), make.told(make.alert())),
    "one whose sender's clock moved by seconds": (
        replace(AT_5, alerts=(make.alert(),)),
        make.told(make.alert(since=make.NOW - 55)),
    ),
    "a resolved one that nobody knew": (AT_5, make.told(resolved=(make.alert(),))),
    "a resolved one of an earlier time": (
        replace(AT_5, alerts=(make.alert(),)),
        make.told(resolved=(make.alert(since=make.NOW - 66),)),
    ),
    "one whose time is over": (AT_5, make.told(make.alert(until=make.NOW))),
    "one that a person dismissed": (
        replace(AT_5, handled=(Handled(action="dismiss", value=identity(make.alert())),)),
        make.told(make.alert()),
    ),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_lowered_or_noted_on_account_of(name: str) -> None:
    record, told = NOTHING[name]
    decision = _decided(record, alerts=told, evidence=make.unavailable("EvidenceMissing"))

    assert decision.record == record


def test_an_alert_that_began_again_is_news() -> None:
    record = replace(AT_5, alerts=(OLD,))
    decision = _decided(record, alerts=make.told(make.alert()))

    assert decision.reason is Reason.ALERT_FIRING
    assert decision.record.alerts == (make.alert(),)


def test_a_later_end_of_a_known_alert_is_noted_and_an_earlier_one_is_not() -> None:
    known = make.alert(until=make.NOW + 60)
    record = make.idle(alerts=(known,))
    longer, endless, shorter = (make.alert(until=until) for until in (make.NOW + 90, None, make.NOW + 30))

    assert _decided(record, alerts=make.told(longer)).record.alerts == (longer,)
    assert _decided(record, alerts=make.told(endless)).record.alerts == (endless,)
    assert not missing(record, shorter)
    assert not missing(make.idle(alerts=(endless,)), shorter)


def test_what_fires_in_the_same_breath_as_it_is_resolved_fires() -> None:
    record = make.idle(alerts=(make.alert(),))
    decision = _decided(record, alerts=make.told(make.alert(), resolved=(make.alert(),)))

    assert decision.record.alerts == record.alerts


def test_an_alert_does_not_change_a_verdict_that_is_there() -> None:
    parked = _decided(AT_5, wanted=make.version(6)).record
    decision = _decided(parked, alerts=make.told(make.alert()), wanted=make.version(6))

    assert parked.rollout is not None
    assert decision.record.rollout == parked.rollout
    assert decision.record.alerts == (make.alert(),)


def test_the_traffic_of_an_ended_rollout_and_an_alert_go_into_one_write() -> None:
    lost = {make.V6.name: make.pods(0), make.V7.name: make.pods()}
    ended = _decided(AT_5, alerts=make.told(make.alert()), revisions=lost).record
    other = make.alert(fingerprint="b2")
    decision = _decided(ended, alerts=make.told(other))

    assert ended.rollout is not None
    assert ended.rollout.weight == 5
    assert decision.record.rollout is not None
    assert decision.record.rollout.weight == 0
    assert decision.record.alerts == (make.alert(), other)


ENDS: dict[str, tuple[Alert, dict[str, Any]]] = {
    "resolved or over": (make.alert(), {"alerts": make.told(resolved=(make.alert(since=make.NOW - 65),))}),
    "HighErrorRate: resolved or over": (make.alert(until=make.NOW), {}),
    "dismissed by annotation": (make.alert(), {"actions": {"dismiss": f"x@1, {identity(make.alert())}"}}),
}


@pytest.mark.parametrize("told", ENDS)
def test_an_alert_ends_when_it_is(told: str) -> None:
    alert, fields = ENDS[told]
    decision = _decided(make.idle(alerts=(alert,)), **fields)

    assert (decision.reason, decision.record.alerts) == (Reason.ALERT_RESOLVED, ())
    assert told in decision.message


def test_a_dismissed_alert_stays_so_when_it_is_told_again_and_its_next_occurrence_does_not() -> None:
    asked = {"actions": {"dismiss": identity(make.alert())}}
    record = _decided(make.idle(alerts=(make.alert(),)), **asked).record
    again = make.alert(since=make.NOW)

    assert record.handled == (Handled(action="dismiss", value="a1@999940"),)
    assert _decided(record, alerts=make.told(make.alert()), **asked).record.alerts == ()
    assert _decided(record, alerts=make.told(again), **asked).record.alerts == (again,)


def test_an_alert_that_is_told_of_and_dismissed_at_once_is_not_kept() -> None:
    decision = _decided(make.idle(), alerts=make.told(make.alert()), actions={"dismiss": identity(make.alert())})

    assert decision.record.alerts == ()


def test_the_sender_s_time_for_an_alert_wakes_the_machine() -> None:
    assert _decided(make.idle(alerts=(make.alert(until=make.NOW + 7),)), wanted=make.version(6)).requeue == 7


def test_more_alerts_than_there_is_room_for_are_not_taken_and_still_revert() -> None:
    crowd = tuple(make.alert(fingerprint=str(n), since=OLD.since) for n in range(MOST))
    decision = _decided(replace(AT_5, alerts=crowd), alerts=make.told(make.alert()))

    assert decision.reason is Reason.ALERT_FIRING
    assert decision.record.alerts == crowd
    assert missing(decision.record, make.alert())


def test_a_hold_of_an_hour_is_a_person_s_business_and_names_the_way_out() -> None:
    record = replace(AT_5, alerts=(make.alert(since=make.NOW - PATIENCE), make.alert(fingerprint="b2", since=0.0)))
    decision = _decided(record)

    assert (decision.reason, decision.stalled) == (Reason.HELD_BY_ALERT, True)
    assert "and 1 more" in decision.message
    assert "tidegate.dev/dismiss" in decision.message


@pytest.mark.parametrize("direct", [{"direct": True}, {"direct": True, "unheld": True}])
def test_an_alert_never_holds_the_way_back_or_what_a_person_promotes(direct: dict[str, bool]) -> None:
    record = replace(AT_5, rollout=make.rollout(**direct), alerts=(make.alert(),))

    assert _decided(record).reason is Reason.ADVANCING


def test_what_is_only_observed_is_noted_and_neither_reverts_nor_holds() -> None:
    noted = _decided(AT_5, OBSERVING, alerts=make.told(make.alert()))

    assert noted.reason is Reason.ALERT_NOTED
    assert "observes" in noted.message
    assert noted.record == replace(AT_5, alerts=(make.alert(),))
    assert _decided(noted.record, OBSERVING).reason is Reason.ADVANCING


TOLD: dict[str, tuple[Record, Alerts, Reason]] = {
    "what is about the canary": (AT_5, make.told(make.alert()), Reason.ALERT_FIRING),
    "what is older": (AT_5, make.told(OLD), Reason.ALERT_NOTED),
    "what comes while nothing rolls out": (make.idle(), make.told(make.alert()), Reason.ALERT_NOTED),
    "what is known": (replace(AT_5, alerts=(OLD,)), make.told(OLD), Reason.ALERT_NOTED),
}


@pytest.mark.parametrize("name", TOLD)
def test_a_replica_that_does_not_lead_does_what_is_to_be_done_about_alerts_and_nothing_else(name: str) -> None:
    record, told, reason = TOLD[name]
    # Its caches may lag: what looks like a canary without endpoints is none of its business here.
    seen = make.seen(record, alerts=told, revisions={make.V6.name: make.pods()}, wanted=make.version(8))
    decision = decide(make.plan(), record, seen, rules=TELLING)

    assert decision.reason is reason
    assert decision.record.alerts == told.firing
    if reason is Reason.ALERT_NOTED:
        assert decision.record.rollout == record.rollout


def test_a_first_version_is_not_held_as_there_is_nothing_else_to_serve() -> None:
    record = make.record(stable=None, rollout=make.starting(), alerts=(make.alert(),))

    assert _decided(record).reason is Reason.PROMOTED
