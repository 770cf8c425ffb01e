"""How teams use a registry: people approve, pipelines tag, MLflow tells of aliases, and its tags remember."""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.errors import StartError
from tests.driver.outside import receiver
from tests.driver.platform import NAMESPACE, RELEASE, wait_for
from tests.driver.registry import URL
from tests.driver.shaky import Trouble, shaky
from tests.driver.traffic import tally, unclean
from tests.e2e.auditor import Auditor, counted
from tests.e2e.conftest import TRAINER, WEBHOOK_SECRET, Stage
from tests.e2e.people import GROUP, bind, create, identity
from tests.e2e.site import Look, Site
from tests.e2e.together import Stories, at_once
from tests.plugin import bundle

#: What the object says of each trouble.
TROUBLES = {
    Trouble.AWAY: "RegistryUnreachable",
    Trouble.HTML: "RegistryNotMLflow",
    Trouble.HALF: "RegistryUnreachable",
    Trouble.SLOW: "RegistryUnreachable",
}
#: Requests that a poll of one model costs (the model, at times its version, how the server is), twice.
TWO_POLLS = 6


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`kubectl tidegate`, as people install it."""
    made = tmp_path_factory.mktemp("plugin") / "kubectl-tidegate"
    made.write_bytes(bundle())
    return made


def test_people_pipelines_and_mlflow_decide_and_the_registry_remembers(
    stage: Stage, together: Stories, plugin: Path
) -> None:
    def approved_and_revoked(site: Site) -> None:
        _approved_and_revoked(site, plugin)

    def promoted_with_anothers_word(site: Site) -> None:
        _promoted_with_anothers_word(site, stage.auditor)

    def trained_anew(site: Site) -> None:
        _trained_anew(site, stage.auditor)

    def promoted_by_two_at_once(site: Site) -> None:
        _promoted_by_two_at_once(site, stage.auditor)

    together(
        approved_and_revoked, promoted_with_anothers_word, promoted_by_two_at_once, kept_out_by_gates, told_by_mlflow,
        remembered_by_tags, unhurt_by_a_registry_in_trouble, trained_anew,
    )  # fmt: skip


def _approved_and_revoked(site: Site, plugin: Path) -> None:
    """Alice approves a step by the plugin, nobody else can in her name, and Bob takes it back: reverted."""
    for who in ("alice", "bob"):
        bind(site, "approver", who)
    steps = [
        {"weight": 25, "hold": "1s"},
        {"weight": 50, "hold": "1s", "approval": True},
        {"weight": 100, "hold": "1s", "approval": True},
    ]
    # A first version skips the steps, so it needs the last step's word.
    site.mlflow.alias(site.model, "champion", site.mlflow.version(site.model))
    site.apply(site.manifest(rollout={"steps": steps, "onRevoke": "Revert"}))
    site.wait(waits_for_approval, what="the first version waits for approval")
    person(site, plugin, "alice", "approve")
    site.wait(lambda look: look.ready and look.version == "1", what="version 1 serves")
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        canary = site.candidate()
        site.wait(lambda look: look.weight == 25 and waits_for_approval(look), what="a step waits for approval")
        step = {"modelDeployment": site.name, "version": canary, "attempt": 1, "weight": 50}
        forged = {"approver": "alice", "decision": "Grant", "step": step}
        with pytest.raises(StartError, match=r"spec\.approver must be your own user name"):
            create(site, "ModelApproval", forged, user="bob")
        person(site, plugin, "alice", "approve", "--comment", "looked at it")
        site.wait(lambda look: look.weight == 50, what="the step is taken")
        site.steady(traffic)
        person(site, plugin, "bob", "refuse", "--weight", "50")
        look = site.wait(lambda look: canary in look.rejected and look.version == "1", what="reverted")
        site.steady(traffic)
        answers = list(traffic.answers())
        trail.check()
        assert trail.weights(canary) == [25, 50, 0]
    assert look.rejected[canary]["reason"] == "ApprovalRefused"
    assert unclean(answers) == [], tally(answers)
    told = person(site, plugin, "alice", "history", "--acts").splitlines()
    assert [line.split()[2] for line in told[1:4]] == ["reverted", "step", "approved"], told
    assert ("bob refused 50%" in told[1], "user:alice" in told[3]) == (True, True), told


def _promoted_with_anothers_word(site: Site, auditor: Auditor) -> None:
    """Ann asks for Production; her own word does not count, Alice's does; it serves, and the old one is archived."""
    bind(site, "requester", "ann")
    for who in ("ann", "alice"):
        bind(site, "approver", who)
    first = site.mlflow.version(site.model)
    site.mlflow.stage(site.model, first, "Production")
    site.apply(site.manifest(model={"name": site.model, "stage": "Production"}))
    site.wait(lambda look: look.ready and look.version == first, what="what is in Production serves")
    second = site.mlflow.version(site.model)
    site.mlflow.stage(site.model, second, "Staging")
    wish = {"model": site.model, "version": second, "from": "Staging", "to": "Production"}
    made = create(site, "ModelPromotion", {"requestedBy": "ann", **wish}, user="ann")
    about = {"promotion": {"name": made["metadata"]["name"], "uid": made["metadata"]["uid"]}}
    with pytest.raises(StartError, match="yourself"):
        create(site, "ModelApproval", {"approver": "ann", "decision": "Grant", **about}, user="ann")
    assert stages(site) == {first: "Production", second: "Staging"}
    create(site, "ModelApproval", {"approver": "alice", "decision": "Grant", **about}, user="alice")
    with site.traffic(rate=40):
        site.wait(lambda look: look.ready and look.version == second, what="the promoted version serves")
    assert stages(site) == {first: "Archived", second: "Production"}
    path = f"/apis/{GROUP}/namespaces/{site.namespace}/modelpromotions/{made['metadata']['name']}"
    wait_for(lambda: site.objects.get(path)["status"]["phase"] == "Done", seconds=30, what="the promotion is done")
    people = [("requested", "user:ann"), ("approved", "user:alice")]
    audited(site, auditor, made, [*people, ("started", "tidegate"), ("written-back", "tidegate")])


