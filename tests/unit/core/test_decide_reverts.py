"""What takes a canary off traffic: at once, in one write, whatever else is broken."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.causes import LONGEST
from tidegate.core.decide import decide
from tidegate.core.observed import Exit, Obstacle
from tidegate.core.reasons import Reason
from tidegate.core.record import Handled, Leaving, Parking, Proven, Record, Rejection, Retiring, Stopwatch, Verdict
from tidegate.core.revert import lowers, reverted
from tidegate.core.values import Revision

BREACH = Obstacle(reason=Reason.GUARD_BREACHED, message="8.1% errors (34 of 420) over the limit of 1%")
SILENCE = Obstacle(reason=Reason.UNREACHABLE, message="the canary counted no request while stable counted 420")
AT_5 = make.record()
AT_0 = make.record(rollout=make.starting())
BAKE = make.record(rollout=make.rollout(weight=100))


def _pods(**by_version: Any) -> dict[str, Any]:
    return dict(make.EVERYBODY) | {make.revision(name[1:]).name: facts for name, facts in by_version.items()}


def _exit(**fields: Any) -> Exit:
    return replace(Exit(pod="canary-0", container="model", code=3, message="boom"), **fields)


def _parked_before(reason: Reason, revision: Revision = make.V7, *, tries: int = 2) -> Record:
    """So many attempts before failed, the last of them so."""
    entry = Parking(revision=revision, attempt=0, reason=reason, message="so", at=0, tries=tries, retry_at=60)
    return replace(AT_5, parked=(entry,))


def _late(record: Record, spent: float) -> Record:
    assert record.rollout is not None
    return replace(record, rollout=replace(record.rollout, deadline=Stopwatch(since=make.NOW - spent)))


SILENT: dict[str, Any] = {"evidence": make.judgement(AT_5, breach=SILENCE)}
CAUSES: dict[str, tuple[Record, dict[str, Any], Reason, bool]] = {
    "an alert rejects": (AT_5, {"alerts": make.told(make.alert())}, Reason.ALERT_FIRING, True),
    "an alert in the bake rejects": (BAKE, {"alerts": make.told(make.alert())}, Reason.ALERT_FIRING, True),
    "a guard's breach rejects": (AT_5, {"evidence": make.judgement(AT_5, breach=BREACH)}, Reason.GUARD_BREACHED, True),
    "silence parks": (AT_5, SILENT, Reason.UNREACHABLE, False),
    "silence after another failure parks": (_parked_before(Reason.ENDPOINTS_LOST), SILENT, Reason.UNREACHABLE, False),
    "silence after silence parks": (_parked_before(Reason.UNREACHABLE, tries=1), SILENT, Reason.UNREACHABLE, False),
    "silence for the third time rejects": (_parked_before(Reason.UNREACHABLE), SILENT, Reason.UNREACHABLE, True),
    "silence after that of another revision parks": (
        _parked_before(Reason.UNREACHABLE, make.V8),
        SILENT,
        Reason.UNREACHABLE,
        False,
    ),
    "an exit outweighs silence": (
        AT_5,
        {"evidence": make.judgement(AT_5, breach=SILENCE), "revisions": _pods(v7=make.pods(2, exits=(_exit(),)))},
        Reason.CRASHED,
        True,
    ),
    "a breach in the bake rejects": (
        BAKE,
        {"evidence": make.judgement(BAKE, breach=BREACH)},
        Reason.GUARD_BREACHED,
        True,
    ),
    "a breach told of an earlier weight rejects": (
        BAKE,
        {"evidence": make.judgement(BAKE, weight=50, breach=BREACH)},
        Reason.GUARD_BREACHED,
        True,
    ),
    "a canary that exited rejects": (
        AT_5,
        {"revisions": _pods(v7=make.pods(2, exits=(_exit(),)))},
        Reason.CRASHED,
        True,
    ),
    "a canary that was restarted rejects": (
        AT_5,
        {"revisions": _pods(v7=make.pods(restarts={"canary-0": 1}))},
        Reason.CRASHED,
        True,
    ),
    "a canary that lost its endpoints without an exit parks": (
        AT_5,
        {"revisions": _pods(v7=make.pods(0))},
        Reason.ENDPOINTS_LOST,
        False,
    ),
    "an abort rejects": (AT_5, {"actions": {"abort": "7/1"}}, Reason.ABORTED, True),
    "an abort outweighs lost endpoints": (
        AT_5,
        {"actions": {"abort": "7/1"}, "revisions": _pods(v7=make.pods(0))},
        Reason.ABORTED,
        True,
    ),
    "an abort before the first weight rejects": (AT_0, {"actions": {"abort": "7/1"}}, Reason.ABORTED, True),
    "a pointer that was moved back parks": (AT_5, {"wanted": make.version(6)}, Reason.WITHDRAWN, False),
    "a third version parks the second": (AT_5, {"wanted": make.version(8)}, Reason.SUPERSEDED, False),
    "a third version in the bake parks the second": (BAKE, {"wanted": make.version(8)}, Reason.SUPERSEDED, False),
    "a rollout past its deadline parks": (_late(AT_5, 86_400), {}, Reason.DEADLINE_EXCEEDED, False),
    "a revision that never got ready parks": (
        _late(AT_0, 900),
        {"revisions": _pods(v7=make.pods(0))},
        Reason.PROGRESS_DEADLINE_EXCEEDED,
        False,
    ),
    "a revision that never got ready names its obstacle": (
        _late(AT_0, 900),
        {
            "revisions": _pods(
                v7=make.pods(0, obstacle=Obstacle(reason=Reason.IMAGE_PULL_FAILED, message="no such image"))
            )
        },
        Reason.IMAGE_PULL_FAILED,
        False,
    ),
}

TROUBLES: dict[str, dict[str, Any]] = {
    "with everything else in order": {},
    "while the registry is down": {"wanted": make.unavailable()},
    "while the route is unconfirmed": {"route": {"confirmed": False}},
    "while the route is refused": {"route": {"confirmed": False, "refusal": "no such listener"}},
    "while stable is short of pods": {"stable": make.pods(1)},
    "while paused": {"paused": True},
    "while an older object claims the route": {"taken_by": "ml/older"},
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_takes_all_weight_in_one_decision(name: str, trouble: str) -> None:
    record, fields, reason, rejects = CAUSES[name]
    harm = dict(TROUBLES[trouble])
    if "wanted" in fields:
        harm.pop("wanted", None)
    fields = dict(fields) | {"route": make.route(record, **harm.pop("route", {}))}
    if "stable" in harm:
        fields["revisions"] = dict(fields.get("revisions", make.EVERYBODY)) | {make.V6.name: harm.pop("stable")}
    plan = make.plan(paused=harm.pop("paused", False))

    decision = decide(plan, record, make.seen(record, **fields | harm))

    rollout = decision.record.rollout
    assert rollout is not None
    assert rollout.verdict is not None
    assert (rollout.weight, rollout.verdict.reason, rollout.verdict.rejects) == (0, reason, rejects)
    assert decision.record.weights()[make.V6.name] == 100
    assert lowers(record, decision.record)


HARMLESS: dict[str, tuple[Record, dict[str, Any]]] = {
    "a breach of an earlier attempt": (AT_5, {"evidence": make.judgement(AT_5, attempt=2, breach=BREACH)}),
    "a breach of another canary": (AT_5, {"evidence": make.judgement(AT_5, canary="other", breach=BREACH)}),
    "a restart from before the first weight": (
        make.record(rollout=make.rollout(restarts=(("canary-0", 2),))),
        {"revisions": _pods(v7=make.pods(restarts={"canary-0": 2}, exits=(_exit(current=False),)))},
    ),
    "a restart before any weight": (AT_0, {"revisions": _pods(v7=make.pods(restarts={"canary-0": 2}))}),
    "a sidecar that ended": (AT_5, {"revisions": _pods(v7=make.pods(exits=(_exit(container="sidecar"),)))}),
    "missing pods before any weight": (AT_0, {"revisions": _pods(v7=make.pods(0))}),
    "an abort that names another attempt": (AT_5, {"actions": {"abort": "7/2"}}),
    "an abort that was handled": (
        make.record(handled=(Handled(action="abort", value="7/1"),)),
        {"actions": {"abort": "7/1"}},
    ),
    "a registry that does not answer": (AT_5, {"wanted": make.unavailable()}),
    "no evidence": (AT_5, {"evidence": make.unavailable("EvidenceMissing")}),
    "a router that forgot": (AT_5, {"route": make.route(AT_5, confirmed=False)}),
    "an upgraded operator": (AT_5, {"preset": "preset-2"}),
    "a stable without endpoints": (AT_5, {"revisions": _pods(v6=make.pods(0))}),
    "a ready version whose router is silent for longer than progressDeadline": (
        _late(AT_0, 1000),
        {"route": make.route(AT_0, confirmed=False)},
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_no_revert_for(name: str) -> None:
    record, fields = HARMLESS[name]
    rollout = decide(make.plan(), record, make.seen(record, **fields)).record.rollout
    assert rollout is not None
    assert rollout.verdict is None


def test_a_first_version_has_nothing_to_go_back_to_and_knows_no_deadline() -> None:
    record = _late(make.record(stable=None, rollout=make.starting()), 90_000)
    unconfirmed = make.seen(record, route=make.route(record, confirmed=False))
    decision = decide(make.plan(), record, unconfirmed)
    assert decision.record == record
    assert decision.reason is Reason.ROUTE_NOT_ACCEPTED


def test_the_message_of_a_crash_names_pod_code_and_last_words() -> None:
    seen = make.seen(AT_5, revisions=_pods(v7=make.pods(2, exits=(_exit(),))))
    decision = decide(make.plan(), AT_5, seen)
    assert decision.message == "pod canary-0 exited with code 3 while the version had traffic: boom"


def test_a_crash_without_last_words_says_that_it_was_restarted() -> None:
    seen = make.seen(AT_5, revisions=_pods(v7=make.pods(2, restarts={"canary-1": 1})))
    assert decide(make.plan(), AT_5, seen).message == "pod canary-1 was restarted while the version had traffic"


def test_a_long_cause_is_cut_to_what_an_annotation_holds() -> None:
    flood = Obstacle(reason=Reason.GUARD_BREACHED, message="x" * 10_000)
    decision = decide(make.plan(), AT_5, make.seen(AT_5, evidence=make.judgement(AT_5, breach=flood)))
    assert len(decision.message) == LONGEST


def test_a_verdict_from_elsewhere_is_cut_as_well() -> None:
    verdict = Verdict(reason=Reason.INVALID_SPEC, message="x" * 10_000, rejects=False, at=make.NOW)
    rollout = reverted(AT_5, verdict, stable_endpoints=1, canary_endpoints=1).rollout
    assert rollout is not None
    assert rollout.verdict is not None
    assert len(rollout.verdict.message) == LONGEST


def _ended(*, rejects: bool = True, weight: int = 0, **fields: Any) -> Record:
    reason = fields.pop("reason", Reason.GUARD_BREACHED if rejects else Reason.ENDPOINTS_LOST)
    verdict = Verdict(reason=reason, message="it was so", rejects=rejects, at=make.NOW - 1)
    return make.record(rollout=make.rollout(weight=weight, verdict=verdict, **fields))


def test_without_a_stable_endpoint_the_verdict_is_written_and_the_weights_follow_the_endpoint() -> None:
    bad = {"evidence": make.judgement(AT_5, breach=BREACH), "revisions": _pods(v6=make.pods(0))}
    first = decide(make.plan(), AT_5, make.seen(AT_5, **bad))
    assert first.record.weights() == {make.V6.name: 95, make.V7.name: 5}
    assert lowers(AT_5, first.record)

    waiting = decide(make.plan(), first.record, make.seen(first.record, revisions=_pods(v6=make.pods(0))))
    assert (waiting.record, waiting.reason) == (first.record, Reason.NO_ENDPOINTS)

    back = decide(make.plan(), first.record, make.seen(first.record, revisions=_pods(v6=make.pods(1))))
    assert back.record.weights() == {make.V6.name: 100, make.V7.name: 0}


def test_with_nobody_alive_the_weights_go_to_stable() -> None:
    seen = make.seen(AT_5, revisions=_pods(v6=make.pods(0), v7=make.pods(0)))
    assert decide(make.plan(), AT_5, seen).record.weights()[make.V6.name] == 100


def test_an_abort_without_a_stable_endpoint_is_written_once() -> None:
    harm = {"actions": {"abort": "7/1"}, "revisions": _pods(v6=make.pods(0))}
    first = decide(make.plan(), AT_5, make.seen(AT_5, **harm)).record
    assert decide(make.plan(), first, make.seen(first, **harm)).record == first
    assert first.handled == (Handled(action="abort", value="7/1"),)


def test_an_abort_turns_a_verdict_that_parks_into_one_that_rejects() -> None:
    record = _ended(rejects=False)
    decision = decide(make.plan(), record, make.seen(record, actions={"abort": "7/1"}))
    assert decision.record.rollout is not None
    assert decision.record.rollout.verdict is not None
    assert decision.record.rollout.verdict.reason is Reason.ABORTED


def test_an_exit_that_is_told_of_after_the_lost_endpoints_rejects() -> None:
    record = _ended(rejects=False)
    seen = make.seen(record, revisions=_pods(v7=make.pods(0, exits=(_exit(),))))
    decision = decide(make.plan(), record, seen)
    assert decision.reason is Reason.CRASHED


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"revisions": _pods(v7=make.pods(2, exits=(_exit(),)))}, Reason.CRASHED),
        ({"evidence": make.judgement(AT_5, breach=BREACH)}, Reason.GUARD_BREACHED),
    ],
    ids=["exit", "breach"],
)
def test_what_is_told_after_silence_rejects(fields: dict[str, Any], reason: Reason) -> None:
    record = _ended(rejects=False, reason=Reason.UNREACHABLE)
    assert decide(make.plan(), record, make.seen(record, **fields)).reason is reason


def test_an_exit_after_a_withdrawal_is_nobodys_fault() -> None:
    record = _ended(rejects=False, reason=Reason.WITHDRAWN)
    seen = make.seen(record, revisions=_pods(v7=make.pods(0, exits=(_exit(),))))
    assert [entry.reason for entry in decide(make.plan(), record, seen).record.parked] == [Reason.WITHDRAWN]


def test_a_rejection_is_filed_once_the_router_has_confirmed_weight_zero() -> None:
    record = replace(_ended(), proven=(Proven(revision=make.V7, at=make.NOW),))
    before = decide(make.plan(), record, make.seen(record, route=make.route(record, confirmed=False)))
    assert (before.record, before.reason) == (record, Reason.WAITING_FOR_ROUTE)
    assert before.requeue == pytest.approx(29)

    filed = decide(make.plan(), record, make.seen(record)).record
    assert filed.rollout is None
    assert filed.retiring == (Retiring(revision=make.V7),)
    assert [(entry.revision, entry.attempt) for entry in filed.rejected] == [(make.V7, 1)]
    assert [entry.reason for entry in filed.history] == [Reason.GUARD_BREACHED]
    assert filed.proven == ()


def test_a_router_that_never_confirms_a_revert_is_said_to_stall() -> None:
    record = _ended()
    seen = make.seen(record, now=make.NOW + 40, route=make.route(record, confirmed=False))
    decision = decide(make.plan(), record, seen)
    assert (decision.reason, decision.stalled) == (Reason.ROUTE_NOT_ACCEPTED, True)


def test_what_never_had_weight_is_filed_without_the_routers_word() -> None:
    record = _ended(rejects=False, reason=Reason.SUPERSEDED, canary_since=None)
    decision = decide(make.plan(), record, make.seen(record, route=make.route(record, confirmed=False)))
    assert decision.record.rollout is None


@pytest.mark.parametrize(
    ("reason", "before", "tries", "wait"),
    [
        (Reason.ENDPOINTS_LOST, 0, 1, 60),
        (Reason.ENDPOINTS_LOST, 1, 2, 120),
        (Reason.ENDPOINTS_LOST, 5, 6, 1920),
        (Reason.ENDPOINTS_LOST, 9, 10, 3600),
        (Reason.WITHDRAWN, 2, 2, 0),
        (Reason.SUPERSEDED, 0, 0, 0),
        (Reason.INVALID_SPEC, 1, 1, 0),
    ],
)
def test_a_parked_version_backs_off_from_a_minute_to_an_hour_unless_it_did_nothing(
    reason: Reason, before: int, tries: int, wait: float
) -> None:
    old = Parking(revision=make.V7, attempt=1, reason=reason, message="", at=0, tries=before, retry_at=0)
    other = replace(old, revision=make.V8)
    record = replace(_ended(rejects=False, reason=reason), parked=(other, old))
    parked = decide(make.plan(), record, make.seen(record)).record.parked
    assert [(p.revision, p.tries, p.retry_at) for p in parked[1:]] == [(make.V7, tries, make.NOW + wait)]
    assert parked[0] == other


def test_a_rejection_takes_the_place_of_what_was_filed_of_the_same_work() -> None:
    parked = Parking(revision=make.V7, attempt=1, reason=Reason.WITHDRAWN, message="", at=0, tries=1, retry_at=0)
    rejected = Rejection(revision=make.V8, attempt=1, reason=Reason.ABORTED, message="", at=0)
    record = replace(_ended(), parked=(parked,), rejected=(rejected,))
    filed = decide(make.plan(), record, make.seen(record)).record
    assert [entry.revision for entry in filed.rejected] == [make.V8, make.V7]
    assert filed.parked == ()


def test_a_lost_route_is_made_anew_with_everything_on_stable_and_the_steps_from_the_first() -> None:
    decision = decide(make.plan(), AT_5, make.seen(AT_5, route=None))
    assert decision.reason is Reason.ROUTE_MISSING
    assert decision.record.weights() == {make.V6.name: 100, make.V7.name: 0}
    assert decision.record.rollout is not None
    assert decision.record.rollout.hold is None


def test_a_route_that_is_somebody_elses_is_left_alone_whatever_happens() -> None:
    seen = make.seen(AT_5, route=None, taken_by="ml/older", evidence=make.judgement(AT_5, breach=BREACH))
    decision = decide(make.plan(), AT_5, seen)
    assert (decision.record, decision.reason, decision.stalled) == (AT_5, Reason.ROUTE_TAKEN, True)


def test_a_record_without_a_rollout_has_nothing_to_revert() -> None:
    verdict = Verdict(reason=Reason.ABORTED, message="", rejects=True, at=0)
    assert reverted(make.idle(), verdict, stable_endpoints=1, canary_endpoints=1) == make.idle()


@pytest.mark.parametrize(
    ("before", "after", "lowered"),
    [
        (make.idle(), AT_5, False),
        (AT_5, make.idle(), True),
        (AT_0, make.idle(), False),
        (BAKE, make.idle(stable=make.V7), False),
        (AT_5, BAKE, False),
        (BAKE, AT_5, True),
        (AT_0, _ended(), True),
        (_ended(), _ended(), False),
    ],
)
def test_lowering_is_told_from_everything_else(before: Record, after: Record, lowered: bool) -> None:
    assert lowers(before, after) is lowered


def test_draining_goes_on_after_a_revert() -> None:
    record = make.idle(retiring=(Retiring(revision=make.V7, stage=Leaving.DRAINING),))
    seen = make.seen(record, wanted=make.version(6))
    assert decide(make.plan(), record, seen).record.retiring[0].since == make.NOW
