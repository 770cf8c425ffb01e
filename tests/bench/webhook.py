"""From a moved alias to the Deployment of its version, where MLflow tells of it: real MLflow, real API server."""

import http.server
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.figures import Figure, Limit
from tests.bench.handover import namespaced
from tests.driver.replicas import Cell, Replica, until
from tests.fixtures.mlflow import RegistryEditor, mlflow_server, sending

SECRET = "a-secret-of-the-webhook"
MOST = 1.0


def to_deployment(trials: int) -> list[Figure]:
    """Seconds from the request that sets an alias until the version has a Deployment; an hour lies between two polls.

    The floor is how long MLflow itself takes to tell somebody who does nothing with it.
    """
    samples, floor = [], []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cell = stack.enter_context(namespaced("hints"))
        server = stack.enter_context(mlflow_server(directory / "mlflow", environment=sending()))
        ear, heard = stack.enter_context(_ear())
        (directory / "secret").write_text(SECRET)
        environment = {
            "MLFLOW_TRACKING_URI": server.url,
            "TIDEGATE_REGISTRY_INTERVAL": "3600",
            "TIDEGATE_WEBHOOK_SECRET_FILE": str(directory / "secret"),
        }
        replica = Replica(cell, directory, environment)
        stack.callback(replica.kill)
        edit = RegistryEditor(server)
        edit.send_webhooks(f"{replica.url}/webhooks/mlflow", SECRET)
        edit.send_webhooks(ear, SECRET, name="floor")
        until(lambda: replica.ready and replica.leads, seconds=120, what="the replica leads", every=0.1)
        for number in range(trials):
            name = f"model-{number}"
            edit.register(name)
            edit.add_version(name)
            _declared(cell, name)
            heard.clear()
            begun = time.time()
            edit.set_alias(name, "champion", "1")
            samples.append(until(lambda: bool(cell.deployments(name)), seconds=60, what="a Deployment") - begun)  # noqa: B023
            until(lambda: bool(heard), seconds=60, what="the floor's webhook")
            floor.append(heard[0] - begun)
    limits = (Limit(value="p95", most=MOST),)
    return [Figure(name="webhook_to_deployment", unit="s", samples=samples, floor=floor, limits=limits)]


def _declared(cell: Cell, name: str) -> None:
    """An object that knows by now that there is no such alias."""
    cell.create({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": cell.namespace},
        "spec": {
            "model": {"name": name, "alias": "champion"},
            "traffic": {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example.com"]}},
        },
    })  # fmt: skip

    def asked() -> bool:
        conditions = (cell.get("ModelDeployment", name).get("status") or {}).get("conditions") or []
        return any(c["type"] == "ModelResolved" and c["reason"] == "AliasNotFound" for c in conditions)

    until(asked, seconds=60, what=f"{name} was asked for", every=0.05)


@contextmanager
def _ear() -> Iterator[tuple[str, list[float]]]:
    """A server that notes when something was posted to it."""
    heard: list[float] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(time.time())
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", heard
        server.shutdown()
