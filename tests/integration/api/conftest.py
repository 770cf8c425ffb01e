import ssl
from collections.abc import Iterator

import httpx
import pytest
from tests.cluster.light import LightCluster
from tests.generate import ROOT


@pytest.fixture(scope="session")
def served() -> Iterator[LightCluster]:
    """A light cluster that serves ModelDeployments and the Gateway API."""
    with LightCluster.start() as cluster:
        cluster.apply_gateway_crds()
        crd = ROOT / "crds" / "tidegate.dev_modeldeployments.yaml"
        cluster.kubectl("apply", "--server-side", "-f", str(crd))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crd))
        yield cluster


@pytest.fixture(scope="session")
def api(served: LightCluster) -> Iterator[httpx.Client]:
    """A client of its API server with all rights."""
    trusted = ssl.create_default_context(cafile=str(served.ca_file))
    token = {"Authorization": f"Bearer {served.token}"}
    with httpx.Client(base_url=served.server, headers=token, verify=trusted, timeout=30) as client:
        yield client
