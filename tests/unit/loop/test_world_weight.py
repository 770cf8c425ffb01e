"""What the cache leaves out, and what it shares: its weight decides how many objects an operator can hold."""

import copy
import json
from typing import Any

from tidegate.loop.world import LAST_APPLIED, World


def body(kind: str, name: str) -> dict[str, Any]:
    text = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "ml",
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "labels": {"tidegate.dev/modeldeployment": "fraud"},
            "annotations": {LAST_APPLIED: "{...}", "tidegate.dev/version": "7"},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {"containers": [{"name": "model"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    # As it comes from the wire: no text is one object with another's.
    return dict(json.loads(json.dumps(text)))


def test_what_nobody_reads_is_not_kept_and_what_was_told_is_not_changed() -> None:
    world, told = World(), body("Pod", "a")
    before = copy.deepcopy(told)
    world.put(told)
    kept = world.get("Pod", "ml/a")
    assert kept is not None
    assert "spec" not in kept
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["annotations"] == {"tidegate.dev/version": "7"}
    assert kept["status"] == told["status"]
    assert told == before


def test_only_pods_are_kept_without_their_spec() -> None:
    world = World()
    world.put(body("Deployment", "a"))
    kept = world.get("Deployment", "ml/a")
    assert kept is not None
    assert kept["spec"] == {"containers": [{"name": "model"}]}


def test_names_and_short_texts_of_two_objects_are_one_in_memory() -> None:
    world = World()
    world.put(body("Deployment", "a"))
    world.put(body("Deployment", "b"))
    one, other = world.get("Deployment", "ml/a"), world.get("Deployment", "ml/b")
    assert one is not None
    assert other is not None
    (name,), (same,) = one["metadata"]["annotations"].keys(), other["metadata"]["annotations"].keys()
    assert name is same
    assert one["status"]["phase"] is other["status"]["phase"]
