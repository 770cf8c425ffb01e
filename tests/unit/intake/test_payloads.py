"""What senders say is read whole or refused by name; nothing that they can write makes anything else of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.alerts import LONGEST_NAME, LONGEST_SUMMARY, describe
from tidegate.intake.payloads import MOST_ALERTS, Message, UnreadableAlertsError, alertmanager, plain

NOW = 1_763_740_800.0  # 2025-11-21T16:00:00Z
MINE = {"namespace": "ml", "modeldeployment": "fraud"}


def webhook(*alerts: dict[str, Any], **fields: Any) -> bytes:
    """As Alertmanager 0.28 writes it."""
    whole = {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "tidegate",
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": MINE,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    }
    return json.dumps(whole | fields).encode()


def one(**fields: Any) -> dict[str, Any]:
    alert = {
        "status": "firing",
        "labels": {"alertname": "HighErrorRate", **MINE},
        "annotations": {"summary": "8% errors"},
        "startsAt": "2025-11-21T15:59:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "c3f5d0a1b2c3d4e5",
    }
    return {key: value for key, value in (alert | fields).items() if value is not ...}


def test_a_webhook_of_alertmanager_is_read() -> None:
    (message,) = alertmanager(webhook(one()), NOW)

    assert message.firing
    assert message.labels == {"alertname": "HighErrorRate", **MINE}
    alert = message.alert
    assert (alert.fingerprint, alert.name, alert.summary) == ("c3f5d0a1b2c3d4e5", "HighErrorRate", "8% errors")
    assert (round(alert.since - NOW, 3), alert.until) == (-59.877, None)


def test_a_resolved_alert_has_no_end_to_come() -> None:
    (message,) = alertmanager(webhook(one(status="resolved", endsAt="2030-01-01T00:00:00Z")), NOW)

    assert not message.firing
    assert message.alert.until is None


def test_an_end_that_the_sender_gives_is_kept() -> None:
    (message,) = alertmanager(webhook(one(endsAt="2025-11-21T17:30:00+01:00")), NOW)

    assert message.alert.until == NOW + 1800


def test_the_plain_form_needs_a_name_and_labels() -> None:
    (message,) = plain(json.dumps({"name": "Checkout", "labels": MINE}).encode(), NOW)

    assert message.firing
    assert message.labels == {"alertname": "Checkout", **MINE}
    assert (message.alert.name, message.alert.since, message.alert.summary) == ("Checkout", NOW, "")


def test_an_alert_without_a_fingerprint_gets_the_same_one_for_the_same_labels() -> None:
    back = dict(reversed(MINE.items()))
    first, same, other = (
        alertmanager(webhook(one(fingerprint=..., labels=labels)), NOW)[0].alert.fingerprint
        for labels in (MINE, back, {**MINE, "severity": "page"})
    )

    assert first == same != other


def test_texts_are_cut_to_one_line_that_a_terminal_only_shows() -> None:
    labels = {**MINE, "alertname": "n" * 1000}
    (message,) = alertmanager(webhook(one(labels=labels, annotations={"summary": "a\x1b[31m\n\tb" + "c" * 1000})), NOW)

    assert len(message.alert.name) == LONGEST_NAME
    assert len(message.alert.summary) == LONGEST_SUMMARY
    assert message.alert.summary.startswith("a [31m bccc")


WRONG: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"alert!", "body"),
    "nothing": (b"", "body"),
    "a list": (b"[]", "body"),
    "another version": (webhook(version="5"), "body.version"),
    "no alerts": (b'{"version": "4"}', "body.alerts"),
    "too many alerts": (webhook(*[one()] * (MOST_ALERTS + 1)), "body.alerts"),
    "an unknown status": (webhook(one(), one(status="flapping")), r"body.alerts\[1\].status"),
    "a label that is no text": (webhook(one(labels={"namespace": 7})), r"body.alerts\[0\].labels.namespace"),
    "no beginning": (webhook(one(startsAt=...)), r"body.alerts\[0\].startsAt"),
    "a beginning without a zone": (webhook(one(startsAt="2025-11-21T15:59:00")), "startsAt: must have a time zone"),
    "a beginning that is a number": (webhook(one(startsAt=1763740800)), "startsAt"),
    "a day that is none": (webhook(one(startsAt="2025-02-30T00:00:00Z")), "startsAt: must be a time"),
    "a time before all times": (webhook(one(startsAt="0001-01-01T00:00:00+23:59")), "startsAt: must be a time"),
    "a time after all times": (webhook(one(endsAt="9999-12-31T23:59:59-12:00")), "endsAt: must be a time"),
    "a fingerprint with a comma": (webhook(one(fingerprint="a,b")), "fingerprint"),
    "a nest without an end": (b'{"alerts":' + b"[" * 100_000, "body"),
    "half a character": (b'{"version": "4", "alerts": [], "x": "\\ud800"}', "body"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_with_the_place_is(name: str) -> None:
    body, said = WRONG[name]
    with pytest.raises(UnreadableAlertsError, match=said):
        alertmanager(body, NOW)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({"name": "x"}, "body.labels", id="no labels"),
        pytest.param({"labels": MINE}, "body.name", id="no name"),
        pytest.param({"name": "x", "labels": MINE, "starts_at": "now"}, "body.starts_at", id="a field of another name"),
    ],
)
def test_a_plain_alert_is_refused_for(body: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableAlertsError, match=said):
        plain(json.dumps(body).encode(), NOW)


def test_of_many_faults_the_first_five_are_named() -> None:
    with pytest.raises(UnreadableAlertsError) as raised:
        alertmanager(webhook(*[one(status="x")] * 9), NOW)

    assert str(raised.value).count("body.alerts[") == 5
    assert str(raised.value).endswith("(and 4 more)")


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_moments = st.sampled_from(
    ["2025-11-21T15:59:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2025-11-21", "", "x"]
)
_alerts = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved", "x"]), "labels": st.just(MINE) | _json, "startsAt": _moments},
    optional={"endsAt": _moments, "annotations": _json, "fingerprint": st.text(max_size=70), "extra": _json},
)
_bodies = st.one_of(
    st.binary(max_size=300),
    _json.map(lambda value: json.dumps(value).encode()),
    st.lists(_alerts | _json, max_size=4).map(lambda alerts: json.dumps({"version": "4", "alerts": alerts}).encode()),
)


@given(_bodies)
def test_whatever_is_sent_is_read_within_bounds_or_refused(body: bytes) -> None:
    for read in (alertmanager, plain):
        for message in _read(read, body):
            alert = message.alert
            assert 0 < len(alert.fingerprint) <= LONGEST_NAME
            assert 0 < len(alert.name) <= LONGEST_NAME
            assert len(alert.summary) <= LONGEST_SUMMARY
            assert alert.since > 0
            assert alert.until is None or (alert.until > 0 and message.firing)
            assert alert.name.isprintable()
            assert alert.summary.isprintable()
            assert describe(alert)


def _read(read: Callable[[bytes, float], list[Message]], body: bytes) -> list[Message]:
    try:
        return read(body, NOW)
    except UnreadableAlertsError:
        return []
