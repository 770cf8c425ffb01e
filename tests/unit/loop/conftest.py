import asyncio
from collections.abc import Callable, Mapping

import pytest
from tests.integration.loop.virtual import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time for modules that ask for it: they wait for nothing real."""
    if isinstance(item, pytest.Function) and getattr(item.module, "VIRTUAL_TIME", False):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}
