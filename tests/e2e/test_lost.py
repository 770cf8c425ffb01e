"""What is lost without any version's fault: pods, traffic, stable's endpoints; and what is remembered of versions.

Also the right to write the route: traffic leaves by the second plane, and the route follows.
"""

import json
import time
from datetime import datetime

from tests.driver.denial import WORDS, denied, kubectl_of
from tests.driver.platform import NAMESPACE, RELEASE
from tests.driver.traffic import tally, unclean
from tests.e2e.clean import SLACK, starts_on
from tests.e2e.site import Site
from tests.e2e.together import Stories

#: Seconds in which a gateway may go on refusing requests for endpoints that are gone; a busy machine's.
REFUSED = 1.5
#: Seconds that a rollout without traffic gets; pods on a busy machine take some of them to start.
DEADLINE = 24
#: Seconds from the cause to the last request on a canary while its route stays denied: far from never.
#: The budget is a benchmark's.
LATE = 20.0


def test_lost_pods_and_silence_park_a_version_and_no_lack_of_pods_or_rights_keeps_a_revert_back(
    together: Stories,
) -> None:
    together(
        all_canary_pods_deleted,
        no_traffic_at_all,
        stable_short_of_a_pod_and_the_canary_bad,
        stable_without_endpoints_and_the_canary_good,
        metrics_of_no_use,
        denied_while_the_canary_turns_bad,
        denied_while_a_person_aborts,
    )


