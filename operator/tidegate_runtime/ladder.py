"""The fixed ladders of histogram edges.

A limit that a person writes snaps to an edge, so a ladder has to have the round values people write, and no gap wide
enough to make the snap matter. Ladders never depend on guards: an edited guard must not touch a pod.
"""

import math
from functools import cache
from itertools import pairwise
from typing import Final

WIDEST_RATIO: Final = 1.1
SHORTEST_SECONDS: Final = 0.001
LONGEST_SECONDS: Final = 600.0

_ROUND: Final = ("1", "1.2", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5", "6", "7", "7.5", "8", "9")
_SIGNIFICANT_DIGITS: Final = 4
# Rounding to four digits may widen a step by up to 1e-3; the raw steps stay that much narrower.
_RAW_RATIO: Final = WIDEST_RATIO - 0.001

# The R10 series of preferred numbers (ISO 3): ten to the decade, and the small whole numbers that classes have.
_R10: Final = ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")
_PREDICTION_DECADES: Final = range(-3, 6)


@cache
def edges() -> tuple[float, ...]:
    """Edges of the duration ladder in seconds, ascending, without +Inf.

    From 0.001 to 600, neighbours at most 1.1 apart as a ratio. Every edge has at most four significant digits, so that
    its text in an ``le`` label reads back as the same number; 1, 1.2, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 7.5, 8 and
    9 times every power of ten in the range are edges exactly.
    """
    anchors = [float(f"{digits}e{power}") for power in range(-3, 3) for digits in _ROUND]
    anchors = [anchor for anchor in anchors if anchor <= LONGEST_SECONDS]
    ladder = [anchors[0]]
    for low, high in pairwise(anchors):
        count = math.ceil(math.log(high / low) / math.log(_RAW_RATIO))
        ladder.extend(_rounded(low * (high / low) ** (i / count)) for i in range(1, count))
        ladder.append(high)
    return tuple(ladder)


@cache
def prediction_edges() -> tuple[float, ...]:
    """Edges of the prediction ladder, ascending, without +Inf: symmetric about 0, which is an edge.

    Magnitudes follow the R10 series from 0.001 to 1,000,000; a prediction of at most 0.001 either side falls next to 0.
    """
    magnitudes = [float(f"{digits}e{power}") for power in _PREDICTION_DECADES for digits in _R10]
    magnitudes.append(float(f"1e{_PREDICTION_DECADES.stop}"))
    return (*(-magnitude for magnitude in reversed(magnitudes)), 0.0, *magnitudes)


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
