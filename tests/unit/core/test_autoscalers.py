"""Our own autoscalers: between which bounds each revision is sized, and for how long after a rollout."""

from dataclasses import replace
from typing import Any

import pytest
from tests.fixtures.plans import CONFIG
from tests.unit.core import builders as make

from tidegate.core.autoscaling import MEMORY
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.frozen import freeze
from tidegate.core.manifests import Known, autoscaled, replicas_of, revision_objects
from tidegate.core.plan import Autoscaling, Plan
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Retiring, Verdict
from tidegate.core.values import Revision

METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
PLAN = make.plan(serving=replace(make.SERVING, replicas=2, autoscaling=Autoscaling(most=12, metrics=(METRIC,))))
VERDICT = Verdict(reason=Reason.GUARD_BREACHED, message="bad", rejects=True, at=make.NOW)


def autoscaler(record: Record, revision: Revision, plan: Plan = PLAN, **fields: Any) -> dict[str, Any] | None:
    """The autoscaler that is made for a revision."""
    kept = {r.name: freeze(plan, r, CONFIG) for r in (make.V6, make.V7)}
    known = replace(Known(frozen=kept, digests={}, sizes={}), **fields)
    made = revision_objects(plan, record, known, revision)
    return next((o for o in made if o["kind"] == "HorizontalPodAutoscaler"), None)


def bounds(record: Record, revision: Revision, plan: Plan = PLAN) -> tuple[int, int]:
    """The least and the most pods by a revision's autoscaler."""
    made = autoscaler(record, revision, plan)
    assert made is not None
    assert made["spec"]["minReplicas"] == replicas_of(plan, record, revision, {})
    return made["spec"]["minReplicas"], made["spec"]["maxReplicas"]


def test_an_autoscaler_names_its_revisions_deployment_and_is_whose_the_revision_is() -> None:
    made = autoscaler(make.idle(), make.V6)
    assert made is not None
    assert made["metadata"]["name"] == make.V6.name
    assert made["metadata"]["ownerReferences"][0]["uid"] == PLAN.ref.uid
    assert made["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": make.V6.name}
    assert made["spec"]["metrics"] == [METRIC]


def test_without_autoscaling_there_is_none() -> None:
    assert autoscaler(make.idle(), make.V6, make.plan()) is None


def test_at_rest_the_bounds_are_the_specs() -> None:
    assert bounds(make.idle(), make.V6) == (2, 12)


@pytest.mark.parametrize(
    ("weight", "canary"),
    [(0, (1, 12)), (5, (3, 12)), (25, (5, 12)), (50, (10, 12)), (100, (10, 12))],
)
def test_in_a_rollout_stable_keeps_what_it_had_and_the_canary_gets_what_its_next_weight_takes(
    weight: int, canary: tuple[int, int]
) -> None:
    rolling = make.record(rollout=make.rollout(weight=weight, full=10))
    assert bounds(rolling, make.V6) == (10, 12)
    assert bounds(rolling, make.V7) == canary


def test_what_stable_had_counts_more_than_the_specs_most() -> None:
    assert bounds(make.record(rollout=make.rollout(full=20)), make.V6) == (20, 20)


def test_one_that_leaves_keeps_its_autoscaler_as_it_is() -> None:
    reverted = make.record(rollout=make.rollout(weight=0, verdict=VERDICT, full=10))
    left = make.idle(retiring=(Retiring(revision=make.V7),))
    for record in (reverted, left):
        assert autoscaler(record, make.V7) is None
        assert autoscaled(PLAN, record, Known(frozen={}, digests={}, sizes={})) == {make.V6.name, make.V7.name}


def test_where_there_is_somebody_elses_there_is_none_of_ours_and_the_size_is_theirs() -> None:
    theirs = frozenset({make.V6.name})
    assert autoscaler(make.idle(), make.V6, scaled=theirs) is None
    known = Known(frozen={}, digests={}, sizes={}, scaled=theirs)
    assert autoscaled(PLAN, make.idle(), known) == frozenset()


def test_nobody_asks_for_an_autoscaler_any_more() -> None:
    assert autoscaled(make.plan(), make.idle(), Known(frozen={}, digests={}, sizes={})) == frozenset()


@pytest.mark.parametrize(("size", "full"), [(7, 7), (2, 2), (None, 0)])
def test_a_rollout_remembers_what_stable_had_also_where_that_was_the_least(size: int | None, full: int) -> None:
    idle = make.idle()
    revisions = {**make.EVERYBODY, make.V6.name: make.pods(scaled=size)}
    begun = decide(PLAN, idle, make.seen(idle, revisions=revisions)).record
    assert begun.rollout is not None
    assert begun.rollout.full == full


def after_a_revert(seconds: float, plan: Plan = PLAN, **fields: Any) -> Decision:
    record = make.idle(full=10, full_since=make.NOW)
    seen = make.seen(record, wanted=make.version(6), now=make.NOW + seconds)
    return decide(plan, record, replace(seen, **fields))


def test_after_a_revert_stable_keeps_what_it_had_until_its_autoscaler_knows_its_load_again() -> None:
    # The verdict may be an hour older than the write that brings the load back.
    late = replace(VERDICT, at=make.NOW - 3600)
    failed = make.record(rollout=make.rollout(weight=0, verdict=late, full=10))
    filed = decide(PLAN, failed, make.seen(failed)).record
    assert (filed.rollout, filed.full, filed.full_since) == (None, 10, make.NOW)
    assert bounds(filed, make.V6) == (10, 12)

    waiting = after_a_revert(MEMORY - 1)
    assert (waiting.record.full, waiting.requeue) == (10, 1)
    over = after_a_revert(MEMORY)
    assert over.record.full == 0
    assert bounds(over.record, make.V6) == (2, 12)


def test_an_earlier_wake_up_stays_the_earlier_one() -> None:
    draining = make.idle(full=10, full_since=make.NOW, retiring=(Retiring(revision=make.V7, since=make.NOW),))
    decision = decide(PLAN, draining, make.seen(draining, wanted=make.version(6), now=make.NOW + 1))
    assert decision.requeue == 4
    later = make.idle(full=10, full_since=make.NOW + 2 - MEMORY, retiring=draining.retiring)
    assert decide(PLAN, later, make.seen(later, wanted=make.version(6), now=make.NOW + 1)).requeue == 1


def test_a_promoted_version_keeps_its_pods_for_a_while_too() -> None:
    rolled = make.record(rollout=make.rollout(weight=100, full=10))
    seen = make.seen(rolled, revisions={**make.EVERYBODY, make.V7.name: make.pods(10)})
    promoted = decide(PLAN, rolled, seen).record
    assert promoted.stable == make.V7
    assert bounds(promoted, make.V7) == (10, 12)


@pytest.mark.parametrize("fields", [{"taken_by": "ml/older"}, {"route": None}])
def test_a_route_that_cannot_be_written_is_not(fields: dict[str, Any]) -> None:
    assert after_a_revert(MEMORY, **fields).record.full == 10


def test_a_size_that_nobody_remembers_the_reason_of_goes_at_once() -> None:
    record = make.idle(full=10)
    assert decide(PLAN, record, make.seen(record, wanted=make.version(6))).record.full == 0


def test_without_autoscaling_a_revert_leaves_stables_own_number() -> None:
    failed = make.record(full=4, rollout=make.rollout(weight=0, verdict=VERDICT, full=10))
    assert decide(make.plan(), failed, make.seen(failed)).record.full == 4
    assert after_a_revert(MEMORY, make.plan()).record.full == 10
