"""Alerts of a real Prometheus and a real Alertmanager."""

from collections.abc import Iterator

import pytest

from tests.driver.monitoring import Receiver, install_monitoring
from tests.driver.platform import ALERT_TOKEN, alerts_url
from tests.driver.shop import Shop, open_shop, rule
from tests.driver.traffic import tally, unclean
from tests.e2e.conftest import Stage
from tests.e2e.site import Site

LONG = {"weights": [25, 50, 100], "hold": "120s"}


@pytest.fixture
def shop(stage: Stage, site: Site) -> Iterator[Shop]:
    """Watched by a Prometheus, whose Alertmanager tells the operator; also with a token that nobody knows."""
    url = f"{alerts_url(stage.access)}/alertmanager"
    receivers = [Receiver(url=url, token=ALERT_TOKEN), Receiver(url=url, token="nobody-knows-this-token")]
    rules = [rule(site.namespace, site.name)]
    with install_monitoring(stage.access, rules=rules, receivers=receivers) as made, open_shop(made) as opened:
        yield opened


def test_an_alert_takes_a_canary_off_that_no_guard_finds_bad_and_holds_the_next_one_until_it_is_over(
    site: Site, shop: Shop
) -> None:
    """Scenario 12."""
    first = site.serve(site.manifest(rollout=LONG))
    with site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        shop.badly()
        look = site.wait(lambda look: second in look.rejected, what="the alert", seconds=60)
        assert look.weights[first] == 100
        assert look.rejected[second]["reason"] == "AlertFiring"
        assert "conversion fell by half" in look.rejected[second]["message"]
        third = site.candidate()
        site.wait(lambda look: look.condition("Ready").get("reason") == "HeldByAlert", what="held")
        assert site.look().weights.get(third, 0) == 0
        shop.well()
        site.wait(lambda look: look.weights.get(third) == 25, what="the hold is over", seconds=60)
        site.wait(lambda look: not look.status.get("alerts"), what="no longer shown")
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)
