"""What a query language answers: numbers with labels."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of an instant query; `at` is the moment of evaluation, seconds since the epoch by the source's clock.

    `value` may be NaN or infinite: that is no data, and whoever asked has to say so.
    """

    labels: Mapping[str, str]
    value: float
    at: float
