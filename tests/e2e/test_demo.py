"""The demo, on a cluster that was there before it: the embedded one, handed over as somebody's own."""

import json
import subprocess
import sys
from pathlib import Path

from tests.cluster.access import Access
from tests.driver.platform import NAMESPACE, RELEASE
from tests.e2e.conftest import Stage, install_registry
from tests.e2e.site import SITES

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_tells_its_four_stories_and_leaves_a_cluster_as_it_found_it(stage: Stage) -> None:
    access = stage.access
    before, chosen = standing(access), settings(access)
    environment = {**access.environment(), "IMAGES": access.image_prefix}
    done = subprocess.run(
        access.command(sys.executable, "-m", "examples.demo"),
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    install_registry(access)  # the demo's own, which sends no webhooks, took its place
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    report = json.loads((ROOT / "build" / "demo.json").read_text())
    assert report["passed"] is True
    assert [story["outcome"] for story in report["stories"]] == ["promoted", "promoted", "reverted", "reverted"]
    assert report["stories"][1]["weights"] == [5, 25, 50, 100]
    raised, slow = report["stories"][2:]
    assert "errors" in raised["reason"]
    assert "slower than" in slow["reason"]
    assert [story["failed"] for story in report["stories"]] == [0, 0, 0, 0]
    assert raised["answers"]["3"]["500"] > 0, "version 3 was thrown out without having failed a request"
    assert standing(access) == before
    assert settings(access) == chosen


def settings(access: Access) -> str:
    """What was chosen of the chart's values."""
    return access.helm("get", "values", RELEASE, "-n", NAMESPACE)


def standing(access: Access) -> set[tuple[str, str, str]]:
    """Kind, namespace and name of all that stands, apart from sites of other tests, which may still be going."""
    listed = json.loads(access.kubectl("get", "namespaces,deployments,gateways", "-A", "-o", "json"))["items"]
    named = {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in listed}
    return {(kind, namespace, name) for kind, namespace, name in named if not (namespace or name).startswith(SITES)}
