"""Whether a new signature suits those who use an old one."""

from collections.abc import Mapping
from typing import Any

import pytest

from tidegate.core.signatures import Signature, SignaturePolicy, differences


def col(kind: str, name: str | None = "x", *, required: bool = True, **more: Any) -> Mapping[str, Any]:
    return {"type": kind, "required": required, **({"name": name} if name else {}), **more}


def tensor(dtype: str, *shape: int, name: str | None = None) -> Mapping[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}, **({"name": name} if name else {})}


def obj(**properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return col(
        "object", properties={name: {k: v for k, v in p.items() if k != "name"} for name, p in properties.items()}
    )


def against(old: Signature, new: Signature) -> tuple[str, ...]:
    return differences(old, new, SignaturePolicy.COMPATIBLE)


SUITS = {
    "the same": (col("double"), col("double")),
    "integer to long": (col("integer"), col("long")),
    "integer to double": (col("integer"), col("double")),
    "float to double": (col("float"), col("double")),
    "required to optional": (col("long"), col("long", required=False)),
    "anything goes": (col("string"), col("any")),
    "arrays of wider ones": (col("array", items={"type": "integer"}), col("array", items={"type": "long"})),
    "maps of wider ones": (col("map", values={"type": "float"}), col("map", values={"type": "double"})),
    "objects with something optional": (obj(a=col("long")), obj(a=col("long"), b=col("long", required=False))),
    "objects with less": (obj(a=col("long"), b=col("string")), obj(a=col("long", required=False))),
    "tensors of any batch": (tensor("float32", 8, 4), tensor("float64", -1, 4)),
    "a type that nobody knows": ({"type": "spark", "name": "x"}, {"type": "spark", "name": "x"}),
    "tensors without a shape": ({"type": "tensor", "name": "x"}, {"type": "tensor", "name": "x"}),
}
REFUSES = {
    "narrowed": (col("long"), col("integer"), "input x was long and is integer"),
    "long to double loses digits": (col("long"), col("double"), "input x was long and is double"),
    "another kind": (col("string"), col("double"), "input x was string and is double"),
    "optional to required": (col("long", required=False), col("long"), "input x is required, and optional for stable"),
    "a new one": (col("long", "y"), col("long"), "input x is required, and unknown to stable"),
    "arrays of narrower ones": (
        col("array", items={"type": "long"}),
        col("array", items={"type": "integer"}),
        "input x was array of long and is array of integer",
    ),
    "objects that ask for more": (obj(a=col("long")), obj(a=col("long"), b=col("long")), "input x was object"),
    "objects with a narrower part": (obj(a=col("long")), obj(a=col("integer")), "input x was object"),
    "objects that need what was optional": (
        obj(a=col("long", required=False)),
        obj(a=col("long")),
        "input x was object",
    ),
    "tensors of another shape": (
        tensor("float32", -1, 4),
        tensor("float32", -1, 5),
        "input #1 was float32[-1, 4] and is",
    ),
    "tensors of one size": (tensor("float32", -1, 4), tensor("float32", 8, 4), "input #1 was float32[-1, 4] and is"),
    "tensors of another rank": (tensor("float32", -1), tensor("float32", -1, 4), "input #1 was float32[-1] and is"),
    "tensors of narrower numbers": (tensor("float64", -1), tensor("float32", -1), "input #1 was float64[-1] and is"),
    "a table where a tensor was": (
        tensor("float64", -1),
        col("double", None),
        "input #1 was float64[-1] and is double",
    ),
}


@pytest.mark.parametrize("name", SUITS)
def test_requests_for_stable_suit(name: str) -> None:
    old, new = SUITS[name]
    assert against(Signature(inputs=(old,)), Signature(inputs=(new,))) == ()


@pytest.mark.parametrize("name", REFUSES)
def test_requests_for_stable_would_be_refused(name: str) -> None:
    old, new, words = REFUSES[name]
    (found,) = against(Signature(inputs=(old,)), Signature(inputs=(new,)))
    assert found.startswith(words)


def test_columns_that_are_no_longer_read_and_new_optional_ones_hurt_nobody() -> None:
    old = Signature(inputs=(col("long", "a"), col("string", "b")))
    assert against(old, Signature(inputs=(col("long", "a"), col("double", "c", required=False)))) == ()
    assert against(Signature(), Signature(inputs=(col("long"),))) == ()
    assert against(old, Signature()) == ()


def test_answers_keep_what_was_in_them() -> None:
    old = Signature(outputs=(col("long", "score"), col("string", "label")))
    assert against(old, Signature(outputs=(col("string", "label"), col("integer", "score"), col("long", "more")))) == ()
    assert against(old, Signature()) == ("output score is gone", "output label is gone")
    new = Signature(outputs=(col("double", "score"), col("string", "label", required=False)))
    assert against(old, new) == ("output score was long and is double", "output label may be missing")
    assert against(Signature(), new) == ()


def test_parameters_may_come_and_go_but_not_change() -> None:
    old = Signature(params=(col("float", "t", shape=None), col("string", "mode", shape=None)))
    assert against(old, Signature(params=(col("double", "t", shape=None),))) == ()
    assert against(old, Signature()) == ()
    listed = Signature(params=(col("float", "t", shape=[-1]),))
    assert against(old, listed) == ("parameter t was float and is float (a list)",)
    assert against(old, Signature(params=(col("string", "t", shape=None),))) == ("parameter t was float and is string",)


def test_identical_means_every_part() -> None:
    old = Signature(inputs=(col("long", "a"), col("long", "b")), outputs=(col("long"),))
    same = SignaturePolicy.IDENTICAL
    assert differences(old, old, same) == ()
    turned = Signature(inputs=(col("long", "b"), col("long", "a")), outputs=(col("long"),))
    assert differences(old, turned, same) == ("inputs are in another order",)
    other = Signature(inputs=(col("long", "a"), col("double", "b")), params=(col("float", "t"),))
    assert differences(old, other, same) == ("inputs differ: b", "outputs differ: x", "parameters differ: t")
    assert differences(old, other, SignaturePolicy.IGNORE) == ()
