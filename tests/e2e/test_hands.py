"""People's hands in a rollout: they pause, hasten, end and retry it, point elsewhere, change the spec."""

import json
import time
from typing import Any

from tests.driver.platform import wait_for
from tests.driver.traffic import tally, unclean
from tests.e2e.site import Site
from tests.e2e.together import Stories
from tests.e2e.trail import number

#: Holds that a person with kubectl, on a busy machine, is quicker than.
ROAD = {"weights": [25, 50, 100], "hold": "4s"}
LONG = {"weights": [25, 50, 100], "hold": "120s"}


def test_people_pause_resume_hasten_end_and_retry_a_rollout_point_elsewhere_and_change_the_spec(
    together: Stories,
) -> None:
    together(
        pause_freezes_and_resume_goes_on,
        promote_skips_holds_but_not_readiness,
        abort_reverts_and_retry_starts_over,
        sized_by_autoscalers,
        alias_moved_back,
        spec_edited_back,
        a_third_version,
        seven_eight_seven,
        edited_by_hand,
    )


def pause_freezes_and_resume_goes_on(site: Site) -> None:
    """Scenario 6."""
    site.serve(site.manifest(rollout=ROAD))
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        site.annotate("pause", f"{second}/1")
        look = site.wait(lambda look: look.status.get("phase") == "Paused", what="paused")
        frozen = look.weight
        site.steady(traffic, 300)  # 5 s of good answers, and a hold is 4 s
        assert site.look().weight == frozen
        site.annotate("pause", None)
        site.wait(lambda look: look.weight == 50, what="goes on")
        site.patch({"paused": True})
        site.wait(lambda look: look.status.get("phase") == "Paused", what="paused by the spec")
        assert site.look().weight in {50, 100}
        site.patch({"paused": False})
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        assert trail.weights(second) == [25, 50, 100]
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def promote_skips_holds_but_not_readiness(site: Site) -> None:
    """Scenario 6."""
    manifest = site.manifest({"2": {"not_ready": True}}, rollout=LONG)
    manifest["spec"]["serving"]["replicas"] = 1
    site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda _: site.running(second), what="the pod runs")
        site.annotate("promote", f"{second}/1")
        site.steady(traffic, 80)
        assert trail.weights(second) == []
        site.behave(site.revision(second))
        begin = time.monotonic()
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        assert time.monotonic() - begin < 60, "a hold of 120 s was not skipped"
        assert trail.weights(second) == [100]
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def edited_by_hand(site: Site) -> None:
    """Scenario 27. How long it takes until it is put back is a benchmark's."""
    site.serve(site.manifest(rollout=LONG))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25 and look.weights.get(second) == 25, what="the first step")
        stable, canary = site.revision("1"), site.revision(second)
        for weight in (0, 30, 100):
            rules = site.objects.get(f"{site.path('httproutes')}/{site.name}")["spec"]["rules"]
            for ref in rules[0]["backendRefs"]:
                ref["weight"] = weight if ref["name"] == canary else 100 - weight
            edited(site, "httproute", site.name, {"spec": {"rules": rules}})
            site.wait(lambda look: look.weights == {"1": 75, second: 25}, what="the weights are put back")
        edited(site, "service", canary, {"spec": {"selector": {"tidegate.dev/revision": stable}}})
        wait_for(lambda: selected(site, canary) == canary, seconds=20, what="the selector is put back")
        edited(site, "deployment", stable, {"spec": {"replicas": 3}})
        wait_for(lambda: size(site, stable) == 2, seconds=20, what="the size is put back")
        uid = site.objects.get(f"{site.path('deployments')}/{stable}")["metadata"]["uid"]
        site.access.kubectl("delete", "deployment", stable, "-n", site.namespace, "--cascade=orphan")
        wait_for(
            lambda: (
                size(site, stable) == 2
                and site.objects.get(f"{site.path('deployments')}/{stable}")["metadata"]["uid"] != uid
            ),
            seconds=20,
            what="the Deployment is made anew",
        )
        events = site.objects.get(site.path("events"))["items"]
        assert any(event["reason"] == "PutBack" for event in events)
        # What people did is no step: the next one is the plan's, and nothing was held against the version.
        site.annotate("promote", f"{second}/1")
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        assert trail.weights(second)[-2:] == [25, 100]
        assert site.look().rejected == {}


def edited(site: Site, kind: str, name: str, change: dict[str, Any]) -> None:
    """A merge patch of a person who should not."""
    site.access.kubectl("patch", kind, name, "-n", site.namespace, "--type=merge", "-p", json.dumps(change))


def selected(site: Site, service: str) -> str:
    """Whose pods a Service selects."""
    return str(site.objects.get(f"{site.path('services')}/{service}")["spec"]["selector"]["tidegate.dev/revision"])


def size(site: Site, deployment: str) -> int:
    """0 where it is gone."""
    found = site.objects.get(f"{site.path('deployments')}/{deployment}")
    return int((found.get("spec") or {}).get("replicas", 0))


