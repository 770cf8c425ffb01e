"""The operator is killed (SIGKILL) at six moments of a rollout and a revert: same end, and no client notices."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

from tests.cluster import remains
from tests.driver.platform import NAMESPACE, wait_for
from tests.driver.traffic import tally, unclean
from tests.e2e.site import Site

HOLD = 10.0
_SELECTOR = "app.kubernetes.io/name=tidegate"


def test_an_operator_killed_at_six_moments_reaches_the_same_end_without_a_failed_request(site: Site) -> None:
    steps = [{"weight": 25, "hold": f"{HOLD:g}s"}, {"weight": 50, "hold": "1s"}, {"weight": 100, "hold": "2s"}]
    site.serve(site.manifest({"3": {"error_rate": 1}}, rollout={"steps": steps}))
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        good = site.candidate()
        site.wait(lambda _: len(site.listed("deployments")) == 2, what="the new version's objects")
        kill(site)
        moment(lambda: trail.weights(good) == [25])
        kill(site)
        site.steady(traffic, 60)
        kill(site)
        back = time.time()
        moment(lambda: trail.weights(good)[-1] == 50)
        # A hold that began anew with each operator would end a whole hold after the last one came.
        assert trail.reached(good, 50) < back + HOLD - 1
        assert trail.reached(good, 50) - trail.reached(good, 25) >= HOLD
        moment(lambda: trail.weights(good)[-1] == 100)
        kill(site)
        site.wait(lambda look: look.ready and look.version == good, what="promoted")
        bad = site.candidate()
        moment(lambda: trail.weights(bad) == [25])
        kill(site)
        moment(lambda: trail.weights(bad) == [25, 0])
        kill(site)
        look = site.wait(lambda look: bad in look.rejected and look.stalled is not None, what="rejected")
        site.wait(lambda _: len(site.listed("deployments")) == 1, what="one Deployment is left")
        site.steady(traffic, 60)
        answers = list(traffic.answers())
        trail.check()
        assert trail.weights(good)[:3] == [25, 50, 100]
        assert trail.weights(bad) == [25, 0]
    assert look.version == good
    assert [(e["version"], e["attempt"], e["reason"]) for e in look.status["history"]] == [
        ("1", 1, "Promoted"), (good, 1, "Promoted"), (bad, 1, "GuardBreached"),
    ]  # fmt: skip
    assert unclean(answers, bad=[look.rejected[bad]["revision"]]) == [], tally(answers)


def moment(holds: Callable[[], bool]) -> None:
    """Wait for something, looking often: what is to be hit is short."""
    wait_for(holds, seconds=90, what="the moment to kill at", every=0.01)


def kill(site: Site) -> None:
    """SIGKILL to the operator's process, and a new pod in place of the container's back-off."""
    pod = operator(site)
    _, _, container = pod["status"]["containerStatuses"][0]["containerID"].partition("://")
    access = site.access
    socket = remains.ROOT / str(access.run) / "containerd" / "run" / "containerd.sock"
    subprocess.run(
        [str(access.ctr_program), f"--address={socket}", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", container],
        check=True,
        capture_output=True,
    )
    name = pod["metadata"]["name"]
    access.kubectl("delete", "pod", name, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
    wait_for(
        lambda: (found := operator(site)) and found["metadata"]["name"] != name and _ready(found),
        seconds=90,
        what="another operator",
    )


def operator(site: Site) -> dict[str, Any]:
    """The operator's newest pod; empty where there is none."""
    found = site.objects.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={_SELECTOR}")["items"]
    alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return max(alive, key=lambda pod: pod["metadata"]["creationTimestamp"], default={})


def _ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
