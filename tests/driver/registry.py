"""An MLflow server in the cluster, and its REST interface as people's scripts use it."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from tests.cluster.access import Access

NAMESPACE = "mlflow"
SERVICE = "mlflow"
PORT = 5000
URL = f"http://{SERVICE}.{NAMESPACE}.svc.cluster.local:{PORT}"
HOSTS = tuple(f"{SERVICE}{suffix}:{PORT}" for suffix in ("", ".mlflow", ".mlflow.svc", ".mlflow.svc.cluster.local"))


def manifests(image: str, data: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Namespace, Service and Deployment of a server on SQLite that keeps artifacts itself.

    `data` is the source of its volume; one that ends with its pod if absent.

    One worker and no job execution: the defaults take 2.6 GB. The server answers only to the Host names it is told.
    """
    labels = {"app": SERVICE}
    command = ["mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT), "--workers", "1"]
    command += ["--backend-store-uri", "sqlite:////data/mlflow.db", "--artifacts-destination", "/data/artifacts"]
    command += ["--serve-artifacts", "--allowed-hosts", ",".join((*HOSTS, "*"))]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": "/data"}
    container = {
        "name": SERVICE,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [{"name": "http", "containerPort": PORT}],
        # Out of its Service for one late answer, it would be down for everybody on a busy machine.
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
        "resources": {"requests": {"cpu": "200m", "memory": "600Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "data", **(data or {"emptyDir": {}})}, {"name": "tmp", "emptyDir": {}}],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": "http"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


class Mlflow:
    """The registry's REST interface, reached by the Service's address."""

    def __init__(self, access: Access) -> None:
        self._access = access
        spec = access.get("service", SERVICE, NAMESPACE)["spec"]
        self.url = f"http://{spec['clusterIP']}:{PORT}"

    def call(self, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
        """One request below `/api/2.0/mlflow/`; its answer's JSON.

        Raises:
            AssertionError: the server refused it; with its words.
        """
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{path}",
            method=method,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with self._access.inside():
            try:
                with opener.open(request, timeout=20) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error

    def model(self, name: str) -> None:
        """Make a registered model."""
        self.call("registered-models/create", name=name)

    def version(self, name: str, source: str = "s3://unused/model") -> str:
        """Register one more version; its number."""
        created = self.call("model-versions/create", name=name, source=source)
        return str(created["model_version"]["version"])

    def alias(self, name: str, alias: str, version: str) -> float:
        """Point an alias at a version; when that was done (seconds since the epoch)."""
        self.call("registered-models/alias", name=name, alias=alias, version=version)
        return time.time()

    def unalias(self, name: str, alias: str) -> None:
        """Take an alias away."""
        self.call("registered-models/alias", method="DELETE", name=name, alias=alias)

    def stage(self, name: str, version: str, stage: str, *, archive: bool = True) -> None:
        """Move a version to a stage."""
        self.call(
            "model-versions/transition-stage",
            name=name,
            version=version,
            stage=stage,
            archive_existing_versions=archive,
        )
