"""What the verbs write, made from a status that the operator rendered, is what the operator acts upon."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.adapters.audit import render
from tidegate.api.acts import journal_of
from tidegate.api.promotion import render_promotion
from tidegate.api.report import render_status
from tidegate.core.audit import event_of, untold
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.journal import entered
from tidegate.core.promotion import Outcome, Standing
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Record, Rejection
from tidegate.core.report import report
from tidegate.plugin import view
from tidegate.plugin.actions import intent, paused_by

FAILED = {"revision": make.V7, "attempt": 2, "reason": Reason.GUARD_BREACHED, "message": "8% errors", "at": make.NOW}


def body(record: Record) -> dict[str, Any]:
    """The object as the API server has it after the operator looked at it."""
    seen = make.seen(record)
    status = render_status(report(make.plan(), decide(make.plan(), record, seen), seen), previous=None, now=make.NOW)
    meta = {"namespace": "ml", "name": "fraud", "uid": "u-1", "generation": 3}
    return {"metadata": meta | {"creationTimestamp": "2026-11-20T12:00:00Z"}, "spec": {}, "status": status}


def answered(record: Record, verb: str) -> Decision:
    """The operator's decision after a person used a verb."""
    wish = intent(verb, body(record))
    assert wish.value is not None
    return decide(make.plan(), record, make.seen(record, actions={wish.action: wish.value}))


def test_abort_takes_the_canary_off() -> None:
    rollout = answered(make.record(), "abort").record.rollout
    assert rollout is not None
    assert rollout.weight == 0
    assert rollout.verdict is not None
    assert rollout.verdict.reason is Reason.ABORTED


def test_promote_skips_the_holds() -> None:
    rollout = answered(make.record(), "promote").record.rollout
    assert rollout is not None
    assert rollout.unheld


def test_pause_stops_the_clocks_and_is_seen_as_a_pause() -> None:
    record = make.record()
    assert answered(record, "pause").reason is Reason.PAUSED
    held = body(record)
    wish = intent("pause", held)
    held["metadata"]["annotations"] = {wish.key: wish.value}
    assert paused_by(held) == ("annotation",)


def test_acts_are_told_in_the_words_of_the_audit_trail() -> None:
    before = make.record(rollout=make.rollout(raised=make.NOW - 401))
    decided = decide(make.plan(), before, make.seen(before))
    record = entered(make.plan().ref, before, decided, now=make.NOW, pinned=False).record
    (act,) = view.acts(body(record))
    (entry,) = record.journal
    event = render(event_of("ModelDeployment", make.plan().ref, entry))
    assert {**act, "time": ""} == {name: event[name] for name in act} | {"time": ""}
    assert view.trail(body(record))[1].split()[2:6] == ["step", "7", "5%", "25%"]


@pytest.mark.parametrize("version", ["7", None])
def test_acts_on_a_promotion_are_told_in_the_same_words(version: str | None) -> None:
    meta = {"name": "p", "namespace": "ml", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec = {"requestedBy": "ann", "model": "fraud", "from": "Staging", "to": "Production"}
    asked = {"kind": "ModelPromotion", "metadata": meta, "spec": spec | ({"version": version} if version else {})}
    outcome = Outcome(standing=Standing.REFUSED, reason=Reason.PATH_NOT_ALLOWED, message="no such path")
    asked["status"] = render_promotion(asked, outcome, (), begun=None, now=make.NOW)
    events = [render(event) for event in untold(journal_of(asked), 0)]
    acts = view.acts(asked)[::-1]
    assert [{**act, "time": ""} for act in acts] == [{**{k: e[k] for k in acts[0]}, "time": ""} for e in events]
    assert [act["act"] for act in acts] == ["requested", "refused"]


@pytest.mark.parametrize("record", ["", "{", "[]", "null", '{"v": 99}'])
def test_of_a_record_that_nobody_can_read_no_acts_are_told(record: str) -> None:
    told = body(make.record())
    told["status"]["record"] = record
    assert view.acts(told) == []


@pytest.mark.parametrize("kind", ["rejected", "parked"])
def test_retry_tries_again_what_failed(kind: str) -> None:
    entry = Rejection(**FAILED) if kind == "rejected" else Parking(**FAILED, tries=1, retry_at=make.NOW + 60)
    decision = answered(make.idle(**{kind: (entry,)}), "retry")
    assert (decision.reason, getattr(decision.record, kind)) == (Reason.STARTING, ())


def test_abort_of_a_parked_version_rejects_it() -> None:
    entry = Parking(**FAILED, tries=1, retry_at=make.NOW + 60)
    decision = answered(make.idle(parked=(entry,)), "abort")
    assert decision.record.parked == ()
    assert [found.revision for found in decision.record.rejected] == [make.V7]


def test_what_was_done_is_not_done_again() -> None:
    record = make.record()
    done = answered(record, "promote").record
    value = intent("promote", body(record)).value
    assert value is not None
    again = decide(make.plan(), done, make.seen(done, actions={"promote": value}))
    assert again.record.handled == done.handled


def test_a_status_of_the_operators_can_be_shown_in_every_form() -> None:
    entry = Parking(**{**FAILED, "revision": make.V8}, tries=1, retry_at=make.NOW + 60)
    record = replace(make.record(), parked=(entry,))
    now = view.datetime.fromtimestamp(make.NOW, view.UTC)
    text = "\n".join(view.detail(body(record), now))
    assert "version 7, attempt 1 (7/1): step 2 of 4, 25% of the traffic" in text
    assert "8/2 GuardBreached" in text
    assert len(view.table([body(record)], now, everywhere=True)) == 2
    assert "7/1 25%" in view.line(body(record), now)