def _promoted_by_two_at_once(site: Site, auditor: Auditor) -> None:
    """Two objects move a version each to Production, in one moment: one stays there, and both come to serve it."""
    both = {"challenger": site, "rival": site.beside("rival")}
    first = site.mlflow.version(site.model)
    site.mlflow.stage(site.model, first, "Production")
    with shaky(site.access, site.namespace, "shared", site.mlflow.url) as tell:
        url = f"http://shared.{site.namespace}.svc.cluster.local"
        create(site, "ModelRegistry", {"url": url, "pollInterval": "1s"}, name="shared")
        model = {"name": site.model, "stage": "Production", "registry": {"name": "shared"}}
        for alias, each in both.items():
            rollout = {"weights": [50, 100], "hold": "1h"}
            each.apply(each.manifest(model=model | {"candidate": {"alias": alias}}, rollout=rollout))
        for each in both.values():
            each.wait(lambda look: look.ready and look.version == first, what="what is in Production serves")
        tried = {site.candidate(alias): each for alias, each in both.items()}
        for version, each in tried.items():
            each.wait(lambda look: look.weight == 50, what=f"half for version {version}")
        tell(Trouble.AT_ONCE)
        at_once(**{each.name: partial(each.annotate, "promote", f"{number}/1") for number, each in tried.items()})
        ends = wait_for(partial(_written_back, site, auditor), seconds=60, what="both have moved it, or not")
        assert sorted(ends.values()) == ["done", "superseded"], ends
        winner, other = sorted(ends, key=ends.__getitem__)
        assert stages(site) == {first: "Archived", winner: "Production", other: "Archived"}
        late = tried[other]
        late.wait(lambda look: look.weight == 50 and look.status["canary"] == winner, what="it follows Production")
        late.annotate("promote", f"{winner}/1")
        for version, each in tried.items():
            look = each.wait(lambda look: look.ready and look.version == winner, what="the one in Production serves")
            served = [(entry["version"], entry["reason"]) for entry in look.status["history"]]
            assert served == [(number, "Promoted") for number in dict.fromkeys((first, version, winner))]
            assert (look.weights[winner], look.rejected) == (100, {})
        # What lost keeps its alias, which is people's, and is not tried again.
        assert list(site.aliases().values()) == [other]


def _written_back(site: Site, auditor: Auditor) -> dict[str, str] | None:
    """What came of the moves of two objects, by version."""
    acts = counted(auditor.acts(site.namespace))
    ends = {act["version"]: act["outcome"] for act in acts if act["act"] == "written-back"}
    return ends if len(ends) == len(("challenger", "rival")) else None


