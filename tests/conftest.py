"""What all tests share."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Machines are noisy: no example is too slow for a clock. In CI a run must be the same twice; at home it explores.
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, in whatever order: one that is begun last is waited for with a core that has nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
