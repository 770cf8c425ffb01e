"""The operator is killed (SIGKILL) at six moments of a rollout and a revert: same end, and no client notices."""

import time
from collections.abc import Callable

from tests.driver.platform import NAMESPACE, OPERATORS, leader, wait_for
from tests.driver.traffic import tally, unclean
from tests.e2e.pods import killed, living, ready, signalled
from tests.e2e.site import Site

HOLD = 10.0


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


def test_a_canary_leaves_while_the_leader_hangs_and_a_leader_told_to_end_is_not_missed(site: Site) -> None:
    """Scenario 25: one of two replicas hangs (SIGSTOP) in mid-step; then it wakes up, and nothing of it is seen."""
    site.serve(site.manifest(rollout={"weights": [25, 100], "hold": "1h"}))
    wait_for(lambda: _two_replicas(site), seconds=120, what="two replicas")
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        canary = site.candidate()
        moment(lambda: trail.weights(canary) == [25])
        site.steady(traffic, 30)
        hung = leader(site.access)
        signalled(site.objects, NAMESPACE, hung, "SIGSTOP")
        site.annotate("abort", f"{canary}/1")
        aborted = time.time()
        moment(lambda: trail.weights(canary) == [25, 0])
        assert trail.left(canary) < aborted + 5
        wait_for(lambda: leader(site.access) not in {"", hung}, seconds=30, what="the standby leads")
        signalled(site.objects, NAMESPACE, hung, "SIGCONT")
        look = site.wait(lambda look: canary in look.rejected and look.stalled is not None, what="rejected")
        wait_for(lambda: _two_replicas(site), seconds=60, what="both are ready")
        told = leader(site.access)
        site.access.kubectl("delete", "pod", told, "-n", NAMESPACE, "--wait=false")
        begun = time.time()
        wait_for(lambda: leader(site.access) not in {"", told}, seconds=30, what="handed over", every=0.05)
        assert time.time() - begun < 5
        site.steady(traffic, 30)
        answers = list(traffic.answers())
        trail.check()
        assert trail.weights(canary) == [25, 0]
    assert look.version == "1"
    assert unclean(answers) == [], tally(answers)


def moment(holds: Callable[[], bool]) -> None:
    """Wait for something, looking often: what is to be hit is short."""
    wait_for(holds, seconds=90, what="the moment to kill at", every=0.01)


def kill(site: Site) -> None:
    """SIGKILL to the leader's process; until another leads."""
    name = leader(site.access)
    killed(site.objects, NAMESPACE, name)
    wait_for(lambda: leader(site.access) not in {"", name}, seconds=90, what="another leader")


def _two_replicas(site: Site) -> bool:
    return [ready(pod) for pod in living(site.objects, NAMESPACE, OPERATORS)] == [True, True]
