"""Whether a server-side apply of a manifest would change the live object.

Idle means silent, so an apply is sent only where it would do something. What the API server adds by itself (defaults,
fields of others) is not in the manifest and is not looked at; what it drops or rewrites (empty values, quantities) is
read as it is meant. A field more in an element of an atomic list is taken for a default, too; only in a route's rules
and backends, whose defaults are all known here, it is somebody's edit. The rules are those of server-side apply:
https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from tidegate.core.merge import LIST, MAP

#: The fields that identify the elements of a list, with the API's default for an absent one. Elements of others may
#: stand beside ours. Lists that aren't named here are atomic: ours is the whole list.
LIST_KEYS: Mapping[str, tuple[tuple[tuple[str, Any], ...], ...]] = {
    "containers": ((("name", None),),),
    "initContainers": ((("name", None),),),
    "volumes": ((("name", None),),),
    "env": ((("name", None),),),
    "imagePullSecrets": ((("name", None),),),
    "volumeMounts": ((("mountPath", None),),),
    "volumeDevices": ((("devicePath", None),),),
    "hostAliases": ((("ip", None),),),
    "ownerReferences": ((("uid", None),),),
    "topologySpreadConstraints": ((("topologyKey", None), ("whenUnsatisfiable", None)),),
    # A container's, then a Service's.
    "ports": ((("containerPort", None), ("protocol", "TCP")), (("port", None), ("protocol", "TCP"))),
}
#: Maps that are one value: a key more is another value.
ATOMIC_MAPS = frozenset({"selector", "nodeSelector"})
_QUANTITIES = frozenset({"limits", "requests"})
_QUANTITY = frozenset({"sizeLimit", "divisor", "storage", "averageValue"})
#: Of an autoscaler's metric; elsewhere a `value` is a text.
_TARGET = ("target", "value")
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
#: Set on the way in, never drifting.
_IDENTITY = frozenset({"uid", "resourceVersion", "name", "namespace"})
_MATCH_EVERYTHING = [{"path": {"type": "PathPrefix", "value": "/"}}]


def differs(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether applying `desired` would change `live`: whole objects of one kind and name. Status is left out."""
    wanted = {key: value for key, value in desired.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    metadata = {key: value for key, value in desired.get("metadata", {}).items() if key not in _IDENTITY}
    if not _same("metadata", live.get("metadata"), metadata):
        return True
    if not all(_same(key, live.get(key), value) for key, value in wanted.items()):
        return True
    return desired.get("kind") == "HTTPRoute" and _extended(live, desired)


def list_keys(field: str, element: Any) -> tuple[tuple[str, Any], ...] | None:
    """The key fields (with defaults) of the list `field` that `element` is in; None for an atomic list."""
    known = LIST_KEYS.get(field)
    if known is None or not isinstance(element, MAP):
        return None
    return next((keys for keys in known if keys[0][0] in element), None)


def identity(keys: Sequence[tuple[str, Any]], element: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells an element from the others in its list."""
    values = (element.get(key, default) for key, default in keys)
    return tuple(repr(value) if isinstance(value, list | dict) else value for value in values)


def quantity(text: Any) -> Decimal | None:
    """A Kubernetes quantity as a number: `0.5`, `500m` and `5e-1` are one value. None for what isn't one.

    See https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    digits = str(text).strip()
    suffix = next((s for s in _SUFFIXES if s and digits.endswith(s)), "")
    try:
        number = Decimal(digits.removesuffix(suffix)) * _SUFFIXES[suffix]
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _same(field: str, live: Any, desired: Any, parent: str = "") -> bool:
    if live is None:
        # The API drops empty values; setting one where there is none changes nothing.
        return not desired or _empty(desired)
    # Most values are texts, and most of them are as they have to be.
    if isinstance(desired, str) and desired == live:
        return True
    if isinstance(desired, LIST):
        return isinstance(live, LIST) and _lists(field, live, desired)
    if isinstance(desired, MAP):
        return isinstance(live, MAP) and _maps(field, live, desired)
    if parent in _QUANTITIES or field in _QUANTITY or (parent, field) == _TARGET:
        amount = quantity(desired)
        return amount == quantity(live) if amount is not None else bool(live == desired)
    # In Python True is 1; in JSON it isn't.
    return isinstance(live, bool) == isinstance(desired, bool) and bool(live == desired)


def _maps(field: str, live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    if field in ATOMIC_MAPS and set(live) != set(desired):
        return False
    # Loops and not `all()`: this is a quarter of a pass that finds everything as it has to be.
    for key, value in desired.items():  # noqa: SIM110
        if not _same(key, live.get(key), value, field):
            return False
    return True


def _empty(value: Any) -> bool:
    return isinstance(value, Mapping) and all(not inner or _empty(inner) for inner in value.values())


def _lists(field: str, live: Sequence[Any], desired: Sequence[Any]) -> bool:
    if not desired and field in LIST_KEYS:
        # None of ours; what stands there is others'.
        return True
    keys = list_keys(field, desired[0]) if desired else None
    if keys is None or not all(isinstance(element, Mapping) for element in desired):
        return len(live) == len(desired) and all(_same("", a, b, field) for a, b in zip(live, desired, strict=True))
    there = {identity(keys, element): element for element in live if isinstance(element, Mapping)}
    return all(_same("", there.get(identity(keys, element)), element, field) for element in desired)


def _extended(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether somebody added to a rule or a backend: the list of rules is one value, an apply takes it out again."""
    rules = zip(live["spec"].get("rules") or (), desired["spec"]["rules"], strict=True)
    return any(_rule_extended(rule, wanted) for rule, wanted in rules)


def _rule_extended(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    extra = {key: value for key, value in live.items() if key not in desired and value}
    if extra.pop("matches", _MATCH_EVERYTHING) != _MATCH_EVERYTHING or extra:
        return True
    backends = zip(live.get("backendRefs") or (), desired["backendRefs"], strict=True)
    return any(set(there) - set(wanted) for there, wanted in backends)
