"""What all tests share."""

import os

from hypothesis import HealthCheck, settings

# Machines are noisy: no example is too slow for a clock. In CI a run must be the same twice; at home it explores.
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")
