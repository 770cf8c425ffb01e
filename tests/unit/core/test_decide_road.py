"""The road of a good version, and everything that makes it wait."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core import advance, entry
from tidegate.core.decide import RULES, decide
from tidegate.core.decision import Situation
from tidegate.core.observed import Obstacle
from tidegate.core.plan import Plan, Step
from tidegate.core.reasons import Reason
from tidegate.core.record import Handled, Proven, Record, Retiring, Stopwatch

AT_0 = make.record(rollout=make.starting(hold=Stopwatch(since=make.NOW - 1)))
UNSETTLED = make.record(rollout=make.starting())
AT_5 = make.record()
FRESH_5 = make.record(rollout=make.rollout(hold=None, raised=make.NOW - 1))
HELD_5 = make.record(rollout=make.rollout(hold=Stopwatch(since=make.NOW - 100)))
BAKED = make.record(rollout=make.rollout(weight=100))
FIRST = make.record(stable=None, rollout=make.starting())
DIRECT = make.record(rollout=make.starting(hold=Stopwatch(since=make.NOW - 1), direct=True))
FAST = make.record(rollout=make.rollout(direct=True, unheld=True))
OLD_STEPS = make.record(rollout=make.rollout(weight=30))


def _pods(**by_version: Any) -> dict[str, Any]:
    return dict(make.EVERYBODY) | {make.revision(name[1:]).name: facts for name, facts in by_version.items()}


RAISES: dict[str, tuple[Record, dict[str, Any], int]] = {
    "the first weight once the pods have settled": (AT_0, {}, 5),
    "the first weight with the one pod that it needs": (AT_0, {"revisions": _pods(v7=make.pods(1))}, 5),
    "the next weight after hold and evidence": (AT_5, {}, 25),
    "the next weight of steps that were edited since": (OLD_STEPS, {}, 50),
    "a proven version straight to 100": (DIRECT, {}, 100),
    "a promoted one straight to 100 without hold and evidence": (
        make.record(rollout=make.rollout(direct=True, unheld=True, hold=Stopwatch(since=make.NOW))),
        {"evidence": make.unavailable("EvidenceMissing")},
        100,
    ),
    "a promoted one while stable has no endpoint": (FAST, {"revisions": _pods(v6=make.pods(0))}, 100),
}


@pytest.mark.parametrize("name", RAISES)
def test_raised_is(name: str) -> None:
    record, fields, weight = RAISES[name]
    decision = decide(make.plan(), record, make.seen(record, **fields))
    rollout = decision.record.rollout
    assert rollout is not None
    assert record.rollout is not None
    assert (rollout.weight, rollout.hold, rollout.raised) == (weight, None, make.NOW)
    assert decision.reason is Reason.ADVANCING
    assert rollout.canary_since == (record.rollout.canary_since or make.NOW)


def test_restarts_from_before_the_first_weight_are_noted_with_it_and_not_later() -> None:
    revisions = _pods(v7=make.pods(restarts={"b": 2, "a": 1}))
    first = decide(make.plan(), AT_0, make.seen(AT_0, revisions=revisions)).record.rollout
    assert first is not None
    assert first.restarts == (("a", 1), ("b", 2))


WAITS: dict[str, tuple[Record, dict[str, Any], Reason, float | None]] = {
    "an alert that is older than the first weight": (
        make.record(alerts=(make.alert(),)),
        {},
        Reason.HELD_BY_ALERT,
        3_540,
    ),
    "an alert before the first weight": (
        replace(AT_0, alerts=(make.alert(until=make.NOW + 20),)),
        {},
        Reason.HELD_BY_ALERT,
        20,
    ),
    "an alert at the end of the bake": (
        replace(BAKED, alerts=(make.alert(),)),
        {},
        Reason.HELD_BY_ALERT,
        3_540,
    ),
    "pods that the next weight needs": (
        make.record(rollout=make.rollout(weight=25)),
        {"revisions": _pods(v7=make.pods(1))},
        Reason.WAITING_FOR_PODS,
        85_900,
    ),
    "a full canary before the old one may go": (
        BAKED,
        {"revisions": _pods(v7=make.pods(2))},
        Reason.WAITING_FOR_PODS,
        85_900,
    ),
    "all pods of a proven version": (
        make.record(rollout=make.starting(direct=True)),
        {"revisions": _pods(v7=make.pods(2))},
        Reason.WAITING_FOR_PODS,
        400,
    ),
    "a moment after the pods got ready": (
        make.record(rollout=make.starting(hold=Stopwatch(since=make.NOW - 0.25))),
        {},
        Reason.WAITING_FOR_ROUTE,
        0.25,
    ),
    "a router that has not confirmed weight 0": (
        make.record(rollout=make.starting(started=make.NOW - 10)),
        {"route": make.route(UNSETTLED, confirmed=False)},
        Reason.WAITING_FOR_ROUTE,
        20,
    ),
    "a router that has not confirmed a raise": (
        FRESH_5,
        {"route": make.route(FRESH_5, confirmed=False)},
        Reason.WAITING_FOR_ROUTE,
        29,
    ),
    "a router that shows other weights": (
        AT_5,
        {"route": make.route(AT_5, weights={make.V6.name: 70, make.V7.name: 30})},
        Reason.WAITING_FOR_ROUTE,
        85_900,
    ),
    "a route that is missing": (UNSETTLED, {"route": None}, Reason.ROUTE_NOT_ACCEPTED, 400),
    "a router that refuses": (
        FRESH_5,
        {"route": make.route(FRESH_5, confirmed=False, refusal="no such listener")},
        Reason.ROUTE_NOT_ACCEPTED,
        85_900,
    ),
    "the hold": (HELD_5, {}, Reason.HOLDING, 200),
    "the hold of steps that were edited to start higher": (
        make.record(rollout=make.rollout(weight=3, hold=Stopwatch(since=make.NOW - 100))),
        {},
        Reason.HOLDING,
        200,
    ),
    "evidence": (AT_5, {"evidence": make.unavailable("EvidenceMissing")}, Reason.EVIDENCE_MISSING, 85_900),
    "evidence of all sources": (
        AT_5,
        {"evidence": make.judgement(AT_5, missing="contour: no answer")},
        Reason.EVIDENCE_MISSING,
        85_900,
    ),
    "fresh evidence": (AT_5, {"evidence": make.judgement(AT_5, fresh=False)}, Reason.EVIDENCE_MISSING, 85_900),
    "evidence at the present weight": (
        AT_5,
        {"evidence": make.judgement(AT_5, weight=0)},
        Reason.EVIDENCE_MISSING,
        85_900,
    ),
    "evidence of this attempt": (AT_5, {"evidence": make.judgement(AT_5, attempt=9)}, Reason.EVIDENCE_MISSING, 85_900),
    "a stable that is over the limit itself": (
        AT_5,
        {"evidence": make.judgement(AT_5, held="stable has 3%")},
        Reason.GATHERING_EVIDENCE,
        85_900,
    ),
    "a suspicion": (AT_5, {"evidence": make.judgement(AT_5, suspected=True)}, Reason.SUSPECTED, 85_900),
    "requests enough": (AT_5, {"evidence": make.judgement(AT_5, healthy=False)}, Reason.GATHERING_EVIDENCE, 85_900),
    "guards that have seen anything": (
        AT_5,
        {"evidence": make.judgement(AT_5, healthy=False, findings=())},
        Reason.GATHERING_EVIDENCE,
        85_900,
    ),
    "stable's endpoints": (AT_5, {"revisions": _pods(v6=make.pods(0))}, Reason.NO_ENDPOINTS, 85_900),
    "a registry that answers": (AT_5, {"wanted": make.unavailable()}, Reason.REGISTRY_UNREACHABLE, 85_900),
    "an older object to let go of the route": (AT_5, {"taken_by": "ml/older"}, Reason.ROUTE_TAKEN, 85_900),
    "evidence in the bake": (
        BAKED,
        {"evidence": make.unavailable("EvidenceMissing")},
        Reason.EVIDENCE_MISSING,
        85_900,
    ),
}


@pytest.mark.parametrize("name", WAITS)
def test_nothing_moves_without(name: str) -> None:
    record, fields, reason, requeue = WAITS[name]
    decision = decide(make.plan(), record, make.seen(record, **fields))
    assert (decision.record, decision.reason) == (record, reason)
    assert decision.requeue == (None if requeue is None else pytest.approx(requeue))


def test_what_the_pods_wait_for_is_said() -> None:
    facts = make.pods(0, obstacle=Obstacle(reason=Reason.UNSCHEDULABLE, message="0/1 nodes are available"))
    decision = decide(make.plan(), UNSETTLED, make.seen(UNSETTLED, revisions=_pods(v7=facts)))
    assert decision.message == f"0 of 1 pods of {make.V7.name} ready: 0/1 nodes are available"


def test_a_route_that_was_never_confirmed_stalls_after_a_while_but_not_one_that_was() -> None:
    never = make.record(rollout=make.rollout(hold=None, raised=make.NOW - 31))
    stalled = decide(make.plan(), never, make.seen(never, route=make.route(never, confirmed=False)))
    assert (stalled.reason, stalled.stalled) == (Reason.ROUTE_NOT_ACCEPTED, True)
    waiting = decide(make.plan(), AT_5, make.seen(AT_5, route=make.route(AT_5, confirmed=False)))
    assert (waiting.reason, waiting.stalled) == (Reason.WAITING_FOR_ROUTE, False)


def test_settling_starts_when_pods_and_route_are_there_and_starts_again_when_pods_went() -> None:
    started = decide(make.plan(), UNSETTLED, make.seen(UNSETTLED)).record.rollout
    assert started is not None
    assert started.hold == Stopwatch(since=make.NOW)
    gone = make.seen(AT_0, revisions=_pods(v7=make.pods(0)))
    stopped = decide(make.plan(), AT_0, gone).record.rollout
    assert stopped is not None
    assert stopped.hold is None


def test_the_clock_of_a_step_starts_with_the_routers_word() -> None:
    decision = decide(make.plan(), FRESH_5, make.seen(FRESH_5))
    assert decision.record.rollout is not None
    assert decision.record.rollout.hold == Stopwatch(since=make.NOW)


def test_after_the_bake_the_canary_is_stable_and_the_old_one_retires_with_its_window_open() -> None:
    record = replace(BAKED, proven=(Proven(revision=make.V6, at=5.0),))
    decision = decide(make.plan(), record, make.seen(record))
    assert decision.reason is Reason.PROMOTED
    assert (decision.record.stable, decision.record.rollout) == (make.V7, None)
    assert decision.record.retiring == (Retiring(revision=make.V6),)
    assert decision.record.weights() == {make.V7.name: 100, make.V6.name: 0}
    assert {p.revision: p.at for p in decision.record.proven} == {make.V6: make.NOW, make.V7: make.NOW}
    assert decision.record.history[-1].reason is Reason.PROMOTED


def test_a_promotion_is_done_without_stables_endpoints() -> None:
    seen = make.seen(BAKED, revisions=_pods(v6=make.pods(0)))
    assert decide(make.plan(), BAKED, seen).record.stable == make.V7


FIRST_WAITS: dict[str, tuple[dict[str, Any], Reason]] = {
    "all pods": ({"revisions": _pods(v7=make.pods(2))}, Reason.WAITING_FOR_PODS),
    "the router": ({"route": make.route(FIRST, confirmed=False)}, Reason.ROUTE_NOT_ACCEPTED),
    "the registry": ({"wanted": make.unavailable()}, Reason.REGISTRY_UNREACHABLE),
}


@pytest.mark.parametrize("name", FIRST_WAITS)
def test_a_first_version_waits_for(name: str) -> None:
    fields, reason = FIRST_WAITS[name]
    decision = decide(make.plan(), FIRST, make.seen(FIRST, **fields))
    assert (decision.record, decision.reason) == (FIRST, reason)


def test_a_first_version_goes_to_100_once_ready_also_while_paused() -> None:
    decision = decide(make.plan(paused=True), FIRST, make.seen(FIRST))
    assert decision.record.weights() == {make.V7.name: 100}
    assert decision.record.retiring == ()


def _paused(record: Record, plan: Plan | None = None, **fields: Any) -> Any:
    return decide(plan or make.plan(paused=True), record, make.seen(record, **fields))


def test_a_pause_stops_both_clocks_and_a_resume_lets_them_run_on() -> None:
    stopped = _paused(HELD_5)
    assert stopped.reason is Reason.PAUSED
    standing = stopped.record.rollout
    assert (standing.hold, standing.deadline) == (Stopwatch(spent=100.0), Stopwatch(spent=500.0))

    asleep = _paused(stopped.record, now=make.NOW + 90_000)
    assert (asleep.record, asleep.requeue) == (stopped.record, None)

    later = make.NOW + 90_000
    resumed = decide(make.plan(), stopped.record, make.seen(stopped.record, now=later)).record.rollout
    assert resumed is not None
    assert resumed.hold == Stopwatch(spent=100.0, since=later)
    assert resumed.deadline == Stopwatch(spent=500.0, since=later)


def test_a_pause_by_annotation_holds_this_attempt_and_no_other() -> None:
    named = decide(make.plan(), AT_5, make.seen(AT_5, actions={"pause": "7/1"}))
    assert named.reason is Reason.PAUSED
    other = decide(make.plan(), AT_5, make.seen(AT_5, actions={"pause": "7/2"}))
    assert other.reason is Reason.ADVANCING


def test_a_pause_before_the_router_confirmed_has_no_hold_to_stop() -> None:
    standing = _paused(FRESH_5).record
    assert standing.rollout.hold is None
    resumed = decide(make.plan(), standing, make.seen(standing)).record.rollout
    assert resumed is not None
    assert resumed.hold is None
    assert resumed.deadline.since == make.NOW


def test_promote_skips_what_is_left_once_and_is_remembered() -> None:
    decision = decide(make.plan(), HELD_5, make.seen(HELD_5, actions={"promote": "7/1"}))
    rollout = decision.record.rollout
    assert rollout is not None
    assert (rollout.direct, rollout.unheld, rollout.weight) == (True, True, 5)
    assert decision.record.handled == (Handled(action="promote", value="7/1"),)
    again = decide(make.plan(), decision.record, make.seen(decision.record, actions={"promote": "7/1"}))
    assert again.record.rollout is not None
    assert again.record.rollout.weight == 100


def test_promote_does_not_skip_readiness() -> None:
    short = make.seen(FAST, revisions=_pods(v7=make.pods(2)))
    assert decide(make.plan(), FAST, short).reason is Reason.WAITING_FOR_PODS


def test_an_object_that_is_being_deleted_is_left_to_the_garbage_collector() -> None:
    record = make.record(retiring=(Retiring(revision=make.V8),))
    decision = decide(make.plan(deleting=True), record, make.seen(record))
    assert (decision.record, decision.reason) == (record, Reason.DELETING)


@pytest.mark.parametrize("rule", [rule for rule in RULES[RULES.index(advance.settled) :] if rule is not entry.untried])
def test_rules_of_the_road_need_a_rollout(rule: Any) -> None:
    situation = Situation(plan=make.plan(), record=make.idle(), seen=make.seen(make.idle()), wished=make.V7)
    with pytest.raises(AssertionError, match="no rollout is under way"):
        rule(situation)


def test_stopwatches_do_not_run_backwards() -> None:
    clock = Stopwatch(spent=3.0, since=100.0)
    assert clock.elapsed(90.0) == 3.0
    assert clock.running(200.0) is clock
    assert Stopwatch(spent=3.0).elapsed(90.0) == 3.0


@pytest.mark.parametrize(
    ("weight", "now", "then"), [(5, 5, 25), (30, 25, 50), (3, 5, 5), (100, 100, None), (70, 50, 100)]
)
def test_a_weight_finds_its_place_in_steps_that_do_not_name_it(weight: int, now: int, then: int | None) -> None:
    plan = make.plan()
    after: Step | None = plan.step_after(weight)
    assert plan.step_at(weight).weight == now
    assert (after.weight if after else None) == then


@pytest.mark.parametrize(("weight", "count"), [(1, 1), (5, 1), (34, 2), (50, 2), (67, 3), (100, 3)])
def test_a_weight_needs_its_share_of_the_pods(weight: int, count: int) -> None:
    assert make.plan().pods_for(weight) == count
