"""A real MLflow server with workspaces that tells of a moved alias: the canary is made though the poll is far away."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.cluster import FakeCluster
from tests.fakes.evidence import FakeEvidence
from tests.fakes.leases import FakeLeases
from tests.fixtures.mlflow import MlflowServer, RegistryEditor, mlflow_server, sending
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.core.labels import API_VERSION, KIND
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.intake.http import IntakeServer
from tidegate.ports import Login
from tidegate.process import webhook_intake
from tidegate.settings import Settings
from tidegate.wiring import Operator

SECRET = "a-secret-of-the-webhook"
OBJECT: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": "fraud", "namespace": "ml"},
    "spec": {
        "model": {"name": "fraud-detector", "alias": "champion"},
        "traffic": {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": ["fraud.example.com"]}},
    },
}


def _said(cluster: FakeCluster) -> str:
    """Why there is no version, in the object's own word."""
    status = (cluster.read(KIND, "ml", "fraud") or {}).get("status") or {}
    return next((c["reason"] for c in status.get("conditions", []) if c["type"] == "ModelResolved"), "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One that sends webhooks and has workspaces."""
    directory = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(directory, environment=sending(), extra=["--enable-workspaces"]) as running:
        yield running


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET}\n")
    return file


async def _read(server: MlflowServer, workspace: str | None) -> tuple[Unavailable | None, VersionId | Unavailable]:
    """How a workspace stands, and what a champion is in it."""
    registry = MlflowRegistry(Login(uri=server.url, workspace=workspace, declared=True), timeout=60)
    wish = ("churn", Pointer(kind=PointerKind.ALIAS, value="champion"))
    found = await registry.check(), (await registry.resolve([wish]))[wish]
    await registry.close()
    return found


async def test_each_workspace_has_models_of_its_own_and_one_that_is_not_there_is_said(server: MlflowServer) -> None:
    await asyncio.to_thread(_in_workspace, server.url, "blue")
    health, version = await _read(server, "blue")
    assert health is None
    assert isinstance(version, VersionId)
    assert (version.registry, version.number) == (f"{server.url}#blue", "1")
    health, elsewhere = await _read(server, None)
    assert (health, getattr(elsewhere, "reason", None)) == (None, Reason.MODEL_NOT_FOUND)
    health, nowhere = await _read(server, "green")
    assert health is not None
    assert (health.reason, getattr(nowhere, "reason", None)) == (Reason.WORKSPACE_NOT_FOUND,) * 2
    assert "correct spec.workspace of the ModelRegistry" in health.message


def _in_workspace(url: str, workspace: str) -> None:
    """A workspace with a model and its champion."""
    _post(f"{url}/api/3.0/mlflow/workspaces", {"name": workspace})
    for path, told in (
        ("registered-models/create", {"name": "churn"}),
        ("model-versions/create", {"name": "churn", "source": "s3://models/churn"}),
        ("registered-models/alias", {"name": "churn", "alias": "champion", "version": "1"}),
    ):
        _post(f"{url}/api/2.0/mlflow/{path}", told, workspace)


def _post(url: str, told: dict[str, str], workspace: str = "") -> None:
    headers = {"Content-Type": "application/json"} | ({"X-MLFLOW-WORKSPACE": workspace} if workspace else {})
    request = urllib.request.Request(url, data=json.dumps(told).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status in {200, 201}


async def test_a_moved_alias_is_told_and_the_canary_is_made_without_a_poll(server: MlflowServer, secrets: Path) -> None:
    login, cluster = Login(uri=server.url), FakeCluster()
    registry, writer = MlflowRegistry(login, timeout=60), MlflowWriter(login, timeout=60)
    settings = Settings(registry_interval=3600.0, webhook_secret_file=str(secrets))
    operator = Operator(
        settings=settings,
        cluster=cluster,
        registry=registry,
        writer=writer,
        evidence=FakeEvidence(),
        clock=SteadyClock(),
        leases=FakeLeases(),
    )
    cluster.watchers.append(
        lambda event, body: (operator.gone if event == "DELETED" else operator.seen)(body["kind"], body)
    )
    door = IntakeServer(
        host="127.0.0.1",
        port=0,
        registry=operator.metrics.registry,
        healthy=operator.watchdog.trouble,
        ready=operator.listed,
        webhooks=webhook_intake(operator, settings),
    )
    await door.start()
    edit = RegistryEditor(server)
    await asyncio.to_thread(_prepared, edit, f"http://127.0.0.1:{door.port}/webhooks/mlflow")
    cluster.put(OBJECT)
    work = asyncio.create_task(operator.run())
    await until(lambda: _said(cluster) == Reason.ALIAS_NOT_FOUND, 120)
    await asyncio.to_thread(edit.set_alias, "fraud-detector", "champion", "1")
    # An hour lies between two polls: only the webhook can have told. How long it takes is for the benchmarks.
    await until(lambda: bool(cluster.all("Deployment")), 120)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await operator.stop()
    await door.stop()
    await registry.close()
    await writer.close()


def _prepared(edit: RegistryEditor, url: str) -> None:
    edit.register("fraud-detector")
    edit.add_version("fraud-detector")
    edit.send_webhooks(url, SECRET)
