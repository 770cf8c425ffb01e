"""A real MLflow server that tells of a moved alias: the canary is made within a second, though the poll is far away."""

import asyncio
import base64
import os
from pathlib import Path
from typing import Any

from tests.fakes.cluster import FakeCluster
from tests.fakes.evidence import FakeEvidence
from tests.fakes.leases import FakeLeases
from tests.fixtures.mlflow import RegistryEditor, mlflow_server
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.core.labels import API_VERSION, KIND
from tidegate.core.reasons import Reason
from tidegate.intake.http import IntakeServer
from tidegate.ports import Login
from tidegate.settings import Settings
from tidegate.wiring import Operator, webhook_intake

SECRET = "a-secret-of-the-webhook"
#: MLflow sends to https and public addresses alone if it is not told otherwise, and keeps secrets encrypted.
SENDING = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
}
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


async def test_a_moved_alias_is_told_and_the_canary_is_made_within_a_second(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text(f"{SECRET}\n")
    with mlflow_server(tmp_path / "mlflow", environment=SENDING) as server:
        login, cluster = Login(uri=server.url), FakeCluster()
        registry, writer = MlflowRegistry(login), MlflowWriter(login)
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
            ready=operator.ready,
            webhooks=webhook_intake(operator, settings),
        )
        await door.start()
        edit = RegistryEditor(server)
        await asyncio.to_thread(_prepared, edit, f"http://127.0.0.1:{door.port}/webhooks/mlflow")
        cluster.put(OBJECT)
        work = asyncio.create_task(operator.run())
        await until(lambda: _said(cluster) == Reason.ALIAS_NOT_FOUND, 60)
        await asyncio.to_thread(edit.set_alias, "fraud-detector", "champion", "1")
        # An hour lies between two polls: only the webhook can have told. How long it takes is for the benchmarks.
        await until(lambda: bool(cluster.all("Deployment")), 60)
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
