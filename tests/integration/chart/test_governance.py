"""Who asks and who approves is who he says he is: the policies of the chart before a real API server, and people."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.cluster.light import LightCluster
from tests.integration.chart.helm import NAMESPACE, RELEASE, Helm

TEAM = "governed"
KINDS = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRole"}
STEP = {"modelDeployment": "fraud", "version": "7", "attempt": 1, "weight": 25}
#: People by role; alice may both ask and approve, ann too, though not the same thing.
PEOPLE = {"approver": ("alice", "ann"), "requester": ("ann", "alice"), "viewer": ("vera",)}
Done = subprocess.CompletedProcess[str]


def kubectl(server: LightCluster, *arguments: str, user: str = "", text: str | None = None) -> Done:
    who = [f"--as={user}", "--as-group=system:authenticated", "--as-group=risk"] if user else []
    command = [server.kubectl_program, f"--kubeconfig={server.kubeconfig}", *who, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def body(kind: str, name: str, spec: dict[str, Any]) -> str:
    meta = {"name": name, "namespace": TEAM}
    return json.dumps({"apiVersion": "tidegate.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec})


def approval(name: str, approver: str, about: dict[str, Any] | None = None, **fields: Any) -> str:
    spec = {"approver": approver, "decision": "Grant", **(about or {"step": STEP}), **fields}
    return body("ModelApproval", name, spec)


def request(name: str, requester: str) -> str:
    spec = {"requestedBy": requester, "model": "fraud", "version": "7", "from": "Staging", "to": "Production"}
    return body("ModelPromotion", name, spec)


def create(server: LightCluster, text: str, *more: str, user: str) -> Done:
    return kubectl(server, "create", "-f", "-", *more, user=user, text=text)


def asked(server: LightCluster, name: str, requester: str) -> dict[str, Any]:
    """A promotion that somebody asked for, as an approval names it."""
    made = json.loads(create(server, request(name, requester), "-o", "json", user=requester).stdout)
    return {"promotion": {"name": name, "uid": made["metadata"]["uid"]}}


def refused(attempt: Callable[[], Done], words: str) -> None:
    """Until the API server refuses it with these words: a policy, and what it is told of, take it some seconds."""
    end = time.monotonic() + 60
    while words not in (done := attempt()).stderr:
        assert time.monotonic() < end, f"never refused with {words!r}: {done}"


@pytest.fixture(scope="module")
def governed(cluster: LightCluster, helm: Helm) -> LightCluster:
    """The chart's policies and roles, in force."""
    cluster.kubectl("create", "namespace", TEAM)
    items = [item for item in helm.render({"governance.enabled": True}) if item["kind"] in KINDS]
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(items))
    for role, people in PEOPLE.items():
        users = [f"--user={person}" for person in people]
        named = f"--clusterrole={NAMESPACE}-{RELEASE}-tidegate-{role}"
        cluster.kubectl("-n", TEAM, "create", "rolebinding", role, named, *users)
    about = asked(cluster, "probe", "ann")
    dry = "--dry-run=server"
    refused(lambda: create(cluster, approval("p", "carol"), dry, user="alice"), "your own user name")
    refused(lambda: create(cluster, request("p", "carol"), dry, user="alice"), "your own user name")
    refused(lambda: create(cluster, approval("p", "ann", about), dry, user="ann"), "yourself")
    return cluster


def test_an_approver_in_his_own_name_is_let_in(governed: LightCluster) -> None:
    done = create(governed, approval("own", "alice", groups=["risk"]), user="alice")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_step_is_approved_in_a_namespace_that_has_no_promotion(governed: LightCluster) -> None:
    governed.kubectl("create", "namespace", "steps-only")
    named = f"--clusterrole={NAMESPACE}-{RELEASE}-tidegate-approver"
    governed.kubectl("-n", "steps-only", "create", "rolebinding", "approver", named, "--user=alice")
    text = approval("own", "alice").replace(f'"namespace": "{TEAM}"', '"namespace": "steps-only"')
    done = create(governed, text, user="alice")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_approver_in_anothers_name_is_refused(governed: LightCluster) -> None:
    done = create(governed, approval("forged", "alice"), user="ann")
    assert done.returncode != 0
    assert "spec.approver must be your own user name, ann" in done.stderr


def test_a_group_that_the_approver_is_not_in_is_refused(governed: LightCluster) -> None:
    done = create(governed, approval("grouped", "alice", groups=["risk", "board"]), user="alice")
    assert "spec.groups must be groups that you are in" in done.stderr


def test_a_request_in_anothers_name_is_refused(governed: LightCluster) -> None:
    done = create(governed, request("forged", "alice"), user="ann")
    assert "spec.requestedBy must be your own user name, ann" in done.stderr


def test_a_request_for_training_in_anothers_name_is_refused(governed: LightCluster) -> None:
    text = body("RetrainingRequest", "forged", {"requestedBy": "alice", "model": "fraud"})
    assert "spec.requestedBy must be your own user name, ann" in create(governed, text, user="ann").stderr
    own = body("RetrainingRequest", "own", {"requestedBy": "ann", "model": "fraud"})
    assert create(governed, own, user="ann").returncode == 0


