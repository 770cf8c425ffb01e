"""What counts as a numeric prediction."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate_runtime.ladder import prediction_edges
from tidegate_runtime.predictions import count_predictions

EDGES = [*prediction_edges(), math.inf]


def by_hand(values: list[float]) -> tuple[int, ...]:
    counts = [0] * len(EDGES)
    for value in values:
        counts[next(index for index, edge in enumerate(EDGES) if value <= edge)] += 1
    return tuple(counts)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (np.array([0.25, 0.75]), [0.25, 0.75]),
        (np.array([[0.1, 0.9], [0.4, 0.6]]), [0.1, 0.9, 0.4, 0.6]),
        (np.array([1, 0, 2], dtype=np.int64), [1, 0, 2]),
        (np.array([True, False]), [1, 0]),
        (pd.Series([3.5, -4.0]), [3.5, -4.0]),
        (pd.DataFrame({"score": [0.5], "label": ["yes"]}), [0.5]),
        ([1.0, 2.0], [1.0, 2.0]),
        (7, [7]),
        ({"a": [1.0], "b": np.array([2.0]), "why": ["text"]}, [1.0, 2.0]),
        ([1.0, math.nan, math.inf, -math.inf], [1.0]),
        ([1e12, -1e12], [1e12, -1e12]),
    ],
    ids=repr,
)
def test_numbers_are_counted_wherever_they_are(raw: Any, values: list[float]) -> None:
    counts = count_predictions(raw)
    assert counts is not None
    assert counts.buckets == by_hand(values)
    assert counts.total == pytest.approx(sum(values))


@pytest.mark.parametrize(
    "raw",
    [["yes", "no"], np.array([]), [], {}, None, [math.nan], [[1], [1, 2]], pd.DataFrame({"l": ["a"]}), [{"a": 1}]],
    ids=repr,
)
def test_what_has_no_number_in_it_is_skipped(raw: Any) -> None:
    assert count_predictions(raw) is None


@settings(deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=50))
def test_each_number_falls_into_the_first_bucket_not_below_it(values: list[float]) -> None:
    counts = count_predictions(np.array(values))
    assert counts is not None
    assert counts.buckets == by_hand(values)
