"""The road of a good version: from nothing to serving, and from one version to the next."""

from collections import Counter

from tests.driver.traffic import tally, unclean
from tests.e2e.site import Site


def test_a_first_version_serves_all_requests_once_it_is_ready_and_is_pinned_by_its_number(site: Site) -> None:
    number = site.serve()
    look = site.look()
    assert look.weights == {number: 100}
    assert look.status["observedGeneration"] == look.body["metadata"]["generation"]
    assert "judge" not in look.status  # nothing to compare with: nothing was analysed
    environment = {e["name"]: e.get("value") for e in site.pods()[0]["spec"]["containers"][0]["env"]}
    assert environment["TIDEGATE_MODEL_VERSION"] == number


def test_a_good_version_takes_5_25_50_100_per_cent_and_no_pod_is_restarted(site: Site) -> None:
    first = site.serve()
    with site.traffic(rate=100) as traffic:
        site.steady(traffic)
        second = site.candidate()
        seen: list[int] = []

        def promoted(look: object) -> bool:
            weight = getattr(look, "weight", None)
            if weight and (not seen or seen[-1] != weight):
                seen.append(weight)
                uids.setdefault(weight, {pod["metadata"]["uid"] for pod in site.pods()})
            return look.ready and look.version == second  # type: ignore[attr-defined]

        uids: dict[int, set[str]] = {}
        look = site.wait(promoted, what=f"version {second} is promoted", seconds=120)
        site.steady(traffic, 100)
        answers = traffic.answers()
    assert seen == [5, 25, 50, 100]
    assert unclean(answers) == [], tally(answers)
    assert look.weights[second] == 100
    last = {pod["metadata"]["uid"] for pod in site.pods(look.status["stable"]["revision"])}
    assert last <= uids[100], "a pod of the promoted revision was restarted"
    assert Counter(a.version for a in answers[-50:]) == {second: 50}
    assert look.status["history"][-1]["version"] == second
    assert first in {entry["version"] for entry in look.status["history"]}
