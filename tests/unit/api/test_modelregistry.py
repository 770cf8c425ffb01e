"""A ModelRegistry on the wire: what is right, and what is refused with its field and a way out."""

from typing import Any

import pytest

from tidegate.api.crd import render
from tidegate.api.modelregistry import MODEL_REGISTRY, parse_registry, render_registry_status
from tidegate.core.modelregistry import KeyOf, RegistryPlan
from tidegate.core.reasons import Reason
from tidegate.core.standing import standing
from tidegate.core.values import ObjectRef, Unavailable
from tidegate.errors import InvalidSpec

URL = "https://mlflow.test:5000"


def body(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team", "namespace": "ml", "uid": "u", "generation": 3}, "spec": {"url": URL, **spec}}


def test_the_least_registry_is_a_url() -> None:
    assert parse_registry(body()) == RegistryPlan(
        ref=ObjectRef(namespace="ml", name="team", uid="u"),
        generation=3,
        url=URL,
        secret=None,
        ca=None,
        workspace=None,
        interval=30.0,
    )


def test_every_field_has_a_meaning() -> None:
    plan = parse_registry(
        body(
            secretRef={"name": "login"},
            ca={"secret": {"name": "tls", "key": "root.pem"}},
            workspace="blue",
            pollInterval="1m30s",
        )
    )
    assert (plan.key, plan.secret, plan.workspace, plan.interval) == ("ml/team", "login", "blue", 90.0)
    assert plan.ca == KeyOf(kind="Secret", name="tls", key="root.pem")
    map_ = parse_registry(body(ca={"configMap": {"name": "mlflow-ca"}}))
    assert map_.ca == KeyOf(kind="ConfigMap", name="mlflow-ca", key="ca.crt")


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no scheme": ({"url": "mlflow.test"}, "spec.url", "https://mlflow.mlflow.svc:5000"),
    "credentials in the URL": ({"url": "https://ann:pw@mlflow.test"}, "spec.url", "without credentials"),
    "a query": ({"url": "https://mlflow.test/?x=1"}, "spec.url", "without credentials, query"),
    "a fragment": ({"url": "https://mlflow.test#blue"}, "spec.url", "fragment"),
    "certificates for http": (
        {"url": "http://mlflow.test", "ca": {"secret": {"name": "tls"}}}, "spec.ca", "is for https alone",
    ),
    "certificates nowhere": ({"ca": {}}, "spec.ca", "exactly one of configMap and secret"),
    "certificates twice": (
        {"ca": {"secret": {"name": "a"}, "configMap": {"name": "b"}}}, "spec.ca", "exactly one of configMap and secret",
    ),
    "an impatient poll": ({"pollInterval": "100ms"}, "spec.pollInterval", "between 1s and 1h"),
    "a workspace in capitals": ({"workspace": "Blue"}, "spec.workspace", "lower case"),
    "a typing error": ({"secretref": {"name": "x"}}, "spec.secretref", "is no field of ModelRegistry v1alpha1"),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "field", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_with_its_field_and_the_way_out(spec: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        parse_registry(body(**spec))
    ((path, message),) = raised.value.findings
    assert path == field
    assert words in message


def test_a_status_that_says_the_same_is_the_same_and_keeps_its_times() -> None:
    first = render_registry_status(standing(None), generation=1, previous=None, now=1_000.0)
    assert render_registry_status(standing(None), generation=1, previous=first, now=2_000.0) == first
    fault = Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="away")
    later = render_registry_status(standing(fault), generation=1, previous=first, now=3_000.0)
    times = {c["type"]: c["lastTransitionTime"] for c in later["conditions"]}
    assert times["Ready"] != times["Stalled"]


def test_the_crd_is_namespaced_with_a_status_that_is_not_taken_for_ready() -> None:
    spec = render(MODEL_REGISTRY)["spec"]
    assert (spec["scope"], spec["names"]["shortNames"]) == ("Namespaced", ["mreg"])
    (version,) = spec["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] == {"observedGeneration": -1}
    assert [column["name"] for column in version["additionalPrinterColumns"]] == [
        "URL",
        "Ready",
        "Reason",
        "Age",
        "Message",
    ]
