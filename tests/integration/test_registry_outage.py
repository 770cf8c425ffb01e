"""A real MLflow server that goes away, comes back, and refuses the name it is called by."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.fixtures.mlflow import RegistryEditor, free_port, mlflow_server
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.loop.registry import RegistryPoll
from tidegate.ports import Login

pytestmark = pytest.mark.long

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
    names = {name: f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    polled, misnamed = Polled(f"http://{names['127.0.0.1']}"), Polled(f"http://{names['localhost']}")
    tasks = [asyncio.create_task(each.poll.run()) for each in (polled, misnamed)]
    # To start a server takes ten seconds of a processor: the one that comes back is the one that refuses a name, too.
    strict = ["--allowed-hosts", names["127.0.0.1"]]
    await until(lambda: polled.fails_by(Reason.REGISTRY_UNREACHABLE), 60)
    with mlflow_server(tmp_path, port=port) as server:
        edit = RegistryEditor(server)
        await until(lambda: polled.fails_by(Reason.MODEL_NOT_FOUND), 60)
        edit.register("fraud")
        edit.add_version("fraud")
        edit.set_alias("fraud", "champion", "1")
        await until(lambda: all(isinstance(each.value, VersionId) for each in (polled, misnamed)), 60)
        first = polled.value
    await until(lambda: all(each.fails_by(Reason.REGISTRY_UNREACHABLE) for each in (polled, misnamed)), 60)
    with mlflow_server(tmp_path, port=port, extra=strict):
        await until(lambda: polled.value == first, 60)
        await until(lambda: misnamed.fails_by(Reason.REGISTRY_HOST_REFUSED), 60)
        refusal = misnamed.value
        assert isinstance(refusal, Unavailable)
        assert f"--allowed-hosts including {names['localhost']}" in refusal.message
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for each in (polled, misnamed):
        await each.registry.close()
