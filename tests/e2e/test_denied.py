"""The route can't be written and the canary is bad: traffic leaves by the second plane, and the route follows."""

import time

from tests.driver.denial import WORDS, denied, kubectl_of
from tests.driver.traffic import tally, unclean
from tests.e2e.clean import SLACK, starts_on
from tests.e2e.site import Site
from tests.e2e.together import Stories

#: Seconds from the cause to the last request on the canary. The budget is a benchmark's; this is a busy machine's.
LATE = 6.0


def test_a_denied_route_keeps_no_bad_version_in_traffic(together: Stories) -> None:
    together(denied_while_the_canary_turns_bad, denied_while_a_person_aborts)


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
