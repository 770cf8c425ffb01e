"""Numeric predictions of one answer, counted for later drift evidence."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegate_runtime.ladder import prediction_edges
from tidegate_runtime.metrics import PredictionCounts

_EDGES: Final = np.asarray(prediction_edges(), dtype=np.float64)
_NUMERIC_KINDS: Final = "biuf"


def count_predictions(raw: Any) -> PredictionCounts | None:
    """Sort the numbers in ``raw`` into the prediction ladder.

    Args:
        raw: What a pyfunc's predict returned: array, data frame, series, list, mapping or scalar of any shape. Arrays
            count element by element, data frames by their numeric columns, mappings by their values.

    Returns:
        The counts, or None where there is nothing numeric. NaN and infinities are left out.
    """
    values = _numbers(raw)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    buckets = np.bincount(np.searchsorted(_EDGES, values, side="left"), minlength=_EDGES.size + 1)
    return PredictionCounts(buckets=tuple(buckets.tolist()), total=float(values.sum()))


def _numbers(raw: Any) -> npt.NDArray[np.float64]:
    if hasattr(raw, "select_dtypes"):
        raw = raw.select_dtypes(include=["number", "bool"])
    if isinstance(raw, dict):
        return np.concatenate([np.empty(0), *(_numbers(value) for value in raw.values())])
    try:
        array = np.asarray(raw)
    except ValueError:
        # A ragged list: nothing that has a distribution.
        return np.empty(0)
    if array.dtype.kind not in _NUMERIC_KINDS:
        return np.empty(0)
    return array.astype(np.float64).ravel()
