"""Who approves is who he says he is: the chart's policies before a real API server, with people who try."""

import json
import subprocess
import time
from typing import Any

import pytest
import yaml
from tests.cluster.light import LightCluster
from tests.integration.chart.helm import NAMESPACE, RELEASE, Helm

TEAM = "governed"
POLICIES = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRole"}
STEP = {"modelDeployment": "fraud", "version": "7", "attempt": 1, "weight": 25}


def kubectl(
    server: LightCluster, *arguments: str, user: str = "", text: str | None = None
) -> subprocess.CompletedProcess[str]:
    who = [f"--as={user}", "--as-group=system:authenticated"] if user else []
    command = [server.kubectl_program, f"--kubeconfig={server.kubeconfig}", *who, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def approval(name: str, approver: str, about: dict[str, Any] | None = None, **fields: Any) -> str:
    spec = {"approver": approver, "decision": "Grant", **(about or {"step": STEP}), **fields}
    body = {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelApproval",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": spec,
    }
    return json.dumps(body)


def create(server: LightCluster, text: str, *more: str, user: str) -> subprocess.CompletedProcess[str]:
    return kubectl(server, "create", "-f", "-", *more, user=user, text=text)


@pytest.fixture(scope="module")
def governed(cluster: LightCluster, helm: Helm) -> LightCluster:
    """The chart's policies and roles, in force; alice and bob may approve in the team's namespace."""
    cluster.kubectl("create", "namespace", TEAM)
    items = [item for item in helm.render({"governance.enabled": True}) if item["kind"] in POLICIES]
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(items))
    role = f"--clusterrole={NAMESPACE}-{RELEASE}-tidegate-approver"
    cluster.kubectl("-n", TEAM, "create", "rolebinding", "approvers", role, "--user=alice", "--user=bob")
    end = time.monotonic() + 60
    while create(cluster, approval("probe", "carol"), "--dry-run=server", user="alice").returncode == 0:
        assert time.monotonic() < end, "the policy never came into force"
    return cluster


def test_an_approver_in_his_own_name_is_let_in(governed: LightCluster) -> None:
    assert create(governed, approval("own", "alice"), user="alice").returncode == 0


def test_an_approver_in_anothers_name_is_refused(governed: LightCluster) -> None:
    done = create(governed, approval("forged", "alice"), user="bob")
    assert done.returncode != 0
    assert "spec.approver must be your own user name, bob" in done.stderr


def test_who_has_no_role_is_refused(governed: LightCluster) -> None:
    done = create(governed, approval("stranger", "mallory"), user="mallory")
    assert 'User "mallory" cannot create resource "modelapprovals"' in done.stderr


@pytest.mark.parametrize(
    "change", [{"decision": "Refuse"}, {"approver": "bob"}, {"step": {**STEP, "weight": 100}}], ids=str
)
def test_what_was_said_can_be_changed_by_nobody(governed: LightCluster, change: dict[str, Any]) -> None:
    create(governed, approval("said", "alice"), user="alice")
    patch = json.dumps({"spec": change})
    done = kubectl(governed, "-n", TEAM, "patch", "mapp", "said", "--type=merge", "-p", patch)
    assert "can't be changed once it was said" in done.stderr


def test_an_approver_may_delete_nothing(governed: LightCluster) -> None:
    create(governed, approval("kept", "alice"), user="alice")
    done = kubectl(governed, "-n", TEAM, "delete", "mapp", "kept", user="alice")
    assert "cannot delete resource" in done.stderr
