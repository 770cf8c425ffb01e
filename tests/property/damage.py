"""Documents that went wrong on their way: valid ones, bent within what a schema lets through, or broken at will."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

Path = tuple[str | int, ...]
#: `make fuzz` sets the number of examples of each test; otherwise each has its own, for a run of seconds.
EXAMPLES = int(os.environ.get("TIDEGATE_FUZZ", "0"))
#: Fields that every schema of the API server requires where they stand.
REQUIRED = frozenset({"name", "type", "kind", "apiVersion"})
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
_NESTED = "[" * 4000
_WORDS = (
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "NaN",
    "None",
    "null",
    "True",
    "\U0001f30a\u0000\u202e",
    "{",
    _NESTED,
    '{"a":' + _NESTED,
)
TEXT = st.sampled_from(_WORDS) | st.text(max_size=12)
NUMBERS = st.sampled_from([0, 1, -1, 99, 100, 101, 2**31 - 1, 2**31, -(2**63), 2**63 - 1])


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """So many examples in CI, as many as are asked for otherwise."""
    return settings(
        max_examples=EXAMPLES or examples,
        deadline=None,
        # A whole object says what is wrong well enough, and making it smaller takes minutes.
        phases=(Phase.explicit, Phase.generate),
        print_blob=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )


def paths(document: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a document but its root."""
    items: Any = document.items() if isinstance(document, dict) else enumerate(document)
    for key, inner in items:
        yield (*at, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*at, key))


@st.composite
def bent(draw: st.DrawFn, document: Any, keep: frozenset[Path] = frozenset()) -> Any:
    """Up to four places of a document left out, emptied, doubled, or given another value of their type.

    That is what a schema, an older or newer server, or a person with `kubectl edit` lets through. `keep`: places that
    no server would ever leave out.
    """
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 4))):
        places = [path for path in paths(copy) if path not in keep]
        if not places:
            return copy
        *parents, last = draw(st.sampled_from(places))
        place = copy
        for key in parents:
            place = place[key]
        if isinstance(place, dict) and last not in REQUIRED and draw(st.booleans()):
            del place[last]
        else:
            place[last] = draw(_alike(place[last]))
    return copy


@st.composite
def broken(draw: st.DrawFn, document: Any) -> Any:
    """Up to three places of a document replaced by anything at all."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(list(paths(copy))))
        place = copy
        for key in parents:
            place = place[key]
        place[last] = draw(JUNK)
        if not list(paths(copy)):
            break
    return copy


def _alike(value: Any) -> st.SearchStrategy[Any]:
    match value:
        case bool():
            return st.just(not value)
        case int() | float():
            return NUMBERS
        case str():
            return TEXT
        case list():
            return st.sampled_from([[], value * 2, list(reversed(value)), value[1:]])
        case dict():
            required = {name: inner for name, inner in value.items() if name in REQUIRED}
            return st.sampled_from([required, required | dict(list(value.items())[1:])])
        case _:
            return JUNK
