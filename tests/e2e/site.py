"""One test's corner of the cluster: a namespace, a registered model, a `ModelDeployment`, a host, and traffic to it."""

import copy
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster.access import Access
from tests.driver.platform import wait_for
from tests.driver.registry import Mlflow
from tests.driver.traffic import Traffic, tally
from tests.e2e.objects import Objects
from tests.e2e.trail import Trail, number

SITES = "t-"  # what the names of all sites begin with
MODEL_PORT = 8080
ROOT = Path(__file__).resolve().parents[2]
COUNTERS = {
    "port": MODEL_PORT,
    "path": "/metrics",
    "requests": {"metric": "requests_total", "codeLabel": "code"},
    "duration": {"metric": "request_duration_seconds", "unit": "seconds"},
}


class Site:
    """Names are a test's own, so tests do not meet. The model server is the small one of the cluster."""

    def __init__(self, access: Access, mlflow: Mlflow, name: str) -> None:
        self.access = access
        self.mlflow = mlflow
        self.objects = Objects(access)
        self.namespace = name
        self.name = "m"
        self.model = name
        self.host = f"{name}.example.com"
        access.kubectl("create", "namespace", self.namespace)
        mlflow.model(self.model)

    def beside(self, name: str) -> "Site":
        """The same corner and model, for another object with a host of its own."""
        other = copy.copy(self)
        other.name, other.host = name, f"{name}.{self.host}"
        return other

    def manifest(self, behave: dict[str, dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
        """A `ModelDeployment` with short holds; `behave` is how versions behave, by number; `spec` replaces fields."""
        environment = [{"name": f"BEHAVE_V{n}", "value": json.dumps(how)} for n, how in (behave or {}).items()]
        container = {
            "name": "model",
            "image": "localhost/tidegate-testserver:dev",
            "imagePullPolicy": "IfNotPresent",
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "20m", "memory": "16Mi"}},
            "env": environment,
        }
        base: dict[str, Any] = {
            "model": {"name": self.model, "alias": "champion"},
            "serving": {
                "replicas": 2,
                "runtime": "custom",
                "metrics": COUNTERS,
                "template": {"spec": {"terminationGracePeriodSeconds": 5, "containers": [container]}},
            },
            "traffic": {
                "gateway": {
                    "parentRefs": [{"name": self.access.gateway_name, "namespace": self.access.gateway_namespace}],
                    "hostnames": [self.host],
                }
            },
            "rollout": {"weights": [5, 25, 50, 100], "hold": "2s"},
            "guards": {"errorRate": {"max": "1%"}, "minRequests": 50},
        }
        return {
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": base | spec,
        }

    def apply(self, manifest: dict[str, Any]) -> None:
        """`kubectl apply` as a person does it."""
        self.access.kubectl("apply", "-f", "-", text=json.dumps(manifest))

    def annotate(self, action: str, value: str | None) -> None:
        """Set or take away an action's annotation."""
        word = f"tidegate.dev/{action}={value}" if value is not None else f"tidegate.dev/{action}-"
        self.access.kubectl("annotate", "mdep", self.name, "-n", self.namespace, "--overwrite", word)

    def patch(self, spec: dict[str, Any]) -> None:
        """Merge into the spec."""
        body = json.dumps({"spec": spec})
        self.access.kubectl("patch", "mdep", self.name, "-n", self.namespace, "--type=merge", "-p", body)

    def serve(self, manifest: dict[str, Any] | None = None, version: str | None = None) -> str:
        """Register a first version, apply, and wait until it serves; its number."""
        number = version or self.mlflow.version(self.model)
        self.mlflow.alias(self.model, "champion", number)
        self.apply(manifest or self.manifest())
        self.wait(lambda o: o.ready and o.version == number, what=f"version {number} serves")
        return number

    def register(self, program: str, folder: Path, *arguments: str) -> Path:
        """Register versions of this site's model by a program of its own, with full MLflow; what clients send."""
        bodies = folder / f"{self.model}.jsonl"
        command = [sys.executable, "-m", program, "--name", self.model, "--bodies", str(bodies), *arguments]
        settings = {**self.mlflow.environment, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT)}
        self.access.call("env", *(f"{name}={value}" for name, value in settings.items()), *command)
        return bodies

    def candidate(self, alias: str = "champion") -> str:
        """Register one more version and point at it; its number."""
        number = self.mlflow.version(self.model)
        self.point(number, alias)
        return number

    def point(self, number: str, alias: str = "champion") -> None:
        """Move the alias."""
        self.mlflow.alias(self.model, alias, number)

    def aliases(self) -> dict[str, str]:
        """The aliases of the model, as the registry has them."""
        found = self.mlflow.call(f"registered-models/get?name={self.model}", method="GET")["registered_model"]
        return {alias["alias"]: alias["version"] for alias in found.get("aliases", [])}

    def tags(self, version: str) -> dict[str, str]:
        """What the registry says of a version under the object."""
        path = f"model-versions/get?name={self.model}&version={version}"
        tags = self.mlflow.call(path, method="GET")["model_version"].get("tags", [])
        prefix = f"tidegate.default.{self.namespace}.{self.name}."
        return {tag["key"].removeprefix(prefix): tag["value"] for tag in tags if tag["key"].startswith(prefix)}

    def path(self, kind: str) -> str:
        """Where the API server has the objects of a kind in this namespace."""
        group = {
            "modeldeployments": "apis/tidegate.dev/v1alpha1",
            "httproutes": "apis/gateway.networking.k8s.io/v1",
            "deployments": "apis/apps/v1",
            "events": "apis/events.k8s.io/v1",
            "horizontalpodautoscalers": "apis/autoscaling/v2",
        }.get(kind, "api/v1")
        return f"/{group}/namespaces/{self.namespace}/{kind}"

    def look(self) -> "Look":
        """The object and its route as they are now."""
        body = self.objects.get(f"{self.path('modeldeployments')}/{self.name}")
        return Look(body, self.objects.get(f"{self.path('httproutes')}/{self.name}") or None)

    def wait(self, holds: Callable[["Look"], bool], *, what: str, seconds: float = 90.0) -> "Look":
        """Look until something holds; fails with the object's status."""
        last = Look({}, None)

        def look() -> Look | None:
            nonlocal last
            last = self.look()
            return last if holds(last) else None

        def tell() -> str:
            told = {k: v for k, v in last.status.items() if k not in {"record", "judge"}}
            return f"{self.namespace}: route {last.weights}\n{json.dumps(told, indent=1)[:6000]}"

        return wait_for(look, seconds=seconds, what=what, tell=tell)

    def listed(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind in this namespace."""
        items: list[dict[str, Any]] = self.objects.get(f"{self.path(kind)}?labelSelector={selector}")["items"]
        return items

    def pods(self, revision: str | None = None) -> list[dict[str, Any]]:
        """The model pods that are not on their way out, of one revision or of all."""
        selector = f"tidegate.dev/revision={revision}" if revision else "tidegate.dev/modeldeployment"
        return [pod for pod in self.listed("pods", selector) if "deletionTimestamp" not in pod["metadata"]]

    def running(self, version: str) -> bool:
        """Whether the pods of a version run, ready or not."""
        pods = [p for p in self.pods() if p["metadata"]["annotations"]["tidegate.dev/version"] == version]
        states = [s["state"] for p in pods for s in p["status"].get("containerStatuses", [{"state": {}}])]
        return bool(states) and all("running" in state for state in states)

    def behave(self, revision: str, **how: Any) -> None:
        """Tell the pods of a revision how to behave from now on; nothing means well."""
        self._post(revision, "/behave", how)

    def behave_first(self, revision: str, **how: Any) -> None:
        """Tell one pod of a revision how to behave from now on."""
        self._post(revision, "/behave", how, most=1)

    def ready(self, version: str) -> list[str]:
        """Names of the ready pods of a version."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods()
            if pod["metadata"]["annotations"]["tidegate.dev/version"] == version
            and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
        ]

    def predict(self, revision: str) -> None:
        """Send one request to each pod of a revision, past the gateway."""
        self._post(revision, "/invocations", {})

    def _post(self, revision: str, path: str, body: dict[str, Any], most: int | None = None) -> None:
        """To each pod of a revision, also to one that is just being started."""
        for pod in self.pods(revision)[:most]:
            name = pod["metadata"]["name"]
            wait_for(partial(self._posted, name, path, body), seconds=30, what=f"POST {path} to {name}")

    def _posted(self, name: str, path: str, body: dict[str, Any]) -> bool:
        address = self.objects.get(f"{self.path('pods')}/{name}").get("status", {}).get("podIP")
        if not address:
            return False
        url = f"http://{address}:{MODEL_PORT}{path}"
        request = urllib.request.Request(url, data=json.dumps(body).encode())
        with self.access.inside():
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()
            except urllib.error.URLError:
                return False
        return True

    def trail(self, *, lasting: bool = False) -> Trail:
        """Every form that object, route and pods take from now on; a lasting one outlives the API server."""
        owners, routes = (
            f"{self.path(kind)}?fieldSelector=metadata.name%3D{self.name}"
            for kind in ("modeldeployments", "httproutes")
        )
        return Trail(self.objects, owners=owners, routes=routes, pods=self.path("pods"), lasting=lasting)

    def revision(self, number: str) -> str:
        """The revision of a version that is being rolled out, serves, or did."""
        status = self.look().status
        entries = [status.get("rollout"), status.get("stable"), *status.get("history", [])[::-1]]
        return str(next(e["revision"] for e in entries if e and e["version"] == number))

    def traffic(self, rate: float = 50.0, **options: Any) -> Traffic:
        """Steady requests to this site's host."""
        return Traffic(self.access, self.host, rate=rate, **options)

    def steady(self, traffic: Traffic, answers: int = 50) -> None:
        """Wait for this many more good answers."""
        begin = time.time()
        traffic.wait(lambda found: sum(a.good for a in found if a.started >= begin) >= answers, what="steady traffic")

    def remove(self) -> None:
        """Take everything away again, not waiting for it."""
        self.objects.close()
        self.access.kubectl("delete", "namespace", self.namespace, "--wait=false")


