"""JSON of the API server: as it was written, but for what is too deep for anybody."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import jsontext
from tidegate.jsontext import DEEPEST, read, shallow, shallowed, write

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int, inner: str = "1") -> str:
    """Lists and maps by turns, so many of them."""
    pairs = [("[", "]"), ('{"a\\"[":', "}")]
    marks = [pairs[level % 2] for level in range(levels)]
    return "".join(begin for begin, _ in marks) + inner + "".join(end for _, end in reversed(marks))


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max((depth(part) for part in inner), default=0)


@given(VALUES)
def test_what_is_written_is_what_is_read(value: Any) -> None:
    text = json.dumps(value)
    assert read(text) == read(text.encode()) == value
    assert json.loads(write(value)) == read(write(value)) == value
    assert shallow(text) == text
    assert shallowed(text.encode()) == text.encode()


@pytest.mark.parametrize("levels", [1000, 9999, 60_000])
def test_what_is_too_deep_is_null_from_there_on_and_nothing_beside_it_is_lost(levels: int) -> None:
    text = f'{{"before": "[{{", "deep": {nested(levels)}, "after": [1, {{"b": "]}}\\\\"}}]}}'
    for value in (read(text), read(text.encode()), json.loads(shallowed(text.encode()))):
        assert depth(value) == DEEPEST
        assert (value["before"], value["after"]) == ("[{", [1, {"b": "]}\\"}])
        assert read(write(value)) == value


def test_what_is_not_too_deep_is_read_whole() -> None:
    assert depth(read(nested(DEEPEST))) == DEEPEST


def test_half_a_surrogate_pair_is_a_text() -> None:
    assert read('["\\ud800"]') == ["\ud800"]
    assert read(write(["\ud800"])) == ["\ud800"]


@pytest.mark.parametrize("text", ["", "<html>", '{"a": ', "[" * 5000, "]" * 5000, '"\\'])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        read(text)


def test_bytes_that_are_no_text_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        read(b'{"a": "\xff"}')
    assert jsontext.shallowed(b"\xff" * 10) == b"\xff" * 10
