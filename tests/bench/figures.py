"""What a benchmark comes to: percentiles of its samples, and whether they are within the budget. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound on one of a figure's values; `ratio` raises it to that many times the floor's median, if that is more."""

    value: str
    most: float
    ratio: float | None = None

    def bound(self, floor: float | None) -> float:
        """The bound in a run with this floor."""
        if self.ratio is None or floor is None:
            return self.most
        return max(self.most, self.ratio * floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Samples of one quantity. `floor` holds those of the bare floor measured in the same run."""

    name: str
    unit: str
    samples: Sequence[float]
    floor: Sequence[float] = ()
    limits: Sequence[Limit] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.name}: no samples")

    @property
    def floor_p50(self) -> float | None:
        """The floor's median, None where there is no floor."""
        return statistics.median(self.floor) if self.floor else None

    def value(self, word: str) -> float:
        """`p50`, `p95`, `p99` or `max`."""
        if word == "max":
            return max(self.samples)
        return percentile(self.samples, float(word.removeprefix("p")))

    def entry(self) -> dict[str, object]:
        """The figure as `build/bench.json` has it."""
        values = {word: _short(self.value(word)) for word in ("p50", "p95", "p99", "max")}
        floor = None if self.floor_p50 is None else _short(self.floor_p50)
        return {"name": self.name, "unit": self.unit, "n": len(self.samples), **values, "floor_p50": floor}

    def missed(self) -> list[str]:
        """A sentence for each limit that is broken."""
        bounds = [(limit, limit.bound(self.floor_p50)) for limit in self.limits]
        return [
            f"{self.name}: {limit.value} is {self.value(limit.value):.4g} {self.unit}, over {bound:.4g}"
            for limit, bound in bounds
            if self.value(limit.value) > bound
        ]


def percentile(samples: Iterable[float], share: float) -> float:
    """The median where `share` is 50; else the nearest rank: the least sample that `share` per cent don't exceed.

    A tail is told by a sample that was seen; nothing is made up between two.
    """
    ordered = sorted(samples)
    if share == 50:
        return statistics.median(ordered)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """The figures for a person."""
    head = ("benchmark", "unit", "n", "p50", "p95", "p99", "max", "floor p50", "budget", "")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(figure: Figure) -> tuple[str, ...]:
    values = [f"{figure.value(word):.4g}" for word in ("p50", "p95", "p99", "max")]
    floor = "-" if figure.floor_p50 is None else f"{figure.floor_p50:.4g}"
    budget = ", ".join(f"{limit.value} <= {limit.bound(figure.floor_p50):.4g}" for limit in figure.limits) or "-"
    verdict = "missed" if figure.missed() else "met" if figure.limits else ""
    return (figure.name, figure.unit, str(len(figure.samples)), *values, floor, budget, verdict)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
