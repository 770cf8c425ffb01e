"""What the loop relies on from `ports.Cluster`, held against the fake and the real API server alike."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract.cluster_cases import config_map, deployment, event, model_deployment
from tests.fakes.cluster import FakeCluster

from tidegate.adapters.kube import KubeCluster
from tidegate.core.labels import MANAGED_BY, MANAGER
from tidegate.errors import Conflict, Refused
from tidegate.ports import Cluster, Logs

Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Stage:
    """A cluster, a namespace of it, and somebody else's hands."""

    cluster: Cluster
    logs: Logs
    namespace: str
    edit: Callable[[str, str, Change], None]
    put: Callable[[dict[str, Any]], None]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.apiserver)])
def stage(request: pytest.FixtureRequest) -> Stage:
    if request.param == "fake":
        fake = FakeCluster(namespaces=frozenset({"ml"}))
        return Stage(
            cluster=fake,
            logs=fake,
            namespace="ml",
            edit=lambda kind, name, change: void(fake.edit(kind, "ml", name, change)),
            put=lambda manifest: void(fake.put(manifest)),
        )
    server, namespace = request.getfixturevalue("apiserver"), request.getfixturevalue("namespace")

    def put(manifest: dict[str, Any]) -> None:
        server.kubectl("replace", "--force", "-f", "-", text=json.dumps(manifest))

    def edit(kind: str, name: str, change: Change) -> None:
        body = json.loads(server.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        change(body)
        server.kubectl("replace", "-f", "-", text=json.dumps(body))

    cluster = KubeCluster(request.getfixturevalue("kube_access"))
    return Stage(cluster=cluster, logs=cluster, namespace=namespace, edit=edit, put=put)


def void(_: object) -> None:
    return None


async def test_an_object_that_is_not_there_reads_as_none(stage: Stage) -> None:
    assert await stage.cluster.get("ConfigMap", stage.namespace, "nothing") is None


async def test_an_apply_creates_and_answers_with_identity(stage: Stage) -> None:
    made = await stage.cluster.apply(config_map(stage.namespace, a="1"))

    live = await stage.cluster.get("ConfigMap", stage.namespace, "box")
    assert live is not None
    assert live["data"] == {"a": "1"}
    for field in ("uid", "resourceVersion", "creationTimestamp"):
        assert live["metadata"][field] == made["metadata"][field] != ""


async def test_an_apply_that_changes_nothing_leaves_the_resource_version(stage: Stage) -> None:
    first = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    second = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_the_generation_counts_changes_of_the_spec_only(stage: Stage) -> None:
    first = await stage.cluster.apply(deployment(stage.namespace, replicas=1))
    labelled = deployment(stage.namespace, replicas=1)
    labelled["metadata"]["labels"] = {"role": "stable"}
    second = await stage.cluster.apply(labelled)
    third = await stage.cluster.apply({**labelled, "spec": deployment(stage.namespace, replicas=2)["spec"]})
    assert [body["metadata"]["generation"] for body in (first, second, third)] == [1, 1, 2]


async def test_what_an_apply_leaves_out_that_an_earlier_one_set_is_removed(stage: Stage) -> None:
    await stage.cluster.apply(config_map(stage.namespace, a="1", b="2"))
    after = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    assert after["data"] == {"a": "1"}


async def test_what_another_set_stays(stage: Stage) -> None:
    await stage.cluster.apply(config_map(stage.namespace, a="1"))
    stage.edit("ConfigMap", "box", lambda body: body["data"].update(theirs="3"))
    after = await stage.cluster.apply(config_map(stage.namespace, a="2"))
    assert after["data"] == {"a": "2", "theirs": "3"}


async def test_what_another_changed_of_ours_is_taken_back(stage: Stage) -> None:
    await stage.cluster.apply(deployment(stage.namespace, replicas=3))
    stage.edit("Deployment", "box", lambda body: body["spec"].update(replicas=0))
    after = await stage.cluster.apply(deployment(stage.namespace, replicas=3))
    assert after["spec"]["replicas"] == 3


async def test_elements_of_keyed_lists_come_and_go_by_themselves(stage: Stage) -> None:
    await stage.cluster.apply(deployment(stage.namespace, env={"A": "1", "B": "2"}))

    def inject(body: dict[str, Any]) -> None:
        body["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "THEIRS", "value": "3"})

    stage.edit("Deployment", "box", inject)
    after = await stage.cluster.apply(deployment(stage.namespace, env={"A": "9"}))
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert {item["name"]: item["value"] for item in container["env"]} == {"A": "9", "THEIRS": "3"}


async def test_an_empty_keyed_list_takes_ours_away_and_leaves_the_others(stage: Stage) -> None:
    await stage.cluster.apply(deployment(stage.namespace, env={"A": "1"}))

    def inject(body: dict[str, Any]) -> None:
        body["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "THEIRS", "value": "3"})

    stage.edit("Deployment", "box", inject)
    empty = deployment(stage.namespace)
    empty["spec"]["template"]["spec"]["containers"][0]["env"] = []
    after = await stage.cluster.apply(empty)
    assert after["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "THEIRS", "value": "3"}]


async def test_an_apply_on_the_version_that_was_read_goes_through(stage: Stage) -> None:
    read = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    after = await stage.cluster.apply(pinned(config_map(stage.namespace, a="2"), read))
    assert after["data"] == {"a": "2"}


async def test_an_apply_on_an_older_version_conflicts_and_changes_nothing(stage: Stage) -> None:
    read = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    stage.edit("ConfigMap", "box", lambda body: body["data"].update(theirs="3"))
    with pytest.raises(Conflict):
        await stage.cluster.apply(pinned(config_map(stage.namespace, a="2"), read))
    live = await stage.cluster.get("ConfigMap", stage.namespace, "box")
    assert live is not None
    assert live["data"] == {"a": "1", "theirs": "3"}


async def test_an_apply_on_an_object_that_is_gone_conflicts_and_makes_none(stage: Stage) -> None:
    read = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", uid=read["metadata"]["uid"])
    with pytest.raises(Conflict):
        await stage.cluster.apply(pinned(config_map(stage.namespace, a="2"), read))
    assert await stage.cluster.get("ConfigMap", stage.namespace, "box") is None


async def test_an_apply_on_an_object_that_was_made_anew_conflicts(stage: Stage) -> None:
    read = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", uid=read["metadata"]["uid"])
    await stage.cluster.apply(config_map(stage.namespace, a="1"))
    with pytest.raises(Conflict):
        await stage.cluster.apply(pinned(config_map(stage.namespace, a="2"), read))


async def test_only_one_of_two_can_create(stage: Stage) -> None:
    await stage.cluster.create(config_map(stage.namespace, a="1"))
    with pytest.raises(Conflict):
        await stage.cluster.create(config_map(stage.namespace, a="2"))
    live = await stage.cluster.get("ConfigMap", stage.namespace, "box")
    assert live is not None
    assert live["data"] == {"a": "1"}


async def test_what_was_created_is_changed_by_an_apply(stage: Stage) -> None:
    await stage.cluster.create(config_map(stage.namespace, a="1"))
    after = await stage.cluster.apply(config_map(stage.namespace, a="2"))
    assert after["data"] == {"a": "2"}


async def test_a_namespace_that_is_not_there_is_refused_by_name(stage: Stage) -> None:
    with pytest.raises(Refused, match="nowhere"):
        await stage.cluster.apply(config_map("nowhere", a="1"))
    with pytest.raises(Refused, match="nowhere"):
        await stage.cluster.create(config_map("nowhere", a="1"))
    assert await stage.cluster.get("ConfigMap", "nowhere", "box") is None


async def test_a_delete_takes_that_very_object_and_no_other(stage: Stage) -> None:
    made = await stage.cluster.apply(config_map(stage.namespace, a="1"))
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", uid="00000000-0000-0000-0000-000000000000")
    assert await stage.cluster.get("ConfigMap", stage.namespace, "box") is not None
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", uid=made["metadata"]["uid"])
    assert await stage.cluster.get("ConfigMap", stage.namespace, "box") is None
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", uid=made["metadata"]["uid"])


async def test_a_delete_of_a_form_that_is_past_conflicts_and_takes_nothing(stage: Stage) -> None:
    made = (await stage.cluster.apply(config_map(stage.namespace, a="1")))["metadata"]
    stage.edit("ConfigMap", "box", lambda body: body["data"].update(theirs="3"))
    form = {"uid": made["uid"], "version": made["resourceVersion"]}
    with pytest.raises(Conflict):
        await stage.cluster.delete("ConfigMap", stage.namespace, "box", **form)
    live = await stage.cluster.get("ConfigMap", stage.namespace, "box")
    assert live is not None
    form["version"] = live["metadata"]["resourceVersion"]
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", **form)
    assert await stage.cluster.get("ConfigMap", stage.namespace, "box") is None
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", **form)
    await stage.cluster.apply(config_map(stage.namespace, a="1"))
    await stage.cluster.delete("ConfigMap", stage.namespace, "box", **form)
    assert await stage.cluster.get("ConfigMap", stage.namespace, "box") is not None, "another object has the name"


async def test_a_status_is_written_beside_a_spec_that_stays(stage: Stage) -> None:
    stage.put(model_deployment(stage.namespace))
    before = await stage.cluster.get("ModelDeployment", stage.namespace, "fraud")
    assert before is not None

    after = await stage.cluster.apply_status(status_of(before, observedGeneration=1))

    assert after["status"]["observedGeneration"] == 1
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]


async def test_the_same_status_again_is_no_write(stage: Stage) -> None:
    stage.put(model_deployment(stage.namespace))
    live = await stage.cluster.get("ModelDeployment", stage.namespace, "fraud")
    assert live is not None
    first = await stage.cluster.apply_status(status_of(live, observedGeneration=1))
    second = await stage.cluster.apply_status(status_of(live, observedGeneration=1))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_status_on_an_older_version_conflicts(stage: Stage) -> None:
    stage.put(model_deployment(stage.namespace))
    live = await stage.cluster.get("ModelDeployment", stage.namespace, "fraud")
    assert live is not None
    await stage.cluster.apply_status(status_of(live, observedGeneration=1))
    with pytest.raises(Conflict):
        await stage.cluster.apply_status(pinned(status_of(live, observedGeneration=2), live))


async def test_a_status_of_an_object_that_is_gone_conflicts(stage: Stage) -> None:
    stage.put(model_deployment(stage.namespace))
    live = await stage.cluster.get("ModelDeployment", stage.namespace, "fraud")
    assert live is not None
    live["metadata"]["name"] = "nobody"
    with pytest.raises(Conflict):
        await stage.cluster.apply_status(status_of(live, observedGeneration=1))


async def test_a_list_of_a_shared_kind_holds_what_carries_our_label_only(stage: Stage) -> None:
    ours = config_map(stage.namespace, "ours", a="1")
    ours["metadata"]["labels"] = {MANAGED_BY: MANAGER}
    await stage.cluster.apply(ours)
    await stage.cluster.apply(config_map(stage.namespace, "theirs", a="1"))

    for namespace in (stage.namespace, None):
        listed = await stage.cluster.list("ConfigMap", namespace)
        mine = [body for body in listed if body["metadata"]["namespace"] == stage.namespace]
        assert [(body["kind"], body["metadata"]["name"]) for body in mine] == [("ConfigMap", "ours")]


async def test_a_list_of_our_own_kind_needs_no_label(stage: Stage) -> None:
    stage.put(model_deployment(stage.namespace))
    listed = await stage.cluster.list("ModelDeployment", stage.namespace)
    assert [(body["kind"], body["metadata"]["name"]) for body in listed] == [("ModelDeployment", "fraud")]


async def test_pages_are_the_list_and_say_which_version_it_is_of(stage: Stage) -> None:
    ours = config_map(stage.namespace, "ours", a="1")
    ours["metadata"]["labels"] = {MANAGED_BY: MANAGER}
    made = await stage.cluster.apply(ours)
    pages = [page async for page in stage.cluster.pages("ConfigMap", stage.namespace)]
    assert [body["metadata"]["name"] for page in pages for body in page.items] == ["ours"]
    assert int(pages[-1].version) >= int(made["metadata"]["resourceVersion"])


async def test_an_event_is_kept(stage: Stage) -> None:
    await stage.cluster.emit(event(stage.namespace, "fraud.1"))
    kept = await stage.cluster.get("Event", stage.namespace, "fraud.1")
    assert kept is not None
    assert kept["note"] == "a word"


def pinned(manifest: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    precondition = {field: read["metadata"][field] for field in ("uid", "resourceVersion")}
    return {**manifest, "metadata": {**manifest["metadata"], **precondition}}


def status_of(live: dict[str, Any], **status: object) -> dict[str, Any]:
    metadata = {field: live["metadata"][field] for field in ("name", "namespace", "uid")}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "status": status}


async def test_a_log_that_cannot_be_read_is_empty_and_no_error(stage: Stage) -> None:
    for previous in (False, True):
        assert await stage.logs.last_line(stage.namespace, "nothing", "model", previous=previous) == ""
