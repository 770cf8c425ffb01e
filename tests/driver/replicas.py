"""Operator processes on an API server alone, and rollouts that were made by hand for them.

Everybody else is played: pods and endpoints are objects that nobody runs, and there is no registry and no gateway. The
route says that a rollout is under way at some weight; a pinned version that the record knows needs no registry.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.light import LightCluster
from tests.driver.relay import Relay
from tidegate.adapters.kube import RESOURCES
from tidegate.api.parse import parse
from tidegate.api.record import decode, encode
from tidegate.core.httproute import route
from tidegate.core.labels import MANAGED_BY, MANAGER, OWNER, RECORD, REVISION, VERSION
from tidegate.core.record import Record, Rollout, Stopwatch
from tidegate.core.revision import revision_of
from tidegate.core.values import Revision, VersionId

SOURCE = Path(__file__).resolve().parents[2] / "operator"
LEASE = "tidegate"
WEIGHT = 25
TOKEN = "a-token-of-the-tests-own"


class Cell:
    """A namespace of its own with rollouts in it, as its admin sees it."""

    def __init__(self, cluster: LightCluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._http = httpx.Client(
            base_url=cluster.server,
            verify=ssl.create_default_context(cafile=str(cluster.ca_file)),
            headers={"Authorization": f"Bearer {cluster.token}"},
            timeout=10,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, kind: str, name: str) -> dict[str, Any]:
        answer = self._http.get(RESOURCES[kind].path(self.namespace, name))
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found

    def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(RESOURCES[manifest["kind"]].path(self.namespace), json=manifest)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def put(self, manifest: dict[str, Any]) -> None:
        """Make it so, whatever an operator that was faster made of it."""
        kind, meta = manifest["kind"], manifest["metadata"]
        path = RESOURCES[kind].path(self.namespace)
        while True:
            answer = self._http.post(path, json=manifest)
            if answer.status_code == 409:
                version = self.get(kind, meta["name"])["metadata"]["resourceVersion"]
                newer = {**manifest, "metadata": {**meta, "resourceVersion": version}}
                answer = self._http.put(f"{path}/{meta['name']}", json=newer)
            if answer.status_code != 409:
                assert answer.status_code in {200, 201}, answer.text
                return

    def merge(self, kind: str, name: str, change: dict[str, Any], part: str = "") -> None:
        """A merge patch, as a person's."""
        path = RESOURCES[kind].path(self.namespace, name) + part
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = self._http.patch(path, content=json.dumps(change), headers=headers)
        assert answer.status_code == 200, answer.text

    def rolling(self, name: str, serving: Mapping[str, Any] | None = None, addresses: Sequence[str] = ("", "")) -> None:
        """An object whose version 1 serves and whose version 2 has `WEIGHT` per cent of the traffic.

        `addresses` are those of stable's and the canary's pod, whose metrics are read where they have one.
        """
        body = self.create({
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "model": {"name": name, "version": "2"},
                "serving": dict(serving or {"replicas": 1}),
                "traffic": {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example.com"]}},
                "rollout": {"weights": [WEIGHT, 100], "hold": "1h"},
                "guards": {"errorRate": {"max": "1%"}, "interval": "1s"},
            },
        })  # fmt: skip
        plan = parse(body)
        stable, canary = (
            revision_of(name, VersionId(registry="none", model=name, model_created_ms=1, number=n), plan.serving, "x")
            for n in ("1", "2")
        )
        now = time.time()
        clock = Stopwatch(since=now)
        rollout = Rollout(
            canary=canary,
            attempt=1,
            started=now,
            deadline=clock,
            weight=WEIGHT,
            raised=now,
            hold=clock,
            canary_since=now,
        )
        for revision, address in zip((stable, canary), addresses, strict=True):
            self._pod(name, revision, address)
        record = Record(stable=stable, rollout=rollout, attempts=((canary.name, 1),))
        versions = {stable.name: "1", canary.name: "2"}
        self.put(route(plan, record.weights(), versions, encode(record)))

    def _pod(self, owner: str, revision: Revision, address: str) -> None:
        number = revision.version.number
        name, labels = f"{revision.name}-0", {MANAGED_BY: MANAGER, OWNER: owner, REVISION: revision.name}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": self.namespace, "labels": labels, "annotations": {VERSION: number},
            },
            "spec": {"containers": [{"name": "model", "image": "example.invalid/model:1"}]},
        }  # fmt: skip
        self.create(pod)
        if address:
            container = {"name": "model", "image": "example.invalid/model:1", "imageID": "", "ready": True}
            running = {**container, "started": True, "restartCount": 0, "state": {"running": {}}}
            status = {"podIP": address, "podIPs": [{"ip": address}], "containerStatuses": [running], "phase": "Running"}
            self.merge("Pod", name, {"status": status}, "/status")
        piece = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": revision.name, "namespace": self.namespace, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "namespace": self.namespace, "name": name},
                }
            ],
        }
        self.create(piece)

    def abort(self, name: str) -> None:
        """A person's abort of the rollout."""
        self.merge("ModelDeployment", name, {"metadata": {"annotations": {"tidegate.dev/abort": "2/1"}}})

    def reverted(self, name: str) -> bool:
        """Whether the route gives everything to stable, and says why in the same object."""
        body = self.get("HTTPRoute", name)
        weights = [ref["weight"] for ref in body["spec"]["rules"][0]["backendRefs"]]
        rollout = decode(body["metadata"]["annotations"][RECORD]).rollout
        gone = rollout is None or rollout.verdict is not None
        assert gone == (weights[0] == 100), (weights, rollout)
        return gone

    def holder(self) -> str:
        """Who holds the Lease; empty where nobody does."""
        return str((self.get("Lease", LEASE).get("spec") or {}).get("holderIdentity") or "")

    def deployments(self, name: str) -> list[str]:
        """The names of an object's Deployments."""
        selector = f"{OWNER}={name}"
        answer = self._http.get(RESOURCES["Deployment"].path(self.namespace), params={"labelSelector": selector})
        return [item["metadata"]["name"] for item in answer.json()["items"]]

    def size(self, deployment: str) -> int:
        return int(self.get("Deployment", deployment)["spec"]["replicas"])


