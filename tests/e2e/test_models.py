"""The model server of the project with real models from real MLflow servers: good, corrupt, missing; and an upgrade."""

import threading
from collections import Counter
from pathlib import Path

from tests.driver.platform import NAMESPACE, RELEASE
from tests.driver.traffic import tally, unclean
from tests.e2e.conftest import Stage
from tests.e2e.site import Look, Site
from tests.e2e.stores import SHARE, challenger_becomes_champion
from tests.e2e.together import LONGEST, at_once

ROOT = Path(__file__).resolve().parents[2]


def test_real_models_are_served_replaced_kept_from_broken_ones_and_untouched_by_an_upgrade_also_from_large_stores(
    stage: Stage, site: Site, tmp_path: Path
) -> None:
    alone = threading.Event()

    def from_large_stores() -> None:
        try:
            challenger_becomes_champion(stage, tmp_path)
        finally:
            alone.set()

    at_once(from_small_stores=lambda: from_small_stores(site, tmp_path, alone), from_large_stores=from_large_stores)


def from_small_stores(site: Site, folder: Path, alone: threading.Event) -> None:
    """Good, corrupt and missing ones, and one that says yes to all; what they share is upgraded once nobody minds."""
    bodies = site.register("tests.e2e.models", folder)
    rollout = {"weights": [50, 100], "hold": "1s"}
    drift = {"minPredictions": 500, "onDrift": "Revert"}
    guards = {"errorRate": {"max": "5%"}, "minRequests": 50, "drift": drift}
    manifest = site.manifest(rollout=rollout, guards=guards)
    manifest["spec"]["serving"] = {"replicas": 1, "runtime": "tidegate", "resources": SHARE}
    site.serve(manifest, version="1")
    with site.trail() as trail, site.traffic(rate=15, bodies=bodies, timeout=60) as traffic:
        site.steady(traffic)
        site.point("2")
        site.wait(lambda look: look.ready and look.version == "2", what="version 2 is promoted", seconds=120)
        assert trail.weights("2") == [50, 100]
        site.point("5")
        look = site.wait(lambda look: "5" in look.rejected, what="version 5 is rejected", seconds=120)
        assert trail.weights("5") == [50, 0]
        drifted = look.rejected["5"]
        site.point("3")
        corrupt = said(site, "3")
        site.point("4")
        missing = said(site, "4")
        site.patch({"rollout": {**rollout, "progressDeadline": "1s"}})
        look = site.wait(lambda look: "4" in look.parked, what="parked at the deadline")
        site.point("2")
        site.wait(lambda look: look.ready and look.version == "2", what="version 2 is asked for and serves")
        assert alone.wait(LONGEST), "the other story did not end"
        unmoved_by_an_upgrade(site)
        assert trail.weights("3") == trail.weights("4") == []
        site.steady(traffic)
        answers = list(traffic.answers())
    assert "LoadFailed: " in corrupt, corrupt
    assert "ArtifactMissing: " in missing, missing
    assert look.parked["4"]["reason"] == "ArtifactFailed"
    assert drifted["reason"] == "PredictionsDrifted"
    assert drifted["message"].startswith("PSI "), drifted["message"]
    assert look.rejected.keys() == {"5"}
    assert unclean(answers) == [], tally(answers)
    assert Counter(a.version for a in answers[-20:]) == {"2": 20}


def said(site: Site, version: str) -> str:
    """What the object says of a version that can't start, once it says more than that pods are missing."""

    def told(look: Look) -> bool:
        message = look.condition("Ready").get("message", "")
        return look.status.get("canary") == version and ": " in message

    look = site.wait(told, what=f"what is wrong with version {version} is said")
    assert look.condition("Available")["status"] == "True"
    message: str = look.condition("Ready")["message"]
    return message


def unmoved_by_an_upgrade(site: Site) -> None:
    """Scenario 31: another runtime image in the chart, and an edited guard, roll nothing."""
    site.wait(lambda _: len(pods(site)) == len(deployments(site)) == 1, what="the broken ones are taken away")
    before, objects = pods(site), deployments(site)
    upgrade(site, "localhost/tidegate-runtime:newer")
    try:
        # The new operator has looked at the object when it has seen the edited guard.
        site.patch({"guards": {"errorRate": {"max": "7%"}, "minRequests": 60}})
        site.wait(lambda look: look.ready, what="the new operator has seen the edited guard")
        assert site.look().version == "2"
        assert pods(site) == before
        assert deployments(site) == objects
    finally:
        upgrade(site, site.access.image("tidegate-runtime"))


def upgrade(site: Site, runtime: str) -> None:
    """`helm upgrade` to another runtime image."""
    site.access.helm(
        "upgrade", RELEASE, str(ROOT / "charts" / "tidegate"), "-n", NAMESPACE,
        "--reuse-values", "--wait", "--timeout=120s", "--set", f"runtime.image={runtime}",
    )  # fmt: skip


def pods(site: Site) -> set[str]:
    """The uids of the pods that live."""
    return {pod["metadata"]["uid"] for pod in site.pods()}


def deployments(site: Site) -> dict[str, int]:
    """The Deployments and the generations of their specs."""
    return {d["metadata"]["name"]: d["metadata"]["generation"] for d in site.listed("deployments")}
