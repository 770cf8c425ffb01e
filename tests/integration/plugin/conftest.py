"""`kubectl tidegate` as people have it: on the PATH, under the rights that the chart gives to users."""

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.cluster import build, components
from tests.cluster.light import LightCluster
from tests.cluster.progress import Progress
from tests.integration.chart.helm import NAMESPACE, RELEASE, Helm
from tests.plugin import bundle
from tests.unit.api.case import LEAST, merge

CRDS = Path(__file__).parents[3] / "charts" / "tidegate" / "crds"
_names = count(1)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with a kubeconfig of their own."""

    bin: Path
    kubeconfig: Path

    def environment(self) -> Mapping[str, str]:
        path = os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return {"PATH": path, "HOME": str(self.bin), "KUBECONFIG": str(self.kubeconfig), "TERM": "xterm"}

    def command(self, *arguments: str) -> list[str]:
        return [str(self.bin / "kubectl"), "tidegate", *arguments]

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """One verb, by kubectl's own way to find its plugins."""
        source: Any = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
        return subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True, check=False, **source
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@dataclass(frozen=True, kw_only=True)
class Team:
    """A namespace with its people. `crdless` is what `status` said before the CRD was there."""

    cluster: LightCluster
    api: httpx.Client
    namespace: str
    viewer: Person
    editor: Person
    crdless: subprocess.CompletedProcess[str]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One object of the team's."""

    team: Team
    name: str

    @property
    def viewer(self) -> Person:
        return self.team.viewer

    @property
    def editor(self) -> Person:
        return self.team.editor

    @property
    def path(self) -> str:
        return f"/apis/tidegate.dev/v1alpha1/namespaces/{self.team.namespace}/modeldeployments/{self.name}"

    def _ask(self, method: str, path: str, kind: str = "", body: Any = None, **query: str) -> Any:
        headers = {"Content-Type": f"application/{kind}"} if kind else {}
        content = None if body is None else json.dumps(body)
        answer = self.team.api.request(method, path, content=content, headers=headers, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def apply(self, patch: Mapping[str, Any] | None = None, **status: Any) -> None:
        """The object, and the status that the operator would have given it."""
        body = merge(LEAST, patch or {})
        body["metadata"] |= {"name": self.name, "namespace": self.team.namespace}
        self._ask("PATCH", self.path, "apply-patch+yaml", body, fieldManager="people", force="true")
        self.status(**status)

    def status(self, **status: Any) -> None:
        self._ask("PATCH", f"{self.path}/status", "merge-patch+json", {"status": {"observedGeneration": 1, **status}})

    def live(self) -> Any:
        return self._ask("GET", self.path)

    def delete(self) -> None:
        self._ask("DELETE", self.path)

    def notes(self) -> dict[str, str]:
        return self.live()["metadata"].get("annotations") or {}


def rolling(weight: int = 25, **fields: Any) -> dict[str, Any]:
    """A status with version 7, second attempt, on its way."""
    rollout = {"revision": "fraud-v7-cccccccc", "version": "7", "attempt": 2, "step": 2, "steps": 4, "weight": weight}
    stable = {"revision": "fraud-v6-bbbbbbbb", "version": "6", "model": "fraud-detector"}
    started = {"started": "2026-11-21T11:00:00Z"}
    base = {"phase": "Progressing", "version": "6", "canary": "7", "weight": weight, "stable": stable}
    return {**base, "rollout": {**rollout, **started, **fields}}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the PATH with the plugin; kubectl joins it with the cluster."""
    directory = tmp_path_factory.mktemp("bin")
    plugin = directory / "kubectl-tidegate"
    plugin.write_bytes(bundle())
    plugin.chmod(0o755)
    return directory


@pytest.fixture(scope="session")
def started(programs: Path) -> Iterator[tuple[LightCluster, subprocess.CompletedProcess[str]]]:
    with LightCluster.start() as cluster:
        (programs / "kubectl").symlink_to(cluster.kubectl_program)
        admin = Person(bin=programs, kubeconfig=cluster.kubeconfig)
        crdless = admin.run("status")
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        yield cluster, crdless


@pytest.fixture(scope="session")
def roles(started: tuple[LightCluster, Any], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The chart's roles for users, by what they are for."""
    helm = Helm(program=build.build([components.HELM], Progress())["helm"], home=tmp_path_factory.mktemp("helm"))
    items = [item for item in helm.render({"rbac.create": False}) if item["kind"] == "ClusterRole"]
    started[0].kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(items))
    names = [item["metadata"]["name"] for item in items]
    assert sorted(names) == [f"{NAMESPACE}-{RELEASE}-tidegate-{what}" for what in ("edit", "view")]
    return {name.rpartition("-")[2]: name for name in names}


@pytest.fixture(scope="session")
def team(
    started: tuple[LightCluster, subprocess.CompletedProcess[str]],
    roles: Mapping[str, str],
    programs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Team]:
    cluster, crdless = started
    made, homes, namespace = {}, tmp_path_factory.mktemp("people"), "people"
    # As the cluster's own roles are joined: who may edit may view, too (Kubernetes, "Aggregated ClusterRoles").
    people = {"viewer": ["view"], "editor": ["view", "edit"]}
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    items: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    for name, kinds in people.items():
        items.append({**account, "metadata": {"name": name, "namespace": namespace}})
        items += [binding(name, kind, roles[kind], namespace) for kind in kinds]
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(items))
    for name in people:
        token = cluster.kubectl("create", "token", name, f"-n{namespace}").strip()
        made[name] = Person(bin=programs, kubeconfig=kubeconfig(cluster, token, namespace, homes / name))
    trusted = ssl.create_default_context(cafile=str(cluster.ca_file))
    admin = {"Authorization": f"Bearer {cluster.token}"}
    with httpx.Client(base_url=cluster.server, headers=admin, verify=trusted, timeout=30) as api:
        whole = Team(cluster=cluster, api=api, namespace=namespace, crdless=crdless, **made)
        until_allowed(whole)
        yield whole


@pytest.fixture
def place(team: Team) -> Place:
    return Place(team=team, name=f"fraud-{next(_names)}")


def binding(name: str, kind: str, role: str, namespace: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{name}-{kind}", "namespace": namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def until_allowed(team: Team) -> None:
    """The authorizer learns of bindings by a watch."""
    deadline = time.monotonic() + 20
    for person, verb in ((team.viewer, "list"), (team.editor, "list"), (team.editor, "patch")):
        question = [str(person.bin / "kubectl"), "auth", "can-i", verb, "modeldeployments.tidegate.dev"]
        while subprocess.run(question, env=person.environment(), capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, f"{verb} was never allowed"


def kubeconfig(cluster: LightCluster, token: str, namespace: str, path: Path) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [
            {"name": "it", "cluster": {"server": cluster.server, "certificate-authority": str(cluster.ca_file)}}
        ],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": namespace}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
