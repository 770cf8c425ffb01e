from collections.abc import Iterator

import pytest
from tests.fixtures.apiserver import apiserver, kube_access, namespace
from tests.fixtures.mlflow import MlflowServer, mlflow_server

__all__ = ["apiserver", "kube_access", "namespace"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow for one module's tests."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running
