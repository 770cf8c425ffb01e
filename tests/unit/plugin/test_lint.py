"""What is checked besides the spec."""

from typing import Any

import pytest
from tests.unit.api.case import LEAST, merge

from tidegate.plugin.lint import findings, is_ours, warnings


def paths(patch: dict[str, Any]) -> set[str]:
    return {finding.path for finding in findings(merge(LEAST, patch))}


@pytest.mark.parametrize(
    ("patch", "blamed"),
    [
        ({"apiVersion": "tidegate.dev/v1"}, "apiVersion"),
        ({"spec": None}, "spec"),
        ({"specs": {}}, "specs"),
        ({"metadata": None}, "metadata.name"),
        ({"metadata": {"name": None}}, "metadata.name"),
        ({"metadata": {"namespace": "Team A"}}, "metadata.namespace"),
        ({"metadata": {"anotations": {}}}, "metadata.anotations"),
        ({"metadata": {"annotations": {"tidegate.dev/pause": True}}}, "metadata.annotations.tidegate.dev/pause"),
        ({"metadata": {"annotations": ["a"]}}, "metadata.annotations"),
        ({"metadata": {"labels": {"team": "fraud & co"}}}, "metadata.labels.team"),
    ],
)
def test_what_is_wrong_outside_the_spec_is_blamed_on_its_field(patch: dict[str, Any], blamed: str) -> None:
    assert paths(patch) == {blamed}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    spec = {"model": {"version": 7, "alias": None}, "traffic": None, "rollout": {"weights": [25, 5]}, "gate": {}}
    assert paths({"spec": spec}) == {
        "spec.model.version",
        "spec.traffic",
        "spec.rollout.weights",
        "spec.gate",
    }


def test_a_number_where_text_is_asked_for_is_told_to_be_quoted() -> None:
    (finding,) = findings(merge(LEAST, {"spec": {"serving": {"runtime": 7}}}))
    assert finding.message == "must be text, not a number: put it in quotes"


def test_a_status_in_a_manifest_is_nobodys_business() -> None:
    assert paths({"status": {"anything": True}}) == set()


def test_a_null_is_no_value() -> None:
    assert paths({"spec": {"rollout": {"steps": None, "weights": [100]}}}) == set()
    body = merge(LEAST, {})
    body["spec"]["rollout"] = {"steps": None, "deadline": None}
    assert findings(body) == ()


@pytest.mark.parametrize(
    ("annotation", "value", "warned"),
    [("pause", "7/2", False), ("pause", "true", True), ("abort", "7", True), ("abrot", "7/2", True)],
)
def test_annotations_that_do_nothing_are_warned_of(annotation: str, value: str, warned: bool) -> None:
    body = merge(LEAST, {"metadata": {"annotations": {f"tidegate.dev/{annotation}": value, "example.com/x": "y"}}})
    assert findings(body) == ()
    assert [warning.path for warning in warnings(body)] == [f"metadata.annotations.tidegate.dev/{annotation}"] * warned


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        (LEAST, True),
        ({**LEAST, "apiVersion": "tidegate.dev/v2"}, True),
        ({**LEAST, "apiVersion": "example.com/v1"}, False),
        ({**LEAST, "kind": "Deployment"}, False),
        ([], False),
    ],
)
def test_only_model_deployments_are_checked(body: Any, ours: bool) -> None:
    assert is_ours(body) is ours
