"""One cluster for all end-to-end tests: started once, with MLflow and the operator installed by its chart."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.access import Access
from tests.cluster.full import Cluster
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress
from tests.driver.platform import install_mlflow, install_operator
from tests.driver.registry import Mlflow, Profile, profile
from tests.e2e.site import Site
from tests.e2e.together import Stories

IMAGES = (*Profile.POSTGRES.images, "tidegate-operator", "tidegate-runtime")


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster with what a team has in it."""

    access: Access
    mlflow: Mlflow


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Cluster, MLflow, operator. The admin's rights are the tests'; the operator has only those of its chart.

    With `TIDEGATE_CLUSTER=<run>` it is the cluster of that run which `make cluster-up` left, with newer images loaded;
    with `TIDEGATE_AS_IS` set as well, whatever operator runs in it.
    """
    if (run := os.environ.get("TIDEGATE_CLUSTER")) and os.environ.get("TIDEGATE_AS_IS"):
        access = Access.attach(run)
        yield Stage(access, Mlflow(access))
        return
    progress = Progress()
    archives = ensure_images(IMAGES, progress)
    if run:
        access = Access.attach(run)
        for archive in archives.values():
            access.load(archive)
        yield Stage(access, furnish(access))
        return
    with Cluster.start(archives=archives.values(), progress=progress) as cluster:
        yield Stage(cluster.access, furnish(cluster.access))


def furnish(access: Access) -> Mlflow:
    """MLflow and the operator."""
    mlflow = install_mlflow(access, kept=profile(os.environ))
    install_operator(access)
    return mlflow


@pytest.fixture
def together(stage: Stage) -> Stories:
    """Runs stories at once, each on a site of its own."""
    return Stories(stage.access, stage.mlflow)


@pytest.fixture
def site(together: Stories, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A namespace, a model and a host of the test's own."""
    made = together.site(request.node.name)
    yield made
    made.remove()
