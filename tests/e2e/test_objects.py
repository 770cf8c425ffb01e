"""Objects as people and tools write, claim, re-apply and delete them."""

import copy
import json
import threading
from typing import Any

import pytest

from tests.cluster.errors import StartError
from tests.driver import registry
from tests.driver.platform import wait_for
from tests.driver.traffic import tally, unclean
from tests.e2e.site import Site
from tests.e2e.together import Stories

_Change = dict[str, Any]
#: What is wrong, and the path that the refusal names.
WRONG: tuple[tuple[_Change, str], ...] = (
    ({"rollout": {"weights": [25, 5, 100], "hold": "1s"}}, "spec.rollout.weights"),
    ({"rollout": {"weights": [5, 120], "hold": "1s"}}, "spec.rollout.weights[1]"),
    ({"rollout": {"weights": [], "hold": "1s"}}, "spec.rollout.weights"),
    ({"model": {"name": "x", "alias": "a", "stage": "Production"}}, "spec.model"),
    ({"serving": {"runtime": "tensorrt"}}, "spec.serving.runtime"),
    ({"guards": {"errorRate": {"max": "101%"}}}, "spec.guards.errorRate.max"),
    ({"rollout": {"weights": [100], "hold": "-5m"}}, "spec.rollout.hold"),
)


def test_wrong_input_is_refused_with_the_path_of_the_field(site: Site) -> None:
    for change, path in WRONG:
        with pytest.raises(StartError) as refusal:
            site.apply(site.manifest(**change))
        assert path in str(refusal.value), f"{change}: {refusal.value}"
    manifest = site.manifest()
    manifest["metadata"]["name"] = "Fraud_1"
    with pytest.raises(StartError, match=r"metadata\.name"):
        site.apply(manifest)
    assert site.listed("modeldeployments") == []


def test_gateways_models_names_claims_and_tools_that_write_again(together: Stories) -> None:
    together(
        no_such_listener,
        no_such_gateway,
        spaces_and_umlauts,
        two_objects_claim_one_route,
        applied_again_each_second,
        edited_in_mid_rollout,
    )


def no_such_listener(site: Site) -> None:
    """Scenario 29: the gateway's own words."""
    manifest = site.manifest()
    manifest["spec"]["traffic"]["gateway"]["parentRefs"][0]["sectionName"] = "nothing"
    site.mlflow.alias(site.model, "champion", site.mlflow.version(site.model))
    site.apply(manifest)
    look = site.wait(lambda look: look.condition("RouteAccepted").get("status") == "False", what="refused")
    conditions = (look.route or {})["status"]["parents"][0]["conditions"]
    own = next(c["message"] for c in conditions if c["type"] == "Accepted")
    assert own in look.condition("RouteAccepted")["message"]
    assert "weights" not in look.status, "a weight was believed"
    site.wait(lambda look: look.stalled == "RouteNotAccepted", what="stalled")
    assert not site.look().ready


def no_such_gateway(site: Site) -> None:
    """Scenario 29: nobody answers for it at all."""
    manifest = site.manifest()
    manifest["spec"]["traffic"]["gateway"]["parentRefs"][0]["name"] = "never-made"
    site.mlflow.alias(site.model, "champion", site.mlflow.version(site.model))
    site.apply(manifest)
    look = site.wait(lambda look: look.stalled == "RouteNotAccepted", what="said")
    assert "traffic.gateway.parentRefs" in look.condition("Stalled")["message"]
    assert "weights" not in look.status, "a weight was believed"
    assert look.condition("RouteAccepted")["status"] != "True"


def spaces_and_umlauts(site: Site) -> None:
    """Scenario 29: a model's name is no label."""
    site.model = f"Modell für Größe 1 {site.namespace}"
    site.mlflow.model(site.model)
    manifest = site.manifest()
    with site.traffic(rate=20) as traffic:
        number = site.serve(manifest)
        site.steady(traffic)
    environment = {e["name"]: e.get("value") for e in site.pods()[0]["spec"]["containers"][0]["env"]}
    assert environment["TIDEGATE_MODEL_NAME"] == site.model
    assert site.look().weights == {number: 100}


