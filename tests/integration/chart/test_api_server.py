"""The chart before a real API server: what it takes, what pod security says, what the rights allow."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from tests.cluster.light import LightCluster
from tests.integration.chart.helm import CHART, EVERYTHING, NAMESPACE, RELEASE, Helm, only

from tidegate.adapters.kube import RESOURCES
from tidegate.core.labels import GATEWAY_GROUP, GROUP
from tidegate.core.manifests import CHILD_KINDS

TEAM = "team-a"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-tidegate"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


@pytest.fixture(scope="module")
def server(cluster: LightCluster) -> LightCluster:
    """With the operator's namespace under restricted pod security, and two of teams."""
    for name, labels in {NAMESPACE: RESTRICTED, TEAM: {}, "team-b": {}}.items():
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        cluster.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(namespace))
    return cluster


def kubectl(server: LightCluster, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [server.kubectl_program, f"--kubeconfig={server.kubeconfig}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def dry_run(server: LightCluster, item: str) -> subprocess.CompletedProcess[str]:
    return kubectl(
        server, "apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "-f", "-", text=item
    )  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"namespaces": [TEAM, "team-b"]},
        EVERYTHING,
        {**EVERYTHING, "serviceAccount.create": True, "rbac.create": True, "rbac.aggregate": True},
    ],
    ids=["default", "namespaced", "nothing-optional", "all"],
)
def test_every_object_is_accepted_without_a_warning(server: LightCluster, helm: Helm, values: dict[str, Any]) -> None:
    items = helm.render(values, "--include-crds")
    # This API server has no Prometheus operator's kinds; test_chart and the tests of monitoring look at those.
    known = [item for item in items if not item["apiVersion"].startswith("monitoring.coreos.com/")]
    done = dry_run(server, yaml.safe_dump_all(known))
    assert (done.returncode, done.stderr) == (0, "")


def pod_of(helm: Helm) -> dict[str, Any]:
    template = only(helm.render(), "Deployment")["spec"]["template"]
    metadata = {"name": "operator", "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
    # Without the account: this API server runs no controller that would make it.
    spec = {key: value for key, value in template["spec"].items() if key != "serviceAccountName"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_pod_is_admitted_under_restricted_pod_security(server: LightCluster, helm: Helm) -> None:
    done = dry_run(server, json.dumps(pod_of(helm)))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lesser_pod_would_not_be(server: LightCluster, helm: Helm) -> None:
    pod = pod_of(helm)
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    done = dry_run(server, json.dumps(pod))
    assert 'violates PodSecurity "restricted' in done.stderr


@dataclass(frozen=True, slots=True)
class Question:
    """May the operator's account do this?"""

    verb: str
    resource: str
    group: str = ""
    namespace: str = TEAM
    name: str = ""

    def review(self) -> dict[str, Any]:
        resource, _, subresource = self.resource.partition("/")
        asked = {
            "namespace": self.namespace,
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
            "name": self.name,
        }
        spec = {"user": ACCOUNT, "resourceAttributes": asked}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def allowed(server: LightCluster, questions: Sequence[Question]) -> list[Question]:
    """Those of the questions that the API server's authorizer says yes to."""
    reviews = {"apiVersion": "v1", "kind": "List", "items": [question.review() for question in questions]}
    print_it = r'jsonpath={.status.allowed}{"\n"}'
    answers = server.kubectl("create", "-o", print_it, "-f", "-", text=json.dumps(reviews)).split()
    assert set(answers) <= {"true", "false"}
    return [question for question, answer in zip(questions, answers, strict=True) if answer == "true"]


def wait_until(said: Callable[[], bool]) -> None:
    """The authorizer learns of roles by a watch."""
    deadline = time.monotonic() + 20
    while not said():
        assert time.monotonic() < deadline, "the authorizer never learnt of the roles"


@pytest.fixture(scope="module", params=[(), (TEAM,)], ids=["cluster-wide", "namespaced"])
def rights(request: pytest.FixtureRequest, server: LightCluster, helm: Helm) -> Iterator[tuple[str, ...]]:
    """The chart's roles in force, and the namespaces that they are for; taken away again."""
    items = helm.render({"namespaces": list(request.param), "rbac.aggregate": False})
    text = yaml.safe_dump_all(item for item in items if "rbac" in item["apiVersion"])
    known = [Question("list", "pods")]
    server.kubectl("apply", "--server-side", "-f", "-", text=text)
    wait_until(lambda: allowed(server, known) == known)
    yield request.param
    server.kubectl("delete", "--wait=false", "-f", "-", text=text)
    wait_until(lambda: allowed(server, known) == [])


def lease(verb: str, name: str) -> Question:
    return Question(verb, "leases", "coordination.k8s.io", NAMESPACE, name)


@pytest.mark.usefixtures("rights")
def test_account_may_do_its_work(server: LightCluster) -> None:
    needed = [
        Question(verb, RESOURCES[kind].plural, RESOURCES[kind].api_version.rpartition("/")[0])
        for kind in CHILD_KINDS
        for verb in ("list", "watch", "patch", "create", "delete")
    ]
    needed += [Question(verb, "httproutes", GATEWAY_GROUP) for verb in ("get", "list", "watch", "create", "patch")]
    needed += [Question("list", "modeldeployments", GROUP), Question("watch", "modeldeployments", GROUP)]
    needed += [Question("patch", "modeldeployments/status", GROUP), Question("create", "events", "events.k8s.io")]
    needed += [
        Question("patch", "events", "events.k8s.io"),
        Question("watch", "horizontalpodautoscalers", "autoscaling"),
    ]
    needed += [Question("watch", "pods"), Question("watch", "endpointslices", "discovery.k8s.io")]
    needed += [lease(verb, f"{RELEASE}-tidegate") for verb in ("get", "patch")] + [lease("create", "")]
    assert allowed(server, needed) == needed


@pytest.mark.usefixtures("rights")
def test_account_may_do_nothing_else(server: LightCluster) -> None:
    forbidden = [
        Question("get", "secrets"),
        Question("list", "secrets"),
        Question("patch", "modeldeployments", GROUP),
        Question("delete", "modeldeployments", GROUP),
        Question("delete", "httproutes", GATEWAY_GROUP),
        Question("patch", "gateways", GATEWAY_GROUP),
        Question("create", "pods"),
        Question("delete", "pods"),
        Question("create", "pods/exec"),
        Question("create", "serviceaccounts/token"),
        Question("create", "rolebindings", "rbac.authorization.k8s.io"),
        lease("patch", "another"),
        lease("list", ""),
        lease("delete", f"{RELEASE}-tidegate"),
        Question("create", "leases", "coordination.k8s.io"),
    ]
    assert allowed(server, forbidden) == []


def test_account_reaches_as_far_as_it_watches(server: LightCluster, rights: tuple[str, ...]) -> None:
    elsewhere = [Question("list", "pods", namespace="team-b"), Question("list", "configmaps", namespace="")]
    assert allowed(server, elsewhere) == ([] if rights else elsewhere)


def test_example_in_the_notes_is_accepted(server: LightCluster, helm: Helm) -> None:
    shown = helm.run("install", RELEASE, str(CHART), "--dry-run=client", values={"namespaces": [TEAM]})
    example = shown.stdout.split("<<'YAML'\n", 1)[1].split("  YAML\n", 1)[0]
    done = dry_run(server, example)
    assert (done.returncode, done.stderr) == (0, "")