class Look:
    """One reading of an object, in a test's words."""

    def __init__(self, body: dict[str, Any], route: dict[str, Any] | None) -> None:
        self.body = body
        self.route = route
        self.status: dict[str, Any] = body.get("status") or {}

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition by its type; empty where there is none."""
        return next((c for c in self.status.get("conditions", []) if c["type"] == kind), {})

    @property
    def ready(self) -> bool:
        """Ready by kstatus: of the present generation."""
        seen = self.status.get("observedGeneration") == self.body.get("metadata", {}).get("generation")
        return seen and self.condition("Ready").get("status") == "True"

    @property
    def stalled(self) -> str | None:
        """The reason of Stalled, None where it is not."""
        condition = self.condition("Stalled")
        return condition["reason"] if condition.get("status") == "True" else None

    @property
    def version(self) -> str | None:
        """The version that serves."""
        return self.status.get("version")

    @property
    def weight(self) -> int | None:
        """The canary's weight by status; None without a rollout."""
        return (self.status.get("rollout") or {}).get("weight")

    @property
    def weights(self) -> dict[str, int]:
        """The route's weights by version number."""
        if self.route is None:
            return {}
        backends = self.route["spec"]["rules"][0].get("backendRefs", [])
        found: dict[str, int] = {}
        for backend in backends:
            version = number(backend["name"])
            found[version] = found.get(version, 0) + backend.get("weight", 1)
        return found

    @property
    def rejected(self) -> dict[str, dict[str, Any]]:
        """Rejections by version number."""
        return {entry["version"]: entry for entry in self.status.get("rejected", [])}

    @property
    def parked(self) -> dict[str, dict[str, Any]]:
        """Parkings by version number."""
        return {entry["version"]: entry for entry in self.status.get("parked", [])}


__all__ = ["Look", "Site", "tally"]
