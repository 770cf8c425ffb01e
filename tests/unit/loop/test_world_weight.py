"""What the cache leaves out, and how it packs the rest: its weight decides how many objects an operator can hold."""

import copy
import json
from typing import Any

from tidegate.loop.world import LAST_APPLIED, UNPACKED, World


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


def test_objects_that_are_like_the_first_of_their_kind_weigh_a_tenth_of_their_text() -> None:
    world = World()
    for number in range(20):
        told = body("Deployment", f"fraud-{number}")
        told["spec"]["template"] = {f"field {n}": f"a text of some length, such as {n}" for n in range(100)}
        world.put(told)
    for number in range(1, 20):
        kept = world.state("Deployment", f"ml/fraud-{number}")
        assert kept is not None
        assert len(kept.packed) < len(json.dumps(world.get("Deployment", kept.name))) / 10


def test_every_object_comes_out_as_it_went_in_also_when_more_were_read_than_stay_unpacked() -> None:
    world = World()
    bodies = [body(kind, f"{n}") for kind in ("Deployment", "Service") for n in range(UNPACKED)]
    for told in bodies:
        told["metadata"]["annotations"] = {"own": told["metadata"]["name"] * 3, "umlaut": "\u00e4\u20ac"}
        world.put(told)
    for told in bodies:
        assert world.get(told["kind"], f"ml/{told['metadata']['name']}") == {
            **told,
            "metadata": {name: value for name, value in told["metadata"].items() if name != "managedFields"},
        }


def test_only_what_is_new_is_news() -> None:
    world, told = World(), body("Deployment", "a")
    assert world.put(told) == "ml/fraud"
    before = world.state("Deployment", "ml/a")
    assert world.put(copy.deepcopy(told)) is None
    assert world.state("Deployment", "ml/a") is before
    told["metadata"]["resourceVersion"] = "8"
    assert world.put(told) == "ml/fraud"
    told["metadata"]["resourceVersion"] = "6"
    assert world.put(told) is None
    told["metadata"]["uid"] = "made anew"
    assert world.put(told) == "ml/fraud"
    assert [kept["metadata"]["uid"] for kept in world.owned("Deployment", "ml/fraud")] == ["made anew"]


def test_an_object_that_changes_hands_is_its_new_owners_alone() -> None:
    world, told = World(), body("Deployment", "a")
    world.put(told)
    told["metadata"].update(labels={"tidegate.dev/modeldeployment": "other"}, resourceVersion="8")
    assert world.put(told) == "ml/other"
    assert world.owned("Deployment", "ml/fraud") == []
    assert len(world.owned("Deployment", "ml/other")) == 1
    assert world.drop(told) == "ml/other"
    assert world.owned("Deployment", "ml/other") == []
    assert world.get("Deployment", "ml/a") is None
