"""Versions that never start: nobody meets them, stable is untouched, and the object says what is wrong."""

from typing import Any

from tests.driver.traffic import tally, unclean
from tests.e2e.site import Look, Site
from tests.e2e.together import Stories

ROAD = {"weights": [25, 100], "hold": "1s", "progressDeadline": "15s"}


def test_a_version_that_never_starts_gets_no_request_and_says_why(together: Stories) -> None:
    together(process_that_exits_0, image_that_cannot_be_pulled, missing_secret)


def process_that_exits_0(site: Site) -> None:
    """Scenario 20."""
    site.serve(site.manifest({"2": {"exit_on_start": True}}, rollout=ROAD))
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
    manifest = site.manifest(rollout=ROAD)
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
    manifest = site.manifest(rollout=ROAD)
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
