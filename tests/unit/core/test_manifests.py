from dataclasses import replace
from typing import Any

import pytest
from tests.fixtures.plans import CONFIG, COUNTERS, REF, gateway, plan, revision, rollout, serving, version

from tidegate.core.frozen import Frozen, freeze, frozen, frozen_from
from tidegate.core.httproute import reweighted, route
from tidegate.core.labels import OWNER, RECORD, REVISION, ROLE, revision_label
from tidegate.core.manifests import Known, replicas_of, revision_objects, role_of
from tidegate.core.ownership import owned_by
from tidegate.core.plan import Runtime, Step
from tidegate.core.presets import MetricsTarget
from tidegate.core.reasons import Reason
from tidegate.core.record import Leaving, Record, Retiring, Verdict
from tidegate.core.values import ObjectRef, Role

VERDICT = Verdict(reason=Reason.GUARD_BREACHED, message="bad", rejects=True, at=1.0)
ONE, TWO = revision("7"), revision("8")


def known(*kept: Frozen, **fields: Any) -> Known:
    return Known(**{"frozen": {f.revision.name: f for f in kept}, "digests": {}, "sizes": {}, **fields})


def objects(record: Record, which: Any = ONE, **fields: Any) -> dict[str, dict[str, Any]]:
    made = revision_objects(plan(), record, known(freeze(plan(), which, CONFIG), **fields), which)
    return {manifest["kind"]: manifest for manifest in made}


def test_a_revisions_objects_share_its_name_and_say_whose_they_are() -> None:
    made = objects(Record(stable=ONE), digests={ONE.name: "sha256:00"})
    assert list(made) == ["ControllerRevision", "ConfigMap", "Service", "Deployment"]
    for manifest in made.values():
        metadata = manifest["metadata"]
        assert (metadata["name"], metadata["namespace"]) == (ONE.name, "ml")
        assert metadata["labels"][OWNER] == "fraud"
        assert revision_label(manifest) == ONE.name
        assert owned_by(manifest, REF)
        assert not owned_by(manifest, ObjectRef(namespace="ml", name="fraud", uid="the one before"))
        [owner] = metadata["ownerReferences"]
        assert (owner["kind"], owner["controller"], owner["blockOwnerDeletion"]) == ("ModelDeployment", True, False)


def test_nothing_is_made_of_a_revision_that_nobody_kept_or_whose_name_is_anothers() -> None:
    other = replace(freeze(plan(), ONE, CONFIG), revision=replace(ONE, version=version("70")))
    for kept in (known(), known(other)):
        assert kept.kept(ONE) is None
        assert revision_objects(plan(), Record(stable=ONE), kept, ONE) == []


def test_an_unlabelled_object_belongs_to_no_revision() -> None:
    assert revision_label({"metadata": {}}) is None
    assert revision_label({"metadata": {"labels": {REVISION: None}}}) is None
    assert not owned_by({"metadata": {}}, REF)


