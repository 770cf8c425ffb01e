"""The road of a good version: from nothing to serving, and from one version to the next.

And of those that never start: nobody meets them, stable is untouched, and the object says what is wrong.
"""

import json
import time
from collections import Counter
from itertools import pairwise
from typing import Any

from tests.driver.traffic import tally, unclean
from tests.e2e.site import Look, Site
from tests.e2e.together import Stories
from tests.e2e.trail import Trail

#: Of a version that never starts.
SHORT = {"weights": [25, 100], "hold": "1s", "progressDeadline": "15s"}


def test_a_first_version_serves_all_requests_once_it_is_ready_and_is_pinned_by_its_number(site: Site) -> None:
    with site.trail() as trail:
        number = site.serve()
        look = site.look()
        assert trail.weights(number) == [100]
        assert max(sum(form.values()) for _, form in trail.forms()) == 100
    assert look.status["observedGeneration"] == look.body["metadata"]["generation"]
    assert look.condition("Available")["status"] == "True"
    assert "judge" not in look.status  # nothing to compare with: nothing was analysed
    environment = {e["name"]: e.get("value") for e in site.pods()[0]["spec"]["containers"][0]["env"]}
    assert environment["TIDEGATE_MODEL_VERSION"] == number


def test_a_good_version_takes_exactly_5_25_50_100_per_cent_and_one_that_never_starts_nothing(together: Stories) -> None:
    together(
        every_step_is_taken,
        nothing_before_ready_then_5_per_cent,
        changed_serving_takes_the_road,
        process_that_exits_0,
        image_that_cannot_be_pulled,
        missing_secret,
    )


def every_step_is_taken(site: Site) -> None:
    """Scenario 3."""
    first = site.serve()
    with site.trail() as trail, site.traffic(rate=120) as traffic:
        site.steady(traffic)
        second = site.candidate()
        baking = site.wait(lambda look: look.weight == 100, what="the bake", seconds=120)
        uids = {pod["metadata"]["uid"] for pod in site.pods(baking.status["rollout"]["revision"])}
        look = site.wait(lambda look: look.ready and look.version == second, what=f"version {second} is promoted")
        old = next(e["revision"] for e in look.status["history"] if e["version"] == first)
        site.wait(lambda _: not site.listed("pods", f"tidegate.dev/revision={old}"), what="the old pods are gone")
        site.wait(lambda _: site.listed("deployments", f"tidegate.dev/revision={old}") == [], what="and their maker")
        site.steady(traffic, 100)
        answers = list(traffic.answers())
        trail.check()
        forms = trail.forms()
        assert trail.weights(second) == [5, 25, 50, 100]
        stays = [later[0] - form[0] for form, later in pairwise(forms[1:])]
        assert min(stays) >= 2.0, f"a step was shorter than its hold: {stays}"
        assert min(trail.taken_away(first)) > forms[-1][0] + 2.0, (
            "pods of the old version went before the bake was over"
        )
        assert saved_in_favour(trail) == {5, 25, 50, 100}, "a step without a saved finding in its favour"
    assert unclean(answers) == [], tally(answers)
    pods = site.pods(look.status["stable"]["revision"])
    assert {pod["metadata"]["uid"] for pod in pods} == uids, "a pod of the promoted revision was restarted"
    assert Counter(a.version for a in answers[-50:]) == {second: 50}
    assert [entry["version"] for entry in look.status["history"]] == [first, second]


def nothing_before_ready_then_5_per_cent(site: Site) -> None:
    """Scenario 2."""
    rollout = {"steps": [{"weight": 5, "hold": "9s"}, {"weight": 100, "hold": "1s"}]}
    guards = {"errorRate": {"max": "5%"}, "minRequests": 50}
    manifest = site.manifest({"2": {"not_ready": True}}, rollout=rollout, guards=guards)
    manifest["spec"]["serving"]["replicas"] = 1
    site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=200) as traffic:
        second = site.candidate()
        site.wait(lambda _: site.running(second), what="the new version's pod runs")
        site.steady(traffic, 400)
        assert trail.weights(second) == []
        assert {a.version for a in traffic.answers() if a.good} == {"1"}
        site.behave(site.revision(second))
        ready = time.time()
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        answers = list(traffic.answers())
        (five, _), (hundred, _) = trail.forms()[-2:]
        assert trail.weights(second) == [5, 100]
    assert five > ready
    during = [a for a in answers if five + 0.5 < a.started < hundred - 0.1]
    assert len(during) >= 1000
    share = 100 * sum(a.version == second for a in during) / len(during)
    assert 3 <= share <= 7, f"{share:.1f}% of {len(during)}"
    assert unclean(answers) == [], tally(answers)


