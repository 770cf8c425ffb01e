import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from tests.integration.loop.virtual import VirtualLoop
from tests.unit.loop.watched import Watched


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time for modules that ask for it: they wait for nothing real."""
    if isinstance(item, pytest.Function) and getattr(item.module, "VIRTUAL_TIME", False):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    """Stable and a canary that are watched, until the test ends."""
    subject = Watched()
    yield subject
    await subject.watch.close()
    for pod in (*subject.stable, *subject.canary):
        pod.release()
