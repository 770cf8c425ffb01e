from dataclasses import replace
from typing import Any

import pytest
from tests.fixtures.plans import CONFIG, COUNTERS, plan, revision, serving

from tidegate.core.labels import MANAGED_BY, MODEL, OWNER, REVISION, ROLE, VERSION
from tidegate.core.modelregistry import KeyOf, RegistryPlan
from tidegate.core.plan import Plan, Runtime
from tidegate.core.presets import MetricsTarget, metrics_of, preset_version, template_of
from tidegate.core.values import ObjectRef

EVERY = pytest.mark.parametrize("runtime", list(Runtime))
DOWNLOADING = pytest.mark.parametrize("runtime", [runtime for runtime in Runtime if runtime is not Runtime.CUSTOM])


def rendered(runtime: Runtime = Runtime.TIDEGATE, *, secret: str | None = None, **fields: Any) -> dict[str, Any]:
    served = serving(runtime, **fields)
    return template_of(plan(serving=served, registry_secret=secret), revision(served=served), CONFIG)


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def model(template: dict[str, Any]) -> dict[str, Any]:
    return next(c for c in template["spec"]["containers"] if c["name"] == "model")


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


@EVERY
def test_a_pod_says_whose_it_is_and_never_which_role_it_has(runtime: Runtime) -> None:
    name = revision(served=serving(runtime)).name
    metadata = rendered(runtime)["metadata"]
    assert metadata["labels"] == {MANAGED_BY: "tidegate", OWNER: "fraud", REVISION: name}
    assert metadata["annotations"] == {MODEL: "fraud-detector", VERSION: "7"}
    assert ROLE not in str(metadata)


@EVERY
def test_a_users_labels_stay_beside_ours_and_never_replace_them(runtime: Runtime) -> None:
    template = {"metadata": {"labels": {"team": "risk", REVISION: "mine"}}}
    labels = rendered(runtime, template=template)["metadata"]["labels"]
    assert labels["team"] == "risk"
    assert labels[REVISION] == revision(served=serving(runtime, template=template)).name


