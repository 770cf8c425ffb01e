"""Values against a structural schema of Kubernetes, as the API server checks them: fields, bounds, then CEL rules."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tidegate.plugin import cel, patterns
from tidegate.plugin.calls import CelError

Schema = Mapping[str, Any]
#: What the schema calls a value's type, by Python's own types. Not by isinstance: True is no integer.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_WORDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with the field at `path`, and the way out. `blocking`: rules about it can't be asked."""

    path: str
    message: str
    blocking: bool = False


def unknown(schema: Schema, value: Any, path: str) -> Iterator[Finding]:
    """Fields that the schema does not know."""
    if isinstance(value, list):
        for at, element in enumerate(value):
            yield from unknown(schema.get("items", {}), element, f"{path}[{at}]")
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        child = _child(schema, name)
        if child is not None:
            yield from unknown(child, part, f"{path}.{name}")
        elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield Finding(
                path=f"{path}.{name}",
                message="is no field of ModelDeployment v1alpha1: remove it, or look for a typing error",
            )


def completed(schema: Schema, value: Any) -> Any:
    """The value with defaults filled in and without nulls that mean nothing, as the API server stores it."""
    if isinstance(value, list):
        return [completed(schema.get("items", {}), element) for element in value]
    if not isinstance(value, dict):
        return value
    kept = {name: part for name, part in value.items() if part is not None or _child(schema, name) is None}
    for name, part in schema.get("properties", {}).items():
        if name not in kept and "default" in part:
            kept[name] = deepcopy(part["default"])
    return {name: completed(_child(schema, name) or {}, part) for name, part in kept.items()}


def check(schema: Schema, value: Any, path: str) -> list[Finding]:
    """Everything that is wrong with a completed value."""
    findings = list(_own(schema, value, path))
    if any(finding.blocking and finding.path == path for finding in findings):
        return findings
    for name, child, part in _parts(schema, value):
        findings += check(child, part, f"{path}{name}")
    blocked = any(finding.blocking for finding in findings)
    return findings if blocked else [*findings, *_ruled(schema, value, path, wrong=bool(findings))]


def _child(schema: Schema, name: str) -> Schema | None:
    found = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return found if isinstance(found, Mapping) else None


def _parts(schema: Schema, value: Any) -> Iterator[tuple[str, Schema, Any]]:
    if isinstance(value, list):
        yield from ((f"[{at}]", schema.get("items", {}), element) for at, element in enumerate(value))
    if isinstance(value, dict):
        for name, part in value.items():
            child = _child(schema, name)
            if child is not None:
                yield f".{name}", child, part


def _own(schema: Schema, value: Any, path: str) -> Iterator[Finding]:
    """What the value is by itself, without its parts and rules."""
    remedy = schema.get("x-remedy")
    if not _typed(schema, value):
        yield Finding(path=path, message=remedy or _type_words(schema, value), blocking=True)
        return
    if "enum" in schema and value not in schema["enum"]:
        yield Finding(path=path, message=f"must be one of {', '.join(map(str, schema['enum']))}, not {value!r}")
    if isinstance(value, str):
        yield from _text(schema, value, path, remedy)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(schema, value, path)
    elif isinstance(value, list):
        yield from _count(schema, len(value), path, "Items", "elements")
        yield from _repeated(schema, value, path)
    elif isinstance(value, dict):
        yield from _count(schema, len(value), path, "Properties", "entries")
        for name in schema.get("required", []):
            if name not in value:
                yield Finding(path=f"{path}.{name}", message="is required", blocking=True)


def _typed(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return type(value) in {int, str}
    kind = schema.get("type")
    return kind is None or type(value) in _TYPES[kind]


def _type_words(schema: Schema, value: Any) -> str:
    kind = schema.get("type", "")
    wanted = {"integer": "a whole number", "string": "text"}.get(kind) or _WORDS[_TYPES[kind][0]]
    quoted = ": put it in quotes" if kind == "string" and isinstance(value, bool | int | float) else ""
    return f"must be {wanted}, not {_WORDS.get(type(value), 'null')}{quoted}"


def _text(schema: Schema, value: str, path: str, remedy: str | None) -> Iterator[Finding]:
    most, least = schema.get("maxLength"), schema.get("minLength", 0)
    if most is not None and len(value) > most:
        yield Finding(path=path, message=remedy or f"must have at most {most} characters", blocking=True)
    elif len(value) < least:
        yield Finding(path=path, message=remedy or f"must have at least {least} characters")
    elif "pattern" in schema and not patterns.found(schema["pattern"], value):
        yield Finding(path=path, message=remedy or f"must match {schema['pattern']}")


def _number(schema: Schema, value: float, path: str) -> Iterator[Finding]:
    if value < schema.get("minimum", value):
        yield Finding(path=path, message=f"must be at least {schema['minimum']}")
    if value > schema.get("maximum", value):
        yield Finding(path=path, message=f"must be at most {schema['maximum']}")


def _count(schema: Schema, count: int, path: str, of: str, words: str) -> Iterator[Finding]:
    if count < schema.get(f"min{of}", 0):
        yield Finding(path=path, message=f"must have at least {schema[f'min{of}']} {words}")
    if count > schema.get(f"max{of}", count):
        yield Finding(path=path, message=f"must have at most {schema[f'max{of}']} {words}", blocking=True)


def _repeated(schema: Schema, value: list[Any], path: str) -> Iterator[Finding]:
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys", [])
    if kind not in {"set", "map"}:
        return
    seen: list[Any] = []
    for at, element in enumerate(value):
        name = [element.get(key) for key in keys] if kind == "map" and isinstance(element, dict) else element
        if name in seen:
            what = keys[0] if keys else "value"
            yield Finding(path=f"{path}[{at}]", message=f"repeats the {what} of an earlier one: leave it out")
        seen.append(name)


def _ruled(schema: Schema, value: Any, path: str, *, wrong: bool) -> Iterator[Finding]:
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" in rule["rule"]:  # about changes, of which a manifest has none
            continue
        at = f"{path}{rule.get('fieldPath', '')}"
        try:
            holds = cel.compiled(rule["rule"])({"self": value})
        except CelError as error:
            # A value that can't be read has a finding of its own already.
            if not wrong:
                yield Finding(path=at, message=f"{rule['message']} ({error})")
            continue
        if holds is not True:
            yield Finding(path=at, message=rule["message"])
