"""The operator is killed (SIGKILL) at six moments of a rollout and a revert: same end, and no client notices.

An auditor misses nothing of it either.
"""

import time
from collections.abc import Callable
from operator import itemgetter

from tests.driver.platform import NAMESPACE, OPERATORS, leader, wait_for
from tests.driver.traffic import tally, unclean
from tests.e2e.auditor import counted, lines, once
from tests.e2e.conftest import Stage
from tests.e2e.people import bind, create
from tests.e2e.pods import living, ready, removed, said, signalled
from tests.e2e.site import Look, Site

HOLD = 10.0
STEPS = [{"weight": 25, "hold": f"{HOLD:g}s"}, {"weight": 50, "hold": "1s"}, {"weight": 100, "hold": "2s"}]
POINTERS = {"alias": "champion", "candidate": {"alias": "challenger", "onReject": {"removeAlias": True}}}
#: Version 2 is approved and promoted, version 3 is not: what was done, to which version, by whom, from where to where.
TOLD = [
    ("started", "1", "registry", "", "1"),
    ("promoted", "1", "tidegate", "", "1"),
    ("started", "2", "registry", "1", "2"),
    ("step", "2", "tidegate", "0%", "25%"),
    ("approved", "2", "user:alice", "", "50%"),
    ("step", "2", "tidegate", "25%", "50%"),
    ("step", "2", "tidegate", "50%", "100%"),
    ("promoted", "2", "tidegate", "1", "2"),
    ("written-back", "2", "tidegate", "1", "alias champion"),
    ("started", "3", "registry", "2", "3"),
    ("step", "3", "tidegate", "0%", "25%"),
    ("reverted", "3", "tidegate", "25%", "0%"),
    ("written-back", "3", "tidegate", "3", "alias challenger"),
]


def test_an_operator_killed_at_six_moments_reaches_the_same_end_without_a_failed_request_or_an_act_untold(
    site: Site, stage: Stage
) -> None:
    bind(site, "approver", "alice")
    model = {"name": site.model, **POINTERS}
    site.serve(site.manifest({"3": {"error_rate": 1}}, model=model, rollout={"steps": STEPS}))
    # Only now: a first version, which skips the steps, would need the word, too.
    site.patch({"rollout": {"steps": [STEPS[0], {**STEPS[1], "approval": True}, STEPS[2]]}})
    words: list[str] = []
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        good = site.candidate("challenger")
        site.wait(lambda _: len(site.listed("deployments")) == 2, what="the new version's objects")
        words.append(kill(site))
        moment(lambda: trail.weights(good) == [25])
        words.append(kill(site))
        site.steady(traffic, 60)
        approve(site, good, 50)
        words.append(kill(site))
        back = time.time()
        moment(lambda: trail.weights(good)[-1] == 50)
        # A hold that began anew with each operator would end a whole hold after the last one came.
        assert trail.reached(good, 50) < back + HOLD - 1
        assert trail.reached(good, 50) - trail.reached(good, 25) >= HOLD
        moment(lambda: trail.weights(good)[-1] == 100)
        words.append(kill(site))
        site.wait(lambda look: look.ready and look.version == good, what="promoted")
        bad = site.candidate("challenger")
        moment(lambda: trail.weights(bad) == [25])
        words.append(kill(site))
        moment(lambda: trail.weights(bad) == [25, 0])
        words.append(kill(site))
        look = site.wait(lambda look: bad in look.rejected and look.ready, what="rejected")
        site.wait(lambda _: len(site.listed("deployments")) == 1, what="one Deployment is left")
        site.steady(traffic, 60)
        answers = list(traffic.answers())
        trail.check()
        assert trail.weights(good)[:3] == [25, 50, 100]
        assert trail.weights(bad) == [25, 0]
    assert look.version == good
    assert [(e["version"], e["attempt"], e["reason"]) for e in look.status["history"]] == [
        ("1", 1, "Promoted"), (good, 1, "Promoted"), (bad, 1, "GuardBreached"),
    ]  # fmt: skip
    assert unclean(answers, bad=[look.rejected[bad]["revision"]]) == [], tally(answers)
    wait_for(lambda: site.tags(bad).get("state") == "rejected", seconds=60, what="the registry knows")
    audited(site, stage, words)
    assert site.aliases() == {"champion": good}


