"""Whatever is sent: no crash, and no write that it does not justify."""

import asyncio
import json
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from tests.property.damage import fuzzed
from tests.unit.core import builders as make
from tests.unit.intake.test_alerts import MINE, TOKEN, Site

from tidegate.core.record import Record

CLOCKS = 5.0
_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_moments = st.sampled_from(
    ["2001-01-01T00:00:00Z", "2100-01-01T00:00:00.5+05:30", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday"]
)
_labels = st.one_of(
    st.just(MINE),
    st.just({**MINE, "modeldeployment": "other"}),
    st.fixed_dictionaries({"namespace": st.just("ml")}, optional={"modeldeployment": st.text(max_size=5)}),
    _json,
)
_alerts = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "firing", "resolved", "x"]), "labels": _labels, "startsAt": _moments},
    optional={
        "endsAt": _moments,
        "annotations": st.dictionaries(st.sampled_from(["summary", "x"]), st.text(max_size=20)),
        "fingerprint": st.sampled_from(["a1", "b2", "c,3"]),
    },
)
_webhooks = st.lists(_alerts | _json, max_size=4).map(lambda alerts: {"version": "4", "alerts": alerts})
_plain = st.fixed_dictionaries({"name": st.text(max_size=9), "labels": _labels}, optional={"startsAt": _moments})
_bodies = st.binary(max_size=200) | (_webhooks | _plain | _json).map(lambda value: json.dumps(value).encode())


def said(body: bytes, path: str) -> list[dict[str, Any]]:
    """The alerts of a body about our object, read the plain way."""
    whole = json.loads(body)
    return [alert for alert in (whole["alerts"] if path.endswith("manager") else [whole]) if about_us(alert["labels"])]


def about_us(labels: dict[str, str]) -> bool:
    return {key: labels.get(key) for key in MINE} == MINE


def began(alert: dict[str, Any], now: float) -> float:
    since = datetime.fromisoformat(alert["startsAt"]).timestamp() if "startsAt" in alert else now
    return since if since > 0 else now


def justified(before: Record, after: Record, alerts: list[dict[str, Any]], now: float) -> None:
    """What changed, changed on account of an alert that was told."""
    assert before.rollout is not None
    assert after.rollout is not None
    assert replace(after, alerts=(), rollout=None) == replace(before, alerts=(), rollout=None)
    assert replace(after.rollout, weight=5, verdict=None) == before.rollout
    firing = [alert for alert in alerts if alert.get("status", "firing") == "firing"]
    young = [alert for alert in firing if began(alert, now) >= (before.rollout.canary_since or now) - CLOCKS]
    assert len(after.alerts) <= len(firing)
    if after.rollout.weight != 5:
        assert young
        assert (after.rollout.weight, after.rollout.verdict is not None) == (0, True)


async def post(body: bytes, path: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "token"
        tokens.write_text(TOKEN)
        site = Site(tokens)
        await site.open()
        now = site.operator.clock.now()
        before = make.record(rollout=make.rollout(canary_since=now - 60, started=now - 90))
        site.serve("fraud", before)
        try:
            status, answer, _ = await site.post(body, path=path)
            assert status in {200, 400}, answer
            if status == 400:
                assert site.record() == before
            else:
                justified(before, site.record(), said(body, path), site.operator.clock.now())
        finally:
            await site.close()


@given(_bodies, st.sampled_from(["/alerts", "/alerts/alertmanager"]))
@fuzzed(40)
def test_nothing_that_is_sent_writes_more_than_it_says(body: bytes, path: str) -> None:
    asyncio.run(post(body, path))