def two_objects_claim_one_route(site: Site) -> None:
    """Scenario 28: the younger one is refused, the older one untouched."""
    manifest = site.manifest()
    number = site.serve(manifest)
    with site.traffic(rate=30) as traffic:
        site.steady(traffic)
        rival = copy.deepcopy(manifest)
        rival["metadata"]["name"] = "rival"
        site.apply(rival)

        def refused() -> dict[str, Any] | None:
            found = site.objects.get(f"{site.path('modeldeployments')}/rival").get("status", {})
            return next((c for c in found.get("conditions", []) if c["reason"] == "RouteTaken"), None)

        said = wait_for(refused, seconds=60, what="the younger one says that the route is taken")
        assert f"{site.namespace}/{site.name}" in said["message"]
        site.steady(traffic, 60)
        assert not site.objects.get(f"{site.path('httproutes')}/rival")
        assert site.look().ready
        assert site.look().weights == {number: 100}
        assert unclean(traffic.answers()) == [], tally(traffic.answers())


def applied_again_each_second(site: Site) -> None:
    """Scenario 30: as Flux does it."""
    manifest = site.manifest(rollout={"weights": [25, 50, 100], "hold": "2s"})
    site.serve(manifest)
    done = threading.Event()

    def again() -> None:
        while not done.wait(1.0):
            site.apply(manifest)

    thread = threading.Thread(target=again, daemon=True)
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        thread.start()
        second = site.candidate()
        look = site.wait(lambda look: look.ready and look.version == second, what="promoted")
        done.set()
        thread.join(30)
        assert trail.weights(second) == [25, 50, 100]
        assert look.status["history"][-1]["attempt"] == 1
        assert look.body["metadata"]["generation"] == 1, "the spec was written"
        assert unclean(traffic.answers()) == [], tally(traffic.answers())


def edited_in_mid_rollout(site: Site) -> None:
    """Scenario 30: another way to serve is another revision, and starts at the first step."""
    manifest = site.manifest(rollout={"steps": [{"weight": 25, "hold": "1s"}, {"weight": 100, "hold": "20s"}]})
    site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        look = site.wait(lambda look: look.weight == 100, what="the bake")
        before = look.status["rollout"]["revision"]
        manifest["spec"]["serving"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "22m"
        site.apply(manifest)
        look = site.wait(
            lambda look: look.weight == 100 and look.status["rollout"]["revision"] != before, what="the bake anew"
        )
        after = look.status["rollout"]["revision"]
        trail.check()
        assert [(form.get(before, 0), form.get(after, 0)) for _, form in trail.forms()] == [
            (0, 0), (25, 0), (100, 0), (0, 0), (0, 25), (0, 100),
        ]  # fmt: skip
        assert look.status["rollout"]["version"] == second
        assert look.rejected == {}
        assert unclean(traffic.answers()) == [], tally(traffic.answers())


def test_an_object_deleted_in_mid_rollout_is_gone_in_seconds_with_registry_and_evidence_down(site: Site) -> None:
    manifest = site.manifest(rollout={"weights": [25, 100], "hold": "1s"})
    manifest["spec"]["serving"]["metrics"] = {**manifest["spec"]["serving"]["metrics"], "path": "/nothing"}
    site.serve(manifest)
    with site.traffic(rate=30) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        look = site.wait(
            lambda look: look.condition("EvidenceAvailable").get("status") == "False", what="evidence is said to miss"
        )
        assert look.status["canary"] == second
        assert unclean(traffic.answers()) == [], tally(traffic.answers())
        _registry(site, up=False)
        try:
            site.wait(
                lambda look: look.condition("ModelResolved").get("status") != "True",
                what="the registry is said to miss",
            )
            assert site.look().weight == 25
            site.access.kubectl("delete", "mdep", site.name, "-n", site.namespace, "--timeout=10s")
            kinds = ("httproutes", "deployments", "services", "pods")
            wait_for(
                lambda: all(site.listed(kind) == [] for kind in kinds),
                seconds=60,
                what="nothing is left",
                tell=lambda: json.dumps([o["metadata"]["name"] for kind in kinds for o in site.listed(kind)]),
            )
        finally:
            _registry(site, up=True)


def _registry(site: Site, *, up: bool) -> None:
    """Stop MLflow, or start it, with nothing in it."""
    deployment, namespace = f"deployment/{registry.SERVICE}", registry.NAMESPACE
    site.access.kubectl("scale", deployment, "-n", namespace, f"--replicas={int(up)}")
    site.access.kubectl("rollout", "status", deployment, "-n", namespace, "--timeout=120s")
