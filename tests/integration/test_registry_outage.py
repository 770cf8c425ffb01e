"""A real MLflow server that goes away, comes back, and refuses the name it is called by."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from tests.fixtures.mlflow import RegistryEditor, free_port, mlflow_server
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.loop.registry import RegistryPoll
from tidegate.ports import Login

CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")


class Polled:
    """A poll of one alias at a server that the test starts and stops."""

    def __init__(self, url: str) -> None:
        self.registry = MlflowRegistry(Login(uri=url))
        self.changes = 0
        self.poll = RegistryPoll(self.registry, SteadyClock(), 0.2, on_change=self._changed)
        self.poll.want("ml/fraud", "fraud", CHAMPION)

    def _changed(self, keys: Iterable[str]) -> None:
        assert list(keys) == ["ml/fraud"]
        self.changes += 1

    @property
    def value(self) -> VersionId | Unavailable | None:
        read = self.poll.value("fraud", CHAMPION)
        return read[0] if read else None

    def fails_by(self, reason: Reason) -> bool:
        return isinstance(self.value, Unavailable) and self.value.reason == reason


async def test_an_outage_is_said_and_the_same_version_comes_back(tmp_path: Path) -> None:
    port = free_port()
    polled = Polled(f"http://127.0.0.1:{port}")
    task = asyncio.create_task(polled.poll.run())
    await until(lambda: polled.fails_by(Reason.REGISTRY_UNREACHABLE), 60)
    with mlflow_server(tmp_path, port=port) as server:
        edit = RegistryEditor(server)
        await until(lambda: polled.fails_by(Reason.MODEL_NOT_FOUND), 60)
        edit.register("fraud")
        edit.add_version("fraud")
        edit.set_alias("fraud", "champion", "1")
        await until(lambda: isinstance(polled.value, VersionId), 60)
        first = polled.value
    await until(lambda: polled.fails_by(Reason.REGISTRY_UNREACHABLE), 60)
    with mlflow_server(tmp_path, port=port, extra=["--allowed-hosts", "mlflow.ml.svc"]):
        await until(lambda: polled.fails_by(Reason.REGISTRY_HOST_REFUSED), 60)
        refusal = polled.value
        assert isinstance(refusal, Unavailable)
        assert f"--allowed-hosts including 127.0.0.1:{port}" in refusal.message
    with mlflow_server(tmp_path, port=port):
        await until(lambda: polled.value == first, 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await polled.registry.close()
