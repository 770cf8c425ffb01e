"""The chart grants what the code uses, and no more."""

from typing import Any

from tests.integration.chart.helm import NAMESPACE, RELEASE, Helm

from tidegate.adapters.kube import RESOURCES
from tidegate.core.labels import KIND, PROMOTION_KIND, REGISTRY_KIND, RETRAINING_KIND, ROUTE_KIND
from tidegate.core.manifests import CHILD_KINDS
from tidegate.intake.handlers import WATCHED


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


def test_users_roles_are_joined_to_the_clusters_own(helm: Helm) -> None:
    roles = {item["metadata"]["name"].rpartition("-")[2]: item for item in helm.render({"rbac.create": False})
             if item["kind"] == "ClusterRole"}  # fmt: skip
    assert set(roles) == {"view", "edit"}
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    assert {name: sorted(label.removeprefix(prefix) for label in role["metadata"]["labels"] if prefix in label)
            for name, role in roles.items()} == {"view": ["view"], "edit": ["admin", "edit"]}  # fmt: skip
    assert {resource for _, resource, _ in granted(roles["edit"]["rules"])} == {"modeldeployments", "modelregistries"}
