"""What the chart makes for Prometheus, Alertmanager and Grafana."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import debian
from tests.cluster.progress import Progress
from tests.integration.chart.helm import CHART, RELEASE, Helm, only
from tests.integration.chart.test_chart import RECEIVED


def test_the_examples_of_alerts_arrive_as_they_are(helm: Helm) -> None:
    rule = only(helm.render({"alerts.prometheusRule.enabled": True}), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((CHART / "rules/models.yaml").read_text())


def test_alertmanager_is_told_to_send_what_concerns_a_model_to_the_service_with_the_secrets_token(helm: Helm) -> None:
    items = helm.render({**RECEIVED, "http.port": 9000, "alerts.alertmanagerConfig.key": "one"})
    spec, service = only(items, "AlertmanagerConfig")["spec"], only(items, "Service")["metadata"]
    assert spec["route"]["receiver"] == spec["receivers"][0]["name"]
    assert spec["route"]["matchers"] == [{"name": "modeldeployment", "matchType": "!=", "value": ""}]
    assert spec["route"]["continue"] is True
    (webhook,) = spec["receivers"][0]["webhookConfigs"]
    assert webhook["url"] == f"http://{service['name']}.{service['namespace']}.svc:9000/alerts/alertmanager"
    assert webhook["sendResolved"] is True
    assert webhook["httpConfig"]["authorization"]["credentials"] == {"name": "alert-tokens", "key": "one"}


def test_alertmanager_is_not_told_to_come_without_a_token(helm: Helm) -> None:
    done = helm.run("template", RELEASE, str(CHART), values={"alerts.alertmanagerConfig.enabled": True})
    assert done.returncode != 0
    assert "alerts.existingSecret" in done.stderr


def test_alertmanager_itself_takes_what_becomes_of_its_config(helm: Helm, tmp_path: Path) -> None:
    """As the Prometheus operator translates it, but for the Secret, which it puts in."""
    spec = only(helm.render(RECEIVED), "AlertmanagerConfig")["spec"]
    route = dict(spec["route"])
    matchers = [f"{m['name']}{m['matchType']}{json.dumps(m['value'])}" for m in route.pop("matchers")]
    config = snaked({"route": {"receiver": "nobody", "routes": [route]}, "receivers": spec["receivers"]})
    config["route"]["routes"][0]["matchers"] = matchers
    config["receivers"][0]["webhook_configs"][0]["http_config"]["authorization"]["credentials"] = "token"
    config["receivers"].append({"name": "nobody"})
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    program = debian.unpack("prometheus-alertmanager", Progress()) / "usr" / "bin" / "amtool"
    done = subprocess.run([str(program), "check-config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def snaked(value: Any) -> Any:
    """Alertmanager's own names of what its kind says in camel case."""
    if isinstance(value, dict):
        return {re.sub(r"(?<!^)([A-Z])", lambda c: f"_{c[1].lower()}", k): snaked(inner) for k, inner in value.items()}
    return [snaked(inner) for inner in value] if isinstance(value, list) else value


def test_the_dashboard_and_the_alerts_arrive_as_they_are(helm: Helm) -> None:
    items = helm.render({"monitoring.rules.enabled": True, "monitoring.dashboard.enabled": True})
    dashboard = only(items, "ConfigMap")
    assert json.loads(dashboard["data"]["tidegate.json"]) == json.loads(
        (CHART / "dashboards/tidegate.json").read_text()
    )
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert only(items, "PrometheusRule")["spec"] == yaml.safe_load((CHART / "rules/operator.yaml").read_text())


def test_the_service_monitor_finds_the_service_and_keeps_the_labels_of_objects(helm: Helm) -> None:
    items = helm.render({"monitoring.serviceMonitor.enabled": True})
    monitor, service = only(items, "ServiceMonitor")["spec"], only(items, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["honorLabels"] is True


def test_the_pod_monitor_finds_the_pods_in_place_of_the_service(helm: Helm) -> None:
    values = {"monitoring.serviceMonitor.enabled": True, "monitoring.serviceMonitor.kind": "PodMonitor"}
    items = helm.render(values)
    assert [item for item in items if item["kind"] == "ServiceMonitor"] == []
    monitor, pod = only(items, "PodMonitor")["spec"], only(items, "Deployment")["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    (container,) = pod["spec"]["containers"]
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert endpoint["honorLabels"] is True
