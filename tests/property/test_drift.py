"""Drift is what a server-side apply would change: held against the cluster in memory."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.cluster import FakeCluster

from tidegate.core.drift import differs, quantity

SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.text("abc", max_size=3))
NAMES = st.sampled_from(["a", "b", "c"])
ENTRIES = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"value": st.text("xy", max_size=2)}),
    max_size=3,
    unique_by=lambda entry: entry["name"],
)
#: No maps in plain lists: a field more in one of their elements is taken for a default, though an apply would drop it.
LISTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
VALUES = st.recursive(LISTS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
SPECS = st.fixed_dictionaries(
    {}, optional={"replicas": st.integers(0, 3), "env": ENTRIES, "selector": st.dictionaries(NAMES, NAMES), "x": VALUES}
)


def manifest(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "box", "namespace": "ml"}, "spec": spec}


@given(SPECS)
def test_nothing_differs_from_itself(spec: dict[str, Any]) -> None:
    assert not differs(manifest(spec), manifest(spec))


@given(SPECS, SPECS)
def test_after_an_apply_nothing_differs(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    cluster = FakeCluster()
    cluster.put(manifest(live))
    applied = asyncio.run(cluster.apply(manifest(wanted)))
    assert not differs(applied, manifest(wanted))


@given(SPECS, SPECS)
def test_where_nothing_differs_an_apply_adds_empty_values_at_most(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    cluster = FakeCluster()
    before = cluster.put(manifest(live))
    if differs(before, manifest(wanted)):
        return
    after = asyncio.run(cluster.apply(manifest(wanted)))
    assert _without_empty(after["spec"]) == _without_empty(before["spec"])


@given(st.integers(1, 10**6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_a_thousandth_more_is_another_quantity(number: int, suffix: str) -> None:
    base, more = quantity(f"{number}{suffix}"), quantity(f"{number}.001{suffix}")
    assert base is not None
    assert more is not None
    assert base < more


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner}
    return [_without_empty(inner) for inner in value] if isinstance(value, list) else value
