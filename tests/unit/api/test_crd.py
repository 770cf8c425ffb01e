from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests import generate
from tests.unit.api.case import EXAMPLES

from tidegate.api.crd import render
from tidegate.core.reasons import MEANING, Reason

VERSION = render()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]


def _fields(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _fields(f"{path}.{name}", field)
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from _fields(f"{path}[]", schema[part])


FIELDS = dict([*_fields("spec", ROOT["properties"]["spec"]), *_fields("status", ROOT["properties"]["status"])])


def test_every_field_says_what_it_is() -> None:
    nameless = {path for path, field in FIELDS.items() if not path.endswith("[]") and not field.get("description")}

    assert nameless == set()


def test_everything_that_can_grow_is_bounded() -> None:
    bound = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",), "integer": ("minimum",)}
    endless = {
        path
        for path, field in FIELDS.items()
        if not any(key in field for key in bound.get(field.get("type", "string"), ("type",)))
        or ("additionalProperties" in field and "maxProperties" not in field)
    }

    assert endless == set()


def test_the_union_of_weights_and_steps_has_no_default() -> None:
    rollout = FIELDS["spec.rollout"]

    durations = {"deadline": "24h", "progressDeadline": "15m", "rollbackWindow": "24h"}
    assert rollout["default"] == durations | {"onRevoke": "Hold"}
    assert not any("default" in FIELDS[f"spec.rollout.{name}"] for name in ("weights", "hold", "steps"))


def test_an_object_that_nobody_has_seen_is_not_taken_for_ready() -> None:
    assert FIELDS["status"]["default"] == {"observedGeneration": -1}
    assert FIELDS["status.observedGeneration"]["type"] == "integer"


def test_kubectl_prints_what_people_look_for() -> None:
    names = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]

    assert names == ["Version", "Canary", "Weight", "Phase", "Ready", "Age"]


OTHER_METRICS = ("resource", "containerResource", "object", "external")


def test_conditions_can_be_written_one_by_one() -> None:
    assert FIELDS["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_the_full_example_has_every_field_of_the_spec_but_those_that_exclude_each_other() -> None:
    every = {path for path in FIELDS if path.startswith("spec")}

    absent = every - set(_written("spec", EXAMPLES["full"]["spec"]))

    assert absent == {
        "spec.model.alias",
        "spec.model.version",
        "spec.model.candidate.alias",
        "spec.model.candidate.onReject.removeAlias",
        "spec.serving.replicas",
        *(f"spec.serving.autoscaling.metrics[].{other}" for other in OTHER_METRICS),
        "spec.rollout.weights",
        "spec.rollout.weights[]",
        "spec.rollout.hold",
        "spec.traffic.gateway.filters[].urlRewrite.path.replaceFullPath",
        # It has a server of its own, whose predictions nobody counts.
        "spec.guards.drift",
        *(f"spec.guards.drift.{field}" for field in ("maxPsi", "minPredictions", "onDrift", "mode")),
    }


def _written(path: str, value: Any) -> Iterator[str]:
    yield path
    if isinstance(value, Mapping):
        maps = "additionalProperties" in FIELDS.get(path, {})
        for name, inner in value.items():
            yield from _written(f"{path}[]" if maps else f"{path}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _written(f"{path}[]", inner)


def test_every_reason_has_a_meaning() -> None:
    assert list(MEANING) == list(Reason)


def test_the_generated_files_are_current() -> None:
    assert list(generate.stale(generate.ROOT)) == []


def test_an_edited_or_missing_generated_file_is_found(tmp_path: Path) -> None:
    generate.write(tmp_path)
    edited, missing = list(generate.GENERATED)[:2]
    (tmp_path / edited).write_text("apiVersion: v1\n")
    (tmp_path / missing).unlink()

    diffs = list(generate.stale(tmp_path))

    assert [diff.split()[1] for diff in diffs] == [edited, missing]


@pytest.mark.parametrize("name", list(generate.GENERATED))
def test_a_generated_file_says_that_it_is_one(name: str) -> None:
    assert generate.NOTICE in generate.GENERATED[name]().splitlines()[0]
