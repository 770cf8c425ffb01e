"""How long to wait after failures."""

import pytest

from tidegate.core.backoff import backoff


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.5), (2, 1.0), (4, 4.0), (8, 30.0), (2_000, 30.0), (10**9, 30.0)]
)
def test_a_back_off_doubles_and_has_an_end_however_long_it_fails(failures: int, seconds: float) -> None:
    assert backoff(failures, first=0.5, last=30.0) == seconds
