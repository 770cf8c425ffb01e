from collections.abc import AsyncIterator, Iterator

import pytest
from tests.fixtures.apiserver import apiserver, kube_access, namespace
from tests.fixtures.mlflow import MlflowServer, mlflow_server
from tests.fixtures.receiver import Receiver

__all__ = ["apiserver", "kube_access", "namespace"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow for all tests: to start one takes as long as all of a module's. Each test has a name of its own."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Takes what is posted, or doesn't, as a test has it."""
    made = Receiver()
    await made.start()
    yield made
    await made.stop()
