import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from tests.fixtures.apiserver import apiserver, kube_access, namespace
from tests.integration.loop.stage import FakeStage, Stage
from tests.integration.loop.virtual import VirtualLoop

__all__ = ["apiserver", "kube_access", "namespace"]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time where nothing real is waited for."""
    if item.get_closest_marker("apiserver"):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualLoop}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = FakeStage()
    await made.open()
    yield made
    await made.close()
