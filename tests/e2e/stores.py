"""A namespace's own ModelRegistry: an MLflow with accounts, on PostgreSQL and an object store, that is asked first."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.driver.platform import NAMESPACE as OPERATOR
from tests.driver.platform import RELEASE, add_secret, install_mlflow, wait_for
from tests.driver.registry import PORT, SERVICE, Profile
from tests.driver.traffic import Traffic, tally, unclean
from tests.e2e.auditor import Auditor
from tests.e2e.conftest import Stage
from tests.e2e.site import SITES, Look, Site

#: A busy machine starves a pod that asks for little, and its readiness then lies: what is slow stays in its Service.
SHARE = {"requests": {"cpu": "250m", "memory": "256Mi"}}
NAMESPACE = f"{SITES}mlflow"  # while it is deleted, other tests know that it is none of theirs
ACCOUNT, PASSWORD = "tidegate", "the-operators-password"
TWIN = "twin"
#: Seconds for which a version is told of before it goes, where registries are looked at once a minute.
NOTICE = 50.0
#: As long ago as nobody waits for: a hundred days before they were archived, in the database itself.
AGED = """
update model_versions set creation_time = creation_time - 8640000000, last_updated_time = last_updated_time - 8640000000
where current_stage = 'Archived'
"""


def challenger_becomes_champion(stage: Stage, folder: Path) -> None:
    """With the operator's own requests to the challenger, and two objects that promote it at the same time."""
    mlflow = install_mlflow(stage.access, kept=Profile.POSTGRES, namespace=NAMESPACE, accounts=True)
    site = Site(stage.access, mlflow, f"{SITES}stores")
    try:
        mlflow.account(ACCOUNT, PASSWORD)
        bodies = site.register("tests.e2e.models", folder)
        declared(site)
        site.serve(manifest(site), version="1")
        site.apply(twin(site))
        wait_for(lambda: served(site, "1"), seconds=60, what="the twin serves version 1")
        since = retained(site)
        beside = Traffic(site.access, twin_host(site), rate=40)
        with site.trail() as trail, site.traffic(rate=15, bodies=bodies, timeout=60) as traffic, beside:
            site.steady(traffic)
            mlflow.alias(site.model, "challenger", "2")
            site.wait(may_not_move_pointers, what="told that its account may not move the champion", seconds=120)
            assert site.aliases() == {"champion": "1", "challenger": "2"}
            mlflow.grant(ACCOUNT, site.model, "MANAGE")
            look = site.wait(lambda look: look.ready and look.version == "2", what="version 2 is promoted", seconds=120)
            site.wait(lambda _: site.aliases() == {"champion": "2"}, what="the champion is version 2, in PostgreSQL")
            wait_for(lambda: served(site, "2"), seconds=60, what="the twin has promoted the same version")
            gone_for_good(site, stage.auditor, since)
            assert trail.weights("2") == [50, 100]
            site.steady(traffic)
            answers = list(traffic.answers())
    finally:
        site.remove()
        stage.access.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    # Requests of the operator's own, with the input example that MLflow saved in the object store.
    findings = {finding["gate"]: finding["outcome"] for finding in look.status["gates"]["findings"]}
    assert findings == dict.fromkeys(("request", "smoke", "smoke.malformed", "throughput"), "Passed"), look.status
    assert unclean(answers) == [], tally(answers)
    assert Counter(a.version for a in answers[-20:]) == {"2": 20}


def declared(site: Site) -> None:
    """The ModelRegistry of the site's namespace: refused with a wrong password, and ready with the right one."""
    role = ("--verb=get", "--resource=secrets", "--resource-name=login", "-n", site.namespace)
    site.access.kubectl("create", "role", "login", *role)
    whom = ("--role=login", f"--serviceaccount={OPERATOR}:{RELEASE}", "-n", site.namespace)
    site.access.kubectl("create", "rolebinding", "login", *whom)
    add_secret(site.access, site.namespace, "login", username=ACCOUNT, password="not-this-one")
    spec = {
        "url": f"http://{SERVICE}.{NAMESPACE}.svc.cluster.local:{PORT}",
        "secretRef": {"name": "login"},
        "pollInterval": "1s",
    }
    meta = {"name": "large", "namespace": site.namespace}
    site.access.apply(
        [{"apiVersion": "tidegate.dev/v1alpha1", "kind": "ModelRegistry", "metadata": meta, "spec": spec}]
    )
    wait_for(lambda: ready(site)["reason"] == "RegistryUnauthorized", seconds=60, what="the wrong password is told")
    add_secret(site.access, site.namespace, "login", username=ACCOUNT, password=PASSWORD)
    wait_for(lambda: ready(site)["status"] == "True", seconds=60, what="the right password is taken up")


