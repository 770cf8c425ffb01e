"""A real Prometheus that scrapes the gateway: its word reverts, without it nothing is raised; and alerts revert."""

import threading
from collections.abc import Sequence

from tests.cluster import gateway
from tests.driver.monitoring import Monitoring, install_monitoring
from tests.driver.platform import wait_for
from tests.e2e.alerts import (
    taken_off_by_a_service_account,
    taken_off_by_an_alert,
    taken_off_by_an_alert_that_nobody_sends,
)
from tests.e2e.clean import stained, starts_on
from tests.e2e.conftest import Stage
from tests.e2e.site import Look, Site
from tests.e2e.together import Stories

ROAD = {"weights": [25, 100], "hold": "4s"}
#: Seconds from the first bad answer to the last one begun: a scrape, a look and a busy machine.
LATE = 15.0


def test_alerts_and_the_gateways_word_revert_and_a_prometheus_that_is_killed_holds_until_it_is_back(
    stage: Stage, together: Stories
) -> None:
    with install_monitoring(stage.access) as monitoring:
        monitoring.scrape("envoy", [gateway.ADMIN_URL.removeprefix("http://")], path="/stats/prometheus")
        monitoring.publish()
        reverted, sold = threading.Event(), threading.Event()

        def bad_version_seen_by_the_gateway_alone(site: Site) -> None:
            seen_by_the_gateway_alone(site, reverted)

        def prometheus_killed_in_mid_rollout(site: Site) -> None:
            killed_in_mid_rollout(site, (reverted, sold), monitoring)

        def alert_that_nobody_sends(site: Site) -> None:
            try:
                taken_off_by_an_alert_that_nobody_sends(site, monitoring)
            finally:
                sold.set()

        together(
            bad_version_seen_by_the_gateway_alone, prometheus_killed_in_mid_rollout,
            taken_off_by_an_alert, taken_off_by_a_service_account, alert_that_nobody_sends,
        )  # fmt: skip


def seen_by_the_gateway_alone(site: Site, reverted: threading.Event) -> None:
    """The pods are not asked: what Envoy counts for either Service decides."""
    try:
        evidence = {"pods": False, "prometheus": ["contour"]}
        site.serve(site.manifest({"2": {"error_rate": 1}}, rollout=ROAD, evidence=evidence))
        with site.trail() as trail, site.traffic(rate=40) as traffic:
            site.steady(traffic)
            bad = site.candidate()
            look = site.wait(lambda look: bad in look.rejected, what=f"version {bad} rejected")
            revision = look.rejected[bad]["revision"]
            site.steady(traffic)
            answers = list(traffic.answers())
            trail.check()
            stains = stained(answers, version=bad, revision=revision, left=trail.left(bad))
        assert stains == [], stains[:5]
        starts = starts_on(answers, revision)
        assert starts[-1] - starts[0] < LATE
        assert look.rejected[bad]["reason"] == "GuardBreached"
        assert look.rejected[bad]["message"].startswith("contour: 100% errors (")
    finally:
        reverted.set()


def killed_in_mid_rollout(site: Site, others: Sequence[threading.Event], monitoring: Monitoring) -> None:
    """Scenario 22: held, said, recovers. A number of one's own is asked besides the gateway and the pods."""
    query = {
        "name": "share",
        "promql": 'sum(envoy_cluster_upstream_rq_total{envoy_cluster_name="${namespace}_${revision}_80"})',
        "min": "0",
    }
    guards = {"errorRate": {"max": "1%"}, "minRequests": 50, "queries": [query]}
    site.serve(site.manifest(rollout=ROAD, guards=guards, evidence={"prometheus": ["contour"]}))
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        assert all(other.wait(90) for other in others)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        monitoring.prometheus.kill()
        site.wait(prometheus_refuses, what="said that Prometheus is gone")
        site.steady(traffic, 300)  # far beyond the hold
        assert site.look().weight == 25
        monitoring.prometheus.start()
        wait_for(lambda: monitoring.prometheus.query("up == 1"), seconds=20, what="scraped again")
        site.wait(lambda look: look.ready and look.version == second, what="promoted")
        trail.check()
        assert trail.weights(second) == [25, 100]
        answers = list(traffic.answers())
    assert [answer for answer in answers if not answer.good] == []


def prometheus_refuses(look: Look) -> bool:
    condition = look.condition("EvidenceAvailable")
    return condition.get("status") == "False" and "Connection refused" in condition["message"]
