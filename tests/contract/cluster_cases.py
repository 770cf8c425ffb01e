"""Objects for the cluster's contract."""

from typing import Any


def config_map(namespace: str, name: str = "box", /, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "box"}},
        "data": data,
    }


def deployment(namespace: str, *, replicas: int = 1, env: dict[str, str] | None = None) -> dict[str, Any]:
    container = {
        "name": "model",
        "image": "example.invalid/model:1",
        "env": [{"name": name, "value": value} for name, value in (env or {"A": "1"}).items()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "box", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "box"}},
            "template": {"metadata": {"labels": {"app": "box"}}, "spec": {"containers": [container]}},
        },
    }


def model_deployment(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "fraud", "namespace": namespace},
        "spec": {
            "model": {"name": "fraud-detector", "version": "7"},
            "traffic": {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": ["fraud.example.com"]}},
        },
    }


def event(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "tidegate.dev/operator",
        "reportingInstance": "test",
        "action": "Test",
        "reason": "Advancing",
        "type": "Normal",
        "note": "a word",
        "regarding": {
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "ModelDeployment",
            "namespace": namespace,
            "name": "fraud",
        },
    }
