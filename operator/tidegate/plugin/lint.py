"""Checks a manifest by the rules that the CRD carries, which are those of the API server and of the operator."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tidegate.core.labels import ACTIONS, API_VERSION, DISMISS, GROUP, KIND
from tidegate.plugin import patterns
from tidegate.plugin.schema import Finding, Schema, check, completed, unknown

#: Fields of every object's metadata (Kubernetes API, ObjectMeta).
_METADATA = frozenset({
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
    "generation", "labels", "managedFields", "name", "namespace", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
})  # fmt: skip
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_LABEL = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_ATTEMPT = r"^[1-9][0-9]{0,8}/[1-9][0-9]*$"


@cache
def schema() -> Schema:
    """The schema of the resource, with what to write instead where a text is wrong."""
    text = files("tidegate.plugin").joinpath("schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def is_ours(body: Any) -> bool:
    """Whether an object is a ModelDeployment, of whichever version."""
    if not isinstance(body, Mapping) or body.get("kind") != KIND:
        return False
    return str(body.get("apiVersion", "")).partition("/")[0] == GROUP


def findings(body: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Everything that is wrong with a ModelDeployment, in the order of its fields."""
    if body.get("apiVersion") != API_VERSION:
        return (Finding(path="apiVersion", message=f"must be {API_VERSION}, not {body.get('apiVersion')!r}"),)
    found = [*_top(body), *_metadata(body.get("metadata"))]
    parts = schema()["properties"]
    if "spec" not in body or body["spec"] is None:
        return (*found, Finding(path="spec", message="is required"))
    spec = body["spec"]
    found += unknown(parts["spec"], spec, "spec")
    found += check(parts["spec"], completed(parts["spec"], spec), "spec")
    return tuple(found)


def warnings(body: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What the API server takes and what does nothing all the same: annotations that name no attempt."""
    metadata = body.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return tuple(_notes(notes)) if isinstance(notes, Mapping) else ()


def _notes(notes: Mapping[str, Any]) -> Iterator[Finding]:
    for key, value in notes.items():
        prefix, _, action = key.partition("/")
        path = f"metadata.annotations.{key}"
        if prefix != GROUP or not isinstance(value, str):
            continue
        if action == DISMISS:
            continue  # it names alerts, which only the cluster knows
        if action not in ACTIONS:
            known = ", ".join((*ACTIONS, DISMISS))
            yield Finding(path=path, message=f"means nothing to Tidegate; it knows {known}")
        elif not patterns.found(_ATTEMPT, value):
            yield Finding(path=path, message="does nothing: it must name version and attempt, as in 7/2")


def _top(body: Mapping[str, Any]) -> Iterator[Finding]:
    for name in sorted(set(body) - {"apiVersion", "kind", "metadata", "spec", "status"}):
        yield Finding(path=name, message="is no field of an object: remove it, or look for a typing error")


def _metadata(metadata: Any) -> Iterator[Finding]:
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        yield Finding(path="metadata.name", message="is required")
        return
    yield from check(schema()["properties"]["metadata"]["properties"]["name"], metadata["name"], "metadata.name")
    namespace = metadata.get("namespace", "default")
    if not (isinstance(namespace, str) and patterns.found(_NAMESPACE, namespace)):
        yield Finding(path="metadata.namespace", message="must be a DNS label of at most 63 characters")
    for name in sorted(set(metadata) - _METADATA):
        yield Finding(path=f"metadata.{name}", message="is no field of metadata: remove it")
    for part in ("labels", "annotations"):
        yield from _texts(metadata.get(part), f"metadata.{part}", label=part == "labels")


def _texts(entries: Any, path: str, *, label: bool) -> Iterator[Finding]:
    if entries is None:
        return
    if not isinstance(entries, Mapping):
        yield Finding(path=path, message="must be a map of text to text")
        return
    for key, value in entries.items():
        if not isinstance(value, str):
            yield Finding(path=f"{path}.{key}", message="must be text: put it in quotes")
        elif label and not patterns.found(_LABEL, value):
            yield Finding(path=f"{path}.{key}", message="must be a label's value of at most 63 characters")
