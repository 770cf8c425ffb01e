"""What expressions of the CRD's rules call: CEL's standard library, and Kubernetes' additions to lists and strings."""

import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.plugin import patterns

_UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|us|µs|ns|m|s)", re.ASCII)
_LONGEST = 2**63


class CelError(Exception):
    """An expression has no value."""


class Duration(int):
    """Nanoseconds."""


def truth(value: Any) -> bool:
    """The value of a condition."""
    if not isinstance(value, bool):
        raise CelError("no condition")
    return value


def equal(left: Any, right: Any) -> bool:
    """Values of different kinds are never equal; numbers are of one kind."""
    return _kind(left) == _kind(right) and bool(left == right)


def less(left: Any, right: Any) -> bool:
    """Whether one value comes before another of its kind."""
    if _kind(left) != _kind(right) or isinstance(left, Mapping | list | None):
        raise CelError("no order between these")
    return bool(left < right)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Duration):
        return "duration"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _size(value: Any) -> int:
    if not isinstance(value, str | list | Mapping):
        raise CelError("size of what has none")
    return len(value)


def _duration(text: Any) -> Duration:
    """As Go's time.ParseDuration reads it."""
    sign, body = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if body == "0":
        return Duration(0)
    parts = _DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise CelError(f"{text!r} is no duration")
    total = sum(round(float(number) * _UNITS[unit]) for number, unit in parts)
    if total >= _LONGEST:
        raise CelError(f"{text!r} is too long")
    return Duration(sign * total)


def _double(value: Any) -> float:
    if isinstance(value, str) and ("_" in value or value != value.strip()):
        raise CelError(f"{value!r} is no number")
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise CelError(f"{value!r} is no number") from error
    if math.isnan(number):
        raise CelError("no order among what is no number")
    return number


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise CelError(f"{value!r} is no integer") from error


def _sorted(values: list[Any]) -> bool:
    return not any(less(after, before) for before, after in itertools.pairwise(values))


def _sum(values: list[Any]) -> Any:
    total = sum(values)
    return Duration(total) if values and isinstance(values[0], Duration) else total


def _of_text(work: Callable[..., Any]) -> Callable[..., Any]:
    def method(text: Any, *arguments: Any) -> Any:
        if not isinstance(text, str):
            raise CelError("text is asked for")
        return work(text, *arguments)

    return method


def _of_list(work: Callable[..., Any]) -> Callable[..., Any]:
    def method(values: Any, *arguments: Any) -> Any:
        if not isinstance(values, list):
            raise CelError("a list is asked for")
        return work(values, *arguments)

    return method


#: Called by name: `size(self)`.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "double": _double,
    "duration": _of_text(_duration),
    "int": _int,
    "size": _size,
    "string": str,
}
#: Called on a value: `self.size()`.
METHODS: Mapping[str, Callable[..., Any]] = {
    "contains": _of_text(lambda text, part: part in text),
    "endsWith": _of_text(lambda text, end: text.endswith(end)),
    "isSorted": _of_list(_sorted),
    "join": _of_list(lambda parts, between="": between.join(parts)),
    "lowerAscii": _of_text(lambda text: re.sub("[A-Z]", lambda match: match[0].lower(), text)),
    "matches": _of_text(lambda text, pattern: patterns.found(pattern, text)),
    "max": _of_list(max),
    "min": _of_list(min),
    "replace": _of_text(lambda text, old, new: text.replace(old, new)),
    "size": _size,
    "split": _of_text(lambda text, between: text.split(between)),
    "startsWith": _of_text(lambda text, start: text.startswith(start)),
    "sum": _of_list(_sum),
    "trim": _of_text(lambda text: text.strip()),
    "upperAscii": _of_text(lambda text: re.sub("[a-z]", lambda match: match[0].upper(), text)),
}
