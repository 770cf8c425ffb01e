"""The program under the chart's variables, account and rights, against a real API server and a real MLflow."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.errors import StartError
from tests.cluster.light import LightCluster
from tests.fixtures.mlflow import MlflowServer, RegistryEditor, free_port, mlflow_server
from tests.integration.chart.helm import NAMESPACE, RELEASE, Helm, only

MODEL = "iris"
PATIENCE = 120.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def kubeconfig(cluster: LightCluster, directory: Path) -> Path:
    token = cluster.kubectl("create", "token", f"{RELEASE}-tidegate", f"--namespace={NAMESPACE}").strip()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [
            {"name": "it", "cluster": {"server": cluster.server, "certificate-authority": str(cluster.ca_file)}}
        ],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def operator(items: list[dict[str, Any]], config: Path, log: Path) -> Iterator[str]:
    """The program under the variables of the rendered Deployment; gives its URL, and sees it end well."""
    (container,) = only(items, "Deployment")["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    port = str(free_port())
    variables |= {"TIDEGATE_HTTP_HOST": "127.0.0.1", "TIDEGATE_HTTP_PORT": port, "KUBECONFIG": str(config)}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    source = Path(__file__).parents[3] / "operator"
    quiet = {"PYTHONPATH": str(source), "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidegate"],
            env={**kept, **quiet, **variables},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(20) == 0, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()


def wait_until(said: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < deadline, f"never came: {what}; the log ends:\n{log.read_text()[-4000:]}"
        time.sleep(0.1)


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Team:
    """The team's namespace as it stands."""

    def __init__(self, cluster: LightCluster, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace

    def get(self, kind: str, name: str = "") -> Any:
        try:
            text = self._cluster.kubectl("get", kind, *([name] if name else []), f"-n{self.namespace}", "-ojson")
        except StartError:
            return {}
        found = json.loads(text)
        return found if name else found["items"]

    def revisions(self, kind: str) -> set[str]:
        return {item["metadata"]["name"].rpartition("-")[0] for item in self.get(kind)}

    def weights(self) -> dict[str, int]:
        rules = self.get("httproute", MODEL).get("spec", {}).get("rules", [{}])
        return {ref["name"].rpartition("-")[0]: ref["weight"] for ref in rules[0].get("backendRefs", [])}

    def confirm(self) -> None:
        """What a gateway does: say of the newest route that it is in force."""
        route = self.get("httproute", MODEL)
        if not route:
            return
        told = {"status": "True", "reason": "Ok", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        conditions = [
            {**told, "type": kind, "observedGeneration": route["metadata"]["generation"]}
            for kind in ("Accepted", "ResolvedRefs")
        ]
        reference = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **route["spec"]["parentRefs"][0]}
        parent = {"parentRef": reference, "controllerName": "example.com/gateway", "conditions": conditions}
        patch = json.dumps({"status": {"parents": [parent]}})
        self._cluster.kubectl(
            "patch", "httproute", MODEL, f"-n{self.namespace}", "--subresource=status", "--type=merge", "-p", patch
        )


@contextmanager
def installed(cluster: LightCluster, items: list[dict[str, Any]], namespace: str) -> Iterator[None]:
    """The chart's objects but for the Deployment, which nothing would run here; taken away again."""
    for name in (namespace, NAMESPACE):
        item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        cluster.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(item))
    text = yaml.safe_dump_all(item for item in items if item["kind"] != "Deployment")
    cluster.kubectl("apply", "--server-side", "-f", "-", text=text)
    try:
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", text=text)


def wish(model: str, namespace: str) -> str:
    gateway = {"parentRefs": [{"name": "public"}], "hostnames": ["iris.example.com"]}
    return json.dumps({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": MODEL, "namespace": namespace},
        "spec": {"model": {"name": model, "alias": "champion"}, "traffic": {"gateway": gateway}},
    })  # fmt: skip


def replace_version(people: RegistryEditor, model: str, team: Team, log: Path) -> None:
    """Another version before the first one is ready: its objects are made, those of the first one are deleted."""
    people.set_alias(model, "champion", people.add_version(model))

    def succeeded() -> bool:
        team.confirm()
        return all(team.revisions(kind) == {"iris-v2"} for kind in ("deployment", "service", "controllerrevision"))

    wait_until(succeeded, "v2 in the place of v1, whose objects are gone", log)


@pytest.mark.parametrize("scoped", [False, True], ids=["cluster-wide", "namespaced"])
def test_a_version_and_its_successor_are_brought_up_under_the_charts_rights(
    cluster: LightCluster, helm: Helm, registry: MlflowServer, tmp_path: Path, scoped: bool
) -> None:
    namespace = f"rights-{'namespaced' if scoped else 'all'}"
    values = {"registry.uri": registry.url, "registry.interval": 0.5, "namespaces": [namespace] if scoped else []}
    items = helm.render(values)
    people, model = RegistryEditor(registry), f"{MODEL}-{namespace}"
    people.register(model)
    people.set_alias(model, "champion", people.add_version(model))
    log, team = tmp_path / "operator.log", Team(cluster, namespace)
    with installed(cluster, items, namespace), operator(items, kubeconfig(cluster, tmp_path), log) as url:
        wait_until(lambda: ready(url), "/readyz", log)
        cluster.kubectl("apply", "--server-side", "-f", "-", text=wish(model, namespace))
        for kind in ("controllerrevision", "service", "deployment"):
            wait_until(lambda kind=kind: team.revisions(kind) == {"iris-v1"}, f"{kind} of v1", log)
        wait_until(lambda: team.weights() == {"iris-v1": 0}, "the route with v1 at 0", log)
        replace_version(people, model, team, log)
        seen = team.get("modeldeployment", MODEL)["status"]["observedGeneration"]
        reasons = {event["reason"] for event in team.get("events.events.k8s.io")}
    assert seen == 1
    assert "Superseded" in reasons
    assert "forbidden" not in log.read_text().lower()