def all_canary_pods_deleted(site: Site) -> None:
    """Scenario 16."""
    site.serve(site.manifest(rollout={"weights": [50, 100], "hold": "60s"}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        look = site.wait(lambda look: look.weight == 50, what="the first step")
        revision = look.status["rollout"]["revision"]
        traffic.wait(lambda answers: len(starts_on(answers, revision)) > 20, what="answers of the canary")
        deleted = time.time()
        site.access.kubectl(
            "delete", "pods", "-n", site.namespace, "-l", f"tidegate.dev/revision={revision}",
            "--grace-period=0", "--force", "--wait=false",
        )  # fmt: skip
        gone = time.time()
        look = site.wait(lambda look: second in look.parked, what="parked")
        left = trail.left(second)
        site.steady(traffic, 100)
        assert trail.weights(second) == [50, 0]
        answers = list(traffic.answers())
    assert left - gone < 5
    assert look.parked[second]["reason"] == "EndpointsLost"
    assert look.rejected == {}
    assert look.stalled is None
    assert look.parked[second]["retryAt"] > look.parked[second]["time"], "tried again at once"
    late = [a for a in unclean(answers) if a.started > left + REFUSED or a.version not in {second, ""}]
    assert late == [], late[:5]
    assert len(unclean(answers)) <= 40 * (left - deleted + REFUSED)


def no_traffic_at_all(site: Site) -> None:
    """Scenario 23: silence promotes nothing and reverts nothing; the deadline does."""
    rollout = {"weights": [25, 100], "hold": "1s", "deadline": f"{DEADLINE}s"}
    site.serve(site.manifest(rollout=rollout))
    with site.trail() as trail:
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        look = site.wait(lambda look: "0 of 0" in str(_findings(look.status)), what="held, with how many it wants")
        assert "50 requests needed" in str(_findings(look.status))
        look = site.wait(lambda look: second in look.parked, what="parked at the deadline")
        assert trail.weights(second) == [25, 0]
        # Times in status are whole seconds, cut off.
        began = datetime.fromisoformat(look.status["history"][-1]["started"]).timestamp()
        assert trail.left(second) - began >= DEADLINE, "it was taken off before the deadline"
    assert look.parked[second]["reason"] == "DeadlineExceeded"
    assert look.rejected == {}


def metrics_of_no_use(site: Site) -> None:
    """Scenario 22: hanging, failing, empty and no numbers: held, said, and gone on with when they are back."""
    site.serve(site.manifest(rollout={"weights": [25, 100], "hold": "12s"}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        look = site.wait(lambda look: look.weight == 25, what="the first step")
        revision = look.status["rollout"]["revision"]
        for how in ("hang", "error", "empty", "nan"):
            # Stable first: a canary that alone can't be read is unreachable.
            site.behave(site.revision("1"), metrics=how)
            site.behave(revision, metrics=how)
            site.wait(lambda look: look.condition("EvidenceAvailable").get("status") == "False", what=f"{how} is said")
            site.steady(traffic, 120)
            look = site.look()
            assert (look.weight, look.rejected, look.parked) == (25, {}, {}), how
        site.behave(revision)
        site.behave(site.revision("1"))
        site.wait(lambda look: look.ready and look.version == second, what="promoted once it can be judged")
        assert trail.weights(second) == [25, 100]
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def stable_short_of_a_pod_and_the_canary_bad(site: Site) -> None:
    """Scenario 18."""
    site.serve(site.manifest(rollout={"weights": [25, 100], "hold": "60s"}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = site.wait(lambda look: look.weight == 25, what="the first step")
        revision = look.status["rollout"]["revision"]
        traffic.wait(lambda answers: len(starts_on(answers, revision)) > 20, what="answers of the canary")
        # One pod of stable says that it is not ready, and goes on saying so.
        site.behave_first(site.revision("1"), not_ready=True)
        site.wait(lambda _: len(site.ready("1")) == 1, what="stable is short of a pod")
        site.behave(revision, error_rate=1)
        turned = time.time()
        look = site.wait(lambda look: bad in look.rejected, what="rejected")
        assert trail.left(bad) - turned < 6
        assert len(site.ready("1")) == 1, "stable was whole again, so nothing was shown"
        assert look.weights["1"] == 100
        site.steady(traffic)
        answers = list(traffic.answers())
    assert starts_on(answers, revision)[-1] < trail.left(bad) + SLACK
    assert unclean(answers, bad=[revision]) == [], tally(answers)


def stable_without_endpoints_and_the_canary_good(site: Site) -> None:
    """Scenario 18: the canary keeps what it has, and nothing is raised."""
    manifest = site.manifest(rollout={"weights": [50, 100], "hold": "2s"})
    manifest["spec"]["serving"]["replicas"] = 1
    site.serve(manifest)
    with site.trail() as trail:
        second = site.candidate()
        site.wait(lambda look: look.weight == 50, what="the first step")
        # Nothing is raised before there are requests: they begin when stable is away, however long that takes.
        site.behave(site.revision("1"), not_ready=True)
        look = site.wait(lambda look: look.condition("Available").get("status") == "False", what="said", seconds=30)
        revision = look.status["rollout"]["revision"]
        with site.traffic(rate=20) as traffic:
            traffic.wait(lambda answers: len(starts_on(answers, revision)) > 80, what="the canary goes on")
            assert trail.weights(second) == [50], "raised without anything to go back to"
            site.behave(site.revision("1"))
            site.wait(lambda look: look.ready and look.version == second, what="promoted once stable is back")
        assert trail.weights(second) == [50, 100]


def denied_while_the_canary_turns_bad(site: Site) -> None:
    """Scenario 17."""
    first = site.serve(site.manifest(rollout={"weights": [25, 100], "hold": "600s"}))
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = site.wait(lambda look: look.weight == 25, what="the first step")
        revision = look.status["rollout"]["revision"]
        traffic.wait(lambda answers: len(starts_on(answers, revision)) > 30, what="answers of the canary")
        with denied(kubectl_of(site.access.kubectl), site.namespace, site.name):
            site.behave(revision, error_rate=1)
            turned = time.time()
            look = site.wait(lambda look: look.condition("Ready").get("reason") == "RouteDiverted", what="diverted")
            said = time.time()
            assert WORDS in look.condition("Ready")["message"]
            assert look.condition("Available")["status"] == "True"
            assert look.weights == {first: 75, bad: 25}, "the route was written, so nothing was shown"
            # It may do well again: the verdict stands.
            site.behave(revision)
            site.steady(traffic, 200)
            last = starts_on(traffic.answers(), revision)[-1]
            assert last < said + SLACK
        freed = time.time()
        look = site.wait(lambda look: bad in look.rejected, what="rejected")
        assert trail.left(bad) < freed + 3
        site.wait(lambda look: look.weights == {first: 100}, what="the route names it no more")
        site.wait(lambda _: len(site.pods()) == 2, what="its pods are gone")
        site.steady(traffic, 100)
        answers = list(traffic.answers())
    assert trail.weights(bad) == [25, 0]
    assert starts_on(answers, revision)[-1] == last, "the version came back into traffic"
    assert last - turned < LATE
    assert unclean(answers, bad=[revision]) == [], tally(answers)


def denied_while_a_person_aborts(site: Site) -> None:
    """A good version that has to go: nobody sees a single failure."""
    first = site.serve(site.manifest(rollout={"weights": [50, 100], "hold": "600s"}))
    with site.traffic(rate=60) as traffic:
        site.steady(traffic)
        second = site.candidate()
        look = site.wait(lambda look: look.weight == 50, what="the first step")
        revision = look.status["rollout"]["revision"]
        traffic.wait(lambda answers: len(starts_on(answers, revision)) > 30, what="answers of the canary")
        with denied(kubectl_of(site.access.kubectl), site.namespace, site.name):
            site.annotate("abort", f"{second}/1")
            told = time.time()
            site.wait(lambda look: look.condition("Ready").get("reason") == "RouteDiverted", what="diverted")
            said = time.time()
            site.steady(traffic, 150)
            last = starts_on(traffic.answers(), revision)[-1]
            assert last < said + SLACK
            assert last - told < LATE
        look = site.wait(lambda look: look.weights == {first: 100}, what="the route names it no more")
        assert look.rejected[second]["reason"] == "Aborted"
        site.steady(traffic, 60)
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def test_what_was_learned_of_versions_outlives_a_restart_and_a_proven_one_is_back_in_one_step(
    together: Stories,
) -> None:
    together(rejected_stays_rejected, back_to_a_proven_version)


def rejected_stays_rejected(site: Site) -> None:
    """Scenario 19: after a restart of the operator and a re-apply."""
    manifest = site.manifest({"2": {"error_rate": 1}}, rollout={"weights": [25, 100], "hold": "2s"})
    site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = site.wait(lambda look: bad in look.rejected and look.stalled is not None, what="rejected")
        revision = look.rejected[bad]["revision"]
        restart(site)
        site.apply(manifest)
        # A sign that the new operator has looked at this object: it carries out a change.
        site.patch({"serving": {"replicas": 1}})
        site.wait(lambda look: look.stalled is not None and len(site.pods()) == 1, what="the new operator works")
        site.steady(traffic, 120)
        look = site.look()
        assert bad in look.rejected
        assert look.condition("Ready")["status"] == "False"
        assert trail.weights(bad) == [25, 0]
        third = site.candidate()
        look = site.wait(lambda look: look.ready and look.version == third, what="a new version clears it")
        answers = list(traffic.answers())
    assert unclean(answers, bad=[revision]) == [], tally(answers)


def back_to_a_proven_version(site: Site) -> None:
    """Scenario 32."""
    first = site.serve(site.manifest(rollout={"steps": [{"weight": 25, "hold": "1s"}, {"weight": 100, "hold": "2s"}]}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        site.wait(lambda look: look.weights == {second: 100}, what="the first one is out of the route")
        site.point(first)
        site.wait(lambda look: look.ready and look.version == first, what="back")
        assert trail.weights(first) == [100, 75, 0, 100]
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def restart(site: Site) -> None:
    """A new operator pod, as `kubectl rollout restart` makes one."""
    site.access.kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
    site.access.kubectl("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, "--timeout=120s")


def _findings(status: dict[str, object]) -> str:
    return json.dumps(status.get("rollout"))