class Replica:
    """One operator process, whose way to the API server is a relay of its own. `environment` comes on top."""

    def __init__(self, cell: Cell, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.relay = Relay(cell.cluster.server, ca_file=cell.cluster.ca_file, token=cell.cluster.token)
        self._cell = cell
        number = len(list(directory.glob("*.log")))
        self.log = directory / f"{number}.log"
        config = directory / f"{number}.kubeconfig"
        config.write_text(yaml.safe_dump(_kubeconfig(self.relay.url)))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {
            "PYTHONPATH": str(SOURCE),
            "KUBECONFIG": str(config),
            "TIDEGATE_NAMESPACES": cell.namespace,
            "TIDEGATE_LEASE_NAMESPACE": cell.namespace,
            "TIDEGATE_LEASE_NAME": LEASE,
            "TIDEGATE_ALERTS_TOKEN_FILE": str(_written(directory / "token", TOKEN)),
            "TIDEGATE_HTTP_HOST": "127.0.0.1",
            "TIDEGATE_HTTP_PORT": str(_free_port()),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        self.url = f"http://127.0.0.1:{own['TIDEGATE_HTTP_PORT']}"
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tidegate"],
                env=kept | own | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    @property
    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self._says("/readyz") is not None

    @property
    def leads(self) -> bool:
        return "tidegate_leader 1.0" in (self._says("/metrics") or "")

    def tell(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def alert(self, name: str, client: httpx.Client | None = None) -> int:
        """Tell this replica of an alert on an object, by a client that many may share; the answer's status."""
        labels = {"namespace": self._cell.namespace, "modeldeployment": name}
        body = {"name": "ModelIsWrong", "labels": labels}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        post = client.post if client is not None else httpx.post
        return post(f"{self.url}/alerts", json=body, headers=headers, timeout=20).status_code

    def alerts(self, names: Sequence[str]) -> int:
        """Tell this replica of an alert on each object, in one webhook of Alertmanager's; the answer's status."""
        moment = datetime.now(UTC).isoformat()
        labels = [{"alertname": "ModelIsWrong", "namespace": self._cell.namespace, "modeldeployment": n} for n in names]
        body = {"version": "4", "alerts": [{"status": "firing", "labels": each, "startsAt": moment} for each in labels]}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.post(f"{self.url}/alerts/alertmanager", json=body, headers=headers, timeout=60).status_code

    def kill(self) -> None:
        """SIGKILL, and what there is to clear up after it."""
        self.process.kill()
        self.process.wait()
        self.relay.stop()

    def _says(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=2) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None


def until(holds: Callable[[], bool], *, seconds: float, what: str, every: float = 0.01) -> float:
    """Wait for it; the moment (since the epoch) at which it was seen to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(every)  # other processes work towards it: there is nothing to wait on
    return time.time()


def leader_of(replicas: list[Replica], *, seconds: float = 60.0) -> Replica:
    """The one that leads, once one does."""
    found: list[Replica] = []

    def leads() -> bool:
        found[:] = [replica for replica in replicas if replica.leads]
        return bool(found)

    until(leads, seconds=seconds, what="a leader")
    (leader,) = found
    return leader


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": {"token": "the-relay-has-one"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
