"""What one write of the route is worth telling."""

from dataclasses import replace

from tests.unit.core import builders as make

from tidegate.core.begin import finished
from tidegate.core.decide import decide
from tidegate.core.notice import Happening, Notice, notices
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Verdict
from tidegate.core.values import ObjectRef

REF = ObjectRef(namespace="ml", name="fraud", uid="u-1")
BREACH = Verdict(reason=Reason.GUARD_BREACHED, message="8% errors", rejects=True, at=make.NOW)


def told(before: Record, after: Record) -> tuple[Notice, ...]:
    return notices(REF, before, after, Reason.ADVANCING, "in the decision's words")


def at(weight: int, raised: float = make.NOW, **fields: object) -> Record:
    return make.record(rollout=make.rollout(weight=weight, raised=raised, **fields))


def test_a_new_rollout_is_told_as_started_at_the_time_in_the_record() -> None:
    (notice,) = told(make.idle(), make.record(rollout=make.starting()))
    assert (notice.happening, notice.weight, notice.at) == (Happening.STARTED, 0, make.starting().started)
    assert (notice.revision, notice.stable) == (make.V7, make.V6)
    assert notice.message == "in the decision's words"


def test_another_attempt_of_the_same_version_is_told_as_started() -> None:
    before = make.record(rollout=make.starting())
    (notice,) = told(before, make.record(rollout=make.starting(attempt=2)))
    assert (notice.happening, notice.attempt) == (Happening.STARTED, 2)


def test_a_raise_is_told_as_a_step_with_its_weight() -> None:
    (notice,) = told(at(5), at(25, make.NOW + 1))
    assert (notice.happening, notice.weight, notice.at) == (Happening.STEP, 25, make.NOW + 1)


def test_a_clock_that_starts_or_stops_is_worth_nothing() -> None:
    assert told(at(5, hold=None), at(5)) == ()
    assert told(make.idle(), make.idle()) == ()


def test_a_revert_is_told_with_its_verdict() -> None:
    (notice,) = told(at(25), at(0, verdict=BREACH))
    assert (notice.happening, notice.reason, notice.message) == (Happening.REVERTED, BREACH.reason, "8% errors")
    assert (notice.weight, notice.rejects, notice.stable) == (0, True, make.V6)


def test_weights_that_follow_a_verdict_later_are_not_told_as_another_revert() -> None:
    assert told(at(25, verdict=BREACH), at(0, verdict=BREACH)) == ()


def test_a_verdict_that_only_parked_and_now_rejects_is_told_again() -> None:
    parks = replace(BREACH, reason=Reason.ENDPOINTS_LOST, rejects=False, at=make.NOW - 1)
    (notice,) = told(at(0, verdict=parks), at(0, verdict=BREACH))
    assert notice.rejects


def test_a_rollout_that_is_filed_after_its_verdict_is_worth_nothing() -> None:
    assert told(at(0, verdict=BREACH), make.idle()) == ()


def test_the_end_of_the_bake_is_told_as_promoted_with_what_it_replaced() -> None:
    before = at(100)
    assert before.rollout is not None
    after = finished(before, before.rollout, make.NOW)
    (notice,) = told(before, after)
    assert (notice.happening, notice.revision, notice.stable) == (Happening.PROMOTED, make.V7, make.V6)
    assert (notice.weight, notice.at) == (100, make.NOW)


def test_the_first_deployment_is_promoted_with_nothing_before_it() -> None:
    before = make.record(stable=None, rollout=make.starting())
    assert before.rollout is not None
    (notice,) = told(before, finished(before, before.rollout, make.NOW))
    assert (notice.happening, notice.stable) == (Happening.PROMOTED, None)


def test_a_step_that_comes_with_the_start_is_told_after_it() -> None:
    assert [n.happening for n in told(make.idle(), at(5))] == [Happening.STARTED, Happening.STEP]


def test_ids_are_the_same_for_the_same_write_and_differ_otherwise() -> None:
    steps = [told(at(5), at(25, make.NOW + 1)), told(at(5), at(25, make.NOW + 1)), told(at(5), at(25, make.NOW + 2))]
    first, again, later = (notice.id for (notice,) in steps)
    assert first == again == f"u-1/7/1/step/{round((make.NOW + 1) * 1000)}"
    assert later != first


def test_a_decision_of_the_machine_itself_is_told() -> None:
    before = make.record(rollout=make.rollout(raised=make.NOW - 401))
    decision = decide(make.plan(), before, make.seen(before))
    (notice,) = notices(REF, before, decision.record, decision.reason, decision.message)
    assert (notice.happening, notice.reason, notice.weight) == (Happening.STEP, Reason.ADVANCING, 25)
