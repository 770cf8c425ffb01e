import ssl
from collections.abc import Iterator

import httpx
import pytest
from tests.cluster.light import LightCluster


@pytest.fixture(scope="session")
def api(apiserver: LightCluster) -> Iterator[httpx.Client]:
    """A client of the API server with all rights."""
    trusted = ssl.create_default_context(cafile=str(apiserver.ca_file))
    token = {"Authorization": f"Bearer {apiserver.token}"}
    with httpx.Client(base_url=apiserver.server, headers=token, verify=trusted, timeout=30) as client:
        yield client
