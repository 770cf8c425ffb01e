"""The record's wire form: what the route's annotation and the object's status carry.

A record names up to some hundreds of revisions, most of which differ by name and version number alone. So a revision is
`[name, number, index]`, and `shared[index]` has what it shares with others.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tidegate.api.status import NAME, NUMBER
from tidegate.core.record import Record
from tidegate.core.revision import known_revisions
from tidegate.errors import UnreadableRecord

#: Number of the format. A reader of another number holds, and changes nothing.
FORMAT = 2
#: One that is read as well, and never written: every revision is spelt out in it.
EARLIER = 1
#: Where a record has revisions.
_REVISIONS = frozenset({"revision", "canary", "stable"})
#: What numbers may be, by the name of the field; those of others are times (seconds, years 1 to 9999) and counts.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "weight": (0, 100),
    "attempt": (1, 2**31),
    "model_created_ms": (0, 2**53),
}
_TIMES = (-62135596800.0, 253402300800.0)
_RECORD = TypeAdapter(Record)


def encode(record: Record) -> str:
    """Return the record as compact JSON: defaults left out, keys sorted, so equal records are equal strings."""
    return json.dumps(
        _packed(_fields(record)) | {"v": FORMAT},
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        sort_keys=True,
    )


def decode(text: str) -> Record:
    """Return the record that `encode` wrote.

    Raises:
        UnreadableRecord: the text is of another format, or was not written by `encode`. Nothing may be concluded
            from it; least of all that there is no record.
    """
    try:
        fields = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"the record is no JSON: {error}") from error
    if not isinstance(fields, dict) or fields.get("v") not in (FORMAT, EARLIER):
        found = fields.get("v") if isinstance(fields, dict) else None
        raise UnreadableRecord(f"the record has format {found!r}, this version of Tidegate reads {FORMAT}")
    try:
        return _read(fields)
    except RecursionError as error:
        raise UnreadableRecord("the record is nested deeper than any of ours") from error


def _read(written: dict[str, Any]) -> Record:
    packed = written.pop("v") == FORMAT
    fields = _expanded(written) if packed else written
    try:
        record = _RECORD.validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise UnreadableRecord(f"the record's field {at} is unreadable: {first['msg']}") from error
    fault = _implausible(fields)
    if fault is not None:
        raise UnreadableRecord(f"the record's field {fault}")
    revisions = (*known_revisions(record), *(past.revision for past in record.history))
    if any(len(found.name) > NAME or len(found.version.number) > NUMBER for found in revisions):
        raise UnreadableRecord("the record names a revision or a version that none of ours would be")
    if (_packed(_fields(record)) if packed else _fields(record)) != written:
        raise UnreadableRecord("the record has fields that this version of Tidegate does not know or would not write")
    return record


def _packed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with what revisions share said once."""
    shared: dict[tuple[Any, ...], int] = {}

    def pack(value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [pack(inner, name) for inner in value]
        if not isinstance(value, dict):
            return value
        if name not in _REVISIONS:
            return {key: pack(inner, key) for key, inner in value.items()}
        version = value["version"]
        common = (value["preset"], value["serving"], version["model"], version["model_created_ms"], version["registry"])
        return [value["name"], version["number"], shared.setdefault(common, len(shared))]

    found: dict[str, Any] = pack(dict(fields), "")
    return found | ({"shared": [list(common) for common in shared]} if shared else {})


def _expanded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_packed`.

    Raises:
        UnreadableRecord: it names what is not there.
    """
    shared = fields.get("shared", [])

    def expand(value: Any, name: str) -> Any:
        if name in _REVISIONS and isinstance(value, list):
            return _revision(value, shared)
        if isinstance(value, dict):
            return {key: expand(inner, key) for key, inner in value.items()}
        return [expand(inner, "") for inner in value] if isinstance(value, list) else value

    found: dict[str, Any] = expand({key: value for key, value in fields.items() if key != "shared"}, "")
    return found


def _revision(value: list[Any], shared: Any) -> dict[str, Any]:
    try:
        name, number, index = value
        preset, serving, model, created, registry = shared[index]
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise UnreadableRecord(f"a revision of the record is unreadable: {error}") from error
    version = {"model": model, "model_created_ms": created, "number": number, "registry": registry}
    return {"name": name, "preset": preset, "serving": serving, "version": version}


def _implausible(value: Any, name: str = "") -> str | None:
    """The first number that none of ours would be."""
    if isinstance(value, dict):
        return next(filter(None, (_implausible(inner, key) for key, inner in value.items())), None)
    if isinstance(value, list):
        return next(filter(None, (_implausible(inner, name) for inner in value)), None)
    least, most = _BOUNDS.get(name, _TIMES)
    if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value <= most:
        return f"{name} is {str(value)[:20]}, which is outside {least:g} to {most:g}"
    return None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no time and no share")
    return number


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _fields(record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = _RECORD.dump_python(record, mode="json", exclude_defaults=True)
    return fields


def restore(status: Mapping[str, Any]) -> Record:
    """Return the record that a status keeps, for an object whose route is missing: all traffic on stable.

    Raises:
        UnreadableRecord: as `decode`.
    """
    text = status.get("record")
    record = decode(text) if text is not None else Record()
    if record.rollout is None:
        return record
    return replace(record, rollout=replace(record.rollout, weight=0, raised=None, hold=None))
