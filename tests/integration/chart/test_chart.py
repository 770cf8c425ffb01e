"""The chart by itself: what Helm makes of it, and what it refuses."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from tests.integration.chart.helm import CHART, EVERYTHING, NAMESPACE, RELEASE, Helm, only

from tidegate.api.kinds import KINDS
from tidegate.api.served import SERVED
from tidegate.settings import AuditSettings, NotifySettings, RegistrySettings, RetrainSettings, Settings

CREDENTIALS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME")
ADDRESSES = ("CLOUDEVENTS_TOKEN", "CLOUDEVENTS_URL", "SLACK_URL")
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}
RECEIVED = {"alerts.alertmanagerConfig.enabled": True, "alerts.existingSecret": "alert-tokens"}
# What makes a value's effect visible that shows only together with another's.
TOGETHER = {
    "alerts.from": {
        "networkPolicy.enabled": True,
        "networkPolicy.from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    },
    "alerts.prometheusRule.labels": {"alerts.prometheusRule.enabled": True},
    "alerts.alertmanagerConfig.enabled": {"alerts.existingSecret": "alert-tokens"},
    "alerts.alertmanagerConfig.key": RECEIVED,
    "alerts.alertmanagerConfig.labels": RECEIVED,
    "audit.volume": {"audit.to": "file"},
    "audit.webhook.ca": {"audit.webhook.existingSecret": "auditor"},
    "governance.mandatory": {"governance.enabled": True},
    "governance.mandatoryAbove": {"governance.enabled": True, "governance.mandatory": True},
    "networkPolicy.from": {"networkPolicy.enabled": True},
    "prometheus.ca": {"prometheus.existingSecret": "prometheus-reader"},
    "nameOverride": {"fullnameOverride": ""},
    "monitoring.serviceMonitor.kind": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.serviceMonitor.interval": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.serviceMonitor.labels": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.rules.labels": {"monitoring.rules.enabled": True},
    "monitoring.dashboard.labels": {"monitoring.dashboard.enabled": True},
    "monitoring.dashboard.annotations": {"monitoring.dashboard.enabled": True},
    "webhooks.from": {
        "webhooks.existingSecret": "signed-with",
        "networkPolicy.enabled": True,
        "networkPolicy.from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    },
    "webhooks.tls.existingSecret": {"webhooks.existingSecret": "signed-with"},
}


def leaves(tree: Mapping[str, Any], stop: frozenset[str], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and path not in stop:
            yield from leaves(value, stop, f"{path}.")
        else:
            yield path


def defaults() -> dict[str, Any]:
    loaded = yaml.safe_load((CHART / "values.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def environment(items: list[dict[str, Any]]) -> dict[str, Any]:
    (container,) = only(items, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def settings_under(variables: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, RegistrySettings]:
    for name, value in variables.items():
        if isinstance(value, str):
            monkeypatch.setenv(name, value)
    return Settings(), RegistrySettings()


@pytest.mark.parametrize("values", [{}, {"namespaces": ["a", "b"]}, EVERYTHING], ids=["default", "namespaced", "all"])
def test_lint_finds_nothing(helm: Helm, values: Mapping[str, Any]) -> None:
    done = helm.run("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout
    assert not re.search(r"\[(WARNING|ERROR)\]", done.stdout), done.stdout


def test_default_installation_is_two_replicas_with_cluster_wide_rights_and_one_lease(helm: Helm) -> None:
    items = helm.render()
    kinds = sorted(item["kind"] for item in items)
    rights = ["ClusterRole"] * 3 + ["ClusterRoleBinding"]
    assert kinds == [
        *rights, "Deployment", "PodDisruptionBudget", "Role", "RoleBinding", "Service", "ServiceAccount",
    ]  # fmt: skip
    spec = only(items, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]) == (2, {"maxUnavailable": 0, "maxSurge": 1})


def test_pods_prefer_different_nodes_and_zones_and_start_without(helm: Helm) -> None:
    spread = only(helm.render(), "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [(one["topologyKey"], one["whenUnsatisfiable"]) for one in spread] == [
        ("kubernetes.io/hostname", "ScheduleAnyway"), ("topology.kubernetes.io/zone", "ScheduleAnyway"),
    ]  # fmt: skip


def test_a_drained_node_takes_one_of_two_pods_and_a_lone_one_is_not_held_fast(helm: Helm) -> None:
    assert only(helm.render(), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in {item["kind"] for item in helm.render({"replicas": 1})}


def test_the_lease_is_one_by_name_in_the_releases_namespace(helm: Helm) -> None:
    items = helm.render()
    role, variables = only(items, "Role"), environment(items)
    assert role["metadata"]["namespace"] == variables["TIDEGATE_LEASE_NAMESPACE"] == NAMESPACE
    named, making = role["rules"]
    assert named["resourceNames"] == [variables["TIDEGATE_LEASE_NAME"]]
    assert (named["verbs"], making["verbs"]) == (["get", "patch"], ["create"])
    assert {*named["resources"], *making["resources"]} == {"leases"}
    assert only(items, "RoleBinding")["roleRef"]["name"] == role["metadata"]["name"]


def test_namespaced_installation_needs_nothing_of_the_cluster(helm: Helm) -> None:
    items = helm.render({"namespaces": ["team-a", "team-b"], "rbac.aggregate": False})
    assert not CLUSTER_WIDE & {item["kind"] for item in items}
    for kind in ("Role", "RoleBinding"):
        found = [item["metadata"]["namespace"] for item in items if item["kind"] == kind]
        assert found == ["team-a", "team-b", NAMESPACE]
    bindings = [item for item in items if item["kind"] == "RoleBinding"]
    account = {"kind": "ServiceAccount", "name": f"{RELEASE}-tidegate", "namespace": NAMESPACE}
    assert all(binding["subjects"] == [account] for binding in bindings)


def test_crds_come_with_the_chart(helm: Helm) -> None:
    items = helm.render(None, "--include-crds")
    made = {item["metadata"]["name"] for item in items if item["kind"] == "CustomResourceDefinition"}
    assert made == {f"{served.plural}.tidegate.dev" for served in (*SERVED, *KINDS)}


def test_every_object_carries_the_recommended_labels(helm: Helm) -> None:
    wanted = {"name", "instance", "version", "component", "part-of", "managed-by"}
    for item in helm.render({"networkPolicy.enabled": True}):
        labels = item["metadata"]["labels"]
        assert {f"app.kubernetes.io/{label}" for label in wanted} | {"helm.sh/chart"} <= set(labels), item["kind"]


def test_selectors_match_the_operators_pod_and_never_a_models(helm: Helm) -> None:
    items = helm.render({"networkPolicy.enabled": True})
    deployment = only(items, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [
        deployment["selector"]["matchLabels"],
        only(items, "Service")["spec"]["selector"],
        only(items, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        only(items, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *[one["labelSelector"]["matchLabels"] for one in deployment["template"]["spec"]["topologySpreadConstraints"]],
    ]
    assert all(selector == selectors[0] for selector in selectors)
    assert selectors[0].items() <= labels.items()
    assert labels["app.kubernetes.io/managed-by"] != "tidegate"


def test_two_releases_share_no_cluster_wide_name(helm: Helm) -> None:
    def names(*options: str) -> set[tuple[str, str]]:
        done = helm.run("template", RELEASE, str(CHART), *options)
        items = [item for item in yaml.safe_load_all(done.stdout) if item]
        return {(i["kind"], i["metadata"]["name"]) for i in items if i["kind"] in CLUSTER_WIDE}

    assert names("--namespace", "one")
    assert not names("--namespace", "one") & names("--namespace", "two")


@pytest.mark.parametrize("path", sorted(EVERYTHING))
def test_every_value_has_an_effect(helm: Helm, path: str) -> None:
    together = TOGETHER.get(path, {})
    assert helm.template({**together, path: EVERYTHING[path]}) != helm.template(together)


def test_every_value_is_documented_tried_and_in_the_schema() -> None:
    stop = frozenset(EVERYTHING)
    documented = set(leaves(defaults(), stop))
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert documented == set(EVERYTHING)

    def described(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
        for name, child in node["properties"].items():
            path = f"{prefix}{name}"
            inner = "properties" in child and path not in stop
            yield from described(child, f"{path}.") if inner else (path,)

    assert set(described(schema)) - {"global"} == documented
    lines = (CHART / "values.yaml").read_text().splitlines()
    uncommented = [
        line
        for before, line in itertools.pairwise(lines)
        if re.match(r" *\w+: *\S", line) and not before.lstrip().startswith("#")
    ]
    assert [line for line in uncommented if not re.match(r" *(cpu|memory):", line)] == []


def test_default_value_differs_from_the_one_tried() -> None:
    for path, value in EVERYTHING.items():
        place: Any = defaults()
        for name in path.split("."):
            place = place[name]
        assert place != value, path


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"worker": 3}, "additional properties 'worker' not allowed"),
        ({"image.tagg": "1"}, "'/image'"),
        ({"workers": "many"}, "'/workers'"),
        ({"audit.webhook.url": "siem:443"}, "'/audit/webhook/url'"),
        ({"workers": 0}, "'/workers'"),
        ({"apiTimeout": 0}, "'/apiTimeout'"),
        ({"replicas": -1}, "'/replicas'"),
        ({"leaseSeconds": 1}, "'/leaseSeconds'"),
        ({"registry.uri": "mlflow:5000"}, "'/registry/uri'"),
        ({"registry.interval": -1}, "'/registry/interval'"),
        ({"registry.clusterName": "a.b"}, "'/registry/clusterName'"),
        ({"registry.retention.days": 0}, "'/registry/retention/days'"),
        ({"registry.retention.interval": 59}, "'/registry/retention/interval'"),
        ({"pods.trackingUri": "ftp://mlflow"}, "'/pods/trackingUri'"),
        ({"http.port": 80}, "'/http/port'"),
        ({"namespaces": "team-a"}, "'/namespaces'"),
        ({"namespaces": ["Team A"]}, "'/namespaces/0'"),
        ({"namespaces": ["a", "a"]}, "'/namespaces'"),
        ({"namespaces": [f"team-{number}" for number in range(101)]}, "'/namespaces'"),
        ({"logLevel": "verbose"}, "'/logLevel'"),
        ({"podsImagePullPolicy": "Sometimes"}, "'/podsImagePullPolicy'"),
        ({"rbac.create": "yes"}, "'/rbac/create'"),
        ({"notifications.slack.events": ["approved"]}, "'/notifications/slack/events/0'"),
        ({"notifications.cluster": "prod eu"}, "'/notifications/cluster'"),
        ({"runtime.image": ""}, "'/runtime/image'"),
        ({"imagePullSecrets": ["regcred"]}, "'/imagePullSecrets/0'"),
        ({"podLabels": {"a": 1}}, "'/podLabels/a'"),
        ({"affinity": {"podAfinity": {}}}, "'/affinity'"),
    ],
)
def test_schema_refuses_with_the_path(helm: Helm, values: Mapping[str, Any], said: str) -> None:
    done = helm.run("template", RELEASE, str(CHART), values=values)
    assert done.returncode != 0
    assert said in done.stderr


def test_every_setting_is_a_variable_of_the_pod_and_no_other_is(helm: Helm) -> None:
    wanted = {f"TIDEGATE_{name.upper()}" for name in Settings.model_fields}
    wanted |= {f"MLFLOW_TRACKING_{name.upper()}" for name in RegistrySettings.model_fields}
    wanted |= {f"TIDEGATE_NOTIFY_{name.upper()}" for name in NotifySettings.model_fields}
    wanted |= {f"TIDEGATE_AUDIT_WEBHOOK_{name.upper()}" for name in AuditSettings.model_fields}
    wanted |= {f"TIDEGATE_RETRAIN_{name.upper()}" for name in RetrainSettings.model_fields}
    secrets = {
        "registry.existingSecret": "mlflow",
        "notifications.existingSecret": "receivers",
        "governance.retraining.existingSecret": "trainers",
    }
    assert set(environment(helm.render(secrets))) == wanted


def test_chart_defaults_are_the_settings_own(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own, registry = Settings(), RegistrySettings()
    # The lease alone is named after the release, so that two of them don't share one.
    own = own.model_copy(update={"lease_name": f"{RELEASE}-tidegate", "lease_namespace": NAMESPACE})
    assert settings_under(environment(helm.render()), monkeypatch) == (own, registry)


def test_values_arrive_in_the_settings(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, registry = settings_under(environment(helm.render(EVERYTHING)), monkeypatch)
    address = environment(helm.render(EVERYTHING))["TIDEGATE_POD_ADDRESS"]
    assert address == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert settings == Settings.model_construct(
        namespaces="team-a,team-b",
        runtime_image="registry.example.com/ml/tidegate-runtime:0.1.0",
        mlserver_image="registry.example.com/ml/mlserver:1",
        image_pull_policy="Never",
        pods_tracking_uri="http://mlflow.mlflow.svc:5000",
        registry_interval=5.0,
        cluster_name="prod-eu",
        retention=True,
        retention_days=30,
        retention_dry_run=False,
        retention_interval=900.0,
        prometheus_url="https://prometheus.example.com",
        prometheus_token_file="/etc/tidegate/prometheus/token",
        prometheus_ca_file="/etc/tidegate/prometheus/ca.crt",
        alerts_token_file="/etc/tidegate/alerts/token",
        alerts_reviews=True,
        alerts_audience="tidegate",
        alerts_from_prometheus=True,
        governance=True,
        webhook_secret_file="/etc/tidegate/webhooks/secret",
        webhook_cert_file="/etc/tidegate/webhooks-tls/tls.crt",
        webhook_key_file="/etc/tidegate/webhooks-tls/tls.key",
        webhook_port=9443,
        pod_address="",
        workers=16,
        http_host="::",
        http_port=9090,
        log_format="console",
        log_level="debug",
        audit="/var/log/tidegate/$(POD_NAME).jsonl",
        api_timeout=2.5,
        lease_name="tide",
        lease_namespace=NAMESPACE,
        lease_seconds=15,
    )
    assert registry.uri == "https://mlflow.example.com/tracking"
    auditor = AuditSettings()
    assert auditor.url.get_secret_value() == "https://siem.example.com/audit"
    assert (auditor.token_file, auditor.ca_file) == ("/etc/tidegate/audit/token", "/etc/tidegate/audit/ca.crt")
    told = NotifySettings()
    assert (told.cluster, told.cloudevents_events, told.slack_events) == ("prod-eu", "promoted,reverted", "reverted")


def test_credentials_are_referred_to_and_may_be_any_of_the_keys(helm: Helm) -> None:
    variables = environment(helm.render({"registry.existingSecret": "mlflow"}))
    for name in CREDENTIALS:
        assert variables[name] == {"secretKeyRef": {"name": "mlflow", "key": name, "optional": True}}
    assert not set(CREDENTIALS) & set(environment(helm.render()))


def test_addresses_of_receivers_are_referred_to_and_may_be_any_of_the_keys(helm: Helm) -> None:
    variables = environment(helm.render({"notifications.existingSecret": "receivers"}))
    for name in ADDRESSES:
        reference = {"secretKeyRef": {"name": "receivers", "key": name, "optional": True}}
        assert variables[f"TIDEGATE_NOTIFY_{name}"] == reference
    assert not {f"TIDEGATE_NOTIFY_{name}" for name in ADDRESSES} & set(environment(helm.render()))


def test_webhooks_have_a_port_of_their_own_where_a_certificate_is_given(helm: Helm) -> None:
    senders = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlflow"}}}]
    values = {
        "webhooks.existingSecret": "signed-with",
        "webhooks.from": senders,
        "networkPolicy.enabled": True,
        "networkPolicy.from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    }
    plain = helm.render(values)
    assert [port["name"] for port in only(plain, "Service")["spec"]["ports"]] == ["http"]
    (rule,) = only(plain, "NetworkPolicy")["spec"]["ingress"]
    own = {"podSelector": {"matchLabels": only(plain, "Service")["spec"]["selector"]}}
    assert rule["from"][1:] == [own, *senders]
    secured = helm.render({**values, "webhooks.tls.existingSecret": "shown"})
    ports = {port["name"]: port["port"] for port in only(secured, "Service")["spec"]["ports"]}
    assert ports == {"http": 8080, "webhooks": 8443}
    pod = only(secured, "Deployment")["spec"]["template"]["spec"]
    assert {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume} == {
        "signed-with",
        "shown",
    }
    http, webhooks = only(secured, "NetworkPolicy")["spec"]["ingress"]
    assert (len(http["from"]), webhooks["from"][1:]) == (1, [own, *senders])
    assert webhooks["ports"] == [{"port": "webhooks", "protocol": "TCP"}]


def test_probes_ask_what_the_operator_answers(helm: Helm) -> None:
    (container,) = only(helm.render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