def kept_out_by_gates(site: Site) -> None:
    """A version waits, without a pod, until a pipeline tags it; one whose metric is too low is rejected unseen."""
    gates = {"tags": {"validation_status": "approved"}, "metrics": [{"name": "f1", "min": "0.85"}]}
    first = evaluated(site, f1=0.9)
    approve(site, first)
    site.serve(site.manifest(gates=gates, rollout={"weights": [50, 100], "hold": "1s"}), version=first)
    with site.trail() as trail, site.traffic(rate=40) as traffic:
        site.steady(traffic)
        second = evaluated(site, f1=0.95)
        site.point(second)
        look = site.wait(lambda look: second in json.dumps(look.status.get("gates", {})), what="the gates have spoken")
        assert "validation_status" in json.dumps(look.status["gates"])
        assert len(site.listed("deployments")) == 1
        approve(site, second)
        site.wait(lambda look: look.ready and look.version == second, what="the approved version serves")
        third = evaluated(site, f1=0.5)
        approve(site, third)
        site.point(third)
        look = site.wait(lambda look: third in look.rejected, what="the worse one is rejected")
        site.steady(traffic)
        answers = list(traffic.answers())
        trail.check()
        assert (trail.weights(second), trail.weights(third)) == ([50, 100], [])
    assert (look.version, look.rejected[third]["reason"]) == (second, "GateFailed")
    assert unclean(answers) == [], tally(answers)


def told_by_mlflow(site: Site) -> None:
    """A registry that is asked once an hour: only MLflow's own webhook can have told of the alias."""
    create(site, "ModelRegistry", {"url": URL, "pollInterval": "1h"}, name="slow")
    port = site.access.get("service", RELEASE, NAMESPACE)["spec"]["ports"][0]["port"]
    url = f"http://{RELEASE}.{NAMESPACE}.svc.cluster.local:{port}/webhooks/mlflow"
    events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
    site.mlflow.call("webhooks", name=site.model, url=url, events=events, secret=WEBHOOK_SECRET)
    model = {"name": site.model, "alias": "champion", "registry": {"name": "slow"}}
    site.serve(site.manifest(model=model, rollout={"weights": [100], "hold": "1s"}))
    second = site.candidate()
    site.wait(lambda look: (look.status.get("rollout") or {}).get("version") == second, what="it was told of")


def remembered_by_tags(site: Site) -> None:
    """Scenario 19: object and record are lost; what the tags call stable is served, what they call rejected is not."""
    manifest = site.manifest({"2": {"error_rate": 1}}, rollout={"weights": [25, 100], "hold": "1s"})
    first = site.serve(manifest)
    with site.traffic(rate=60) as traffic:
        site.steady(traffic)
        bad = site.candidate()
        site.wait(lambda look: bad in look.rejected and look.stalled is not None, what="rejected")
    wait_for(lambda: site.tags(bad).get("state") == "rejected", seconds=60, what="the registry knows")
    wait_for(lambda: site.tags(first).get("state") == "stable", seconds=60, what="the registry knows")
    site.access.kubectl("delete", "mdep", site.name, "-n", site.namespace, "--timeout=60s")
    kinds = ("httproutes", "deployments", "pods")
    wait_for(lambda: not any(site.listed(kind) for kind in kinds), seconds=60, what="nothing is left")
    with site.trail() as trail:
        site.apply(manifest)
        look = site.wait(lambda look: look.version == first and bad in look.rejected, what="it remembers")
        assert trail.weights(bad) == []
    assert look.weights == {first: 100}


def unhurt_by_a_registry_in_trouble(site: Site) -> None:
    """Whatever the registry answers, what serves serves; when it is back, even by half, what it asks for comes."""
    with shaky(site.access, site.namespace, "shaky", site.mlflow.url) as tell:
        url = f"http://shaky.{site.namespace}.svc.cluster.local"
        create(site, "ModelRegistry", {"url": url, "pollInterval": "1s"}, name="shaky")
        model = {"name": site.model, "alias": "champion", "registry": {"name": "shaky"}}
        first = site.serve(site.manifest(model=model, rollout={"weights": [50, 100], "hold": "1s"}))
        with site.trail() as trail, site.traffic(rate=30) as traffic:
            site.steady(traffic)
            for trouble, reason in TROUBLES.items():
                tell(trouble)
                site.wait(partial(resolves, reason), what=f"{reason} is said of {trouble}")
                tell(Trouble.NONE)
                answered = tell.answered
                site.wait(partial(resolves, "Resolved"), what=f"it is over with {trouble}")
                assert tell.answered - answered <= TWO_POLLS, trouble
            tell(Trouble.AWAY)
            second = site.candidate()
            site.wait(partial(resolves, TROUBLES[Trouble.AWAY]), what="away again")
            site.steady(traffic)
            assert trail.weights(second) == []
            assert site.look().weights == {first: 100}
            tell(Trouble.FLAPPING)
            site.wait(lambda look: look.ready and look.version == second, what="promoted in spite of flapping")
            answers = list(traffic.answers())
            trail.check()
    assert unclean(answers) == [], tally(answers)


