from dataclasses import replace
from typing import Any

import pytest
from tests.unit.api.builders import CANARY, FINDING, NOON, ROLLING, ROLLOUT, STABLE

from tidegate.api.record import decode, restore
from tidegate.api.report import render_failure, render_status
from tidegate.core.guards import Verdict
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Past, Record, Rejection
from tidegate.core.report import Report


def _status(report: Report = ROLLING, **more: Any) -> dict[str, Any]:
    return render_status(report, **({"previous": None, "now": NOON + 100} | more))


def test_a_rollout_is_shown_with_what_people_ask_for() -> None:
    status = _status()

    assert status["rollout"] == {
        "revision": CANARY.name,
        "version": "7",
        "attempt": 2,
        "step": 2,
        "steps": 4,
        "weight": 25,
        "started": "2023-11-15T12:00:00Z",
        "since": "2023-11-15T12:01:01Z",
        "verdict": {
            "reason": "GuardBreached",
            "message": "8.1% errors (34 of 420) over the limit of 1%",
            "rejects": True,
            "time": "2023-11-15T12:01:30Z",
        },
        "findings": [
            {
                "guard": "errorRate.max",
                "mode": "Enforce",
                "verdict": "Breach",
                "weight": 5,
                "value": "8.095%",
                "limit": "1%",
                "bad": 34,
                "samples": 420,
                "message": "8.1% errors (34 of 420) over the limit of 1%",
            }
        ],
    }
    assert status["stable"] == {"revision": STABLE.name, "version": "6", "model": "Betrug (neu)"}
    assert status["weights"] == [
        {"revision": STABLE.name, "weight": 75},
        {"revision": CANARY.name, "weight": 25},
    ]
    columns = ("version", "canary", "weight", "phase", "observedGeneration")
    assert tuple(status[name] for name in columns) == ("6", "7", 25, "Progressing", 3)


def test_what_is_not_there_is_left_out() -> None:
    nothing = replace(ROLLING, record=Record(), weights=None, findings=(), conditions=())

    assert _status(nothing) == {"observedGeneration": 3, "phase": "Progressing", "conditions": [], "record": '{"v":2}'}


def test_weights_of_nothing_confirmed_differ_from_weights_not_confirmed() -> None:
    assert _status(replace(ROLLING, weights={}))["weights"] == []
    assert "weights" not in _status(replace(ROLLING, weights=None))


def test_a_finding_without_numbers_has_none() -> None:
    silent = replace(FINDING, value=None, limit=None, verdict=Verdict.UNDECIDED)
    finding = _status(replace(ROLLING, findings=(silent,)))["rollout"]["findings"][0]

    assert "value" not in finding
    assert "limit" not in finding


def test_what_ended_is_told_newest_last_and_bounded() -> None:
    ended = {"revision": CANARY, "reason": Reason.GUARD_BREACHED, "message": "8.1% errors"}
    record = Record(
        stable=STABLE,
        rejected=tuple(Rejection(attempt=n, at=NOON, **ended) for n in range(1, 61)),
        parked=(Parking(attempt=1, at=NOON, tries=1, retry_at=NOON + 60, **ended),),
        history=(Past(attempt=1, started=NOON, ended=NOON + 30, **ended),),
    )

    status = _status(replace(ROLLING, record=record))

    assert [entry["attempt"] for entry in status["rejected"]] == list(range(11, 61))
    assert status["parked"][0]["retryAt"] == "2023-11-15T12:01:00Z"
    assert status["history"][0]["ended"] == "2023-11-15T12:00:30Z"


def test_a_message_is_cut_where_the_api_server_would_refuse_it() -> None:
    record = replace(ROLLING.record, rollout=replace(ROLLOUT, verdict=replace(ROLLOUT.verdict, message="x" * 5000)))
    message = _status(replace(ROLLING, record=record))["rollout"]["verdict"]["message"]

    assert len(message) == 1024
    assert message.endswith("x…")


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    before = _status()
    told = (replace(ROLLING.conditions[0], message="version 7 at 50%"), replace(ROLLING.conditions[1], status=True))

    after = _status(replace(ROLLING, conditions=told, generation=4), previous=before, now=NOON + 200)

    ready, accepted = after["conditions"]
    assert ready["lastTransitionTime"] == before["conditions"][0]["lastTransitionTime"] == "2023-11-15T12:01:40Z"
    assert (ready["message"], ready["observedGeneration"]) == ("version 7 at 50%", 4)
    assert (accepted["status"], accepted["lastTransitionTime"]) == ("True", "2023-11-15T12:03:20Z")


def test_the_same_report_later_is_the_same_status() -> None:
    before = _status(judge={"looks": 3})

    assert _status(previous=before, now=NOON + 9999, judge={"looks": 3}) == before


def test_status_carries_the_record_for_a_lost_route() -> None:
    status = _status()

    assert decode(status["record"]) == ROLLING.record
    assert restore(status).weights() == {STABLE.name: 100, CANARY.name: 0}


def test_the_judge_s_state_is_kept_as_it_is() -> None:
    state = {"guards": {"errorRate.max=0.01": [0.5, -1.25]}, "looks": 17}

    assert _status(judge=state)["judge"] == state


@pytest.mark.parametrize("previous", [None, {}, {"observedGeneration": -1}])
def test_a_spec_that_was_never_right_is_told_as_stalled(previous: dict[str, Any] | None) -> None:
    status = render_failure(previous, generation=1, reason=Reason.INVALID_SPEC, message="spec.model: no", now=NOON)

    assert status["observedGeneration"] == 1
    assert status["phase"] == "Stalled"
    assert {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]} == {
        "Ready": ("False", "InvalidSpec"),
        "Reconciling": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    }
    assert status["conditions"][0]["message"] == "spec.model: no"


def test_a_spec_that_went_wrong_leaves_what_is_known_of_serving() -> None:
    before = _status(judge={"looks": 3})

    status = render_failure(before, generation=4, reason=Reason.INVALID_SPEC, message="spec.model: no", now=NOON + 200)

    told = {condition["type"]: condition for condition in status["conditions"]}
    assert told["RouteAccepted"] == before["conditions"][1]
    assert told["Ready"]["lastTransitionTime"] == before["conditions"][0]["lastTransitionTime"]
    kept = ("stable", "rollout", "weights", "version", "canary", "record", "judge")
    assert {name: status[name] for name in kept} == {name: before[name] for name in kept}
    assert status["observedGeneration"] == 4


def test_weights_that_somebody_else_wrote_are_shown_as_the_shares_that_they_are() -> None:
    edited = {STABLE.name: 750, CANARY.name: 250, "x" * 64: 0}
    shown = {entry["revision"]: entry["weight"] for entry in _status(replace(ROLLING, weights=edited))["weights"]}
    assert shown == {STABLE.name: 75, CANARY.name: 25}


def test_a_route_with_more_backends_than_a_rule_may_have_is_shown_in_part() -> None:
    assert len(_status(replace(ROLLING, weights={f"r{number}": 1 for number in range(40)}))["weights"]) == 16
