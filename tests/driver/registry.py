"""An MLflow server in the cluster, and its REST interface as people's scripts use it."""

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tests.cluster.access import Access
from tests.cluster.errors import HostError
from tests.driver import stores

NAMESPACE = "mlflow"
SERVICE = "mlflow"
PORT = 5000
URL = f"http://{SERVICE}.{NAMESPACE}.svc.cluster.local:{PORT}"
#: Who may do everything where there are accounts, and by which password.
ADMIN = ("admin", "a-password-of-the-tests-own")
HOSTS = tuple(f"{SERVICE}{suffix}:{PORT}" for suffix in ("", ".mlflow", ".mlflow.svc", ".mlflow.svc.cluster.local"))


class Profile(StrEnum):
    """Where the server keeps runs and versions, and artifacts."""

    SQLITE = "sqlite"
    """Both in the server's own pod."""
    POSTGRES = "postgres"
    """In PostgreSQL, and in an S3-compatible store (`tests.driver.stores`)."""

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the images it runs from."""
        return ("mlflow",) if self is Profile.SQLITE else ("mlflow", stores.POSTGRES, stores.OBJECTSTORE)


def profile(environment: Mapping[str, str]) -> Profile:
    """What `REGISTRY` asks for; SQLite unless it says otherwise.

    Raises:
        HostError: there is no such profile.
    """
    asked = environment.get("REGISTRY") or Profile.SQLITE
    if asked not in set(Profile):
        raise HostError(f"REGISTRY is {asked}: it may be {' or '.join(Profile)}")
    return Profile(asked)


def manifests(
    image: str,
    data: dict[str, Any] | None = None,
    *,
    prefix: str = "localhost",
    kept: Profile = Profile.SQLITE,
    namespace: str = NAMESPACE,
    settings: Mapping[str, str] | None = None,
    accounts: bool = False,
) -> list[dict[str, Any]]:
    """Namespace, Service and Deployment of a server that hands artifacts on itself, and what it keeps its data in.

    `data` is the source of its volume; one that ends with its pod if absent. `settings` are more of its environment.
    With `accounts` it answers those alone that it knows: `ADMIN`, until somebody makes others.

    One worker and no job execution: the defaults take 2.6 GB. The server answers only to the Host names it is told.
    """
    labels, large = {"app": SERVICE}, kept is Profile.POSTGRES
    backend, artifacts = stores.LOCATIONS if large else ("sqlite:////data/mlflow.db", "/data/artifacts")
    command = ["mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT), "--workers", "1"]
    command += ["--backend-store-uri", backend, "--artifacts-destination", artifacts]
    command += ["--serve-artifacts", "--allowed-hosts", ",".join((*HOSTS, "*"))]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": "/data"}
    if accounts:
        command += ["--app-name", "basic-auth"]
        environment |= {"MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1], "MLFLOW_FLASK_SERVER_SECRET_KEY": ADMIN[1]}
    environment |= settings or {}
    container = {
        "name": SERVICE,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [
            *(stores.environment(namespace) if large else ()),
            *({"name": name, "value": value} for name, value in environment.items()),
        ],
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
        "initContainers": [stores.preparation(image, namespace)] if large else [],
        "containers": [container],
        "volumes": [{"name": "data", **(data or {"emptyDir": {}})}, {"name": "tmp", "emptyDir": {}}],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        *(stores.manifests(namespace, prefix) if large else ()),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": "http"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": SERVICE, "namespace": namespace},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


class Mlflow:
    """The registry's REST interface, reached by the Service's address, in somebody's name where there are accounts."""

    def __init__(self, access: Access, namespace: str = NAMESPACE, login: tuple[str, str] | None = None) -> None:
        self._access = access
        self._login = login
        spec = access.get("service", SERVICE, namespace)["spec"]
        self.url = f"http://{spec['clusterIP']}:{PORT}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program's MLflow client needs to reach it."""
        names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
        return {"MLFLOW_TRACKING_URI": self.url, **dict(zip(names, self._login or (), strict=False))}

    def call(self, path: str, method: str = "POST", api: str = "2.0", **body: Any) -> dict[str, Any]:
        """One request below `/api/<api>/mlflow/`; its answer's JSON.

        Raises:
            AssertionError: the server refused it; with its words.
        """
        headers = {"Content-Type": "application/json"}
        if self._login:
            headers["Authorization"] = f"Basic {b64encode(':'.join(self._login).encode()).decode()}"
        url = f"{self.url}/api/{api}/mlflow/{path}"
        request = urllib.request.Request(url, method=method, data=json.dumps(body).encode(), headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with self._access.inside():
            try:
                with opener.open(request, timeout=20) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error

    def answers(self) -> bool:
        """Whether the Service leads to it yet: nodes learn of a ready pod a moment later."""
        try:
            self.call("registered-models/search?max_results=1", method="GET")
        except urllib.error.URLError:
            return False
        return True

    def account(self, name: str, password: str) -> None:
        """Make an account, which may read everything, as MLflow has it."""
        self.call("users/create", username=name, password=password)

    def grant(self, name: str, model: str, permission: str) -> None:
        """Give an account more on a registered model."""
        what = {"resource_type": "registered_model", "resource_id": model, "permission": permission}
        self.call("users/permissions/grant", api="3.0", username=name, **what)

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