def test_the_service_and_the_deployment_find_pods_by_revision_and_port_by_name() -> None:
    made = objects(Record(stable=ONE))
    assert made["Service"]["spec"]["selector"] == {REVISION: ONE.name}
    assert made["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    assert made["Deployment"]["spec"]["selector"] == {"matchLabels": {REVISION: ONE.name}}
    template = made["Deployment"]["spec"]["template"]
    assert template["metadata"]["labels"][REVISION] == ONE.name
    assert template["spec"]["containers"][0]["ports"][0]["name"] == "http"


def test_a_promotion_changes_nothing_of_a_deployment_but_its_role_and_size() -> None:
    canary = objects(Record(stable=ONE, rollout=rollout("8", 25)), TWO)["Deployment"]
    stable = objects(Record(stable=TWO), TWO)["Deployment"]
    assert canary["spec"]["template"] == stable["spec"]["template"]
    canary["metadata"]["labels"].pop(ROLE)
    stable["metadata"]["labels"].pop(ROLE)
    canary["spec"].pop("replicas")
    stable["spec"].pop("replicas")
    assert canary == stable


def test_an_edited_plan_changes_no_template_of_a_revision_that_is_there() -> None:
    kept = freeze(plan(), ONE, CONFIG)
    edited = plan(serving=serving(resources={"limits": {"cpu": "1"}}), progress_deadline=1.0, interval=9.0)
    before = revision_objects(plan(), Record(stable=ONE), known(kept), ONE)
    assert revision_objects(edited, Record(stable=ONE), known(kept), ONE) == before


def test_roles_are_what_the_record_says() -> None:
    record = Record(stable=ONE, rollout=rollout("8"), retiring=(Retiring(revision=revision("6")),))
    assert [role_of(record, r) for r in record.revisions()] == [Role.STABLE, Role.CANARY, Role.RETIRING]
    assert role_of(Record(stable=ONE), revision("5")) is Role.RETIRING


@pytest.mark.parametrize(
    ("weight", "needed"),
    [(0, 1), (5, 1), (25, 2), (50, 4), (100, 4)],
)
def test_a_canary_has_the_pods_for_its_next_weight_before_it_gets_it(weight: int, needed: int) -> None:
    record = Record(stable=ONE, rollout=rollout("8", weight))
    assert replicas_of(plan(), record, TWO, {}) == needed


@pytest.mark.parametrize("weight", range(101))
@pytest.mark.parametrize("weights", [(100,), (5, 100), (5, 25, 50, 100), (50, 51, 100)])
def test_a_canary_has_what_its_present_weight_needs_whatever_steps_the_plan_was_edited_to(
    weight: int, weights: tuple[int, ...]
) -> None:
    edited = plan(steps=tuple(Step(weight=step, hold=1.0) for step in weights), serving=serving(replicas=7))
    record = Record(stable=ONE, rollout=rollout("8", weight))
    assert replicas_of(edited, record, TWO, {}) >= edited.pods_for(weight)


def test_stable_is_complete_whatever_goes_on() -> None:
    for going_on in (None, rollout("8", 100), rollout("8", 50, verdict=VERDICT)):
        assert replicas_of(plan(), Record(stable=ONE, rollout=going_on), ONE, {ONE.name: 1}) == 4


def test_a_first_deployment_and_a_direct_one_are_complete_from_the_start() -> None:
    assert replicas_of(plan(), Record(rollout=rollout("8")), TWO, {}) == 4
    assert replicas_of(plan(), Record(stable=ONE, rollout=rollout("8", direct=True)), TWO, {}) == 4


@pytest.mark.parametrize(("weight", "live", "kept"), [(0, 2, 2), (0, 9, 4), (0, 0, 1), (100, 1, 4)])
def test_a_reverted_canary_keeps_its_size_and_is_not_scaled_up_for_its_funeral(
    weight: int, live: int, kept: int
) -> None:
    record = Record(stable=ONE, rollout=rollout("8", weight, verdict=VERDICT))
    assert replicas_of(plan(), record, TWO, {TWO.name: live}) == kept


@pytest.mark.parametrize("stage", list(Leaving))
def test_a_retiring_revision_keeps_its_size_until_it_is_gone(stage: Leaving) -> None:
    record = Record(stable=TWO, retiring=(Retiring(revision=ONE, stage=stage),))
    assert replicas_of(plan(), record, ONE, {ONE.name: 3}) == 3
    assert replicas_of(plan(), record, ONE, {}) == 4


def test_a_frozen_revision_comes_back_as_it_was() -> None:
    for runtime in Runtime:
        served = serving(runtime)
        kept = freeze(plan(serving=served), revision(served=served), CONFIG)
        assert frozen_from(frozen(kept, REF)) == kept


def test_a_frozen_revision_knows_where_its_counters_are_whatever_the_plan_says_later() -> None:
    served = serving(Runtime.CUSTOM)
    kept = freeze(plan(serving=served), revision(served=served), CONFIG)
    assert kept.counters == COUNTERS
    assert kept.metrics == MetricsTarget(port=9090, path="/stats")


@pytest.mark.parametrize("data", [None, "text", {}, {"revision": {}}, {"revision": {"name": "x"}, "runtime": "triton"}])
def test_a_controller_revision_of_another_kind_of_thing_is_none_of_ours(data: Any) -> None:
    assert frozen_from({"data": data}) is None


def test_a_controller_revision_with_an_unknown_runtime_is_none_of_ours() -> None:
    manifest = frozen(freeze(plan(), ONE, CONFIG), REF)
    manifest["data"]["runtime"] = "seldon"
    assert frozen_from(manifest) is None


def backends(manifest: dict[str, Any]) -> dict[str, int]:
    [rule] = manifest["spec"]["rules"]
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


def test_the_route_gives_each_revision_its_share_and_tells_clients_which_it_was() -> None:
    made = route(plan(), {ONE.name: 75, TWO.name: 25}, {ONE.name: "7", TWO.name: "8"}, "the record")
    assert backends(made) == {ONE.name: 75, TWO.name: 25}
    said = [
        backend["filters"][0]["responseHeaderModifier"]["set"][0] for backend in made["spec"]["rules"][0]["backendRefs"]
    ]
    assert said == [{"name": "x-model-version", "value": "7"}, {"name": "x-model-version", "value": "8"}]
    assert made["metadata"]["annotations"] == {RECORD: "the record"}
    assert owned_by(made, REF)


def test_a_route_has_what_its_user_chose_and_nothing_else() -> None:
    matches = ({"path": {"type": "PathPrefix", "value": "/fraud"}},)
    filters = ({"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}},)
    chosen = gateway(matches=matches, filters=filters, timeouts={"request": "10s"})
    [rule] = route(plan(gateway=chosen), {ONE.name: 100}, {ONE.name: "7"}, "r")["spec"]["rules"]
    assert (rule["matches"], rule["filters"], rule["timeouts"]) == (list(matches), list(filters), {"request": "10s"})
    [bare] = route(plan(), {ONE.name: 100}, {ONE.name: "7"}, "r")["spec"]["rules"]
    assert set(bare) == {"backendRefs"}


def test_a_route_without_host_names_owns_the_empty_list() -> None:
    made = route(plan(gateway=gateway(hostnames=())), {ONE.name: 100}, {ONE.name: "7"}, "r")
    assert made["spec"]["hostnames"] == []


def test_a_write_of_a_route_that_was_read_is_a_compare_and_set() -> None:
    made = route(plan(), {ONE.name: 100}, {ONE.name: "7"}, "r", uid="u", resource_version="5")
    assert (made["metadata"]["uid"], made["metadata"]["resourceVersion"]) == ("u", "5")
    first = route(plan(), {ONE.name: 100}, {ONE.name: "7"}, "r")
    assert {"uid", "resourceVersion"}.isdisjoint(first["metadata"])


def live_route() -> dict[str, Any]:
    made = route(plan(), {ONE.name: 75, TWO.name: 25}, {ONE.name: "7", TWO.name: "8"}, "old")
    made["metadata"] |= {"uid": "u", "resourceVersion": "5", "generation": 3, "managedFields": [{}]}
    made["metadata"]["labels"]["team"] = "risk"
    made["metadata"]["ownerReferences"].append({"kind": "Application", "uid": "argo"})
    made["spec"]["rules"][0]["filters"] = [{"type": "by hand"}]
    return {**made, "status": {"parents": []}}


def test_a_revert_changes_weights_and_record_and_nothing_else() -> None:
    live = live_route()
    made = reweighted(live, {ONE.name: 100, TWO.name: 0}, "verdict")
    assert backends(made) == {ONE.name: 100, TWO.name: 0}
    assert made["metadata"]["annotations"] == {RECORD: "verdict"}
    assert (made["metadata"]["uid"], made["metadata"]["resourceVersion"]) == ("u", "5")
    for backend, before in zip(
        made["spec"]["rules"][0]["backendRefs"], live["spec"]["rules"][0]["backendRefs"], strict=True
    ):
        backend["weight"] = before["weight"]
    assert made["spec"] == live["spec"]
    assert live == live_route()


def test_a_revert_claims_no_metadata_of_others() -> None:
    metadata = reweighted(live_route(), {ONE.name: 100}, "verdict")["metadata"]
    assert "team" not in metadata["labels"]
    assert [owner["kind"] for owner in metadata["ownerReferences"]] == ["ModelDeployment"]
    assert {"generation", "managedFields"}.isdisjoint(metadata)


def test_a_revert_gives_a_backend_that_the_record_does_not_know_nothing() -> None:
    live = live_route()
    live["spec"]["rules"][0]["backendRefs"].append({"name": "stranger", "weight": 50})
    assert backends(reweighted(live, {ONE.name: 100}, "v")) == {ONE.name: 100, TWO.name: 0, "stranger": 0}
