from collections.abc import AsyncIterator

import pytest
from tests.unit.adapters.faulty import Faulty


@pytest.fixture
async def faulty() -> AsyncIterator[Faulty]:
    server = Faulty()
    await server.start()
    yield server
    await server.stop()
