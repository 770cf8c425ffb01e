"""Prometheus' text format (0.0.4), read strictly and only as far as it is needed.

`prometheus_client.parser` takes 8 ms for a page of a tidegate runtime (600 lines), every second and for every pod, on
the event loop that reverts. This one takes under 2 ms, because it looks at the metrics it was asked for and remembers
how label sets read. A property test holds it to prometheus_client's own.
"""

import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from tidegate.core.latency import Durations

#: The samples of one metric: labels and value, in the page's order.
Samples = list[tuple[Mapping[str, str], float]]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\[\\n"])*)"\s*(,|$)')
_ESCAPE = re.compile(r'\\([\\n"])')
_NUMBER = re.compile(r"(?i)[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)")
_TIMESTAMP = re.compile(r"-?\d+")


class Malformed(ValueError):  # noqa: N818 (named for what it says of a page)
    """A page that can't be believed. Its words say what is wrong with it."""


def samples(text: str, wanted: Collection[str]) -> dict[str, Samples]:
    """The samples of the `wanted` names (as on the line: with `_total`, `_bucket`).

    A name without samples is missing. Lines of other names are checked for their name only.

    Raises:
        Malformed: cut off, no samples at all, or a line that is no sample.
    """
    if not text.endswith("\n"):
        raise Malformed("the page is empty" if not text else "the page is cut off in the middle of a line")
    found: dict[str, Samples] = {}
    any_sample = False
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line[0] == "#" or line.isspace():
            continue
        any_sample = True
        name, labels, rest = _split(line)
        if not _is_name(name):
            raise Malformed(f"line {number} is no sample: {line[:60]!r}")
        if name in wanted:
            try:
                found.setdefault(name, []).append((_labels(labels), _value(rest)))
            except Malformed as fault:
                raise Malformed(f"line {number}: {fault}") from None
    if not any_sample:
        raise Malformed("the page has no samples")
    return found


def _split(line: str) -> tuple[str, str, list[str]]:
    """Name, label text, and what follows."""
    brace = line.find("{")
    if brace < 0:
        name, *rest = line.split()
        return name, "", rest
    close = line.rfind("}")
    if close < brace:
        raise Malformed(f"labels without an end: {line[:60]!r}")
    return line[:brace].strip(), line[brace + 1 : close], line[close + 1 :].split()


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _labels(text: str) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        match = _LABEL.match(text, at)
        if match is None:
            raise Malformed(f"labels that can't be read: {text[:60]!r}")
        if match[1] in labels:
            raise Malformed(f"label {match[1]} twice")
        labels[match[1]] = _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], match[2])
        at = match.end()
    return MappingProxyType(labels)


def _value(rest: list[str]) -> float:
    # A value, and perhaps a timestamp, which is of no use here.
    if not rest or len(rest) > 2 or (len(rest) == 2 and not _TIMESTAMP.fullmatch(rest[1])):  # noqa: PLR2004
        raise Malformed(f"not one value but {' '.join(rest)[:60]!r}")
    if not _NUMBER.fullmatch(rest[0]):
        raise Malformed(f"{rest[0][:60]!r} is no number")
    return float(rest[0])


def count(name: str, value: float) -> int:
    """A counter's value.

    Raises:
        Malformed: it counts nothing: NaN, infinite, negative, or a fraction.
    """
    if not math.isfinite(value) or value < 0 or value != math.floor(value):
        raise Malformed(f"{name} is {value:g}, which counts nothing")
    return int(value)


def single(name: str, series: Samples) -> float:
    """The value of a metric that has one series.

    Raises:
        Malformed: it has none or more.
    """
    if len(series) != 1:
        raise Malformed(f"{name} has {len(series)} series, not one")
    return series[0][1]


def by_label(name: str, series: Samples, label: str) -> dict[str, int]:
    """Counter values by the value of `label`.

    Raises:
        Malformed: a series without that label, or two series for one of its values: other labels tell apart what
            nobody said how to add.
    """
    counts: dict[str, int] = {}
    for labels, value in series:
        key = labels.get(label)
        if key is None:
            raise Malformed(f"{name} has a series without the label {label!r}: it has {sorted(labels)}")
        if key in counts:
            raise Malformed(f'{name} has more than one series with {label}="{key}": their labels are {sorted(labels)}')
        counts[key] = count(name, value)
    return counts


def ladders(name: str, series: Samples, label: str | None) -> dict[str, dict[float, int]]:
    """Cumulative counts by edge, by the value of `label` ("" for all where a series has no such label).

    Raises:
        Malformed: see `by_label`; or an edge that is no number.
    """
    found: dict[str, dict[float, int]] = {}
    for labels, value in series:
        key = labels.get(label, "") if label is not None else ""
        edge = _edge(name, labels.get("le"))
        ladder = found.setdefault(key, {})
        if edge in ladder:
            of = f' with {label}="{key}"' if key else ""
            raise Malformed(f"{name}{of} has more than one series for the edge {edge:g}: labels are {sorted(labels)}")
        ladder[edge] = count(name, value)
    return found


@lru_cache(maxsize=1024)
def _edge(name: str, text: str | None) -> float:
    if text is None or not _NUMBER.fullmatch(text) or math.isnan(float(text)):
        raise Malformed(f"{name} has a bucket with the edge {text!r}")
    return float(text)


def durations(name: str, found: Mapping[str, Mapping[float, int]], unit: float = 1.0) -> Durations | None:
    """Ladders with equal edges as `Durations`; `unit` is the seconds in one unit of the edges. None where none is.

    Raises:
        Malformed: no +Inf, counts that fall, ladders that differ, or some with and some without the label.
    """
    if not found:
        return None
    if "" in found and len(found) > 1:
        raise Malformed(f"{name} has series with and without the label for the code")
    ordered = {key: rungs(name, ladder) for key, ladder in found.items()}
    edges = {tuple(ladder) for ladder in ordered.values()}
    if len(edges) != 1:
        raise Malformed(f"{name} has different edges for different codes")
    return Durations(
        edges=tuple(edge * unit for edge in edges.pop()[:-1]),
        counts={key: tuple(ladder.values()) for key, ladder in ordered.items()},
    )


def rungs(name: str, ladder: Mapping[float, int]) -> dict[float, int]:
    """A ladder in order.

    Raises:
        Malformed: no +Inf, or counts that fall.
    """
    ordered = dict(sorted(ladder.items()))
    if math.inf not in ordered:
        raise Malformed(f"{name} has no +Inf bucket")
    values = list(ordered.values())
    if any(above < below for below, above in pairwise(values)):
        raise Malformed(f"{name} is not cumulative")
    return ordered