def audited(site: Site, stage: Stage, words: list[str]) -> None:
    """Webhook and log have each act once, in their order, for whoever drops repetitions by id.

    `words` are those of the replicas that were killed.
    """

    def noted(look: Look) -> bool:
        return (look.status.get("audited"), look.status.get("posted")) == (len(TOLD), len(TOLD))

    uid = site.wait(noted, what="noted that all was told").body["metadata"]["uid"]
    posted = stage.auditor.of(site.namespace, uid)
    assert [(act["act"], act["version"], act["actor"], act["from"], act["to"]) for act in posted] == TOLD
    assert [act["sequence"] for act in posted] == list(range(1, len(TOLD) + 1))
    assert (posted[-2]["reason"], {act["outcome"] for act in posted}) == ("GuardBreached", {"done"})
    assert [act["time"] for act in posted] == sorted(act["time"] for act in posted)
    words += [
        said(site.objects, NAMESPACE, pod["metadata"]["name"]) for pod in living(site.objects, NAMESPACE, OPERATORS)
    ]
    everything = [[act for act in lines(each) if act["object"]["uid"] == uid] for each in words]
    streams = [once(counted(acts)) for acts in everything]
    for stream in streams:
        numbers = [act["sequence"] for act in stream]
        assert numbers == sorted(numbers), stream
    assert sorted(once(act for stream in streams for act in stream), key=itemgetter("sequence")) == posted
    assert sum(bool(stream) for stream in streams) > 2, (
        "one replica told nearly everything: none was killed in mid-story"
    )
    # Who is killed between tags and the second line leaves the first one.
    tags = {(act["version"], act["to"]) for acts in everything for act in acts if act["outcome"] == "begun"}
    assert tags >= {("1", "stable"), ("2", "stable"), ("1", "retired"), ("3", "rejected")}, tags


def test_a_canary_leaves_while_the_leader_hangs_and_a_leader_told_to_end_is_not_missed(site: Site) -> None:
    """Scenario 25: one of two replicas hangs (SIGSTOP) in mid-step; then it wakes up, and nothing of it is seen."""
    site.serve(site.manifest(rollout={"weights": [25, 100], "hold": "1h"}))
    wait_for(lambda: _two_replicas(site), seconds=120, what="two replicas")
    with site.trail() as trail, site.traffic(rate=60) as traffic:
        site.steady(traffic)
        canary = site.candidate()
        moment(lambda: trail.weights(canary) == [25])
        site.steady(traffic, 30)
        hung = leader(site.access)
        signalled(site.objects, NAMESPACE, hung, "SIGSTOP")
        site.annotate("abort", f"{canary}/1")
        aborted = time.time()
        moment(lambda: trail.weights(canary) == [25, 0])
        assert trail.left(canary) < aborted + 5
        wait_for(lambda: leader(site.access) not in {"", hung}, seconds=30, what="the standby leads")
        signalled(site.objects, NAMESPACE, hung, "SIGCONT")
        look = site.wait(lambda look: canary in look.rejected and look.stalled is not None, what="rejected")
        wait_for(lambda: _two_replicas(site), seconds=60, what="both are ready")
        told = leader(site.access)
        site.access.kubectl("delete", "pod", told, "-n", NAMESPACE, "--wait=false")
        begun = time.time()
        wait_for(lambda: leader(site.access) not in {"", told}, seconds=30, what="handed over", every=0.05)
        assert time.time() - begun < 5
        site.steady(traffic, 30)
        answers = list(traffic.answers())
        trail.check()
        assert trail.weights(canary) == [25, 0]
    assert look.version == "1"
    assert unclean(answers) == [], tally(answers)


def moment(holds: Callable[[], bool]) -> None:
    """Wait for something, looking often: what is to be hit is short."""
    wait_for(holds, seconds=90, what="the moment to kill at", every=0.01)


def kill(site: Site) -> str:
    """SIGKILL to the leader's process; until another leads. What it had said to its last moment."""
    name = leader(site.access)
    signalled(site.objects, NAMESPACE, name, "SIGKILL")
    words = said(site.objects, NAMESPACE, name)
    removed(site.objects, NAMESPACE, name)
    wait_for(lambda: leader(site.access) not in {"", name}, seconds=90, what="another leader")
    return words


def approve(site: Site, version: str, weight: int) -> None:
    """Alice's word on a step of the first attempt."""
    step = {"modelDeployment": site.name, "version": version, "attempt": 1, "weight": weight}
    create(site, "ModelApproval", {"approver": "alice", "decision": "Grant", "step": step}, user="alice")


def _two_replicas(site: Site) -> bool:
    return [ready(pod) for pod in living(site.objects, NAMESPACE, OPERATORS)] == [True, True]
