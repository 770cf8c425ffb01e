import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.fixtures.plans import CONFIG, gateway, plan, revision

from tidegate.core.drift import differs, quantity
from tidegate.core.frozen import freeze
from tidegate.core.httproute import route
from tidegate.core.labels import RECORD
from tidegate.core.manifests import Known, revision_objects
from tidegate.core.record import Record

ONE, TWO = revision("7"), revision("8")
Change = Callable[[dict[str, Any]], Any]


def wanted(kind: str) -> dict[str, Any]:
    if kind == "HTTPRoute":
        return route(plan(), {ONE.name: 75, TWO.name: 25}, {ONE.name: "7", TWO.name: "8"}, "record")
    kept = freeze(plan(), ONE, CONFIG)
    known = Known(frozen={ONE.name: kept}, digests={ONE.name: "sha256:00"}, sizes={})
    return next(m for m in revision_objects(plan(), Record(stable=ONE), known, ONE) if m["kind"] == kind)


def container(body: dict[str, Any]) -> dict[str, Any]:
    only: dict[str, Any] = body["spec"]["template"]["spec"]["containers"][0]
    return only


def rule(body: dict[str, Any]) -> dict[str, Any]:
    only: dict[str, Any] = body["spec"]["rules"][0]
    return only


KINDS = pytest.mark.parametrize("kind", ["Deployment", "Service", "ConfigMap", "ControllerRevision", "HTTPRoute"])


@KINDS
def test_what_stands_there_as_it_is_wanted_does_not_differ(kind: str) -> None:
    assert not differs(wanted(kind), wanted(kind))


