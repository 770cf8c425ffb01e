"""What the cases of right and wrong specs are made of.

A case changes the least object by a JSON merge patch (RFC 7396: None takes a field away).
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LEAST: Mapping[str, Any] = {
    "apiVersion": "tidegate.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "fraud", "namespace": "default"},
    "spec": {
        "model": {"name": "fraud-detector", "alias": "champion"},
        "traffic": {"gateway": {"parentRefs": [{"name": "public", "namespace": "gateways"}]}},
    },
}
CUSTOM: Mapping[str, Any] = {
    "runtime": "custom",
    "metrics": {"port": 9090, "requests": {"metric": "http_requests_total", "codeLabel": "code"}},
    "template": {"spec": {"containers": [{"name": "model", "image": "registry.example.com/scorer:1"}]}},
}


def _examples() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.yaml")):
        for body in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if body and body.get("kind") == LEAST["kind"]:
                yield path.stem, body


#: The sample objects by file, each to be right for pydantic and the API server alike.
EXAMPLES = dict(_examples())


@dataclass(frozen=True, kw_only=True)
class Case:
    says: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    name: str = "fraud"
    #: Path of the field that gets the blame; empty where nothing is wrong.
    blames: str = ""

    def body(self) -> dict[str, Any]:
        body = merge(LEAST, {"spec": self.spec})
        body["metadata"]["name"] = self.name
        return body


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = deepcopy(dict(target))
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = deepcopy(value)
    return merged


def right(says: str, spec: Mapping[str, Any], name: str = "fraud") -> Case:
    return Case(says=says, spec=spec, name=name)


def wrong(says: str, blames: str, spec: Mapping[str, Any]) -> Case:
    return Case(says=says, blames=blames, spec=spec)


def weights(*weights: int) -> Mapping[str, Any]:
    return {"rollout": {"weights": list(weights)}}


def steps(*steps: tuple[int, str]) -> Mapping[str, Any]:
    return {"rollout": {"steps": [{"weight": weight, "hold": hold} for weight, hold in steps]}}


def gateway(**fields: Any) -> Mapping[str, Any]:
    return {"traffic": {"gateway": fields}}


def rewrite(**path: str) -> Mapping[str, Any]:
    return {"type": "URLRewrite", "urlRewrite": {"path": path}}
