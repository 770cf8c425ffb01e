import copy
from typing import Any

import pytest

from tidegate.core.merge import merged

BASE: dict[str, Any] = {
    "spec": {
        "containers": [
            {
                "name": "model",
                "image": "base",
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}, {"name": "B", "value": "2"}],
                "envFrom": [{"secretRef": {"name": "ours"}}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "args": ["one", "two"],
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2},
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532},
    }
}


def container(**patch: Any) -> dict[str, Any]:
    result = merged(BASE, {"spec": {"containers": [{"name": "model", **patch}]}})
    only: dict[str, Any] = result["spec"]["containers"][0]
    return only


def test_nothing_laid_over_changes_nothing() -> None:
    assert merged(BASE, {}) == BASE


def test_neither_side_is_changed_or_shared() -> None:
    patch = {"spec": {"containers": [{"name": "model", "env": [{"name": "C", "value": "3"}]}], "tolerations": [{}]}}
    base_before, patch_before = copy.deepcopy(BASE), copy.deepcopy(patch)
    result = merged(BASE, patch)
    result["spec"]["containers"][0]["env"].clear()
    result["spec"]["tolerations"][0]["key"] = "x"
    result["spec"]["securityContext"].clear()
    assert (base_before, patch_before) == (BASE, patch)


def test_a_container_is_merged_by_name_and_keeps_what_is_not_named() -> None:
    result = container(image="mine")
    assert result["image"] == "mine"
    assert result["args"] == ["one", "two"]


def test_a_new_container_comes_last() -> None:
    result = merged(BASE, {"spec": {"containers": [{"name": "sidecar", "image": "s"}]}})
    assert [c["name"] for c in result["spec"]["containers"]] == ["model", "sidecar"]


def test_a_variable_of_the_same_name_is_replaced_whole() -> None:
    assert container(env=[{"name": "A", "value": "1"}])["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
    ]


def test_a_volume_of_the_same_name_is_replaced_whole() -> None:
    claim = {"name": "tmp", "persistentVolumeClaim": {"claimName": "big"}}
    assert merged(BASE, {"spec": {"volumes": [claim]}})["spec"]["volumes"] == [claim]


def test_a_port_is_known_by_its_name_not_its_number() -> None:
    result = container(ports=[{"name": "http", "containerPort": 9000}, {"containerPort": 9001}])
    assert result["ports"] == [{"name": "http", "containerPort": 9000}, {"containerPort": 9001}]


def test_env_from_is_added_to() -> None:
    assert container(envFrom=[{"configMapRef": {"name": "mine"}}])["envFrom"] == [
        {"secretRef": {"name": "ours"}},
        {"configMapRef": {"name": "mine"}},
    ]


def test_a_list_without_identities_is_replaced() -> None:
    assert container(args=["three"])["args"] == ["three"]


def test_resources_are_replaced_whole() -> None:
    assert container(resources={"limits": {"memory": "1Gi"}})["resources"] == {"limits": {"memory": "1Gi"}}


@pytest.mark.parametrize("handler", ["exec", "tcpSocket", "grpc"])
def test_a_probes_handler_takes_the_place_of_the_presets(handler: str) -> None:
    probe = container(readinessProbe={handler: {"port": 1}})["readinessProbe"]
    assert probe == {handler: {"port": 1}, "periodSeconds": 2}


def test_a_probe_without_a_handler_of_its_own_keeps_the_presets() -> None:
    probe = container(readinessProbe={"periodSeconds": 9, "exec": None})["readinessProbe"]
    assert probe == {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 9}


def test_a_hook_takes_the_place_of_the_presets() -> None:
    hook = container(lifecycle={"preStop": {"exec": {"command": ["true"]}}})["lifecycle"]
    assert hook == {"preStop": {"exec": {"command": ["true"]}}}


def test_null_takes_a_key_away_and_never_stays() -> None:
    result = merged(BASE, {"spec": {"securityContext": {"runAsUser": None, "fsGroup": None}, "x": {"y": None}}})
    assert result["spec"]["securityContext"] == {"runAsNonRoot": True}
    assert result["spec"]["x"] == {}


def test_an_element_without_identity_is_left_for_the_api_server_to_refuse() -> None:
    wrong: list[Any] = [{"image": "nameless"}, "no map", {"name": "model", "image": "mine"}]
    result = merged(BASE, {"spec": {"containers": wrong}})["spec"]["containers"]
    assert [c["image"] if isinstance(c, dict) else c for c in result] == ["mine", "nameless", "no map"]
