"""The way back: a bad version leaves the traffic by itself, and what it took with it is only what it was given."""

import time

from tests.driver.traffic import tally, unclean
from tests.e2e.clean import stained, starts_on
from tests.e2e.site import Look, Site
from tests.e2e.together import Stories
from tests.e2e.trail import Trail, number

#: Seconds from the first bad answer to the last one begun: far from never. The budget is a benchmark's.
LATE = 20.0
ROAD = {"weights": [25, 100], "hold": "2s"}


def test_a_version_that_fails_hangs_exits_refuses_or_is_slow_is_off_in_seconds_and_one_that_does_not_stays(
    together: Stories,
) -> None:
    together(
        every_answer_is_a_500, accepts_and_never_answers, exits_on_each_request, refuses_every_real_body,
        five_per_cent_of_errors, one_per_cent_of_errors, four_times_as_slow, as_slow_as_stable, one_slow_request,
        both_fail_alike, turns_bad_in_the_bake,
    )  # fmt: skip


def every_answer_is_a_500(site: Site) -> None:
    """Scenario 8."""
    site.serve(site.manifest({"2": {"error_rate": 1}}, rollout=ROAD))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = rejected(site, bad)
        revision = look.rejected[bad]["revision"]
        gone(site, trail, bad)
        site.steady(traffic)
        answers = list(traffic.answers())
        trail.check()
        assert trail.weights(bad) == [25, 0]
        stains = stained(answers, version=bad, revision=revision, left=trail.left(bad))
    assert stains == [], stains[:5]
    starts = starts_on(answers, revision)
    assert starts[-1] - starts[0] < LATE
    message = look.rejected[bad]["message"]
    assert look.rejected[bad]["reason"] == "GuardBreached"
    assert "100% errors" in message
    assert "limit of 1%" in message
    assert " of " in message
    condition = look.condition("Ready")
    assert condition["message"].startswith(f"version {bad} rejected: ")
    assert condition["message"].endswith("version 1 serves")
    assert look.condition("Available")["status"] == "True"


def turns_bad_in_the_bake(site: Site) -> None:
    """Scenario 13: with all of the traffic, and the old version still at full size."""
    site.serve(site.manifest(rollout={"weights": [50, 100], "hold": "12s"}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = site.wait(lambda look: look.weight == 100, what="the bake")
        revision = look.status["rollout"]["revision"]
        site.steady(traffic)
        assert len(site.ready("1")) == 2, "the old version is not at full size"
        site.behave(revision, error_rate=1)
        look = rejected(site, bad)
        assert len(site.ready("1")) == 2
        gone(site, trail, bad)
        site.steady(traffic)
        answers = list(traffic.answers())
        assert trail.weights(bad) == [50, 100, 0]
        stains = stained(answers, version=bad, revision=revision, left=trail.left(bad))
    assert stains == [], stains[:5]
    assert look.rejected[bad]["reason"] == "GuardBreached"
    failed = [answer.started for answer in answers if not answer.good]
    assert failed[-1] - failed[0] < LATE


def accepts_and_never_answers(site: Site) -> None:
    """Scenario 8: ready all the time. Only answers are counted here, and one is overdue after the timeout.

    It is tried again, after a minute: the router might have sent it none.
    """
    guards = {"errorRate": {"max": "1%"}, "minRequests": 50, "timeout": "2s"}
    site.serve(site.manifest({"2": {"hang": True}}, rollout=ROAD, guards=guards))
    with site.trail() as trail, site.traffic(rate=40, timeout=20) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = site.wait(lambda look: bad in look.parked and look.weights.get("1") == 100, what=f"{bad} is parked")
        assert look.parked[bad]["reason"] == "Unreachable"
        gone(site, trail, bad)
        site.steady(traffic)
        left = trail.left(bad)
        assert left - trail.reached(bad, 25) < LATE
        traffic.stop()
        answers = list(traffic.answers())
        stains = stained(answers, version=bad, revision=look.parked[bad]["revision"], left=left)
    assert stains == [], stains[:5]
    assert any(not answer.good for answer in answers), "nothing ever hung"


def exits_on_each_request(site: Site) -> None:
    """Scenario 8."""
    site.serve(site.manifest({"2": {"exit_on_request": True}}, rollout=ROAD))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = rejected(site, bad)
        gone(site, trail, bad)
        site.steady(traffic)
        answers = list(traffic.answers())
        left = trail.left(bad)
        assert left - trail.reached(bad, 25) < LATE
        stains = stained(answers, version=bad, revision=look.rejected[bad]["revision"], left=left)
    assert stains == [], stains[:5]
    assert look.rejected[bad]["reason"] in {"Crashed", "GuardBreached", "Unreachable"}


def refuses_every_real_body(site: Site) -> None:
    """Scenario 8: a schema that real requests do not fit."""
    guards = {"errorRate": {"max": "1%"}, "clientErrors": {"maxRatio": "2"}, "minRequests": 50}
    site.serve(site.manifest({"2": {"error_rate": 1, "status": 422}}, rollout=ROAD, guards=guards))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = rejected(site, bad)
        gone(site, trail, bad)
        site.steady(traffic)
        answers = list(traffic.answers())
        revision = look.rejected[bad]["revision"]
        stains = stained(answers, version=bad, revision=revision, left=trail.left(bad))
    assert stains == [], stains[:5]
    starts = starts_on(answers, revision)
    assert starts[-1] - starts[0] < LATE
    assert "client errors" in look.rejected[bad]["message"]


def five_per_cent_of_errors(site: Site) -> None:
    """Scenario 9: against a limit of 1 %."""
    site.serve(site.manifest({"2": {"error_rate": 0.05}}, rollout={"weights": [50, 100], "hold": "30s"}))
    with site.trail() as trail, site.traffic(rate=100) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        look = rejected(site, bad)
        site.steady(traffic)
        answers = list(traffic.answers())
        assert trail.weights(bad) == [50, 0]
        assert unclean(answers, bad=[look.rejected[bad]["revision"]]) == [], tally(answers)
    assert look.rejected[bad]["reason"] == "GuardBreached"


def one_per_cent_of_errors(site: Site) -> None:
    """Scenario 9: at the limit itself is within it."""
    site.serve(site.manifest({"2": {"error_rate": 0.01}}, rollout={"weights": [50, 100], "hold": "60s"}))
    with site.trail() as trail, site.traffic(rate=100) as traffic:
        site.steady(traffic)
        second = site.candidate()
        look = site.wait(lambda look: look.weight == 50, what="the first step")
        revision = look.status["rollout"]["revision"]
        traffic.wait(lambda found: len(starts_on(found, revision)) >= 600, what="600 answers")
        assert trail.weights(second) == [50]
        answers = list(traffic.answers())
    assert unclean(answers, bad=[revision]) == [], tally(answers)
    assert any(not answer.good for answer in answers), "it never failed, so nothing was shown"


def four_times_as_slow(site: Site) -> None:
    """Scenario 10."""
    # A limit is an edge of the histogram: 1.5 times the one above stable's p95, 2.5 s, ends at 5 s. A busy machine may
    # add a second to stable's answers before that is another one.
    behave = {"1": {"latency_ms": 1300}, "2": {"latency_ms": 5200}}
    guards = {"latency": [{"percentile": "95", "maxRatio": "1.5"}], "minRequests": 50}
    site.serve(site.manifest(behave, rollout=ROAD, guards=guards))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic, 100)
        bad = site.candidate()
        look = rejected(site, bad)
        gone(site, trail, bad)
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)
    assert "slower than" in look.rejected[bad]["message"]
    assert look.rejected[bad]["reason"] == "GuardBreached"


