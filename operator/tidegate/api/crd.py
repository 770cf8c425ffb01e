"""The CRDs, rendered from the models: structural schemas with descriptions, defaults, bounds and CEL rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from tidegate.api.rules import REMEDY
from tidegate.api.scalars import DeploymentName
from tidegate.api.spec import Spec
from tidegate.api.status import Status
from tidegate.api.v1alpha1 import GROUP, KIND, PLURAL, SHORT, SINGULAR, VERSION, ModelDeployment

#: Keys of JSON Schema that mean the same in a structural schema.
_KEPT = frozenset(
    {
        "type",
        "format",
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "maxProperties",
        "required",
        "default",
        "description",
        REMEDY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One kind of `tidegate.dev/v1alpha1`.

    `whole` describes the object in its docstring; `name` is the (annotated) type of its name. `columns` are what
    kubectl prints: (name, type, path, description, priority).
    """

    kind: str
    plural: str
    singular: str
    short: str
    whole: type[BaseModel]
    name: Any
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[tuple[str, str, str, str, int], ...]
    categories: tuple[str, ...] = ("tidegate",)


_COLUMNS = (
    ("Version", "string", ".status.version", "Number of the model version that serves", 0),
    ("Canary", "string", ".status.canary", "Number of the model version that is being rolled out", 0),
    ("Weight", "integer", ".status.weight", "Share of the traffic in per cent that the canary is given", 0),
    ("Phase", "string", ".status.phase", "What is going on", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether what is asked for is what serves", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the object was created", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "Why", 1),
)


MODEL_DEPLOYMENT = Served(
    kind=KIND,
    plural=PLURAL,
    singular=SINGULAR,
    short=SHORT,
    whole=ModelDeployment,
    name=DeploymentName,
    spec=Spec,
    status=Status,
    columns=_COLUMNS,
    categories=("all", "tidegate"),
)


def render(served: Served = MODEL_DEPLOYMENT) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind as JSON values."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{served.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": served.kind,
                "listKind": f"{served.kind}List",
                "plural": served.plural,
                "singular": served.singular,
                "shortNames": [served.short],
                "categories": list(served.categories),
            },
            "scope": "Namespaced",
            "versions": [_version(served)],
        },
    }


def render_schema() -> dict[str, Any]:
    """Return a ModelDeployment's schema of apiVersion to spec with the remedies of its texts.

    It is for who checks without an API server.
    """
    root = _root(MODEL_DEPLOYMENT)
    del root["properties"]["status"]
    return root


def _version(served: Served) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "description": text}
            | ({"priority": priority} if priority else {})
            for name, kind, path, text, priority in served.columns
        ],
        "schema": {"openAPIV3Schema": _without_remedies(_root(served))},
    }


def _without_remedies(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_remedies(element) for element in part]
    if isinstance(part, dict):
        return {key: _without_remedies(value) for key, value in part.items() if key != REMEDY}
    return part


def _root(served: Served) -> dict[str, Any]:
    name = structural(TypeAdapter(served.name).json_schema())
    return {
        "type": "object",
        "description": _flowing(served.whole.__doc__ or ""),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": schema_of(served.spec),
            # An object that nobody has looked at yet must not be taken for ready (kstatus).
            "status": schema_of(served.status) | {"default": {"observedGeneration": -1}},
        },
    }


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's structural schema."""
    return structural(model.model_json_schema())


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a JSON schema as pydantic writes it into a structural one: references resolved, null and titles gone."""
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    whole = _resolved(schema, named)
    node = {key: value for key, value in whole.items() if key in _KEPT or key.startswith("x-kubernetes-")}
    if node.get("default", ...) is None:
        del node["default"]
    if "description" in node:
        node["description"] = _flowing(node["description"])
    if "const" in whole:
        node["enum"] = [whole["const"]]
    if "anyOf" in whole:  # what is left of it is int-or-string
        node["anyOf"] = whole["anyOf"]
    if "properties" in whole:
        node["properties"] = {name: _node(part, named) for name, part in whole["properties"].items()}
        if node.get("default") == {}:  # the API server checks a default as it stands, before it fills in further ones
            node["default"] = {name: part["default"] for name, part in node["properties"].items() if "default" in part}
    if "items" in whole:
        node["items"] = _node(whole["items"], named)
    more = whole.get("additionalProperties")
    if more is True:
        node["x-kubernetes-preserve-unknown-fields"] = True
    elif isinstance(more, Mapping):
        node["additionalProperties"] = _node(more, named)
    return node


def _resolved(schema: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its reference and its `or null` replaced by what they stand for; its own keys win."""
    whole = dict(schema)
    if "$ref" in whole:
        target = named[whole.pop("$ref").rpartition("/")[2]]
        return _resolved(dict(target) | whole, named)
    choices = [choice for choice in whole.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        del whole["anyOf"]
        return _resolved(dict(choices[0]) | whole, named)
    return whole


def _flowing(text: str) -> str:
    """Return a docstring with its lines joined; blank lines stay."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
