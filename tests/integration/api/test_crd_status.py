"""What the API server makes of objects and their status."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.cluster.light import LightCluster
from tests.unit.api.builders import CANARY, NOON, ROLLING, STABLE
from tests.unit.api.case import EXAMPLES, LEAST, merge

from tidegate.api.parse import parse
from tidegate.api.record import restore
from tidegate.api.report import render_failure, render_status
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Past, Rejection

pytestmark = pytest.mark.apiserver

OBJECTS = "/apis/tidegate.dev/v1alpha1/namespaces/default/modeldeployments"
STRICT = {"fieldValidation": "Strict"}
ENDED = {"revision": CANARY, "attempt": 1, "reason": Reason.CRASHED, "message": "exited with code 1"}
EVERYTHING = replace(
    ROLLING,
    record=replace(
        ROLLING.record,
        rejected=(Rejection(at=NOON, **ENDED),),
        parked=(Parking(at=NOON, tries=1, retry_at=NOON + 60, **ENDED),),
        history=(Past(started=NOON, ended=NOON + 30, **ENDED),),
    ),
)


@pytest.fixture
def created(api: httpx.Client) -> Iterator[dict[str, Any]]:
    name = f"t{uuid4().hex[:12]}"
    answer = api.post(OBJECTS, params=STRICT, json=merge(LEAST, {"metadata": {"name": name}}))
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    yield answer.json()
    api.delete(f"{OBJECTS}/{name}").raise_for_status()


def _apply_status(api: httpx.Client, created: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    name = created["metadata"]["name"]
    manifest = {"apiVersion": created["apiVersion"], "kind": created["kind"], "metadata": {"name": name}}
    answer = api.patch(
        f"{OBJECTS}/{name}/status",
        params={**STRICT, "fieldManager": "tidegate", "force": "true"},
        headers={"Content-Type": "application/apply-patch+yaml"},
        content=json.dumps(manifest | {"status": status}),
    )
    assert answer.status_code == HTTPStatus.OK, answer.text
    kept: dict[str, Any] = answer.json()["status"]
    return kept


def test_the_defaults_that_the_api_server_writes_are_those_of_the_operator(created: dict[str, Any]) -> None:
    assert created["spec"] != LEAST["spec"]
    assert parse(created) == parse(created | {"spec": LEAST["spec"]})


def test_an_object_that_nobody_has_seen_has_generation_minus_one(created: dict[str, Any]) -> None:
    assert created["status"] == {"observedGeneration": -1}


def test_the_whole_status_is_kept_as_it_was_rendered(api: httpx.Client, created: dict[str, Any]) -> None:
    status = render_status(EVERYTHING, previous=None, now=NOON, judge={"e": [0.5, -1.25, 1e-12], "looks": 17})

    kept = _apply_status(api, created, status)

    assert kept == status
    assert restore(kept) == restore(status)


def test_a_status_that_changes_only_in_part_replaces_the_old_one(api: httpx.Client, created: dict[str, Any]) -> None:
    before = _apply_status(api, created, render_status(EVERYTHING, previous=None, now=NOON, judge={"looks": 17}))
    done = replace(ROLLING, record=replace(ROLLING.record, rollout=None), weights={STABLE.name: 100})

    after = _apply_status(api, created, render_status(done, previous=before, now=NOON + 5))

    assert after["weights"] == [{"revision": STABLE.name, "weight": 100}]
    assert not {"rollout", "canary", "weight", "rejected", "parked", "history", "judge"} & after.keys()


def test_a_failure_is_kept_beside_what_was_known(api: httpx.Client, created: dict[str, Any]) -> None:
    before = _apply_status(api, created, render_status(EVERYTHING, previous=None, now=NOON))
    failure = render_failure(before, generation=2, reason=Reason.INVALID_SPEC, message="spec.model: no", now=NOON + 5)

    after = _apply_status(api, created, failure)

    assert after == failure
    assert after["stable"] == before["stable"]


def test_kubectl_shows_version_canary_weight_phase_and_readiness(
    apiserver: LightCluster, api: httpx.Client, created: dict[str, Any]
) -> None:
    _apply_status(api, created, render_status(EVERYTHING, previous=None, now=NOON))
    name = created["metadata"]["name"]

    head, row = apiserver.kubectl("get", "mdep", name, "-n", "default").splitlines()

    assert head.split() == ["NAME", "VERSION", "CANARY", "WEIGHT", "PHASE", "READY", "AGE"]
    assert row.split()[:-1] == [name, "6", "7", "25", "Progressing", "False"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_applied(api: httpx.Client, name: str) -> None:
    body = merge(EXAMPLES[name], {"metadata": {"namespace": "default"}})

    answer = api.post(OBJECTS, params={**STRICT, "dryRun": "All"}, json=body)

    assert answer.status_code == HTTPStatus.CREATED, answer.text
    assert parse(answer.json()) == parse(answer.json() | {"spec": body["spec"]})