def test_an_approver_who_is_the_requester_is_refused_and_another_is_not(governed: LightCluster) -> None:
    about = asked(governed, "four-eyes", "ann")
    refused(
        lambda: create(governed, approval("both", "ann", about), "--dry-run=server", user="ann"),
        "you asked for ModelPromotion four-eyes yourself: somebody else has to approve it",
    )
    done = create(governed, approval("other", "alice", about), user="alice")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_decided_object_with_everything_that_it_can_have_is_still_told_of(governed: LightCluster) -> None:
    """The API server gives up on a rule that costs too much: it must not be this one."""
    asked(governed, "full", "ann")
    time = "2026-11-21T20:00:00Z"
    word = {"approver": "a" * 384, "granted": True, "name": "n" * 253, "time": time}
    act = {"time": time, "act": "approved", "actor": "a" * 400, "message": "m" * 200, "reason": "r" * 128}
    status = {
        "phase": "Done",
        "message": "m" * 1024,
        "approvals": [word] * 32,
        "acts": [{**act, "number": number} for number in range(1, 25)],
        "decided": time,
    }
    where = ("-n", TEAM, "patch", "mprom", "full", "--subresource=status", "--type=merge", "-p")
    for change in (status, {"audited": 24}, {"posted": 24}):
        done = kubectl(governed, *where, json.dumps({"status": change}))
        assert done.returncode == 0, done.stderr
    shorter = [{**act, "number": number} for number in range(1, 24)]
    assert "was decided" in kubectl(governed, *where, json.dumps({"status": {"acts": shorter}})).stderr


@pytest.mark.parametrize("name", ["Team A", "", "a/b", "x" * 254])
def test_a_registry_that_can_be_none_is_refused_with_its_field(governed: LightCluster, name: str) -> None:
    body = json.loads(request("registry", "ann"))
    body["spec"]["registry"] = {"name": name}
    assert "spec.registry.name" in create(governed, json.dumps(body), user="ann").stderr


@pytest.mark.parametrize("kind", ["modelapprovals", "modelpromotions"])
@pytest.mark.parametrize("user", ["vera", "mallory"])
def test_who_has_no_role_for_it_is_refused(governed: LightCluster, user: str, kind: str) -> None:
    text = approval("stranger", user) if kind == "modelapprovals" else request("stranger", user)
    done = create(governed, text, user=user)
    assert f'User "{user}" cannot create resource "{kind}"' in done.stderr


def test_a_viewer_may_look(governed: LightCluster) -> None:
    done = kubectl(governed, "-n", TEAM, "get", "mapp,mprom,ppol,mdep", user="vera")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "change", [{"decision": "Refuse"}, {"approver": "ann"}, {"step": {**STEP, "weight": 100}}], ids=str
)
def test_what_was_said_can_be_changed_by_nobody(governed: LightCluster, change: dict[str, Any]) -> None:
    create(governed, approval("said", "alice"), user="alice")
    done = kubectl(governed, "-n", TEAM, "patch", "mapp", "said", "--type=merge", "-p", json.dumps({"spec": change}))
    assert "can't be changed once it was said" in done.stderr


def test_what_was_decided_can_be_changed_by_nobody(governed: LightCluster) -> None:
    asked(governed, "decided", "ann")

    def patch(change: dict[str, Any], *more: str) -> Done:
        return kubectl(
            governed, "-n", TEAM, "patch", "mprom", "decided", "--type=merge", "-p", json.dumps(change), *more
        )

    assert patch({"status": {"phase": "Refused"}}, "--subresource=status").returncode == 0
    assert "was decided" in patch({"status": {"phase": "Pending"}}, "--subresource=status").stderr
    assert "was decided" in patch({"status": {"message": "else"}}, "--subresource=status").stderr
    assert "was decided" in patch({"status": None}, "--subresource=status").stderr
    act = {"number": 1, "time": "2026-11-21T20:00:00Z", "act": "requested", "actor": "user:vera"}
    assert "was decided" in patch({"status": {"acts": [act]}}, "--subresource=status").stderr
    for name in ("audited", "posted"):
        assert patch({"status": {name: 2}}, "--subresource=status").returncode == 0
    assert "can't be changed once it was said" in patch({"spec": {"version": "8"}}).stderr


def test_an_approver_may_delete_nothing(governed: LightCluster) -> None:
    create(governed, approval("kept", "alice"), user="alice")
    done = kubectl(governed, "-n", TEAM, "delete", "mapp", "kept", user="alice")
    assert "cannot delete resource" in done.stderr


def test_a_namespaced_installation_governs_its_namespaces_alone(helm: Helm) -> None:
    items = helm.render({"governance.enabled": True, "namespaces": ["team-a", "team-b"], "rbac.aggregate": False})
    bindings = [item for item in items if item["kind"] == "ValidatingAdmissionPolicyBinding"]
    named = [binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"] for binding in bindings]
    assert named == [[{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a", "team-b"]}]] * len(
        bindings
    )
    assert len(bindings) == 3