@EVERY
def test_every_container_meets_the_restricted_pod_security_standard(runtime: Runtime) -> None:
    template = rendered(runtime)
    pod = template["spec"]["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(template):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@EVERY
def test_a_pod_gets_no_token_and_no_foreign_environment(runtime: Runtime) -> None:
    spec = rendered(runtime)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False


@EVERY
def test_what_is_pinned_is_the_number_of_the_version(runtime: Runtime) -> None:
    for container in containers(rendered(runtime)):
        values = env(container)
        assert values["TIDEGATE_MODEL_NAME"] == "fraud-detector"
        assert values["TIDEGATE_MODEL_VERSION"] == "7"
        assert values["TIDEGATE_REVISION"] == revision(served=serving(runtime)).name
        assert values["TIDEGATE_MODEL_DIR"] == "/models/model"


@DOWNLOADING
def test_the_files_are_downloaded_before_the_server_starts_and_are_read_only_to_it(runtime: Runtime) -> None:
    template = rendered(runtime)
    [download] = template["spec"]["initContainers"]
    assert download["image"] == CONFIG.runtime_image
    assert download["command"] == ["python", "-m", "tidegate_runtime", "download"]
    assert env(download)["MLFLOW_TRACKING_URI"] == CONFIG.tracking_uri
    mounts = {c["name"]: c["volumeMounts"][0] for c in containers(template)}
    assert mounts["download"] == {"name": "models", "mountPath": "/models"}
    assert mounts["model"] == {"name": "models", "mountPath": "/models", "readOnly": True}


@DOWNLOADING
def test_credentials_are_a_reference_and_reach_only_who_reads_the_registry(runtime: Runtime) -> None:
    template = rendered(runtime, secret="mlflow-login")
    [download] = template["spec"]["initContainers"]
    assert download["envFrom"] == [{"secretRef": {"name": "mlflow-login"}}]
    assert "envFrom" not in model(template)
    assert all("envFrom" not in c for c in containers(rendered(runtime)))


def test_a_custom_server_reads_the_registry_itself() -> None:
    container = model(rendered(Runtime.CUSTOM, secret="mlflow-login"))
    assert env(container)["MLFLOW_TRACKING_URI"] == CONFIG.tracking_uri
    assert container["envFrom"] == [{"secretRef": {"name": "mlflow-login"}}]


def test_a_digest_that_is_not_known_yet_keeps_no_pod_from_starting() -> None:
    [download] = rendered()["spec"]["initContainers"]
    reference = env(download)["TIDEGATE_MODEL_DIGEST"]["configMapKeyRef"]
    assert reference == {"name": revision().name, "key": "digest", "optional": True}


def test_the_tidegate_server_is_ready_only_when_its_model_is() -> None:
    container = model(rendered())
    assert container["command"] == ["python", "-m", "tidegate_runtime", "serve"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
    assert env(container)["TIDEGATE_PORT"] == str(container["ports"][0]["containerPort"])


def test_mlserver_is_asked_for_the_model_and_not_for_itself() -> None:
    served = serving(Runtime.MLSERVER)
    name = "Betrug & Prüfung/v2"
    container = model(template_of(plan(serving=served), revision(served=served, model=name), CONFIG))
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/models/Betrug%20%26%20Pr%C3%BCfung%2Fv2/ready"
    assert env(container)["MLSERVER_MODEL_NAME"] == name
    assert env(container)["MLSERVER_MODEL_URI"] == "/models/model"
    assert container["image"] == CONFIG.mlserver_image


@pytest.mark.parametrize(
    ("runtime", "port", "ready", "metrics"),
    [
        (Runtime.KSERVE, 8080, "/v2/models/fraud-detector/ready", MetricsTarget(port=8080, path="/metrics")),
        (Runtime.TRITON, 8000, "/v2/health/ready", MetricsTarget(port=8002, path="/metrics")),
        (Runtime.VLLM, 8000, "/health", MetricsTarget(port=8000, path="/metrics")),
    ],
)
def test_a_server_of_another_project_is_reached_asked_and_read_where_it_is(
    runtime: Runtime, port: int, ready: str, metrics: MetricsTarget
) -> None:
    container = model(rendered(runtime))
    assert "image" not in container
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert container["readinessProbe"]["httpGet"] == {"path": ready, "port": "http"}
    assert metrics_of(plan(serving=serving(runtime))) == metrics


@pytest.mark.parametrize(
    ("runtime", "command"),
    [
        (Runtime.KSERVE, ["--model_name=fraud-detector", "--model_dir=/models/model", "--http_port=8080"]),
        (
            Runtime.TRITON,
            [
                "tritonserver",
                "--model-repository=/models/model/artifacts/repository",
                "--http-port=8000",
                "--metrics-port=8002",
                "--exit-timeout-secs=30",
            ],
        ),
        (
            Runtime.VLLM,
            [
                *("vllm", "serve", "/models/model/model"),
                "--tokenizer=/models/model/components/tokenizer",
                "--served-model-name=fraud-detector",
                "--port=8000",
                "--shutdown-timeout=30",
            ],
        ),
    ],
)
def test_a_server_of_another_project_serves_what_was_downloaded(runtime: Runtime, command: list[str]) -> None:
    container = model(rendered(runtime))
    assert [*container.get("command", []), *container["args"]] == command


def test_a_users_arguments_take_the_place_of_a_presets() -> None:
    own = {"name": "model", "image": "vllm", "args": ["--port=8000", "--max-model-len=2048"]}
    container = model(rendered(Runtime.VLLM, template={"spec": {"containers": [own]}}))
    assert container["image"] == "vllm"
    assert container["args"] == own["args"]
    assert container["command"] == ["vllm", "serve", "/models/model/model"]


@EVERY
def test_servers_of_several_processes_have_memory_to_share(runtime: Runtime) -> None:
    template = rendered(runtime)
    shared = {"name": "shm", "emptyDir": {"medium": "Memory"}} in template["spec"]["volumes"]
    mounted = {"name": "shm", "mountPath": "/dev/shm"} in model(template)["volumeMounts"]
    assert shared == mounted == (runtime in {Runtime.TRITON, Runtime.VLLM})


@pytest.mark.parametrize("runtime", [Runtime.KSERVE, Runtime.VLLM])
def test_a_dollar_in_a_name_is_no_reference_in_arguments_either(runtime: Runtime) -> None:
    served = serving(runtime)
    container = model(template_of(plan(serving=served), revision(served=served, model="$(HOME)"), CONFIG))
    assert any(word.endswith("=$$(HOME)") for word in container["args"])


def test_a_dollar_in_a_name_is_no_reference_to_a_variable() -> None:
    served = serving()
    container = model(template_of(plan(serving=served), revision(served=served, model="$(HOME)"), CONFIG))
    assert env(container)["TIDEGATE_MODEL_NAME"] == "$$(HOME)"


def test_a_custom_server_counts_as_ready_when_it_listens_unless_its_user_knows_better() -> None:
    plain = model(rendered(Runtime.CUSTOM))
    assert plain["readinessProbe"]["tcpSocket"] == {"port": "http"}
    assert "image" not in plain
    own = {"name": "model", "image": "mine", "readinessProbe": {"httpGet": {"path": "/ok", "port": "http"}}}
    known = model(rendered(Runtime.CUSTOM, template={"spec": {"containers": [own]}}))
    assert known["image"] == "mine"
    assert known["readinessProbe"]["httpGet"] == {"path": "/ok", "port": "http"}
    assert "tcpSocket" not in known["readinessProbe"]


@EVERY
def test_a_pod_goes_on_serving_while_gateways_learn_of_its_end(runtime: Runtime) -> None:
    template = rendered(runtime)
    sleep = model(template)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < sleep < template["spec"]["terminationGracePeriodSeconds"] - 30


@EVERY
def test_a_pod_asks_for_cpu_and_memory_by_itself(runtime: Runtime) -> None:
    for container in containers(rendered(runtime)):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


@EVERY
def test_a_users_resources_hold_for_every_container_and_instead_of_the_presets(runtime: Runtime) -> None:
    own = {"limits": {"memory": "128Mi"}}
    for container in containers(rendered(runtime, resources=own)):
        assert container["resources"] == own


@EVERY
def test_the_preset_version_is_the_same_for_the_same_content(runtime: Runtime) -> None:
    assert preset_version(runtime, CONFIG) == preset_version(runtime, replace(CONFIG))
    assert len(preset_version(runtime, CONFIG)) == 8


@pytest.mark.parametrize(
    ("runtime", "change", "moves"),
    [
        (Runtime.TIDEGATE, {"runtime_image": "other"}, True),
        (Runtime.MLSERVER, {"runtime_image": "other"}, True),
        (Runtime.MLSERVER, {"mlserver_image": "other"}, True),
        (Runtime.TIDEGATE, {"mlserver_image": "other"}, False),
        (Runtime.CUSTOM, {"runtime_image": "other"}, False),
        (Runtime.CUSTOM, {"tracking_uri": "http://elsewhere"}, True),
        (Runtime.CUSTOM, {"image_pull_policy": "Always"}, True),
    ],
)
def test_the_preset_version_moves_with_what_the_preset_renders(
    runtime: Runtime, change: dict[str, str], moves: bool
) -> None:
    assert (preset_version(runtime, CONFIG) != preset_version(runtime, replace(CONFIG, **change))) is moves


def test_presets_have_versions_of_their_own() -> None:
    assert len({preset_version(runtime, CONFIG) for runtime in Runtime}) == len(Runtime)


def _custom_without_metrics() -> Plan:
    return plan(serving=replace(serving(Runtime.CUSTOM), metrics=None))


@pytest.mark.parametrize(
    ("wish", "target"),
    [
        (plan(), MetricsTarget(port=8080, path="/metrics")),
        (plan(serving=serving(Runtime.MLSERVER)), MetricsTarget(port=8082, path="/metrics")),
        (plan(serving=serving(Runtime.CUSTOM)), MetricsTarget(port=COUNTERS.port, path=COUNTERS.path)),
        (_custom_without_metrics(), None),
    ],
)
def test_counters_are_read_where_the_runtime_shows_them(wish: Plan, target: MetricsTarget | None) -> None:
    assert metrics_of(wish) == target


TEAM = RegistryPlan(
    ref=ObjectRef(namespace="ml", name="team", uid="u"),
    generation=1,
    url="https://team.test",
    secret="login",
    ca=KeyOf(kind="ConfigMap", name="mlflow-ca", key="ca.crt"),
    workspace="blue",
    interval=30.0,
)


def read_by(registry: RegistryPlan, secret: str | None = None) -> dict[str, Any]:
    wish = plan(serving=serving(Runtime.TIDEGATE), registry_secret=secret)
    return template_of(wish, revision(served=wish.serving), replace(CONFIG, registry=registry))["spec"]


def test_pods_read_a_registry_of_the_namespace_with_its_login_by_reference_and_its_certificates() -> None:
    spec = read_by(TEAM)
    (reader,) = spec["initContainers"]
    variables = {one["name"]: one for one in reader["env"]}
    path = "/etc/tidegate/registry/ca.crt"
    told = {
        name: variables[name]["value"]
        for name in variables
        if name.startswith("MLFLOW_") and "value" in variables[name]
    }
    assert told == {
        "MLFLOW_TRACKING_URI": "https://team.test",
        "MLFLOW_WORKSPACE": "blue",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": path,
    }
    words = {"USERNAME": "username", "PASSWORD": "password", "TOKEN": "token"}
    for name, key in words.items():
        reference = {"secretKeyRef": {"name": "login", "key": key, "optional": True}}
        assert variables[f"MLFLOW_TRACKING_{name}"]["valueFrom"] == reference
    assert reader["envFrom"] == [{"secretRef": {"name": "login"}}]
    assert {"name": "registry-ca", "mountPath": "/etc/tidegate/registry", "readOnly": True} in reader["volumeMounts"]
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    assert {"name": "registry-ca", "configMap": {"name": "mlflow-ca", "items": items}} in spec["volumes"]
    (server,) = spec["containers"]
    assert "login" not in str(server)
    assert "registry-ca" not in str(server)


def test_certificates_may_stand_in_a_secret() -> None:
    spec = read_by(replace(TEAM, ca=KeyOf(kind="Secret", name="mlflow-tls", key="ca.crt")))
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    assert {"name": "registry-ca", "secret": {"secretName": "mlflow-tls", "items": items}} in spec["volumes"]


def test_a_secret_that_the_model_names_itself_takes_the_place_of_the_registrys() -> None:
    (reader,) = read_by(TEAM, secret="own")["initContainers"]
    assert reader["envFrom"] == [{"secretRef": {"name": "own"}}]
    assert "login" not in str(reader)


def test_a_registry_without_login_workspace_and_certificates_brings_its_url_alone() -> None:
    spec = read_by(replace(TEAM, secret=None, ca=None, workspace=None))
    (reader,) = spec["initContainers"]
    assert {"name": "MLFLOW_TRACKING_URI", "value": "https://team.test"} in reader["env"]
    assert "envFrom" not in reader
    assert [volume["name"] for volume in spec["volumes"]] == ["models", "tmp"]
