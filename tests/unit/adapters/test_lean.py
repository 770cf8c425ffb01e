import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tidegate.adapters.access import _Lines, lean, newest


def test_managed_fields_are_left_out_and_nothing_else() -> None:
    told = {
        "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}], "labels": {"managedFields": "mine"}},
        "items": [{"metadata": {"managedFields": []}, "spec": {"n": 1, "x": None, "y": True}}],
    }
    assert lean(json.dumps(told)) == {
        "metadata": {"name": "a", "labels": {"managedFields": "mine"}},
        "items": [{"metadata": {}, "spec": {"n": 1, "x": None, "y": True}}],
    }


def test_what_is_no_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        lean(b"<html>")


def event(kind: str, uid: str, state: int) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"uid": uid}, "state": state}}).encode()


BOOKMARK = b'{"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "7"}}}'
ERROR = b'{"type": "ERROR", "object": {"code": 410}}'


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param([], [], id="none"),
        pytest.param([event("MODIFIED", "a", 1)], [0], id="one"),
        pytest.param([event("ADDED", "a", 1), event("MODIFIED", "a", 2), event("MODIFIED", "a", 3)], [2], id="states"),
        pytest.param(
            [event("MODIFIED", "a", 1), event("MODIFIED", "b", 1), event("MODIFIED", "a", 2)], [1, 2], id="two"
        ),
        pytest.param([event("MODIFIED", "a", 1), event("DELETED", "a", 2), event("ADDED", "b", 3)], [1, 2], id="gone"),
        pytest.param([event("DELETED", "a", 1), event("DELETED", "a", 1), BOOKMARK], [0, 1, 2], id="told twice"),
        pytest.param([BOOKMARK, event("MODIFIED", "a", 1), BOOKMARK, ERROR], [0, 1, 2, 3], id="no states"),
        pytest.param([b"{", event("MODIFIED", "a", 1), b"[]", b"1"], [0, 1, 2, 3], id="no events"),
    ],
)
def test_of_events_that_come_at_once_superseded_states_are_left_out(lines: list[bytes], left: list[int]) -> None:
    assert newest(lines) == [lines[place] for place in left]


class Chunks:
    """A stream of an answer that came in these chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks
        self.total_bytes = sum(map(len, chunks))

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
async def test_lines_are_whole_wherever_chunks_end(size: int) -> None:
    events = [event("MODIFIED", f"{number}", number) for number in range(50)]
    text = b"\n".join([*events, b'{"deep": ' + b"[" * 2000 + b"]" * 2000 + b"}", b"the last one has no end"])
    lines = _Lines(Chunks(*(text[at : at + size] for at in range(0, len(text), size))))  # type: ignore[arg-type]
    found = [line async for line in lines.iter_chunked(10)]
    assert b"".join(found[:50]).splitlines() == events
    assert json.loads(found[50])
    assert found[51:] == [b"the last one has no end"]
    assert lines.total_bytes == len(text)


async def test_whoever_handles_lines_that_come_at_once_gets_a_turn_between_them() -> None:
    handled: list[bytes] = []
    lines = _Lines(Chunks(b"".join(event("MODIFIED", f"{number}", 1) + b"\n" for number in range(50))))  # type: ignore[arg-type]
    async for line in lines.iter_chunked(10):
        asyncio.get_running_loop().call_soon(handled.append, line)
    assert len(handled) >= 49
