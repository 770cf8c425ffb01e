"""A revision that somebody's autoscaler sizes: its size is left alone, and a canary gets as many pods as it needs."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.autoscaling import scaled_deployment
from tidegate.core.decide import decide
from tidegate.core.facts import facts_by_revision
from tidegate.core.labels import REVISION
from tidegate.core.manifests import replicas_of
from tidegate.core.record import Record

PLAN = make.plan()


def deployment(replicas: int) -> dict[str, Any]:
    metadata = {"name": make.V6.name, "namespace": "ml", "labels": {REVISION: make.V6.name}}
    return {"metadata": metadata, "spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "ml/a"),
        ({"kind": "Deployment", "name": "a"}, "ml/a"),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "a"}, None),
        ({"apiVersion": "example.com/v1", "kind": "Deployment", "name": "a"}, None),
        ({}, None),
    ],
)
def test_an_autoscaler_names_a_deployment_or_none(target: dict[str, str], named: str | None) -> None:
    body = {"metadata": {"namespace": "ml", "name": "hpa"}, "spec": {"scaleTargetRef": target}}
    assert scaled_deployment(body) == named


def test_the_size_of_a_scaled_deployment_is_a_fact_of_its_revision() -> None:
    assert facts_by_revision([], [], [deployment(7)], {make.V6.name})[make.V6.name].scaled == 7
    assert facts_by_revision([], [], [deployment(7)])[make.V6.name].scaled is None


@pytest.mark.parametrize(("scaled", "full"), [(7, 7), (2, 0), (None, 0)])
def test_a_rollout_remembers_what_all_the_traffic_took_when_it_began(scaled: int | None, full: int) -> None:
    idle = make.idle()
    revisions = {**make.EVERYBODY, make.V6.name: make.pods(scaled=scaled)}
    begun = decide(PLAN, idle, make.seen(idle, revisions=revisions)).record
    assert begun.rollout is not None
    assert begun.rollout.full == full


def test_what_was_needed_once_is_needed_by_the_next_rollout_unless_an_autoscaler_says_less() -> None:
    idle = replace(make.idle(), full=7)
    begun = decide(PLAN, idle, make.seen(idle)).record
    assert begun.rollout is not None
    assert begun.rollout.full == 7
    fewer = {**make.EVERYBODY, make.V6.name: make.pods(scaled=4)}
    begun = decide(PLAN, idle, make.seen(idle, revisions=fewer)).record
    assert begun.rollout is not None
    assert begun.rollout.full == 4


@pytest.mark.parametrize(("weight", "pods"), [(5, 3), (25, 5), (50, 10), (100, 10)])
def test_a_canary_gets_its_share_of_what_all_the_traffic_takes(weight: int, pods: int) -> None:
    rolling = make.record(rollout=make.rollout(weight=weight, full=10))
    assert replicas_of(PLAN, rolling, make.V7, {}) == pods


@pytest.mark.parametrize(("ready", "raised"), [(4, 25), (5, 50)])
def test_no_weight_is_given_to_fewer_pods_than_that(ready: int, raised: int) -> None:
    rolling = make.record(rollout=make.rollout(weight=25, full=10))
    revisions = {**make.EVERYBODY, make.V7.name: make.pods(ready)}
    decision = decide(PLAN, rolling, make.seen(rolling, revisions=revisions))
    assert decision.record.rollout is not None
    assert decision.record.rollout.weight == raised


def test_the_promoted_one_keeps_its_pods() -> None:
    full = make.record(rollout=make.rollout(weight=100, full=10))
    revisions = {**make.EVERYBODY, make.V7.name: make.pods(10)}
    promoted = decide(PLAN, full, make.seen(full, revisions=revisions)).record
    assert (promoted.stable, promoted.full) == (make.V7, 10)
    assert replicas_of(PLAN, promoted, make.V7, {}) == 10
    assert replicas_of(PLAN, Record(stable=make.V7), make.V7, {}) == 3