def changed_serving_takes_the_road(site: Site) -> None:
    """Scenario 4."""
    manifest = site.manifest(rollout={"weights": [25, 100], "hold": "1s"})
    number = site.serve(manifest)
    before = site.look().status["stable"]["revision"]
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        site.patch({"serving": {"replicas": 3}})
        site.wait(lambda look: look.ready and len(site.pods(before)) == 3, what="three pods")
        assert [len(form) for _, form in trail.forms()] == [1], "changed replicas began a rollout"
        manifest["spec"]["serving"]["replicas"] = 3
        manifest["spec"]["serving"]["resources"] = {"requests": {"cpu": "21m", "memory": "17Mi"}}
        del manifest["spec"]["serving"]["template"]["spec"]["containers"][0]["resources"]
        site.apply(manifest)
        look = site.wait(
            lambda look: look.ready and look.status["stable"]["revision"] != before, what="the new revision serves"
        )
        revision = look.status["stable"]["revision"]
        assert [form.get(revision, 0) for _, form in trail.forms()] == [0, 25, 100]
        answers = list(traffic.answers())
    assert look.version == number
    assert site.pods(revision)[0]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "21m"
    assert unclean(answers) == [], tally(answers)
    assert json.dumps(look.status["history"]).count(f'"version": "{number}"') == 2


def process_that_exits_0(site: Site) -> None:
    """Scenario 20."""
    site.serve(site.manifest({"2": {"exit_on_start": True}}, rollout=SHORT))
    with site.trail() as trail, site.traffic(rate=30) as traffic:
        site.steady(traffic)
        second = site.candidate()
        look = parked(site, traffic, second)
        assert trail.weights(second) == []
    assert look.parked[second]["reason"] == "Exited"
    # Of a process that ended well the kubelet keeps no last line: it is read from the log.
    assert "exited with code 0" in look.condition("Ready")["message"]
    assert "told to exit" in look.condition("Ready")["message"]


def image_that_cannot_be_pulled(site: Site) -> None:
    """Scenario 20."""
    manifest = site.manifest(rollout=SHORT)
    number = site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=30) as traffic:
        site.steady(traffic)
        container(manifest)["image"] = "localhost/tidegate-testserver:never-made"
        site.apply(manifest)
        look = parked(site, traffic, number)
        assert [len(form) for _, form in trail.forms()] == [1], "it got traffic"
    assert look.parked[number]["reason"] == "ImagePullFailed"
    assert "never-made" in look.condition("Ready")["message"]


def missing_secret(site: Site) -> None:
    """Scenario 20: mended by making it, and tried again on request."""
    manifest = site.manifest(rollout=SHORT)
    number = site.serve(manifest)
    before = site.look().status["stable"]["revision"]
    with site.trail() as trail, site.traffic(rate=30) as traffic:
        site.steady(traffic)
        reference = {"secretKeyRef": {"name": "store", "key": "password"}}
        container(manifest)["env"].append({"name": "PASSWORD", "valueFrom": reference})
        site.apply(manifest)
        look = parked(site, traffic, number)
        assert [len(form) for _, form in trail.forms()] == [1], "it got traffic"
        assert look.parked[number]["reason"] == "ConfigurationMissing"
        assert 'secret "store" not found' in look.condition("Ready")["message"]
        site.access.kubectl("create", "secret", "generic", "store", "-n", site.namespace, "--from-literal=password=x")
        site.annotate("retry", f"{number}/{look.parked[number]['attempt']}")
        look = site.wait(
            lambda look: look.ready and look.status["stable"]["revision"] != before, what="served once it is mended"
        )
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    """The model's container in a manifest."""
    found: dict[str, Any] = manifest["spec"]["serving"]["template"]["spec"]["containers"][0]
    return found


def parked(site: Site, traffic: Any, version: str) -> Look:
    """Wait until a version is parked; stable has served every request in the meantime."""
    look = site.wait(lambda look: version in look.parked, what="parked at the deadline", seconds=60)
    assert look.condition("Available")["status"] == "True"
    assert look.condition("Ready")["status"] == "False"
    assert look.weights[look.version or ""] == 100
    site.steady(traffic)
    assert unclean(traffic.answers()) == [], tally(traffic.answers())
    return look


def saved_in_favour(trail: Trail) -> set[int]:
    """Weights at which status said that the guard holds."""
    found = [finding for _, status in trail.statuses() for finding in (status.get("rollout") or {}).get("findings", [])]
    return {finding["weight"] for finding in found if finding["verdict"] == "Healthy"}
