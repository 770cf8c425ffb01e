"""What the verbs write: the attempt that is seen, and nothing where it would do nothing."""

from datetime import UTC, datetime

import pytest
from tests.unit.plugin.objects import body, ended, rollout, verdict

from tidegate.core.labels import ACTIONS, DISMISS
from tidegate.plugin.actions import intent, paused_by
from tidegate.plugin.cli import ACTIONS as VERBS
from tidegate.plugin.failures import Declined, Usage
from tidegate.plugin.view import detail

ROLLING = body(rollout=rollout())


@pytest.mark.parametrize("action", ["abort", "promote", "pause"])
def test_an_action_names_the_attempt_under_way(action: str) -> None:
    wish = intent(action, ROLLING)
    assert (wish.key, wish.value, wish.needed) == (f"tidegate.dev/{action}", "7/2", True)
    assert "version 7" in wish.message


@pytest.mark.parametrize("action", ["abort", "promote", "pause"])
def test_without_a_rollout_there_is_nothing_to_do(action: str) -> None:
    with pytest.raises(Declined, match=f"there is nothing to {action}"):
        intent(action, body())


@pytest.mark.parametrize("action", ["abort", "promote", "pause"])
def test_another_attempt_than_the_one_under_way_is_declined_with_its_name(action: str) -> None:
    with pytest.raises(Declined, match="7/2 is under way"):
        intent(action, ROLLING, "7/1")


@pytest.mark.parametrize("action", ["abort", "promote", "pause", "retry", "resume"])
@pytest.mark.parametrize("attempt", ["7", "7/", "0/1", "v7/1", "7/0", "7/1 ", ""])
def test_an_attempt_that_is_none_is_refused(action: str, attempt: str) -> None:
    with pytest.raises(Usage, match="as in 7/2"):
        intent(action, ROLLING, attempt)


@pytest.mark.parametrize("action", ["abort", "promote", "pause"])
def test_what_was_asked_for_already_is_not_written_again(action: str) -> None:
    assert not intent(action, body(rollout=rollout(), annotations={action: "7/2"})).needed


@pytest.mark.parametrize("action", ["abort", "promote", "pause"])
def test_an_annotation_of_an_earlier_attempt_is_written_over(action: str) -> None:
    assert intent(action, body(rollout=rollout(), annotations={action: "7/1"})).needed


@pytest.mark.parametrize("action", ["abort", "promote", "pause"])
def test_a_version_that_goes_back_is_let_go(action: str) -> None:
    with pytest.raises(Declined, match="8% errors"):
        intent(action, body(rollout=rollout(verdict=verdict())))


def test_a_version_that_is_only_parked_on_its_way_back_can_be_rejected() -> None:
    assert intent("abort", body(rollout=rollout(verdict=verdict(rejects=False)))).value == "7/2"


def test_a_parked_version_can_be_rejected_and_the_newest_is_meant() -> None:
    parked = [ended("5", retryAt="2026-11-21T13:00:00Z"), ended("7", 3, retryAt="2026-11-21T13:00:00Z")]
    assert intent("abort", body(parked=parked)).value == "7/3"
    assert intent("abort", body(parked=parked), "5/1").value == "5/1"


def test_promote_says_that_a_pause_comes_first() -> None:
    wish = intent("promote", body(rollout=rollout(), paused=True, annotations={"pause": "7/2"}))
    assert "after the pause (spec.paused and annotation) is over" in wish.message


def test_retry_means_what_failed_last() -> None:
    rejected = [ended("5", time="2026-11-21T12:00:00Z"), ended("7")]
    assert intent("retry", body(rejected=rejected)).value == "5/1"
    assert intent("retry", body(rejected=rejected, parked=[ended("8", 4, time="2026-11-21T13:00:00Z")])).value == "8/4"
    assert intent("retry", body(rejected=rejected), "7/1").value == "7/1"


def test_retry_of_what_did_not_fail_names_what_did() -> None:
    with pytest.raises(Declined, match=r"nothing to retry in 9/1: 7/1 could be"):
        intent("retry", body(rejected=[ended()]), "9/1")
    with pytest.raises(Declined, match="there is nothing to retry"):
        intent("retry", body())


def test_retry_says_that_a_rollout_under_way_comes_first() -> None:
    assert "after the rollout of version 7" in intent("retry", body(rejected=[ended("5")], rollout=rollout())).message


def test_pause_without_a_rollout_names_what_keeps_a_new_one_from_starting() -> None:
    with pytest.raises(Declined, match=r"set spec\.paused in the manifest"):
        intent("pause", body())


def test_resume_takes_the_annotation_away() -> None:
    wish = intent("resume", body(rollout=rollout(), annotations={"pause": "7/2"}))
    assert (wish.key, wish.value, wish.needed) == ("tidegate.dev/pause", None, True)


def test_resume_of_what_no_annotation_pauses_writes_nothing() -> None:
    assert not intent("resume", ROLLING).needed


@pytest.mark.parametrize("annotations", [{}, {"pause": "7/2"}])
def test_resume_says_so_where_the_manifest_pauses(annotations: dict[str, str]) -> None:
    with pytest.raises(Declined, match=r"spec\.paused pauses it, which belongs to the manifest"):
        intent("resume", body(rollout=rollout(), paused=True, annotations=annotations))


def test_resume_of_another_attempt_is_declined() -> None:
    with pytest.raises(Declined, match="names 7/2, not 7/1"):
        intent("resume", body(rollout=rollout(), annotations={"pause": "7/2"}), "7/1")


def test_a_leftover_annotation_pauses_nothing() -> None:
    assert paused_by(body(rollout=rollout(), annotations={"pause": "7/1"})) == ()
    assert paused_by(body(annotations={"pause": "7/2"})) == ()


def test_an_object_that_nobody_has_looked_at_has_nothing_under_way() -> None:
    fresh = {"metadata": body()["metadata"], "spec": {}}
    with pytest.raises(Declined):
        intent("abort", fresh)


def test_every_action_that_the_operator_knows_has_a_verb() -> None:
    assert set(ACTIONS) <= set(VERBS)


ALERTS = [
    {"id": "a1@1763740740", "name": "HighErrorRate", "since": "2025-11-21T15:59:00Z", "summary": "8% errors"},
    {"id": "b2@1763740741", "name": "Down", "since": "2025-11-21T15:59:01Z"},
]


def test_all_alerts_are_dismissed_or_the_one_that_is_named() -> None:
    held = body(rollout=rollout(), alerts=ALERTS)
    wish = intent(DISMISS, held)
    assert (wish.key, wish.value) == ("tidegate.dev/dismiss", "a1@1763740740,b2@1763740741")
    assert "HighErrorRate, Down" in wish.message
    assert intent(DISMISS, held, "b2@1763740741").value == "b2@1763740741"


@pytest.mark.parametrize(
    ("alerts", "alert", "said"),
    [
        ([], None, "no alert fires"),
        ([], "a1@1", "no alert a1@1 fires"),
        (ALERTS, "a1@1", "there are a1@1763740740, b2"),
    ],
)
def test_an_alert_that_does_not_fire_is_not_dismissed(
    alerts: list[dict[str, str]], alert: str | None, said: str
) -> None:
    with pytest.raises(Declined, match=said):
        intent(DISMISS, body(alerts=alerts), alert)


def test_alerts_are_shown_with_what_dismisses_them() -> None:
    lines = detail(body(alerts=ALERTS), datetime(2025, 11, 21, 16, tzinfo=UTC))
    assert any("HighErrorRate since 2025-11-21T15:59:00Z: 8% errors (a1@1763740740)" in line for line in lines)
