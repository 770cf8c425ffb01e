from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import build, components
from tests.cluster.light import LightCluster
from tests.cluster.progress import Progress
from tests.integration.chart.helm import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    program = build.build([components.HELM], Progress())["helm"]
    return Helm(program=program, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[LightCluster]:
    """An API server that knows ModelDeployments and Gateway API."""
    crds = Path(__file__).parents[3] / "charts" / "tidegate" / "crds"
    with LightCluster.start() as started:
        started.apply_gateway_crds()
        started.kubectl("apply", "--server-side", "-f", str(crds))
        started.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crds))
        yield started
