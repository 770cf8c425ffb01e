"""One cluster for all end-to-end tests: started once, with MLflow and the operator installed by its chart."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.access import Access
from tests.cluster.full import Cluster
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress
from tests.driver.platform import install_mlflow, install_operator
from tests.driver.registry import Mlflow
from tests.e2e.site import Site

IMAGES = ("mlflow", "tidegate-operator", "tidegate-runtime")


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster with what a team has in it."""

    access: Access
    mlflow: Mlflow


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Cluster, MLflow, operator. The admin's rights are the tests'; the operator has only those of its chart.

    With `TIDEGATE_CLUSTER=<run>` it is the cluster of that run which `make cluster-up` left, with newer images loaded.
    """
    progress = Progress()
    archives = ensure_images(IMAGES, progress)
    if run := os.environ.get("TIDEGATE_CLUSTER"):
        access = Access.attach(run)
        access.load(archives["tidegate-operator"])
        yield Stage(access, furnish(access))
        return
    with Cluster.start(archives=archives.values(), progress=progress) as cluster:
        yield Stage(cluster.access, furnish(cluster.access))


def furnish(access: Access) -> Mlflow:
    """MLflow and the operator."""
    mlflow = install_mlflow(access)
    install_operator(access)
    return mlflow


@pytest.fixture
def site(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A namespace, a model and a host of the test's own."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    made = Site(stage.access, stage.mlflow, f"t-{words[:24].strip('-')}-{os.urandom(2).hex()}")
    yield made
    made.remove()