def abort_reverts_and_retry_starts_over(site: Site) -> None:
    """Scenario 6, and of 19 that retry is done once and a leftover annotation does nothing."""
    site.serve(site.manifest(rollout=LONG))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        site.annotate("abort", f"{second}/1")
        look = site.wait(lambda look: second in look.rejected, what="aborted")
        assert look.rejected[second]["reason"] == "Aborted"
        assert trail.weights(second) == [25, 0]
        site.annotate("retry", f"{second}/1")
        # The leftover abort names the first attempt: the second one gets its traffic.
        site.wait(lambda look: look.weight == 25, what="the first step again")
        assert site.look().status["rollout"]["attempt"] == 2
        site.annotate("abort", f"{second}/2")
        site.wait(lambda look: second in look.rejected, what="aborted again")
        # Now both annotations are leftovers; one applied once more is one, too.
        site.annotate("retry", None)
        site.annotate("retry", f"{second}/1")
        site.steady(traffic, 120)
        look = site.look()
        assert second in look.rejected
        assert "rollout" not in look.status
        assert trail.weights(second) == [25, 0, 25, 0]
        third = site.candidate()
        site.wait(lambda look: look.weight == 25 and look.status["canary"] == third, what="a new version is tried")
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def alias_moved_back(site: Site) -> None:
    """Scenario 14."""
    first = site.serve(site.manifest(rollout=LONG))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        site.point(first)
        moved = time.time()
        look = site.wait(lambda look: look.ready and look.weights == {first: 100}, what="back")
        # A poll each second, and a write.
        assert trail.left(second) - moved < 5
        assert second not in look.rejected
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def spec_edited_back(site: Site) -> None:
    """Scenario 14, with a version pinned in the spec."""
    manifest = site.manifest(rollout=LONG)
    for _ in range(2):
        site.mlflow.version(site.model)
    manifest["spec"]["model"] = {"name": site.model, "version": "1"}
    site.apply(manifest)
    site.wait(lambda look: look.ready and look.version == "1", what="version 1 serves")
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        manifest["spec"]["model"]["version"] = "2"
        site.apply(manifest)
        site.wait(lambda look: look.weight == 25, what="the first step")
        manifest["spec"]["model"]["version"] = "1"
        site.apply(manifest)
        moved = time.time()
        look = site.wait(lambda look: look.ready and look.weights == {"1": 100}, what="back")
        assert trail.left("2") - moved < 5
        assert look.rejected == {}
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def a_third_version(site: Site) -> None:
    """Scenario 15."""
    site.serve(site.manifest(rollout={"steps": [{"weight": 25, "hold": "1s"}, {"weight": 100, "hold": "60s"}]}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 100, what="the second version bakes")
        third = site.candidate()
        look = site.wait(lambda look: look.status.get("canary") == third and look.weight == 100, what="the third bakes")
        trail.check()
        order = [{number(revision): share for revision, share in form.items()} for _, form in trail.forms()]
        answers = list(traffic.answers())
    assert order == [
        {"1": 100}, {"1": 75, second: 25}, {second: 100}, {"1": 100}, {"1": 75, third: 25}, {third: 100},
    ]  # fmt: skip
    assert look.rejected == {}
    assert unclean(answers) == [], tally(answers)


def seven_eight_seven(site: Site) -> None:
    """Scenario 19: a version that was superseded is no bad one."""
    site.serve(site.manifest(rollout={"weights": [25, 100], "hold": "3s"}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        seven = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step of seven")
        eight = site.candidate()
        site.wait(lambda look: look.weight == 25 and look.status["canary"] == eight, what="the first step of eight")
        site.point(seven)
        look = site.wait(lambda look: look.ready and look.version == seven, what="seven serves")
        trail.check()
        assert trail.weights(seven) == [25, 0, 25, 100]
        assert trail.weights(eight) == [25, 0]
        answers = list(traffic.answers())
    assert look.rejected == {}
    assert unclean(answers) == [], tally(answers)


def sized_by_autoscalers(site: Site) -> None:
    """Kubernetes' own controller keeps sizes within the bounds of our autoscalers, also without any metrics."""
    manifest = site.manifest(rollout={"steps": [{"weight": 50, "hold": "2s"}, {"weight": 100, "hold": "12s"}]})
    del manifest["spec"]["serving"]["replicas"]
    manifest["spec"]["serving"]["autoscaling"] = {"minReplicas": 1, "maxReplicas": 3}
    first = site.serve(manifest)
    old = site.revision(first)
    site.access.kubectl("scale", "deployment", old, "-n", site.namespace, "--replicas=5")
    wait_for(lambda: _size(site, old) == 3, seconds=90, what="the controller takes what is above the maximum")
    wait_for(lambda: len(site.ready(first)) == 3, seconds=60, what="three pods serve")
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 50, what="half of the traffic")
        assert len(site.ready(second)) >= 2
        site.wait(lambda look: look.weight == 100, what="the bake")
        new = site.revision(second)
        assert len(site.ready(second)) == 3
        assert (_bounds(site, old), _bounds(site, new)) == ((3, 3), (3, 3))
        assert _size(site, old) == 3
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        wait_for(
            lambda: [s["metadata"]["name"] for s in _scalers(site)] == [new], seconds=60, what="the old one's goes"
        )
        assert trail.weights(second) == [50, 100]
        assert unclean(traffic.answers()) == [], tally(traffic.answers())


def _scalers(site: Site) -> list[dict[str, Any]]:
    return site.listed("horizontalpodautoscalers", "tidegate.dev/modeldeployment")


def _bounds(site: Site, revision: str) -> tuple[int, int]:
    found = next(s["spec"] for s in _scalers(site) if s["metadata"]["name"] == revision)
    return found["minReplicas"], found["maxReplicas"]


def _size(site: Site, revision: str) -> int:
    return int(site.objects.get(f"{site.path('deployments')}/{revision}")["spec"]["replicas"])
