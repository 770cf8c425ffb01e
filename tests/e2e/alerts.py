"""Alerts of a real Prometheus and a real Alertmanager, and of ServiceAccounts; receivers hear what came of one."""

import json
import urllib.error
import urllib.request
from dataclasses import replace
from operator import itemgetter

from tests.driver.monitoring import Monitoring, install_monitoring
from tests.driver.outside import receiver
from tests.driver.platform import NAMESPACE, alerts_url, wait_for
from tests.driver.shipped import shipped_receiver
from tests.driver.shop import Shop, open_shop, rule
from tests.driver.traffic import tally, unclean
from tests.e2e.conftest import RECEIVER
from tests.e2e.site import Site

LONG = {"weights": [25, 50, 100], "hold": "120s"}


def taken_off_by_an_alert(site: Site) -> None:
    """Scenario 12: a canary that no guard finds bad; the next one waits until the alert is over."""
    # Alertmanager tells the operator as the chart has it do; and once more with a token that nobody knows.
    ours = shipped_receiver(site.access)
    receivers = [ours, replace(ours, token="nobody-knows-this-token")]
    rules = [rule(site.namespace, site.name)]
    with install_monitoring(site.access, rules=rules, receivers=receivers) as made, open_shop(made) as shop:
        sold(site, shop, "conversion fell by half")


def taken_off_by_an_alert_that_nobody_sends(site: Site, monitoring: Monitoring) -> None:
    """The leader reads the series ALERTS of the operator's Prometheus, which has no Alertmanager."""
    monitoring.configure(rules=[rule(site.namespace, site.name)])
    with open_shop(monitoring, pushed=False) as shop:
        # The series have no annotations.
        sold(site, shop, "ConversionFell")


def sold(site: Site, shop: Shop, words: str) -> None:
    """What the shop sells falls with the second version, and is well again under the third one."""
    first = site.serve(site.manifest(rollout=LONG))
    with site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = site.candidate()
        site.wait(lambda look: look.weight == 25, what="the first step")
        shop.badly()
        look = site.wait(lambda look: second in look.rejected, what="the alert", seconds=60)
        assert look.weights[first] == 100
        assert look.rejected[second]["reason"] == "AlertFiring"
        assert words in look.rejected[second]["message"]
        third = site.candidate()
        site.wait(lambda look: look.condition("Ready").get("reason") == "HeldByAlert", what="held")
        assert site.look().weights.get(third, 0) == 0
        shop.well()
        site.wait(lambda look: look.weights.get(third) == 25, what="the hold is over", seconds=60)
        site.wait(lambda look: not look.status.get("alerts"), what="no longer shown")
        answers = list(traffic.answers())
    assert unclean(answers) == [], tally(answers)


def taken_off_by_a_service_account(site: Site) -> None:
    """By TokenReview and SubjectAccessReview; one without the right is refused and nothing happens. Receivers hear."""
    of_namespace = ("-n", site.namespace)
    for account in ("pager", "stranger"):
        site.access.kubectl("create", "serviceaccount", account, *of_namespace)
    may = ("--verb=create", "--resource=modeldeployments.tidegate.dev/revert")
    site.access.kubectl("create", "role", "revert-models", *may, *of_namespace)
    whom = f"--serviceaccount={site.namespace}:pager"
    site.access.kubectl("create", "rolebinding", "pager", "--role=revert-models", whom, *of_namespace)
    with receiver(site.access, NAMESPACE, RECEIVER) as heard, site.trail() as trail:
        site.serve(site.manifest(rollout=LONG))
        with site.traffic(rate=40) as traffic:
            site.steady(traffic)
            canary = site.candidate()
            site.wait(lambda look: look.weight == 25, what="the first step")
            assert told(site, "nobody-knows-this-token") == 401
            assert told(site, site.access.kubectl("create", "token", "stranger", *of_namespace).strip()) == 403
            site.steady(traffic)
            assert trail.weights(canary) == [25]
            assert told(site, site.access.kubectl("create", "token", "pager", *of_namespace).strip()) == 200
            look = site.wait(lambda look: canary in look.rejected, what="reverted")
            answers = list(traffic.answers())

        def types() -> list[str]:
            """Of what was told of this canary, by when it happened: each replica has a queue of its own."""
            ours = [event for event in heard.all() if event["data"]["namespace"] == site.namespace]
            once = {event["id"]: event for event in ours if event["data"]["version"] == canary}
            return [event["type"].rpartition(".")[2] for event in sorted(once.values(), key=itemgetter("time"))]

        wait_for(lambda: len(types()) >= 3, seconds=60, what="told", tell=lambda: str(heard.all())[-3000:])
        assert types() == ["started", "step", "reverted"]
    assert look.rejected[canary]["reason"] == "AlertFiring"
    assert unclean(answers) == [], tally(answers)


def told(site: Site, token: str) -> int:
    """Tell the operator of a firing alert in its plain form, with this token; the status of its answer."""
    labels = {"namespace": site.namespace, "modeldeployment": site.name}
    body = json.dumps({"name": "Conversion", "status": "firing", "labels": labels}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(alerts_url(site.access), data=body, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with site.access.inside():
        try:
            with opener.open(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
