"""JSON of the API server: read and written quickly, and never deeper than code that recurses can go.

Whoever may write a ModelDeployment may nest the free parts of its spec a thousand levels deep: the API server takes ten
thousand, and Python ends at one with a RecursionError, here or wherever the value is copied or compared next.
"""

import json
import re
from typing import Any

from pydantic_core import from_json, to_json

#: Levels that are read; what is deeper is null. The objects that Kubernetes itself knows have some twenty.
DEEPEST = 128
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def read(text: str | bytes) -> Any:
    """The value of a text, nothing of which is deeper than 200 levels: where it is, it is cut at `DEEPEST`.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        # Names are kept once; of values there would be too many.
        return from_json(text, cache_strings="keys")
    except ValueError:
        # It may be too deep, or have half a surrogate pair in a text; of what is no JSON at all json says where.
        return json.loads(shallow(text if isinstance(text, str) else text.decode()))


def write(value: Any) -> bytes:
    """The text of a JSON value, without spaces."""
    try:
        return to_json(value)
    except ValueError:
        return json.dumps(value, separators=(",", ":")).encode()


def shallowed(line: bytes) -> bytes:
    """The text as it is, or what `shallow` leaves of it where Python's own reader might not come to its end."""
    if line.count(b"{") + line.count(b"[") <= DEEPEST:
        return line
    try:
        from_json(line, cache_strings="none")
    except ValueError:
        return shallow(line.decode("utf-8", "replace")).encode()
    return line


def shallow(text: str) -> str:
    """The text with null in place of every list and map below `DEEPEST` levels."""
    kept: list[str] = []
    depth = begin = end = 0
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark in {"[", "{"}:
            depth += 1
            if depth == DEEPEST + 1:
                begin = token.start()
        elif mark in {"]", "}"}:
            if depth == DEEPEST + 1:
                kept += (text[end:begin], "null")
                end = token.end()
            depth -= 1
    # What never ends is no JSON anyway.
    return "".join((*kept, text[end : begin if depth > DEEPEST else None]))
