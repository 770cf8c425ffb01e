"""The cluster that benchmarks run on: MLflow and the operator's own image, installed by its chart."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.cluster.access import Access
from tests.cluster.full import Cluster
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress
from tests.driver.platform import install_mlflow, install_operator
from tests.driver.registry import Mlflow

#: Seconds between two polls: every second, those of twenty models would take half a core, of MLflow and the operator.
INTERVAL = 5
IMAGES = ("mlflow", "tidegate-operator", "tidegate-runtime")


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster with what a team has in it.

    `lasting` is what a benchmark leaves running for those that come after it; whoever runs them closes it.
    """

    access: Access
    mlflow: Mlflow
    progress: Progress
    lasting: ExitStack = field(default_factory=ExitStack)


@contextmanager
def stage() -> Iterator[Stage]:
    """A cluster that lives as long as the block; with `TIDEGATE_CLUSTER=<run>`, the one that `make cluster-up` left.

    With `TIDEGATE_AS_IS` set as well, whatever operator runs in it is measured.
    """
    progress = Progress()
    if (run := os.environ.get("TIDEGATE_CLUSTER")) and os.environ.get("TIDEGATE_AS_IS"):
        access = Access.attach(run)
        yield Stage(access, Mlflow(access), progress)
        return
    archives = ensure_images(IMAGES, progress)
    if run:
        access = Access.attach(run)
        for archive in archives.values():
            access.load(archive)
        yield furnished(access, progress)
        return
    with Cluster.start(archives=archives.values(), progress=progress) as cluster:
        yield furnished(cluster.access, progress)


def furnished(access: Access, progress: Progress) -> Stage:
    """MLflow and the operator, put into a cluster."""
    progress.expect(2)
    with progress.step("installing MLflow"):
        mlflow = install_mlflow(access)
    with progress.step("installing the operator"):
        install_operator(access, f"registry.interval={INTERVAL}")
    return Stage(access, mlflow, progress)
