"""Laying a user's template over a preset, for arbitrary JSON."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.merge import merged, plain

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3))
FIELDS = st.sampled_from(
    ["containers", "env", "volumes", "resources", "readinessProbe", "httpGet", "exec", "args", "x"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner, max_size=4)),
    max_leaves=12,
)
MAPS = st.dictionaries(FIELDS, JSON, max_size=4)
#: As the API wants it: elements of lists have names, and no two the same.
PROPER = st.dictionaries(
    FIELDS,
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.dictionaries(FIELDS, inner, max_size=4),
            st.lists(
                st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"x": inner, "args": inner}),
                max_size=3,
                unique_by=lambda element: element["name"],
            ),
        ),
        max_leaves=12,
    ),
    max_size=4,
)


@given(MAPS, MAPS)
def test_every_pair_has_a_result_without_null_fields(base: dict[str, Any], patch: dict[str, Any]) -> None:
    assert not _has_null(merged(base, patch))


@given(PROPER, PROPER)
def test_laying_it_over_twice_is_laying_it_over_once(base: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merged(base, patch)
    assert merged(once, patch) == once


@given(MAPS)
def test_nothing_laid_over_is_the_base(base: dict[str, Any]) -> None:
    assert merged(base, {}) == plain(base)


@given(MAPS, st.text(max_size=3))
def test_a_scalar_of_the_users_is_what_stands_there(base: dict[str, Any], value: str) -> None:
    assert merged(base, {"x": value})["x"] == value


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(inner is None or _has_null(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_null(inner) for inner in value)
    return False
