"""A ModelRegistry on the wire: what is right, and what is refused with its field and a way out."""

from typing import Any

import pytest

from tidegate.api.crd import render
from tidegate.api.modelregistry import MODEL_REGISTRY, parse_registry, render_registry_status
from tidegate.core.modelregistry import KeyOf, RegistryPlan
from tidegate.core.reasons import Reason
from tidegate.core.retention import Deleted, Due, Keep, Retained, Terms
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
    "no time at all": ({"retention": {"days": 0}}, "spec.retention.days", "greater than or equal to 1"),
    "a duration for days": ({"retention": {"days": "90d"}}, "spec.retention.days", "integer"),
    "a word for a yes": ({"retention": {"dryRun": "no"}}, "spec.retention.dryRun", "boolean"),
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


def test_retention_is_off_tells_first_and_deletes_where_that_is_said() -> None:
    assert parse_registry(body()).retention is None
    assert parse_registry(body(retention={})).retention == Terms(days=90, dry_run=True)
    assert parse_registry(body(retention={"days": 30, "dryRun": False})).retention == Terms(days=30, dry_run=False)


def rendered(
    retained: Retained | None, previous: dict[str, Any] | None = None, *, retains: bool = True
) -> dict[str, Any]:
    return render_registry_status(
        standing(None), generation=1, previous=previous, now=1_000.0, retains=retains, retained=retained
    )


def test_what_a_look_at_archived_versions_came_to_is_shown() -> None:
    status = rendered(
        Retained(
            dry_run=True,
            due=2,
            first=(Due(model="fraud", number="3", changed=1_760_000_000.5),),
            kept=((Keep.ALIAS, 1, "version 4 of fraud: alias old names it"),),
            deleted=(Deleted(model="fraud", number="1", at=1_760_000_100.0),),
            fault="the registry does not answer",
        )
    )
    assert status["retention"] == {
        "dryRun": True,
        "due": 2,
        "versions": [{"model": "fraud", "version": "3", "changed": "2025-10-09T08:53:20Z"}],
        "kept": [{"reason": "Alias", "versions": 1, "example": "version 4 of fraud: alias old names it"}],
        "deleted": [{"model": "fraud", "version": "1", "time": "2025-10-09T08:55:00Z"}],
        "message": "the registry does not answer",
    }


def test_what_was_deleted_is_kept_on_and_bounded_and_said_once() -> None:
    status = None
    for number in range(1, 31):
        found = Retained(dry_run=False, deleted=(Deleted(model="fraud", number=str(number), at=1_000.0),))
        status = rendered(found, rendered(found, status))
    assert status is not None
    assert [one["version"] for one in status["retention"]["deleted"]] == [str(number) for number in range(11, 31)]
    assert rendered(Retained(dry_run=True), status)["retention"]["deleted"] == status["retention"]["deleted"]


def test_until_there_is_news_the_last_word_stays_and_who_asks_no_more_hears_none() -> None:
    before = rendered(Retained(dry_run=True, due=2))
    assert rendered(None, before) == before
    assert "retention" not in rendered(None)
    assert "retention" not in rendered(Retained(dry_run=True), before, retains=False)


def test_a_part_that_somebody_else_wrote_is_written_anew() -> None:
    strange = {"retention": {"dryRun": True, "due": 0, "deleted": [{"model": "fraud"}]}}
    assert rendered(Retained(dry_run=True), strange)["retention"] == {"dryRun": True, "due": 0}


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
