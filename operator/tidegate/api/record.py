"""The record's wire form: what the route's annotation and the object's status carry."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tidegate.core.record import Record
from tidegate.errors import UnreadableRecord

#: Number of the format. A reader of another number holds, and changes nothing.
FORMAT = 1
_RECORD = TypeAdapter(Record)


def encode(record: Record) -> str:
    """Return the record as compact JSON: defaults left out, keys sorted, so equal records are equal strings."""
    return json.dumps(
        _fields(record) | {"v": FORMAT}, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    )


def decode(text: str) -> Record:
    """Return the record that `encode` wrote.

    Raises:
        UnreadableRecord: the text is of another format, or was not written by `encode`. Nothing may be concluded
            from it; least of all that there is no record.
    """
    try:
        fields = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"the record is no JSON: {error}") from error
    if not isinstance(fields, dict) or fields.get("v") != FORMAT:
        found = fields.get("v") if isinstance(fields, dict) else None
        raise UnreadableRecord(f"the record has format {found!r}, this version of Tidegate reads {FORMAT}")
    del fields["v"]
    try:
        record = _RECORD.validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise UnreadableRecord(f"the record's field {at} is unreadable: {first['msg']}") from error
    if _fields(record) != fields:
        raise UnreadableRecord("the record has fields that this version of Tidegate does not know or would not write")
    return record


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
