"""One cluster for all end-to-end tests: started once, with MLflow and the operator installed by its chart."""

import base64
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.cluster.access import Access
from tests.cluster.errors import StartError
from tests.cluster.full import Cluster
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress
from tests.driver.outside import receiver
from tests.driver.platform import NAMESPACE, OPERATORS, add_secret, install_mlflow, install_operator, listed
from tests.driver.registry import Mlflow, profile
from tests.e2e.__main__ import IMAGES
from tests.e2e.auditor import Auditor, complaints
from tests.e2e.site import Site
from tests.e2e.together import Stories

WEBHOOK_SECRET = "a-secret-of-the-tests-own"
#: MLflow sends to https and public addresses alone if it is not told otherwise, keeps secrets encrypted, and reads its
#: list of webhooks once a minute unless that is nothing.
WEBHOOKS = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "0",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
}
#: Where notices go. Nobody is there but while a test listens (tests.driver.outside): a dead receiver costs nothing.
RECEIVER = "receiver"
#: Where requests for training go, likewise.
TRAINER = "trainer"
#: Where audit events go. An auditor listens as long as the stage stands.
AUDITOR = "auditor"
SETTINGS = (
    "webhooks.existingSecret=mlflow-webhooks",
    "governance.enabled=true",
    "governance.retraining.existingSecret=trainers",
    "alerts.reviews=true",
    "alerts.fromPrometheus=true",
    "notifications.existingSecret=receivers",
    f"audit.webhook.url=http://{AUDITOR}.{NAMESPACE}.svc.cluster.local",
    "registry.retention.interval=60",
)
SAID = 40  # lines of each replica's log that a failure shows


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster with what a team has in it."""

    access: Access
    mlflow: Mlflow
    auditor: Auditor


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Cluster, MLflow, operator. The admin's rights are the tests'; the operator has only those of its chart.

    With `TIDEGATE_CLUSTER=<run>` it is the cluster of that run which `make cluster-up` left, with newer images loaded;
    with `TIDEGATE_AS_IS` set as well, whatever operator runs in it.
    """
    if (run := os.environ.get("TIDEGATE_CLUSTER")) and os.environ.get("TIDEGATE_AS_IS"):
        access = Access.attach(run)
        with receiver(access, NAMESPACE, AUDITOR) as heard:
            yield Stage(access, Mlflow(access), Auditor(heard))
        return
    progress = Progress()
    archives = ensure_images(IMAGES, progress)
    if run:
        access = Access.attach(run)
        for archive in archives.values():
            access.load(archive)
        with furnished(access) as made:
            yield made
        return
    with Cluster.start(archives=archives.values(), progress=progress) as cluster, furnished(cluster.access) as made:
        yield made


@contextmanager
def furnished(access: Access) -> Iterator[Stage]:
    """MLflow, the operator and whom it tells of what it does."""
    mlflow = install_registry(access)
    add_secret(access, NAMESPACE, "mlflow-webhooks", secret=WEBHOOK_SECRET)
    add_secret(access, NAMESPACE, "receivers", CLOUDEVENTS_URL=f"http://{RECEIVER}.{NAMESPACE}.svc.cluster.local")
    add_secret(access, NAMESPACE, "trainers", RETRAIN_URL=f"http://{TRAINER}.{NAMESPACE}.svc.cluster.local")
    with receiver(access, NAMESPACE, AUDITOR) as heard:
        install_operator(access, *SETTINGS)
        yield Stage(access, mlflow, Auditor(heard))


def install_registry(access: Access) -> Mlflow:
    """The MLflow that stories share, which sends webhooks."""
    return install_mlflow(access, kept=profile(os.environ), settings=WEBHOOKS)


@pytest.fixture
def together(stage: Stage) -> Iterator[Stories]:
    """Runs stories at once, each on a site of its own.

    Whatever they do to the operator, it never ends by itself, and its audit trail is complete and in order.
    """
    made = Stories(stage.access, stage.mlflow)
    yield made
    assert [complaint for name in made.namespaces for complaint in complaints(stage.auditor.acts(name))] == []
    pods = listed(stage.access, "pods", NAMESPACE, OPERATORS)
    ended = [s for pod in pods for s in pod["status"].get("containerStatuses", []) if s["restartCount"]]
    assert ended == [], f"the operator ended by itself: {replicas(stage.access)}"


@pytest.fixture
def site(together: Stories, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A namespace, a model and a host of the test's own."""
    made = together.site(request.node.name)
    yield made
    made.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the replicas of the operator last said: their pods are gone when somebody reads it."""
    report = yield
    stage = getattr(item, "funcargs", {}).get("stage")
    if report.failed and isinstance(stage, Stage):
        report.sections.append(("the operator's replicas", replicas(stage.access)))
    return report


def replicas(access: Access) -> str:
    """The replicas as they stand, and the end of what each said, also what it said before it was started again."""
    about = ("-n", NAMESPACE, "-l", OPERATORS)
    parts = [access.kubectl("get", "pods", *about)]
    for pod in access.kubectl("get", "pods", "-o", "name", *about).split():
        for which in ("--previous=false", "--previous=true"):
            with suppress(StartError):  # most were never started again
                said = access.kubectl("logs", "-n", NAMESPACE, pod, f"--tail={SAID}", which)
                parts.append(f"-- {pod}, {which}\n{said}")
    return "\n".join(parts)
