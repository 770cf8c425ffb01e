"""The chart by itself: what Helm makes of it, and what it refuses."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster import debian
from tests.cluster.progress import Progress
from tests.integration.chart.helm import CHART, EVERYTHING, NAMESPACE, RELEASE, Helm, only

from tidegate.adapters.kube import RESOURCES
from tidegate.api.kinds import KINDS
from tidegate.api.served import SERVED
from tidegate.core.labels import KIND, PROMOTION_KIND, REGISTRY_KIND, RETRAINING_KIND, ROUTE_KIND
from tidegate.core.manifests import CHILD_KINDS
from tidegate.intake.handlers import WATCHED
from tidegate.settings import NotifySettings, RegistrySettings, RetrainSettings, Settings

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
    "governance.mandatory": {"governance.enabled": True},
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
        ({"workers": 0}, "'/workers'"),
        ({"apiTimeout": 0}, "'/apiTimeout'"),
        ({"replicas": -1}, "'/replicas'"),
        ({"leaseSeconds": 1}, "'/leaseSeconds'"),
        ({"registry.uri": "mlflow:5000"}, "'/registry/uri'"),
        ({"registry.interval": -1}, "'/registry/interval'"),
        ({"registry.clusterName": "a.b"}, "'/registry/clusterName'"),
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


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used() -> set[tuple[str, str, str]]:
    """What the code does: it reads what it watches, and writes its own kinds, status and Events."""
    reads = {(group, plural, verb) for group, _, plural, _, _ in WATCHED for verb in ("get", "list", "watch")}

    def may(kind: str, *verbs: str, subresource: str = "") -> set[tuple[str, str, str]]:
        resource = RESOURCES[kind]
        group = resource.api_version.rpartition("/")[0]
        return {(group, f"{resource.plural}{subresource}", verb) for verb in verbs}

    writes = [may(kind, "create", "patch", "delete") for kind in CHILD_KINDS]
    return reads.union(
        *writes,
        may(ROUTE_KIND, "create", "patch"),
        may(KIND, "patch", subresource="/status"),
        may(REGISTRY_KIND, "patch", subresource="/status"),
        may(PROMOTION_KIND, "patch", subresource="/status"),
        may(RETRAINING_KIND, "create"),
        may(RETRAINING_KIND, "patch", subresource="/status"),
        may("Event", "create", "patch"),
        may("Pod", "get", subresource="/log"),
    )


def test_rights_are_what_the_code_uses_and_no_more(helm: Helm) -> None:
    roles = [item for item in helm.render({"rbac.aggregate": False}) if item["kind"] == "ClusterRole"]
    assert len(roles) == 1
    assert granted(roles[0]["rules"]) == used()


def test_secrets_of_registries_are_read_one_by_one_by_their_names(helm: Helm) -> None:
    secrets = [{"namespace": "team-a", "name": "mlflow-login"}, {"namespace": "team-b", "name": "mlflow"}]
    items = helm.render({"registrySecrets": secrets})
    roles = [item for item in items if item["kind"] in {"Role", "ClusterRole"} and "secrets" in str(item["rules"])]
    granted_ones = [(role["metadata"]["namespace"], rule) for role in roles for rule in role["rules"]]
    assert granted_ones == [
        (
            one["namespace"],
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [one["name"]], "verbs": ["get"]},
        )
        for one in secrets
    ]
    account = {"kind": "ServiceAccount", "name": f"{RELEASE}-tidegate", "namespace": NAMESPACE}
    bindings = [item for item in items if item["kind"] == "RoleBinding"]
    bound = {
        (binding["metadata"]["namespace"], binding["roleRef"]["name"])
        for binding in bindings
        if binding["subjects"] == [account]
    }
    assert {(role["metadata"]["namespace"], role["metadata"]["name"]) for role in roles} <= bound


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


def test_without_logs_the_operator_may_read_none(helm: Helm) -> None:
    items = helm.render({"rbac.aggregate": False, "rbac.podLogs": False})
    (role,) = (item for item in items if item["kind"] == "ClusterRole")
    assert used() - granted(role["rules"]) == {("", "pods/log", "get")}


def test_rights_in_a_namespace_are_the_same(helm: Helm) -> None:
    roles = [
        item for item in helm.render({"namespaces": ["team-a"], "rbac.aggregate": False}) if item["kind"] == "Role"
    ]
    (role,) = (item for item in roles if item["metadata"]["namespace"] == "team-a")
    assert granted(role["rules"]) == used()


def test_reviews_are_granted_where_they_are_chosen_and_nothing_else_is(helm: Helm) -> None:
    values = {"namespaces": ["team-a"], "rbac.aggregate": False, "alerts.reviews": True}
    (role,) = (item for item in helm.render(values) if item["kind"] == "ClusterRole")
    assert granted(role["rules"]) == {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    }
    bound = [item["roleRef"]["name"] for item in helm.render(values) if item["kind"] == "ClusterRoleBinding"]
    assert bound == [role["metadata"]["name"]]


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


def test_users_roles_are_joined_to_the_clusters_own(helm: Helm) -> None:
    roles = {item["metadata"]["name"].rpartition("-")[2]: item for item in helm.render({"rbac.create": False})
             if item["kind"] == "ClusterRole"}  # fmt: skip
    assert set(roles) == {"view", "edit"}
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    assert {name: sorted(label.removeprefix(prefix) for label in role["metadata"]["labels"] if prefix in label)
            for name, role in roles.items()} == {"view": ["view"], "edit": ["admin", "edit"]}  # fmt: skip
    assert {resource for _, resource, _ in granted(roles["edit"]["rules"])} == {"modeldeployments", "modelregistries"}


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


def test_probes_ask_what_the_operator_answers(helm: Helm) -> None:
    (container,) = only(helm.render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
