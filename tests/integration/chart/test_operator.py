"""The program under the chart's variables, account and rights, against a real API server and a real MLflow."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.errors import StartError
from tests.cluster.light import LightCluster
from tests.fixtures.mlflow import MlflowServer, RegistryEditor, free_port, mlflow_server
from tests.integration.chart.helm import NAMESPACE, RELEASE, Helm, only

from tidegate.adapters.audit import STREAM

pytestmark = pytest.mark.long

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
def operator(items: list[dict[str, Any]], config: Path, log: Path, secrets: dict[str, str]) -> Iterator[str]:
    """The program under the variables of the rendered Deployment; gives its URL, and sees it end well."""
    (container,) = only(items, "Deployment")["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    # As the kubelet does: a key that the Secret lacks is no variable.
    sources = {entry["name"]: entry.get("valueFrom", {}) for entry in container["env"]}
    references = {name: of["secretKeyRef"]["key"] for name, of in sources.items() if "secretKeyRef" in of}
    variables |= {name: secrets[key] for name, key in references.items() if key in secrets}
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


class Receiver(ThreadingHTTPServer):
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def acts(self) -> list[dict[str, Any]]:
        """The audit events of journals."""
        return [body for body in self.audit() if body["data"]["sequence"] is not None]

    def tags(self) -> list[tuple[str, str]]:
        """What was written to the registry's tags: each act and what a version is by it."""
        return [(body["data"]["act"], body["data"]["to"]) for body in self.audit() if body["data"]["outcome"] == "done"]

    def audit(self) -> list[dict[str, Any]]:
        """All audit events."""
        return [body for path, body in self.taken if path == "/audit"]

    def addresses(self) -> dict[str, str]:
        """The Secret that the chart's value names."""
        return {"CLOUDEVENTS_URL": f"{self.url}/events", "SLACK_URL": f"{self.url}/services/T0/B0/hush"}

    def events(self) -> list[tuple[str, str]]:
        bodies = [body for path, body in self.taken if path == "/events"]
        return [(body["type"].rpartition(".")[2], body["data"]["version"]) for body in bodies]

    def messages(self) -> list[str]:
        return [body["text"] for path, body in self.taken if path == "/services/T0/B0/hush"]


class _Taking(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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


def decided(log: Path) -> list[dict[str, Any]]:
    """The lines of decisions; every line of the operator's log is one JSON object."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line.get("event") == "decided"]


def audited(log: Path) -> list[dict[str, Any]]:
    """The lines of the audit trail among them."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line.get("stream") == STREAM]


@pytest.mark.parametrize("scoped", [False, True], ids=["cluster-wide", "namespaced"])
def test_a_version_and_its_successor_are_brought_up_under_the_charts_rights_and_told_of(
    *, cluster: LightCluster, helm: Helm, registry: MlflowServer, receiver: Receiver, tmp_path: Path, scoped: bool
) -> None:
    namespace = f"rights-{'namespaced' if scoped else 'all'}"
    values = {"registry.uri": registry.url, "registry.interval": 0.5, "namespaces": [namespace] if scoped else []}
    values |= {"audit.webhook.url": f"{receiver.url}/audit", "notifications.cluster": "it"}
    items = helm.render({**values, "notifications.existingSecret": "receivers"})
    people, model = RegistryEditor(registry), f"{MODEL}-{namespace}"
    people.register(model)
    people.set_alias(model, "champion", people.add_version(model))
    log, team = tmp_path / "operator.log", Team(cluster, namespace)
    told = receiver.addresses()
    with installed(cluster, items, namespace), operator(items, kubeconfig(cluster, tmp_path), log, told) as url:
        wait_until(lambda: ready(url), "/readyz", log)
        cluster.kubectl("apply", "--server-side", "-f", "-", text=wish(model, namespace))
        for kind in ("controllerrevision", "service", "deployment"):
            wait_until(lambda kind=kind: team.revisions(kind) == {"iris-v1"}, f"{kind} of v1", log)
        wait_until(lambda: team.weights() == {"iris-v1": 0}, "the route with v1 at 0", log)
        replace_version(people, model, team, log)
        seen = team.get("modeldeployment", MODEL)["status"]["observedGeneration"]
        reasons = {event["reason"] for event in team.get("events.events.k8s.io")}
        wait_until(lambda: len(receiver.acts()) == 3, "every act at the audit trail's webhook", log)
        wait_until(lambda: team.get("modeldeployment", MODEL)["status"]["posted"] == 3, "status that says so", log)
        wait_until(lambda: ("written-back", "parked") in receiver.tags(), "what the registry is told of", log)
    assert seen == 1
    assert "Superseded" in reasons
    assert receiver.events() == [("started", "1"), ("reverted", "1"), ("started", "2")]
    assert all(f"version {number} of {model}" in t for t, number in zip(receiver.messages(), "112", strict=True))
    said = log.read_text()
    assert "forbidden" not in said.lower()
    assert "hush" not in said
    lines = decided(log)
    assert len({line["decision"] for line in lines}) == len(lines) > 0
    assert {line["object"] for line in lines} == {f"{namespace}/{MODEL}"}
    assert "Superseded" in {line["reason"] for line in lines}
    counted = [line for line in audited(log) if line["sequence"] is not None]
    acts = [(line["act"], line["version"], line["sequence"]) for line in counted]
    assert acts == [("started", "1", 1), ("reverted", "1", 2), ("started", "2", 3)]
    assert [act["id"] for act in receiver.acts()] == [line["id"] for line in counted]
    assert {line["decision"] for line in counted} <= {line["decision"] for line in lines}
    assert {act["id"] for act in receiver.audit()} <= {line["id"] for line in audited(log)}
