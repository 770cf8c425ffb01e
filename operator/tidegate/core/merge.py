"""A user's partial pod template laid over a preset's.

What Kubernetes calls a strategic merge patch, cut down to what pod templates need:

- maps are merged key by key; `null` takes a key away;
- lists whose elements have an identity (`IDENTITIES`) are merged element by element, new ones come last;
- elements of `env` and `volumes`, and `resources`, are replaced whole: half of one and half of another is neither;
- where the API wants exactly one member of a union (a probe's `httpGet` or `exec`), the user's takes the preset's away;
- `envFrom` is added to; every other list is replaced.

See https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ for the original.
"""

from collections.abc import Mapping, Sequence
from typing import Any

#: The field that tells the elements of a list apart.
IDENTITIES: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
}
#: A dict is told at once; to find out that something is no Mapping costs more than all else here.
MAP, LIST = (dict, Mapping), (list, tuple)
_PLAIN = (str, int, float, type(None))
_WHOLE = frozenset({"env", "volumes"})
_REPLACED = frozenset({"resources"})
_UNIONS = (frozenset({"httpGet", "tcpSocket", "exec", "grpc"}), frozenset({"sleep", "httpGet", "tcpSocket", "exec"}))
_PROBES = frozenset({"readinessProbe", "livenessProbe", "startupProbe"})
_HOOKS = frozenset({"preStop", "postStart"})


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`patch` laid over `base`, both plain JSON maps of one kind. Neither is changed nor shared with the result."""
    return _maps("", base, patch)


def plain(value: Any) -> Any:
    """A deep copy of a JSON value without the keys that are null."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, LIST):
        return [plain(inner) for inner in value]
    return {key: plain(inner) for key, inner in value.items() if inner is not None}


def _maps(field: str, base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    excluded = _excluded(field, patch)
    result = {key: plain(value) for key, value in base.items() if value is not None and key not in excluded}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _value(key, result.get(key), value)
    return result


def _value(field: str, base: Any, patch: Any) -> Any:
    if isinstance(patch, Mapping) and isinstance(base, Mapping) and field not in _REPLACED:
        return _maps(field, base, patch)
    if isinstance(patch, list | tuple) and isinstance(base, list):
        if field == "envFrom":
            return [*base, *plain(patch)]
        if field in IDENTITIES:
            return _lists(field, base, patch)
    return plain(patch)


def _lists(field: str, base: Sequence[Any], patch: Sequence[Any]) -> list[Any]:
    identity = IDENTITIES[field]
    result = list(base)
    for element in patch:
        name = element.get(identity) if isinstance(element, Mapping) else None
        place = None if name is None else _place(result, identity, name)
        if place is None:
            result.append(plain(element))
        elif field in _WHOLE:
            result[place] = plain(element)
        else:
            result[place] = _maps("", result[place], element)
    return result


def _place(elements: Sequence[Any], identity: str, name: Any) -> int | None:
    found = (n for n, old in enumerate(elements) if isinstance(old, Mapping) and old.get(identity) == name)
    return next(found, None)


def _excluded(field: str, patch: Mapping[str, Any]) -> frozenset[str]:
    union = _UNIONS[0] if field in _PROBES else _UNIONS[1] if field in _HOOKS else frozenset()
    chosen = union & {key for key, value in patch.items() if value is not None}
    return union - chosen if chosen else frozenset()
