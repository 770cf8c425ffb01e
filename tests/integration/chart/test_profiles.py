"""The chart's profiles, and the large one's policy before a real API server."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.errors import StartError
from tests.cluster.light import LightCluster
from tests.integration.chart.helm import CHART, NAMESPACE, RELEASE, Helm, only

PROFILES = CHART / "profiles"
TEAM = "mandatory"
LAST = {"weight": 100, "hold": "1s"}
STEPS = [{"weight": 25, "hold": "1s", "approval": True}, LAST]


def profile(name: str) -> list[str]:
    return ["--values", str(PROFILES / f"{name}.yaml")]


@pytest.mark.parametrize("name", ["dev", "medium", "large"])
def test_lint_finds_nothing_in_a_profile(helm: Helm, name: str) -> None:
    done = helm.run("lint", str(CHART), "--strict", *profile(name))
    assert done.returncode == 0, done.stdout


def test_every_profile_is_tried() -> None:
    assert {file.name for file in PROFILES.iterdir()} == {"dev.yaml", "medium.yaml", "large.yaml"}


def test_profiles_grow_in_pods_and_in_governance(helm: Helm) -> None:
    found = {}
    for name in ("dev", "medium", "large"):
        items = helm.render({}, *profile(name))
        policies = [i["metadata"]["name"] for i in items if i["kind"] == "ValidatingAdmissionPolicy"]
        mandatory = f"{NAMESPACE}-{RELEASE}-tidegate-mandatory" in policies
        budget = any(item["kind"] == "PodDisruptionBudget" for item in items)
        found[name] = (only(items, "Deployment")["spec"]["replicas"], budget, bool(policies), mandatory)
    assert found == {
        "dev": (1, False, False, False),
        "medium": (2, True, True, False),
        "large": (3, True, True, True),
    }


@pytest.fixture(scope="module")
def strict(cluster: LightCluster, helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> LightCluster:
    """The large profile's policy, in force in the team's namespace; `old` is older than it."""
    cluster.kubectl("create", "namespace", TEAM)
    cluster.kubectl("create", "-f", write(tmp_path_factory.mktemp("old"), deployment("old", [LAST])))
    items = helm.render({"namespaces": [TEAM]}, *profile("large"))
    policy = [item for item in items if item["metadata"]["name"].endswith("-mandatory")]
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(policy))
    probe = write(tmp_path_factory.mktemp("probe"), deployment("probe", [LAST]))
    end = time.monotonic() + 60
    while "mandatory" not in refused(cluster, "create", "--dry-run=server", "-f", probe):
        assert time.monotonic() < end, "the policy never came into force"
    return cluster


def deployment(name: str, steps: list[dict[str, Any]] | None) -> dict[str, Any]:
    rollout = {} if steps is None else {"rollout": {"steps": steps}}
    return {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {
            "model": {"name": "fraud", "alias": "champion"},
            "traffic": {"gateway": {"parentRefs": [{"name": "public"}]}},
            **rollout,
        },
    }


def write(folder: Path, body: dict[str, Any]) -> str:
    file = folder / "object.json"
    file.write_text(json.dumps(body))
    return str(file)


def refused(cluster: LightCluster, *arguments: str) -> str:
    """What the API server says against it; empty if it is done."""
    try:
        cluster.kubectl("-n", TEAM, *arguments)
    except StartError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("steps", [None, [LAST], [{"weight": 25, "hold": "1s", "approval": False}, LAST]])
def test_a_rollout_without_a_step_that_asks_is_refused(
    strict: LightCluster, tmp_path: Path, steps: list[dict[str, Any]] | None
) -> None:
    said = refused(strict, "create", "-f", write(tmp_path, deployment("none", steps)))
    assert "spec.rollout.steps: approvals are mandatory" in said


def test_nobody_is_asked_after_the_fact(strict: LightCluster, tmp_path: Path) -> None:
    late = [{"weight": 51, "hold": "1s"}, {"weight": 100, "hold": "1s", "approval": True}]
    said = refused(strict, "create", "-f", write(tmp_path, deployment("late", late)))
    assert "no step over 50 % before one that says approval: true" in said
    late[0]["weight"] = 50
    assert refused(strict, "create", "-f", write(tmp_path, deployment("late", late))) == ""


def test_a_rollout_with_a_step_that_asks_is_taken_and_keeps_it(strict: LightCluster, tmp_path: Path) -> None:
    assert refused(strict, "create", "-f", write(tmp_path, deployment("asks", STEPS))) == ""
    patch = json.dumps({"spec": {"rollout": {"steps": [LAST]}}})
    assert "mandatory" in refused(strict, "patch", "mdep", "asks", "--type=merge", "-p", patch)


def test_an_object_older_than_the_policy_can_be_aborted(strict: LightCluster) -> None:
    assert refused(strict, "annotate", "mdep", "old", "tidegate.dev/abort=7/1") == ""