@KINDS
def test_what_the_server_and_others_add_is_not_looked_at(kind: str) -> None:
    live = wanted(kind)
    live["metadata"] |= {"uid": "u", "resourceVersion": "9", "generation": 4, "finalizers": ["theirs"]}
    live["metadata"]["labels"]["team"] = "risk"
    live["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = "1"
    live["status"] = {"replicas": 0}
    assert not differs(live, wanted(kind))


@KINDS
def test_the_precondition_of_a_write_is_no_part_of_what_is_wanted(kind: str) -> None:
    pinned = wanted(kind)
    pinned["metadata"] |= {"uid": "u", "resourceVersion": "5"}
    assert not differs(wanted(kind), pinned)


SAME: list[tuple[str, str, Change]] = [
    ("a defaulted field", "Deployment", lambda b: b["spec"].update(progressDeadlineSeconds=600)),
    ("a defaulted field of a container", "Deployment", lambda b: container(b).update(terminationMessagePath="/dev/x")),
    ("a defaulted protocol", "Deployment", lambda b: container(b)["ports"][0].update(protocol="TCP")),
    (
        "a sidecar of somebody's",
        "Deployment",
        lambda b: b["spec"]["template"]["spec"]["containers"].append({"name": "s"}),
    ),
    ("a variable of somebody's", "Deployment", lambda b: container(b)["env"].insert(0, {"name": "X", "value": "1"})),
    ("a quantity in other words", "Deployment", lambda b: container(b)["resources"]["requests"].update(cpu="0.1")),
    ("a cluster address", "Service", lambda b: b["spec"].update(clusterIP="10.0.0.1", sessionAffinity="None")),
    ("a node port of somebody's", "Service", lambda b: b["spec"]["ports"].append({"port": 81, "protocol": "TCP"})),
    ("defaulted parents", "HTTPRoute", lambda b: b["spec"]["parentRefs"][0].update(kind="Gateway")),
    (
        "a defaulted match",
        "HTTPRoute",
        lambda b: rule(b).update(matches=[{"path": {"type": "PathPrefix", "value": "/"}}]),
    ),
    ("an empty field", "HTTPRoute", lambda b: rule(b).update(filters=[])),
]
OTHER: list[tuple[str, str, Change]] = [
    ("scaled by hand", "Deployment", lambda b: b["spec"].update(replicas=0)),
    ("replicas taken out", "Deployment", lambda b: b["spec"].pop("replicas")),
    ("another image", "Deployment", lambda b: container(b).update(image="other")),
    ("a variable changed", "Deployment", lambda b: container(b)["env"][0].update(value="other")),
    ("a variable taken out", "Deployment", lambda b: container(b)["env"].pop(0)),
    ("the container taken out", "Deployment", lambda b: b["spec"]["template"]["spec"].update(containers=[])),
    ("a container is no list", "Deployment", lambda b: b["spec"]["template"]["spec"].update(containers="model")),
    ("a map is none", "Deployment", lambda b: container(b).update(resources="none")),
    ("an argument more", "Deployment", lambda b: container(b)["command"].append("--debug")),
    ("arguments in another order", "Deployment", lambda b: container(b)["command"].reverse()),
    ("more memory", "Deployment", lambda b: container(b)["resources"]["requests"].update(memory="257Mi")),
    ("a label of ours", "Deployment", lambda b: b["metadata"]["labels"].update({"tidegate.dev/role": "canary"})),
    ("no labels", "Deployment", lambda b: b["metadata"].pop("labels")),
    ("no owner", "Deployment", lambda b: b["metadata"].pop("ownerReferences")),
    ("another owner", "Deployment", lambda b: b["metadata"]["ownerReferences"][0].update(uid="other")),
    ("true is not one", "Deployment", lambda b: b["spec"]["template"]["spec"].update(automountServiceAccountToken=0)),
    ("another selector", "Service", lambda b: b["spec"]["selector"].update({"tidegate.dev/revision": "x"})),
    ("a selector with a key more", "Service", lambda b: b["spec"]["selector"].update(app="x")),
    ("another target", "Service", lambda b: b["spec"]["ports"][0].update(targetPort=8080)),
    ("another digest", "ConfigMap", lambda b: b["data"].update(digest="sha256:11")),
    ("another weight", "HTTPRoute", lambda b: rule(b)["backendRefs"][1].update(weight=100)),
    ("a backend more", "HTTPRoute", lambda b: rule(b)["backendRefs"].append({"name": "x"})),
    ("a backend less", "HTTPRoute", lambda b: rule(b)["backendRefs"].pop()),
    ("backends swapped", "HTTPRoute", lambda b: rule(b)["backendRefs"].reverse()),
    ("a backend in another namespace", "HTTPRoute", lambda b: rule(b)["backendRefs"][0].update(namespace="x")),
    ("a filter put on the rule", "HTTPRoute", lambda b: rule(b).update(filters=[{"type": "RequestRedirect"}])),
    ("a match put on the rule", "HTTPRoute", lambda b: rule(b).update(matches=[{"method": "GET"}])),
    ("a rule more", "HTTPRoute", lambda b: b["spec"]["rules"].append({})),
    ("no rules", "HTTPRoute", lambda b: b["spec"].pop("rules")),
    ("another parent", "HTTPRoute", lambda b: b["spec"]["parentRefs"][0].update(name="x")),
    ("another host", "HTTPRoute", lambda b: b["spec"]["hostnames"].append("x.example.com")),
    ("another record", "HTTPRoute", lambda b: b["metadata"]["annotations"].update({RECORD: "x"})),
]


@pytest.mark.parametrize(("kind", "change"), [pytest.param(k, c, id=name) for name, k, c in SAME])
def test_what_an_apply_would_not_change_does_not_differ(kind: str, change: Change) -> None:
    live = wanted(kind)
    change(live)
    assert not differs(live, wanted(kind))


@pytest.mark.parametrize(("kind", "change"), [pytest.param(k, c, id=name) for name, k, c in OTHER])
def test_what_was_changed_by_hand_differs(kind: str, change: Change) -> None:
    live = wanted(kind)
    change(live)
    assert differs(live, wanted(kind))


def test_a_match_of_the_users_that_was_taken_out_by_hand_differs() -> None:
    asked = plan(gateway=gateway(matches=({"path": {"type": "PathPrefix", "value": "/fraud"}},)))
    want = route(asked, {ONE.name: 100}, {ONE.name: "7"}, "r")
    live = copy.deepcopy(want)
    live["spec"]["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert differs(live, want)


def test_hosts_put_on_a_route_that_has_none_differ() -> None:
    want = route(plan(gateway=gateway(hostnames=())), {ONE.name: 100}, {ONE.name: "7"}, "r")
    live = copy.deepcopy(want)
    live["spec"].pop("hostnames")
    assert not differs(live, want)
    live["spec"]["hostnames"] = ["x.example.com"]
    assert differs(live, want)


@pytest.mark.parametrize("empty", ["", 0, False, [], {}, {"a": {}}, {"a": "", "b": []}])
def test_an_empty_value_where_nothing_stands_does_not_differ(empty: Any) -> None:
    assert not differs({"metadata": {}}, {"kind": "ConfigMap", "spec": {"x": empty}})


@pytest.mark.parametrize("value", ["x", 1, True, [""], {"a": {"b": 1}}])
def test_a_value_where_nothing_stands_differs(value: Any) -> None:
    assert differs({"metadata": {}}, {"kind": "ConfigMap", "spec": {"x": value}})


def test_none_of_ours_in_a_shared_list_leaves_the_others_alone() -> None:
    live = {"metadata": {}, "spec": {"env": [{"name": "THEIRS"}], "args": ["theirs"]}}
    assert not differs(live, {"kind": "Pod", "spec": {"env": []}})
    assert differs(live, {"kind": "Pod", "spec": {"args": []}})


def test_an_empty_volume_keeps_being_one() -> None:
    live = wanted("Deployment")
    live["spec"]["template"]["spec"]["volumes"][0].pop("emptyDir")
    assert not differs(live, wanted("Deployment"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        (1, "1"),
        (0.5, "0.5"),
        ("500m", "0.5"),
        ("1Ki", "1024"),
        ("1Gi", "1073741824"),
        ("1k", "1000"),
        ("1M", "1000000"),
        ("1E", "1e18"),
        ("5e-1", "0.5"),
        ("1e3", "1000"),
        ("100u", "0.0001"),
        ("100n", "0.0000001"),
        (" 2 ", "2"),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: Any, number: str) -> None:
    assert quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "x", "1x", None, True, [], "NaN", "Infinity", "Ki"])
def test_what_is_no_quantity_is_none(text: Any) -> None:
    assert quantity(text) is None


@pytest.mark.parametrize(("live", "same"), [("much", True), ("little", False)])
def test_a_quantity_that_is_none_is_compared_as_it_stands(live: str, same: bool) -> None:
    body = {"metadata": {}, "spec": {"limits": {"cpu": live}}}
    assert differs(body, {"kind": "Pod", "spec": {"limits": {"cpu": "much"}}}) is not same


def test_a_number_in_a_variable_is_a_text_and_no_quantity() -> None:
    live = {"metadata": {}, "spec": {"env": [{"name": "A", "value": "1000m"}]}}
    assert differs(live, {"kind": "Pod", "spec": {"env": [{"name": "A", "value": "1"}]}})
