"""Signatures of models, as the file MLmodel has them, and whether one may stand where another stood.

Compatible means for clients: a request that suits the old inputs suits the new ones, and an answer still has what was
in it. Which types widen is MLflow's own rule (`mlflow.models.utils`, schema enforcement): integer to long and double,
float to double. It ignores columns that it does not know.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Column = Mapping[str, Any]

_WIDER: Mapping[str, frozenset[str]] = {
    "integer": frozenset({"long", "double"}),
    "float": frozenset({"double"}),
    # of tensors
    "int8": frozenset({"int16", "int32", "int64", "float32", "float64"}),
    "int16": frozenset({"int32", "int64", "float32", "float64"}),
    "int32": frozenset({"int64", "float64"}),
    "uint8": frozenset({"uint16", "uint32", "uint64", "int16", "int32", "int64", "float32", "float64"}),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64", "float32", "float64"}),
    "uint32": frozenset({"uint64", "int64", "float64"}),
    "float16": frozenset({"float32", "float64"}),
    "float32": frozenset({"float64"}),
}


class SignaturePolicy(StrEnum):
    """What a new version's signature owes stable's."""

    COMPATIBLE = "Compatible"
    IDENTICAL = "Identical"
    IGNORE = "Ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The columns (or tensors) that go in and come out, and the parameters; None where the model does not say."""

    inputs: tuple[Column, ...] | None = None
    outputs: tuple[Column, ...] | None = None
    params: tuple[Column, ...] | None = None


def differences(old: Signature, new: Signature, policy: SignaturePolicy) -> tuple[str, ...]:
    """What a policy has against a new signature beside an old one, each a phrase for a person."""
    if policy is SignaturePolicy.IGNORE:
        return ()
    if policy is SignaturePolicy.IDENTICAL:
        return tuple(_unequal(old, new))
    return (*_inputs(old, new), *_outputs(old, new), *_params(old, new))


def _unequal(old: Signature, new: Signature) -> Iterator[str]:
    pairs = (("inputs", old.inputs, new.inputs), ("outputs", old.outputs, new.outputs))
    for what, was, now in (*pairs, ("parameters", old.params, new.params)):
        if was == now:
            continue
        before, after = _named(was or ()), _named(now or ())
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        yield f"{what} differ: {', '.join(changed[:5])}" if changed else f"{what} are in another order"


def _inputs(old: Signature, new: Signature) -> Iterator[str]:
    if old.inputs is None or new.inputs is None:
        return
    known = _named(old.inputs)
    for name, column in _named(new.inputs).items():
        was = known.get(name)
        if was is None or (_required(column) and not _required(was)):
            if _required(column):
                yield f"input {name} is required, and {'unknown to' if was is None else 'optional for'} stable"
        elif not _accepts(was, column):
            yield f"input {name} was {_type(was)} and is {_type(column)}"


def _outputs(old: Signature, new: Signature) -> Iterator[str]:
    known = _named(new.outputs or ())
    for name, column in _named(old.outputs or ()).items():
        now = known.get(name)
        if now is None:
            yield f"output {name} is gone"
        elif _required(column) and not _required(now):
            yield f"output {name} may be missing"
        elif not _accepts(now, column):
            yield f"output {name} was {_type(column)} and is {_type(now)}"


def _params(old: Signature, new: Signature) -> Iterator[str]:
    # A parameter has a default, and MLflow ignores one that it does not know.
    known = _named(new.params or ())
    for name, column in _named(old.params or ()).items():
        now = known.get(name)
        if now is not None and (
            (column.get("shape") is None) != (now.get("shape") is None) or not _accepts(column, now)
        ):
            yield f"parameter {name} was {_type(column)} and is {_type(now)}"


def _named(columns: Sequence[Column]) -> dict[str, Column]:
    """By name, or by place where they have none."""
    return {str(column.get("name", f"#{place}")): column for place, column in enumerate(columns, 1)}


def _required(column: Column) -> bool:
    return column.get("required", True) is not False


def _accepts(old: Column, new: Column) -> bool:
    """Whether every value of the old type is one of the new."""
    was, now = old.get("type"), new.get("type")
    if now == "any":
        return True
    if was != now:
        return now in _WIDER.get(str(was), frozenset())
    part, compared = _PARTS.get(str(now), ("", _same))
    return compared(_part(old, part), _part(new, part))


def _same(_old: Column, _new: Column) -> bool:
    return True


def _accepts_object(old: Column, new: Column) -> bool:
    for name in new:
        was, now = _part(old, name), _part(new, name)
        if name not in old or (_required(now) and not _required(was)):
            if _required(now):
                return False
        elif not _accepts(was, now):
            return False
    return True


def _accepts_tensor(old: Column, new: Column) -> bool:
    was, now = str(old.get("dtype")), str(new.get("dtype"))
    if was != now and now not in _WIDER.get(was, frozenset()):
        return False
    shape, wanted = old.get("shape"), new.get("shape")
    if not isinstance(shape, list) or not isinstance(wanted, list):
        return shape == wanted
    return len(shape) == len(wanted) and all(b in {-1, a} for a, b in zip(shape, wanted, strict=True))


def _part(column: Column, name: str) -> Column:
    part = column.get(name)
    return part if isinstance(part, Mapping) else {}


def _type(column: Column) -> str:
    """A type in a word or two: `long`, `array of double`, `float32[-1, 4]`."""
    kind = column.get("type")
    if kind == "array":
        return f"array of {_type(_part(column, 'items'))}"
    if kind == "tensor":
        spec = _part(column, "tensor-spec")
        return f"{spec.get('dtype')}{spec.get('shape')}"
    listed = " (a list)" if column.get("shape") is not None else ""
    return f"{kind}{listed}{'' if _required(column) else ' (optional)'}"


_PARTS: Mapping[str, tuple[str, Callable[[Column, Column], bool]]] = {
    "array": ("items", _accepts),
    "map": ("values", _accepts),
    "object": ("properties", _accepts_object),
    "tensor": ("tensor-spec", _accepts_tensor),
}
