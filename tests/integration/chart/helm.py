"""Runs Helm on the chart, without a cluster."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[3] / "charts" / "tidegate"
RELEASE = "demo"
NAMESPACE = "tidegate-system"

#: A value other than the default for every leaf of values.yaml.
EVERYTHING: Mapping[str, Any] = {
    "image.repository": "registry.example.com/ml/tidegate",
    "image.tag": "0.1.0-rc.1",
    "image.pullPolicy": "Always",
    "replicas": 3,
    "leaseSeconds": 15,
    "podDisruptionBudget.enabled": False,
    "imagePullSecrets": [{"name": "regcred"}],
    "namespaces": ["team-a", "team-b"],
    "logFormat": "console",
    "logLevel": "debug",
    "audit.to": "file",
    "audit.volume": {"persistentVolumeClaim": {"claimName": "audit"}},
    "audit.webhook.url": "https://siem.example.com/audit",
    "audit.webhook.existingSecret": "auditor",
    "audit.webhook.ca": True,
    "workers": 16,
    "apiTimeout": 2.5,
    "http.host": "::",
    "http.port": 9090,
    "registry.uri": "https://mlflow.example.com/tracking",
    "registry.existingSecret": "mlflow-reader",
    "registry.interval": 5,
    "registrySecrets": [{"namespace": "team-a", "name": "mlflow-login"}],
    "webhooks.existingSecret": "mlflow-webhooks",
    "webhooks.tls.existingSecret": "tidegate-tls",
    "webhooks.tls.port": 9443,
    "webhooks.from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlflow"}}}],
    "registry.clusterName": "prod-eu",
    "registry.retention.enabled": True,
    "registry.retention.days": 30,
    "registry.retention.dryRun": False,
    "registry.retention.interval": 900,
    "prometheus.url": "https://prometheus.example.com",
    "prometheus.existingSecret": "prometheus-reader",
    "prometheus.ca": True,
    "notifications.existingSecret": "receivers",
    "notifications.cluster": "prod-eu",
    "notifications.cloudEvents.events": ["promoted", "reverted"],
    "notifications.slack.events": ["reverted"],
    "governance.enabled": True,
    "governance.mandatory": True,
    "governance.mandatoryAbove": 25,
    "governance.retraining.existingSecret": "trainers",
    "governance.retraining.afterRejections": 2,
    "governance.retraining.coolDown": 2_592_000,
    "alerts.existingSecret": "alert-tokens",
    "alerts.reviews": True,
    "alerts.audience": "tidegate",
    "alerts.fromPrometheus": True,
    "alerts.from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "alerting"}}}],
    "alerts.prometheusRule.enabled": True,
    "alerts.prometheusRule.labels": {"release": "prometheus"},
    "alerts.alertmanagerConfig.enabled": True,
    "alerts.alertmanagerConfig.key": "one",
    "alerts.alertmanagerConfig.labels": {"release": "prometheus"},
    "pods.trackingUri": "http://mlflow.mlflow.svc:5000",
    "runtime.image": "registry.example.com/ml/tidegate-runtime:0.1.0",
    "mlserver.image": "registry.example.com/ml/mlserver:1",
    "podsImagePullPolicy": "Never",
    "serviceAccount.create": False,
    "serviceAccount.name": "tide",
    "serviceAccount.annotations": {"example.com/why": "because"},
    "rbac.create": False,
    "rbac.aggregate": False,
    "rbac.podLogs": False,
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "podLabels": {"team": "ml"},
    "podAnnotations": {"example.com/note": "hello"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}]}}},
    "monitoring.serviceMonitor.enabled": True,
    "monitoring.serviceMonitor.kind": "PodMonitor",
    "monitoring.serviceMonitor.interval": "30s",
    "monitoring.serviceMonitor.labels": {"release": "prometheus"},
    "monitoring.rules.enabled": True,
    "monitoring.rules.labels": {"release": "prometheus"},
    "monitoring.dashboard.enabled": True,
    "monitoring.dashboard.labels": {"grafana_dashboard": "yes"},
    "monitoring.dashboard.annotations": {"grafana_folder": "ML"},
    "service.annotations": {"prometheus.io/scrape": "true"},
    "networkPolicy.enabled": True,
    "networkPolicy.from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    "nameOverride": "gate",
    "fullnameOverride": "tide",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """The program, with a home of its own so that nothing of the user's decides what comes out."""

    program: str
    home: Path

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs one command on the chart. `values`: dotted path -> value."""
        text = yaml.safe_dump(nested(values or {}))
        return subprocess.run(
            [self.program, *arguments, "--values", "-"],
            input=text,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def template(self, values: Mapping[str, Any] | None = None, *options: str) -> str:
        """Renders the chart."""
        done = self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *options, values=values)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def render(self, values: Mapping[str, Any] | None = None, *options: str) -> list[dict[str, Any]]:
        """Renders the chart and parses what comes out."""
        return [item for item in yaml.safe_load_all(self.template(values, *options)) if item]


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted paths as the tree that Helm wants."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return tree


def only(items: Sequence[Mapping[str, Any]], kind: str) -> Any:
    """The one object of a kind."""
    found = [item for item in items if item["kind"] == kind]
    assert len(found) == 1, [item["kind"] for item in items]
    return found[0]
