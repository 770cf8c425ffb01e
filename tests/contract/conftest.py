from collections.abc import AsyncIterator, Iterator

import pytest
from tests.fixtures.apiserver import apiserver, kube_access, namespace
from tests.fixtures.mlflow import MlflowServer, mlflow_server
from tests.fixtures.postgres import postgres_server
from tests.fixtures.receiver import Receiver

__all__ = ["apiserver", "kube_access", "namespace"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow for all tests: to start one takes as long as all of a module's. Each test has a name of its own."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture(scope="session")
def large_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The same as large teams run it, on PostgreSQL: there two transactions at a time are two."""
    directory = tmp_path_factory.mktemp("large")
    with (
        postgres_server(directory / "postgres") as uri,
        mlflow_server(directory / "mlflow", store=uri) as running,
    ):
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Takes what is posted, or doesn't, as a test has it."""
    made = Receiver()
    await made.start()
    yield made
    await made.stop()