def retained(site: Site) -> float:
    """Of two versions that were archived long ago the newest is kept, and it is told that the other would go; when."""
    for number in ("3", "5"):
        site.mlflow.stage(site.model, number, "Archived", archive=False)
    program = (
        "import os, psycopg2; to = psycopg2.connect(os.environ['BACKEND'].replace('+psycopg2', ''));"
        f"to.cursor().execute({AGED!r}); to.commit()"
    )
    site.access.kubectl("exec", "-n", NAMESPACE, f"deployment/{SERVICE}", "--", "python", "-c", program)
    patch = json.dumps({"spec": {"retention": {"days": 90}}})
    site.access.kubectl("patch", "mreg", "large", "-n", site.namespace, "--type=merge", "-p", patch)
    found = wait_for(lambda: registry(site)["status"].get("retention"), seconds=60, what="told what would go")
    assert (found["dryRun"], found["due"]) == (True, 1), found
    assert [(each["model"], each["version"]) for each in found["versions"]] == [(site.model, "3")], found
    assert [(each["reason"], each["versions"]) for each in found["kept"]] == [("Newest", 1)], found
    assert versions(site) == {"1", "2", "3", "4", "5"}
    return time.time()


def gone_for_good(site: Site, auditor: Auditor, since: float) -> None:
    """No dry run any more: what was told of is deleted from the registry and nothing else is, and an auditor has it."""
    wait_for(lambda: time.time() > since + NOTICE, seconds=NOTICE + 1, what="told of for long enough")
    patch = json.dumps({"spec": {"retention": {"days": 90, "dryRun": False}}})
    site.access.kubectl("patch", "mreg", "large", "-n", site.namespace, "--type=merge", "-p", patch)
    wait_for(
        lambda: registry(site)["status"]["retention"].get("deleted"), seconds=30, what="deleted",
        tell=lambda: str(registry(site)["status"]["retention"]),
    )  # fmt: skip
    found = registry(site)["status"]["retention"]
    assert [(each["model"], each["version"]) for each in found["deleted"]] == [(site.model, "3")], found
    assert (found["due"], versions(site)) == (0, {"1", "2", "4", "5"})

    def told() -> list[tuple[str, ...]]:
        acts = [act for act in auditor.acts(site.namespace) if act["object"]["kind"] == "ModelRegistry"]
        return [(act["act"], act["version"], act["from"], act["outcome"]) for act in acts]

    both = [("deleted", "3", "Archived", outcome) for outcome in ("begun", "done")]
    wait_for(lambda: told() == both, seconds=30, what="an auditor was told", tell=lambda: str(told()))


def versions(site: Site) -> set[str]:
    """The numbers of the versions that the registry has."""
    found = site.mlflow.call(f"model-versions/search?filter=name%3D%27{site.model}%27", method="GET")
    return {version["version"] for version in found["model_versions"]}


def registry(site: Site) -> dict[str, Any]:
    """The ModelRegistry as it stands."""
    return site.access.get("mreg", "large", site.namespace)


def ready(site: Site) -> dict[str, str]:
    """The ModelRegistry's condition `Ready`."""
    conditions = registry(site)["status"].get("conditions", [])
    return next((c for c in conditions if c["type"] == "Ready"), {"status": "", "reason": ""})


def may_not_move_pointers(look: Look) -> bool:
    """Whether version 2 serves everything and it is said which right is missing for the rest."""
    told = look.condition("Ready")
    return told.get("reason") == "PointerPending" and "EDIT" in told["message"] and look.weights.get("2") == 100


def manifest(site: Site) -> dict[str, Any]:
    """A real model server, from that registry, with a challenger."""
    guards = {"errorRate": {"max": "5%"}, "minRequests": 50}
    made = site.manifest(rollout={"weights": [50, 100], "hold": "1s"}, guards=guards)
    made["spec"]["serving"] = {"replicas": 1, "runtime": "tidegate", "resources": SHARE}
    made["spec"]["gates"] = {"smoke": {"timeout": "30s"}, "throughput": {"min": 1, "duration": "2s", "concurrency": 1}}
    made["spec"]["model"] |= {"candidate": {"alias": "challenger"}, "registry": {"name": "large"}}
    return made


def twin(site: Site) -> dict[str, Any]:
    """Another object that follows and moves the same pointers at the same time, with the small model server."""
    made = site.manifest(rollout={"weights": [50, 100], "hold": "1s"})
    made["metadata"]["name"] = TWIN
    made["spec"]["model"] = manifest(site)["spec"]["model"]
    made["spec"]["traffic"]["gateway"]["hostnames"] = [twin_host(site)]
    return made


def twin_host(site: Site) -> str:
    """Where the twin answers."""
    return f"{TWIN}.{site.host}"


def served(site: Site, number: str) -> bool:
    """Whether the twin is done with everything and serves this version."""
    look = Look(site.objects.get(f"{site.path('modeldeployments')}/{TWIN}"), None)
    return look.ready and look.version == number
