"""A namespace's own ModelRegistry: an MLflow on PostgreSQL and an object store, whose versions are asked first."""

from collections import Counter
from pathlib import Path

from tests.driver.platform import install_mlflow
from tests.driver.registry import PORT, SERVICE, Profile
from tests.driver.traffic import tally, unclean
from tests.e2e.conftest import Stage
from tests.e2e.site import SITES, Site
from tests.e2e.test_models import SHARE

NAMESPACE = f"{SITES}mlflow"  # while it is deleted, other tests know that it is none of theirs


def test_a_challenger_of_a_registry_on_postgresql_and_an_object_store_becomes_champion(
    stage: Stage, tmp_path: Path
) -> None:
    mlflow = install_mlflow(stage.access, kept=Profile.POSTGRES, namespace=NAMESPACE)
    site = Site(stage.access, mlflow, f"{SITES}stores")
    try:
        bodies = site.register("tests.e2e.models", tmp_path)
        site.access.apply([registry(site)])
        site.serve(manifest(site), version="1")
        with site.trail() as trail, site.traffic(rate=15, bodies=bodies, timeout=60) as traffic:
            site.steady(traffic)
            mlflow.alias(site.model, "challenger", "2")
            look = site.wait(lambda look: look.ready and look.version == "2", what="version 2 is promoted", seconds=120)
            site.wait(lambda _: aliases(site) == {"champion": "2"}, what="the champion is version 2, in PostgreSQL")
            assert trail.weights("2") == [50, 100]
            site.steady(traffic)
            answers = list(traffic.answers())
    finally:
        site.remove()
        stage.access.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    # Requests of the operator's own, with the input example that MLflow saved in the object store.
    findings = {finding["gate"]: finding["outcome"] for finding in look.status["gates"]["findings"]}
    assert findings == dict.fromkeys(("request", "smoke", "smoke.malformed", "throughput"), "Passed"), look.status
    assert unclean(answers) == [], tally(answers)
    assert Counter(a.version for a in answers[-20:]) == {"2": 20}


def registry(site: Site) -> dict[str, object]:
    """The ModelRegistry of the site's namespace."""
    return {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ModelRegistry",
        "metadata": {"name": "large", "namespace": site.namespace},
        "spec": {"url": f"http://{SERVICE}.{NAMESPACE}.svc.cluster.local:{PORT}", "pollInterval": "1s"},
    }


def manifest(site: Site) -> dict[str, object]:
    """A real model server, from that registry, with a challenger."""
    guards = {"errorRate": {"max": "5%"}, "minRequests": 50}
    made = site.manifest(rollout={"weights": [50, 100], "hold": "1s"}, guards=guards)
    made["spec"]["serving"] = {"replicas": 1, "runtime": "tidegate", "resources": SHARE}
    made["spec"]["gates"] = {"smoke": {"timeout": "30s"}, "throughput": {"min": 1, "duration": "2s", "concurrency": 1}}
    made["spec"]["model"] |= {"candidate": {"alias": "challenger"}, "registry": {"name": "large"}}
    return made


def aliases(site: Site) -> dict[str, str]:
    """The aliases of the site's model, as the registry has them."""
    found = site.mlflow.call(f"registered-models/get?name={site.model}", method="GET")["registered_model"]
    return {alias["alias"]: alias["version"] for alias in found.get("aliases", [])}