def _trained_anew(site: Site, auditor: Auditor) -> None:
    """Ann asks for training, in nobody else's name, and after three rejections the operator does. Who trains hears."""
    bind(site, "requester", "ann")
    site.serve(
        site.manifest({number: {"error_rate": 1} for number in "234"}, rollout={"weights": [50, 100], "hold": "1s"})
    )
    wish = {"model": f"{site.model}-other", "version": "7", "comment": "worse each day"}
    with pytest.raises(StartError, match=r"spec\.requestedBy must be your own user name"):
        create(site, "RetrainingRequest", {"requestedBy": "bob", **wish}, user="ann")
    with receiver(site.access, NAMESPACE, TRAINER) as heard, site.traffic(rate=60) as traffic:
        asked = create(site, "RetrainingRequest", {"requestedBy": "ann", **wish}, user="ann")
        for _ in range(3):
            site.steady(traffic)
            bad = site.candidate()
            site.wait(lambda look, bad=bad: bad in look.rejected, what=f"version {bad} is rejected")
        path = f"/apis/{GROUP}/namespaces/{site.namespace}/retrainingrequests"

        def handed() -> list[dict[str, Any]]:
            made: list[dict[str, Any]] = site.objects.get(path)["items"]
            return made if [one.get("status", {}).get("phase") for one in made] == ["Delivered"] * 2 else []

        both = wait_for(lambda: handed() or None, seconds=90, what="both were handed over", tell=lambda: str(handed()))
        told = {event["id"]: event["data"] for event in heard.all() if event["data"]["namespace"] == site.namespace}
    assert told.keys() == {one["metadata"]["uid"] for one in both}
    hers = told.pop(asked["metadata"]["uid"])
    assert (hers["requestedBy"], hers["cause"], hers["version"]) == ("ann", "Requested", "7")
    (ours,) = told.values()
    for one in both:
        audited(site, auditor, one, [("requested", f"user:{one['spec']['requestedBy']}"), ("handed-over", "tidegate")])
    assert (ours["cause"], ours["model"], ours["version"]) == ("RepeatedRejection", site.model, bad)
    assert ours["modelDeployment"] == site.name


def audited(site: Site, auditor: Auditor, body: dict[str, Any], acts: list[tuple[str, str]]) -> None:
    """Wait until an auditor has been posted these acts on an object, with who did them."""

    def told() -> list[tuple[str, str]]:
        return [(act["act"], act["actor"]) for act in auditor.of(site.namespace, body["metadata"]["uid"])]

    wait_for(lambda: told() == acts, seconds=30, what=f"{acts} are posted", tell=lambda: str(told()))


def resolves(reason: str, look: Look) -> bool:
    """Whether the object says this of its registry."""
    return look.condition("ModelResolved").get("reason") == reason


def waits_for_approval(look: Look) -> bool:
    """Whether the object says so."""
    return look.condition("Ready").get("reason") == "WaitingForApproval"


def person(site: Site, plugin: Path, user: str, verb: str, *options: str) -> str:
    """One verb of `kubectl tidegate`, said by somebody; what it printed."""
    path = os.pathsep.join([str(Path(site.access.kubectl_program).parent), os.environ["PATH"]])
    command = [sys.executable, str(plugin), verb, site.name, "-n", site.namespace, *identity(user), *options]
    return site.access.call("env", f"PATH={path}", *command)


def stages(site: Site) -> dict[str, str]:
    """The stage of each version of the site's model."""
    found = site.mlflow.call(f"model-versions/search?filter=name='{site.model}'".replace("'", "%27"), method="GET")
    return {version["version"]: version["current_stage"] for version in found["model_versions"]}


def evaluated(site: Site, **metrics: float) -> str:
    """One more version, with a run that has these metrics."""
    run = site.mlflow.call("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    for key, value in metrics.items():
        site.mlflow.call("runs/log-metric", run_id=run, key=key, value=value, timestamp=1)
    made = site.mlflow.call("model-versions/create", name=site.model, source="s3://unused/model", run_id=run)
    return str(made["model_version"]["version"])


def approve(site: Site, version: str) -> None:
    """Tag a version as a pipeline does when it is done with it."""
    told = {"name": site.model, "version": version, "key": "validation_status", "value": "approved"}
    site.mlflow.call("model-versions/set-tag", **told)
