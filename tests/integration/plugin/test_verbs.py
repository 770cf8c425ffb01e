"""The verbs through the real kubectl, under the rights of the chart's users."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.plugin.conftest import Place, Team, kubeconfig, rolling
from tests.unit.api.case import LEAST, merge
from tests.unit.api.cases import RIGHT, WRONG

from tidegate.plugin.failures import Declined
from tidegate.plugin.kubectl import Kubectl

pytestmark = pytest.mark.apiserver


def test_status_of_one_object_and_of_all(place: Place) -> None:
    place.apply(**rolling())
    done = place.viewer.run("status", place.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "version 7, attempt 2 (7/2): step 2 of 4, 25% of the traffic" in done.stdout
    told = place.viewer.json("status", place.name)
    assert (told["name"], told["status"]["rollout"]["version"]) == (place.name, "7")
    assert told in place.viewer.json("status")
    lines = [line.split()[:4] for line in place.viewer.run("status").stdout.splitlines()]
    assert [place.name, "6", "7", "25%"] in lines


def test_flags_of_kubectl_are_handed_on(place: Place) -> None:
    place.apply(**rolling())
    space, admin = place.team.namespace, ["--kubeconfig", str(place.team.cluster.kubeconfig)]
    assert place.viewer.json("status", place.name, "-n", space, "--context=it")["name"] == place.name
    assert (space, place.name) in {
        (told["namespace"], told["name"]) for told in place.viewer.json("status", "-A", *admin)
    }
    elsewhere = place.viewer.run("status", "-n", "default", *admin)
    assert (elsewhere.returncode, elsewhere.stdout) == (0, "")
    as_viewer = f"--as=system:serviceaccount:{space}:viewer"
    assert place.viewer.run("abort", place.name, f"-n{space}", as_viewer, *admin).returncode == 4


@pytest.mark.parametrize("verb", ["abort", "promote", "pause"])
def test_a_verb_writes_the_attempt_that_is_seen_and_only_once_and_nothing_else(place: Place, verb: str) -> None:
    place.apply({"metadata": {"annotations": {"example.com/team": "fraud"}}}, **rolling())
    before = place.live()
    done = place.editor.run(verb, place.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{verb} 7/2: " in done.stdout
    after = place.live()
    assert place.notes() == {"example.com/team": "fraud", f"tidegate.dev/{verb}": "7/2"}
    assert (after["spec"], after["status"]) == (before["spec"], before["status"])
    assert place.editor.json(verb, place.name)["changed"] is False
    assert place.live()["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_retry_names_what_was_rejected(place: Place) -> None:
    entry = {"revision": "fraud-v7-cccccccc", "version": "7", "attempt": 3, "reason": "GuardBreached"}
    place.apply(rejected=[{**entry, "message": "8% errors", "time": "2026-11-21T11:00:00Z"}])
    told = place.editor.json("retry", place.name)
    assert (told["value"], told["changed"]) == ("7/3", True)
    assert place.notes() == {"tidegate.dev/retry": "7/3"}


def test_resume_takes_the_pause_away_unless_the_manifest_pauses(place: Place) -> None:
    place.apply(**rolling())
    place.editor.json("pause", place.name)
    assert place.editor.json("resume", place.name)["changed"] is True
    assert place.notes() == {}
    place.apply({"spec": {"paused": True}}, **rolling())
    done = place.editor.run("resume", place.name)
    assert done.returncode == 1
    assert "spec.paused pauses it" in done.stderr


def test_without_a_rollout_nothing_is_written(place: Place) -> None:
    place.apply(phase="Ready", version="6")
    for verb in ("abort", "retry"):
        done = place.editor.run(verb, place.name)
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is nothing to" in done.stderr
    assert place.notes() == {}


def test_history_is_there_for_people_and_programs(place: Place) -> None:
    past = {"revision": "fraud-v6-bbbbbbbb", "version": "6", "attempt": 1, "reason": "Promoted", "message": "done"}
    place.apply(history=[{**past, "started": "2026-11-21T09:00:00Z", "ended": "2026-11-21T09:20:00Z"}])
    assert [entry["version"] for entry in place.viewer.json("history", place.name)] == ["6"]
    assert place.viewer.run("history", place.name).stdout.splitlines()[1].split()[:2] == ["6/1", "Promoted"]


def test_acts_are_there_for_people_and_programs(place: Place) -> None:
    act = {"number": 3, "at": 1_760_000_000.5, "act": "step", "actor": "tidegate", "model": "m", "version": "7"}
    place.apply(record=json.dumps({"v": 1, "journal": [{**act, "source": "5%", "target": "25%"}]}))
    (told,) = place.viewer.json("history", place.name, "--acts")
    assert (told["sequence"], told["act"], told["from"], told["to"]) == (3, "step", "5%", "25%")
    line = place.viewer.run("history", place.name, "--acts").stdout.splitlines()[1]
    assert line.split() == ["3", "2025-10-09T08:53:20Z", "step", "7", "5%", "25%", "tidegate", "done", "-", "-"]


def test_acts_on_a_promotion_are_there_for_people_and_programs(place: Place) -> None:
    spec = {"requestedBy": "ann", "model": "m", "version": "7", "from": "Staging", "to": "Production"}
    meta = {"name": place.name, "namespace": place.team.namespace}
    body = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "ModelPromotion", "metadata": meta, "spec": spec}
    place.team.cluster.kubectl("create", "-f", "-", text=json.dumps(body))
    act = {"number": 1, "time": "2026-11-21T20:00:00Z", "act": "requested", "actor": "user:ann"}
    patch = json.dumps({"status": {"acts": [act, {**act, "number": 2, "act": "approved", "actor": "user:bob"}]}})
    where = ("-n", place.team.namespace, "patch", "mprom", place.name, "--subresource=status", "--type=merge")
    place.team.cluster.kubectl(*where, "-p", patch)
    newest, first = place.viewer.json("history", place.name, "--promotion")
    assert (newest["sequence"], newest["act"], newest["actor"], newest["to"]) == (
        2,
        "approved",
        "user:bob",
        "Production",
    )
    assert (first["act"], first["outcome"]) == ("requested", "done")
    line = place.viewer.run("history", place.name, "--promotion").stdout.splitlines()[1].split()
    assert line[:7] == ["2", "2026-11-21T20:00:00Z", "approved", "7", "Staging", "Production", "user:bob"]


@pytest.mark.parametrize("flag", ["--promotion", "--retraining"])
def test_acts_of_what_was_asked_for_are_those_of_another_kind(place: Place, flag: str) -> None:
    done = place.viewer.run("history", "nobody-asked", flag)
    assert (done.returncode, done.stdout) == (3, "")
    assert "nobody-asked" in done.stderr
    both = place.viewer.run("history", "nobody-asked", "--promotion", "--retraining")
    assert (both.returncode, "not allowed with" in both.stderr) == (2, True)


def test_who_may_only_view_changes_nothing(place: Place) -> None:
    place.apply(**rolling())
    done = place.viewer.run("abort", place.name)
    assert done.returncode == 4
    assert "cannot patch resource" in done.stderr
    assert place.notes() == {}


def test_who_may_see_one_namespace_sees_no_other(place: Place) -> None:
    for arguments in (["status", "-A"], ["watch", "-n", "default", "fraud"]):
        done = place.editor.run(*arguments)
        assert done.returncode == 4, done.stderr
        assert "forbidden" in done.stderr


def test_what_is_not_there_is_said(place: Place) -> None:
    for verb in ("status", "abort", "watch"):
        done = place.editor.run(verb, "nobody")
        assert (done.returncode, done.stdout) == (3, "")
        assert '"nobody" not found' in done.stderr


def test_a_cluster_without_the_crd_is_told_apart(team: Team) -> None:
    assert team.crdless.returncode == 3
    assert "Tidegate's CRD is not installed" in team.crdless.stderr


def test_a_cluster_that_is_not_there_and_a_person_whom_nobody_knows(team: Team, tmp_path: Path) -> None:
    assert team.viewer.run("status", "--server=https://127.0.0.1:1").returncode == 5
    stranger = replace(team.viewer, kubeconfig=kubeconfig(team.cluster, "wrong", team.namespace, tmp_path / "stranger"))
    assert stranger.run("status").returncode == 4


def test_an_object_that_was_made_anew_meanwhile_is_left_alone(place: Place) -> None:
    place.apply(**rolling())
    kubectl = Kubectl(flags=(f"--kubeconfig={place.editor.kubeconfig}",), program=str(place.editor.bin / "kubectl"))
    seen = kubectl.get(place.name)
    place.delete()
    place.apply(**rolling())
    with pytest.raises(Declined, match="made anew"):
        kubectl.annotate(seen, "tidegate.dev/abort", "7/2")
    assert place.notes() == {}


def test_lint_says_of_every_case_what_the_api_server_says_without_asking_it(team: Team, tmp_path: Path) -> None:
    # In two files, as one command takes several; JSON, in which a zero byte can be written, is YAML as well.
    files = [tmp_path / "right.yaml", tmp_path / "wrong.yaml"]
    for path, cases in zip(files, (RIGHT, WRONG), strict=True):
        path.write_text("\n---\n".join(json.dumps(case.body()) for case in cases))
    broken = tmp_path / "kubeconfig"
    broken.write_text("neither: [a, kubeconfig")
    done = replace(team.viewer, kubeconfig=broken).run("lint", "-o", "json", *(f"-f={path}" for path in files))
    assert done.returncode == 1, done.stderr
    blamed = [{finding["path"] for finding in result["findings"]} for result in json.loads(done.stdout)]
    assert blamed == [{case.blames} if case.blames else set() for case in (*RIGHT, *WRONG)]


def test_lint_reads_yaml_lists_and_directories_and_skips_what_is_not_ours(team: Team, tmp_path: Path) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    listed = {"apiVersion": "v1", "kind": "List", "items": [merge(LEAST, {"spec": {"paused": "no"}}), other]}
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "list.json").write_text(json.dumps(listed))
    done = team.viewer.run("lint", "-R", "-f", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == "default/fraud: error: spec.paused: must be true or false, not text\n"
    piped = team.viewer.run("lint", "-f", "-", text=json.dumps(LEAST))
    assert (piped.returncode, piped.stdout) == (0, "default/fraud: right\n")
    assert team.viewer.run("lint", "-f", "-", text=json.dumps(other)).returncode == 3
    assert team.viewer.run("lint", "-f", "-", text="a: [b").returncode == 1
    assert team.viewer.run("lint", "-f", str(tmp_path / "nowhere.yaml")).returncode == 2


def test_a_step_that_waits_is_approved_in_ones_own_name_by_who_may(place: Place) -> None:
    place.apply(**rolling(waitsFor={"weight": 50, "since": "2026-11-21T11:00:00Z"}))
    space, admin = place.team.namespace, ["--kubeconfig", str(place.team.cluster.kubeconfig)]
    assert place.viewer.run("approve", place.name).returncode == 4
    done = place.viewer.run("approve", place.name, "--comment", "fine", "-n", space, *admin)
    assert (done.returncode, done.stderr) == (0, "")
    assert "7/2 may get 50%, says " in done.stdout
    user = done.stdout.rstrip().rpartition("says ")[2]
    refused = place.viewer.json("refuse", place.name, "-n", space, *admin)
    assert (refused["kind"], refused["spec"]["approver"], refused["spec"]["decision"]) == (
        "ModelApproval",
        user,
        "Refuse",
    )
    assert refused["spec"]["step"] == {"modelDeployment": place.name, "version": "7", "attempt": 2, "weight": 50}


def test_who_asked_for_a_promotion_is_declined_before_the_api_server_is_asked(place: Place) -> None:
    space, admin = place.team.namespace, ["--kubeconfig", str(place.team.cluster.kubeconfig)]
    user = Kubectl(flags=tuple(f"{flag}={value}" for flag, value in [admin]), program=str(place.viewer.bin / "kubectl"))
    spec = {"model": "fraud", "version": "7", "from": "Staging", "to": "Production"}
    meta = {"name": place.name, "namespace": space}
    own = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "ModelPromotion", "metadata": meta}
    user.create({**own, "spec": {**spec, "requestedBy": user.whoami()["username"]}})
    done = place.viewer.run("approve", "--promotion", place.name, "-n", space, *admin)
    assert (done.returncode, done.stderr) == (1, "error: you asked for it yourself: somebody else has to decide\n")