def as_slow_as_stable(site: Site) -> None:
    """A model that takes its time, with a server that counts answers only: no answer yet is no silence."""
    behave = {number: {"latency_ms": 4000} for number in ("1", "2")}
    site.serve(site.manifest(behave, rollout=ROAD))
    with site.trail() as trail, site.traffic(rate=40, timeout=30) as traffic:
        site.steady(traffic, 100)
        second = site.candidate()
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        assert trail.weights(second) == [25, 100]
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def one_slow_request(site: Site) -> None:
    """Scenario 10: a first request that takes its time is no reason."""
    guards = {"latency": [{"percentile": "95", "max": "1s"}], "minRequests": 50}
    cold = {"not_ready": True, "latency_ms": 2500}
    manifest = site.manifest({"2": cold}, rollout=ROAD, guards=guards)
    manifest["spec"]["serving"]["replicas"] = 1
    site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda _: site.running(second), what="the new version's pod runs")
        revision = site.revision(second)
        began = time.monotonic()
        site.predict(revision)
        assert time.monotonic() - began > 2
        site.behave(revision)
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        assert trail.weights(second) == [25, 100]
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def both_fail_alike(site: Site) -> None:
    """Scenario 11: a dependency of both is down; held and said, and gone on with when it is back."""
    manifest = site.manifest(rollout={"weights": [50, 100], "hold": "4s"})
    manifest["spec"]["serving"]["replicas"] = 1
    site.serve(manifest)
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 50, what="the first step")
        stable, canary = site.revision("1"), site.revision(second)
        site.behave(stable, error_rate=0.5)
        traffic.wait(lambda answers: sum(not a.good for a in answers) >= 10, what="failures of stable")
        site.behave(canary, error_rate=0.5)
        site.wait(_held, what="held, and said so")
        traffic.wait(lambda answers: sum(a.revision == canary and not a.good for a in answers) >= 60, what="failures")
        assert trail.weights(second) == [50], "it was reverted for what both do"
        site.behave(canary)
        site.behave(stable)
        site.wait(lambda look: look.ready and look.version == second, what="goes on when it is over", seconds=150)
        assert trail.weights(second) == [50, 100]
        assert unclean(traffic.answers(), bad=[stable, canary]) == []


def rejected(site: Site, version: str) -> Look:
    """Wait until a version is rejected and stable serves."""
    return site.wait(
        lambda look: version in look.rejected and look.stalled is not None and look.weights.get("1") == 100,
        what=f"version {version} is rejected",
    )


def gone(site: Site, trail: Trail, version: str) -> None:
    """The pods of a version end, and none of them was told to before its traffic had left."""
    site.wait(
        lambda _: not [p for p in site.pods() if p["metadata"]["annotations"]["tidegate.dev/version"] == version],
        what="its pods are gone",
    )
    site.wait(
        lambda look: all(number(name) != version for name in _named(look)), what="it is out of the route", seconds=30
    )
    ends = trail.taken_away(version)
    assert ends, "no pod was told to end"
    assert ends[0] > trail.left(version), "a pod was told to end while it had traffic"


def _named(look: Look) -> list[str]:
    rules = (look.route or {"spec": {"rules": [{}]}})["spec"]["rules"]
    return [backend["name"] for backend in rules[0].get("backendRefs", [])]


def _held(look: Look) -> bool:
    findings = (look.status.get("rollout") or {}).get("findings") or []
    return any("stable" in finding["message"] and finding["verdict"] == "Undecided" for finding in findings)
