"""What people and programs get to read."""

from datetime import UTC, datetime

from tests.unit.plugin.objects import body, ended, rollout, verdict

from tidegate.core.reasons import MEANING, Reason
from tidegate.plugin import view

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
FINDING = {
    "guard": "errorRate.max",
    "mode": "Enforce",
    "verdict": "Healthy",
    "message": "0.3% of 420, limit 1%",
}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_a_rollout_is_told_with_attempt_step_weight_and_findings() -> None:
    holding = condition("Ready", "False", "Holding", "25% is held for 300s")
    text = "\n".join(view.detail(body(rollout=rollout(findings=[FINDING]), conditions=[holding]), NOW))
    assert "version 6 of fraud-detector" in text
    assert "version 7, attempt 2 (7/2): step 2 of 4, 25% of the traffic, 1h" in text
    assert "errorRate.max Healthy: 0.3% of 420, limit 1%" in text
    assert "False, Holding: 25% is held for 300s" in text
    assert MEANING[Reason.HOLDING] in text


def test_only_conditions_that_are_not_as_they_should_be_are_told() -> None:
    told = [
        condition("Ready", "True", "UpToDate", "version 6 serves all requests"),
        condition("Stalled", "False", "UpToDate"),
        condition("Available", "False", "NoEndpoints", "no ready endpoint: fraud-v6"),
        condition("RouteAccepted", "Unknown", "RouteNotConfirmed", "not yet"),
    ]
    text = "\n".join(view.detail(body(conditions=told), NOW))
    assert "Stalled" not in text
    assert "False, NoEndpoints" in text
    assert "Unknown, RouteNotConfirmed" in text


def test_a_verdict_a_pause_and_what_failed_are_told() -> None:
    status = {"rollout": rollout(verdict=verdict()), "rejected": [ended("5")], "paused": True}
    parked = [ended("8", retryAt="2026-11-21T13:00:00Z")]
    text = "\n".join(view.detail(body(**status, parked=parked), NOW))
    assert "goes back  GuardBreached: 8% errors" in text
    assert "by spec.paused" in text
    assert "5/1 GuardBreached" in text
    assert "again at 2026-11-21T13:00:00Z" in text


def test_an_annotation_that_names_another_attempt_is_said_to_do_nothing() -> None:
    wrong = {"abort": "7/1", "promote": "6", "pause": "7/2", "retry": "5/1"}
    text = "\n".join(view.detail(body(rollout=rollout(), rejected=[ended("5")], annotations=wrong), NOW))
    assert "the annotation abort=7/1, promote=6: it names no attempt that it could act upon" in text
    assert "ignored" not in "\n".join(view.detail(body(rollout=rollout()), NOW))


def test_a_spec_that_nobody_has_looked_at_is_said() -> None:
    assert any("is it running?" in line for line in view.detail(body(observedGeneration=2), NOW))


def test_an_object_without_a_status_can_be_shown() -> None:
    fresh = {key: value for key, value in body().items() if key != "status"}
    assert view.detail(fresh, NOW)[0] == "ml/fraud  Unknown"
    assert "Unknown" in view.table([fresh], NOW, everywhere=True)[1]
    assert view.data(fresh)["status"] == {}
    assert view.line(fresh, NOW) == "12:00:00 ml/fraud Unknown"


def test_a_table_has_one_line_for_each_and_namespaces_where_there_are_several() -> None:
    rolling = body(rollout=rollout(), canary="7", weight=25, phase="Progressing")
    header, line = view.table([rolling], NOW, everywhere=False)
    assert header.split() == ["NAME", "VERSION", "CANARY", "WEIGHT", "PHASE", "READY", "AGE", "MESSAGE"]
    assert line.split() == ["fraud", "6", "7", "25%", "Progressing", "Unknown", "1d"]
    assert view.table([rolling], NOW, everywhere=True)[1].startswith("ml ")


def test_a_weight_of_nought_is_not_no_weight() -> None:
    assert " 0% " in view.table([body(weight=0)], NOW, everywhere=False)[1]


def test_history_begins_with_the_newest() -> None:
    past = [
        {**ended("6"), "reason": "Promoted", "started": "2026-11-21T09:00:00Z", "ended": "2026-11-21T09:20:05Z"},
        {**ended("7"), "started": "2026-11-21T10:00:00Z", "ended": "2026-11-21T10:00:45Z"},
    ]
    lines = view.history(body(history=past))
    assert [line.split()[0] for line in lines] == ["ATTEMPT", "7/1", "6/1"]
    assert "45s" in lines[1]
    assert "20m5s" in lines[2]


def test_programs_get_the_status_without_what_tidegate_keeps_for_itself() -> None:
    told = view.data(body(rollout=rollout(), record="{}", judge={}, annotations={"pause": "7/2"}))
    assert set(told["status"]) == {"observedGeneration", "phase", "version", "stable", "rollout"}
    assert (told["pausedBy"], told["annotations"]) == (["annotation"], {"pause": "7/2"})


def test_a_line_tells_a_change() -> None:
    ready = condition("Ready", "False", "Holding", "25% is held for 300s")
    assert view.line(body(rollout=rollout(), phase="Progressing", conditions=[ready]), NOW) == (
        "12:00:00 ml/fraud Progressing serves 6 7/2 25% Holding: 25% is held for 300s"
    )


def test_what_a_pod_says_does_nothing_to_a_terminal() -> None:
    evil = condition("Ready", "False", "Crashed", "\x1b]0;owned\x07\x1b[2Jbye\r\n")
    for lines in (
        view.detail(body(conditions=[evil]), NOW),
        view.table([body(conditions=[evil])], NOW, everywhere=True),
    ):
        assert all(line.isprintable() for line in lines)
    assert view.line(body(conditions=[evil]), NOW).isprintable()
