import json
from typing import Any

import pytest

from tidegate.core.facts import answering, facts_by_revision
from tidegate.core.labels import REVISION
from tidegate.core.observed import Exit, RevisionFacts
from tidegate.core.reasons import Reason

NAME = "fraud-v7-bcdfghjk"


def pod(name: str = "p1", *, revision: str | None = NAME, ready: bool = False, **status: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "ml", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if revision is not None:
        metadata["labels"] = {REVISION: revision}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"phase": "Running", "conditions": conditions, **status}}


def container(name: str = "model", *, restarts: int = 0, last: Any = None, **state: Any) -> dict[str, Any]:
    return {"name": name, "restartCount": restarts, "state": state, "lastState": {"terminated": last} if last else {}}


def endpoint(name: str = "p1", **conditions: bool) -> dict[str, Any]:
    return {"targetRef": {"kind": "Pod", "name": name}, "conditions": conditions}


def piece(*endpoints: dict[str, Any], service: str = NAME) -> dict[str, Any]:
    metadata = {"name": f"{service}-x", "namespace": "ml", "labels": {"kubernetes.io/service-name": service}}
    return {"metadata": metadata, "endpoints": list(endpoints)}


def facts(*pods: dict[str, Any], slices: Any = (), deployments: Any = ()) -> RevisionFacts:
    return facts_by_revision(pods, slices, deployments)[NAME]


def test_where_nothing_is_there_is_nothing() -> None:
    assert facts_by_revision([], [], []) == {}


@pytest.mark.parametrize(
    ("metadata", "status", "lasting"),
    [
        ({}, {"readyReplicas": 1}, 1),
        ({}, {"readyReplicas": 5}, 2),
        ({}, {"replicas": 2}, 0),
        ({}, None, 0),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, {"readyReplicas": 2}, 0),
    ],
)
def test_only_pods_that_the_deployment_calls_its_own_are_there_to_stay(
    metadata: dict[str, Any], status: dict[str, Any] | None, lasting: int
) -> None:
    deployment = {"metadata": {"labels": {REVISION: NAME}, **metadata}, "status": status}
    slices = [piece(endpoint("a", ready=True), endpoint("b", ready=True))]
    found = facts(pod("a"), pod("b"), slices=slices, deployments=[deployment])
    assert (found.endpoints, found.lasting) == (2, lasting)


def test_pods_without_a_deployment_serve_and_are_not_there_to_stay() -> None:
    found = facts(pod(), slices=[piece(endpoint(ready=True))], deployments=[{"metadata": {}, "status": {}}])
    assert (found.endpoints, found.lasting) == (1, 0)


def test_pods_are_told_apart_by_their_revision() -> None:
    found = facts_by_revision([pod("a"), pod("b", revision="other"), pod("c"), pod("d", revision=None)], [])
    assert {name: fact.pods for name, fact in found.items()} == {NAME: 2, "other": 1}


@pytest.mark.parametrize(
    ("conditions", "counts"),
    [
        ({"ready": True, "serving": True, "terminating": False}, 1),
        ({"ready": False, "serving": True, "terminating": True}, 0),
        ({"ready": True, "terminating": True}, 0),
        ({"ready": False}, 0),
        ({}, 1),
    ],
)
def test_an_endpoint_counts_while_it_gets_requests(conditions: dict[str, bool], counts: int) -> None:
    assert facts(pod(), slices=[piece(endpoint(**conditions))]).endpoints == counts


def test_an_endpoint_counts_once_and_whichever_service_lists_it() -> None:
    slices = [piece(endpoint(ready=True), service="another"), piece(endpoint(ready=True), endpoint("gone", ready=True))]
    assert facts(pod(), slices=slices).endpoints == 1


def test_an_endpoint_without_a_pod_or_of_another_namespace_is_none() -> None:
    foreign = {"targetRef": {"kind": "Pod", "name": "p1", "namespace": "other"}, "conditions": {"ready": True}}
    node = {"targetRef": {"kind": "Node", "name": "p1"}, "conditions": {"ready": True}}
    empty = {"metadata": {"name": "x", "namespace": "ml"}, "endpoints": None}
    assert facts(pod(), slices=[piece(foreign, node, {"addresses": ["10.0.0.1"]}), empty]).endpoints == 0


@pytest.mark.parametrize(
    ("names", "lister", "found"),
    [
        (["a"], NAME, None),
        (["b"], NAME, "fraud-v6-x"),
        (["a", "b"], NAME, "fraud-v6-x"),
        (["b", "c"], NAME, "fraud-v5-x"),
        (["b"], "fraud-v6-x", None),
        (["unlabelled", "gone"], NAME, None),
        ([], NAME, None),
    ],
)
def test_whose_pods_answer_for_a_service_is_what_its_slices_say(
    names: list[str], lister: str, found: str | None
) -> None:
    pods = [
        pod("a"),
        pod("b", revision="fraud-v6-x"),
        pod("c", revision="fraud-v5-x"),
        pod("unlabelled", revision=None),
    ]
    listed = piece(*(endpoint(name, ready=True) for name in names))
    listed["metadata"]["labels"] = {REVISION: lister}
    assert answering(NAME, [listed], pods) == found


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_ended_as_a_whole_is_no_fact_any_more(phase: str) -> None:
    evicted = pod("a", phase=phase, reason="Evicted", containerStatuses=[container(terminated={"exitCode": 137})])
    assert facts_by_revision([evicted], [piece(endpoint("a", ready=True))]) == {}


def test_a_pod_that_is_being_deleted_is_no_fact_any_more() -> None:
    leaving = pod("a", containerStatuses=[container(restarts=3, terminated={"exitCode": 143})])
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    assert facts(leaving, pod("b")) == RevisionFacts(pods=1, own=0)


def test_restarts_are_those_of_the_serving_containers_by_pod() -> None:
    first = pod("a", containerStatuses=[container(restarts=2), container("sidecar", restarts=1)])
    second = pod("b", containerStatuses=[container()], initContainerStatuses=[container("download", restarts=4)])
    assert facts(first, second).restarts == {"a": 3}


def test_a_container_that_stands_ended_is_told_as_it_is() -> None:
    ended = container(terminated={"exitCode": 1, "reason": "Error", "message": "Traceback\nValueError: no"})
    assert facts(pod(containerStatuses=[ended])).exits == (
        Exit(pod="p1", container="model", code=1, message="ValueError: no", current=True),
    )


def test_an_exit_with_code_0_is_an_exit() -> None:
    ended = container(terminated={"exitCode": 0, "reason": "Completed"})
    assert facts(pod(containerStatuses=[ended])).exits == (Exit(pod="p1", container="model", code=0, message=""),)


@pytest.mark.parametrize(
    ("state", "current"), [({"running": {}}, False), ({"waiting": {"reason": "CrashLoopBackOff"}}, True)]
)
def test_an_exit_is_past_once_the_container_runs_again(state: dict[str, Any], current: bool) -> None:
    again = container(restarts=1, last={"exitCode": 137, "reason": "OOMKilled"}, **state)
    [end] = facts(pod(ready=True, containerStatuses=[again])).exits
    assert (end.code, end.message, end.current) == (137, "OOMKilled", current)


def test_the_exit_of_an_init_container_is_no_exit_of_the_server() -> None:
    done = container("download", terminated={"exitCode": 0})
    assert facts(pod(initContainerStatuses=[done], containerStatuses=[container(running={})])).exits == ()


def waiting(reason: str, message: str = "", **fields: Any) -> dict[str, Any]:
    return container(waiting={"reason": reason, "message": message}, **fields)


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: no cpu"}]},
            Reason.UNSCHEDULABLE,
            "pod p1: 0/3 nodes: no cpu",
        ),
        (
            {"containerStatuses": [waiting("ImagePullBackOff", "Back-off pulling image x")]},
            Reason.IMAGE_PULL_FAILED,
            "container model of pod p1: Back-off pulling image x",
        ),
        (
            {"initContainerStatuses": [{**waiting("ErrImageNeverPull"), "name": "download"}]},
            Reason.IMAGE_PULL_FAILED,
            "container download of pod p1: ErrImageNeverPull",
        ),
        (
            {"containerStatuses": [waiting("InvalidImageName", "couldn't parse :::")]},
            Reason.IMAGE_PULL_FAILED,
            "couldn't parse :::",
        ),
        (
            {"containerStatuses": [waiting("CreateContainerConfigError", 'secret "mlflow" not found')]},
            Reason.CONFIGURATION_MISSING,
            'container model of pod p1: secret "mlflow" not found',
        ),
        (
            {"initContainerStatuses": [container("download", terminated={"exitCode": 1, "message": "no route"})]},
            Reason.ARTIFACT_FAILED,
            "container download of pod p1 exited with code 1: no route",
        ),
        (
            {"initContainerStatuses": [waiting("CrashLoopBackOff", last={"exitCode": 2}) | {"name": "download"}]},
            Reason.ARTIFACT_FAILED,
            "container download of pod p1 exited with code 2",
        ),
        (
            {"initContainerStatuses": [container("migrate", terminated={"exitCode": 1})]},
            Reason.EXITED,
            "container migrate of pod p1 exited with code 1",
        ),
        (
            {"containerStatuses": [waiting("CrashLoopBackOff", last={"exitCode": 0, "reason": "Completed"})]},
            Reason.EXITED,
            "container model of pod p1 exited with code 0",
        ),
        (
            {"containerStatuses": [container(terminated={"exitCode": 137, "reason": "OOMKilled"})]},
            Reason.EXITED,
            "exited with code 137: OOMKilled",
        ),
        (
            {"containerStatuses": [container(restarts=1, running={}, last={"exitCode": 1, "message": "boom"})]},
            Reason.EXITED,
            "exited with code 1: boom",
        ),
    ],
)
def test_what_keeps_a_pod_from_getting_ready_is_named(status: dict[str, Any], reason: Reason, words: str) -> None:
    obstacle = facts(pod(**status)).obstacle
    assert obstacle is not None
    assert obstacle.reason is reason
    assert words in obstacle.message


def test_a_pod_that_only_starts_meets_no_obstacle() -> None:
    starting = pod(
        initContainerStatuses=[container("download", terminated={"exitCode": 0})],
        containerStatuses=[waiting("PodInitializing")],
    )
    assert facts(starting, pod("b", conditions=None)).obstacle is None


def test_a_ready_pod_meets_no_obstacle_whatever_it_met_before() -> None:
    assert facts(pod(ready=True, containerStatuses=[container(running={}, last={"exitCode": 1})])).obstacle is None


def test_the_obstacle_that_names_the_culprit_comes_first() -> None:
    unscheduled = pod("a", conditions=[{"type": "PodScheduled", "status": "False", "message": "full"}])
    broken = pod("b", initContainerStatuses=[container("download", terminated={"exitCode": 1})])
    obstacle = facts(unscheduled, broken).obstacle
    assert obstacle is not None
    assert obstacle.reason is Reason.ARTIFACT_FAILED


def refusal(status: str = "True", *, revision: str = NAME) -> dict[str, Any]:
    condition = {"type": "ReplicaFailure", "status": status, "message": 'pods "x" is forbidden: exceeded quota'}
    labels = {REVISION: revision} if revision else {}
    return {
        "metadata": {"name": revision, "labels": labels},
        "status": {"conditions": [{"type": "Progressing"}, condition]},
    }


def test_pods_that_the_api_server_refuses_are_an_obstacle_of_their_revision() -> None:
    obstacle = facts_by_revision([], [], [refusal()])[NAME].obstacle
    assert obstacle is not None
    assert (obstacle.reason, obstacle.message) == (Reason.APPLY_FAILED, 'pods "x" is forbidden: exceeded quota')


def test_a_refusal_that_is_over_or_of_nobody_is_none() -> None:
    found = facts_by_revision([], [], [refusal("False"), refusal(revision=""), {"metadata": {"name": "x"}}])
    assert found == {NAME: RevisionFacts(own=0)}


def said(message: str, *, exit_code: int = 1, reason: str = "Error") -> str:
    terminated = {"exitCode": exit_code, "reason": reason, "message": message}
    [end] = facts(pod(containerStatuses=[container(terminated=terminated)])).exits
    return end.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            json.dumps({"error": "ArtifactCorrupt", "message": "MLmodel is no YAML"}),
            "ArtifactCorrupt: MLmodel is no YAML",
        ),
        (json.dumps({"message": "just words"}), "just words"),
        ('{"error": "cut', '{"error": "cut'),
        ("[1]", "[1]"),
        ("{}", "{}"),
        ("one\n  two  \n", "two"),
        ("", ""),
    ],
)
def test_the_last_words_are_the_runtimes_own_or_the_last_line(message: str, words: str) -> None:
    assert said(message) == words


def test_a_kill_for_memory_is_said_before_the_last_line() -> None:
    assert said("loading", exit_code=137, reason="OOMKilled") == "OOMKilled: loading"


def test_words_are_one_line_of_bounded_length() -> None:
    assert len(said("x" * 5000)) == 500
    assert said("a\tb   c") == "a b c"


def downloaded(message: str, *, name: str = "p1", born: str = "2026-01-01T00:00:00Z", code: int = 0) -> dict[str, Any]:
    body = pod(name, initContainerStatuses=[container("download", terminated={"exitCode": code, "message": message})])
    body["metadata"]["creationTimestamp"] = born
    return body


def test_the_digest_is_that_of_the_first_pod() -> None:
    first = downloaded('{"digest": "sha256:11", "bytes": 5}', name="z", born="2026-01-01T00:00:00Z")
    second = downloaded('{"digest": "sha256:22", "bytes": 5}', name="a", born="2026-01-01T00:00:09Z")
    assert facts(second, first).digest == "sha256:11"


@pytest.mark.parametrize(("message", "code"), [("", 0), ("done", 0), ('{"digest": 5}', 0), ('{"digest": "x"}', 1)])
def test_what_is_no_digest_is_none(message: str, code: int) -> None:
    assert facts(downloaded(message, code=code)).digest is None


def test_the_words_of_another_init_container_are_no_digest() -> None:
    other = container("other", terminated={"exitCode": 0, "message": '{"digest": "x"}'})
    assert facts(pod(initContainerStatuses=[other])).digest is None


def test_a_pod_without_any_status_is_a_pod() -> None:
    assert facts({"metadata": {"name": "p", "labels": {REVISION: NAME}}}) == RevisionFacts(pods=1, own=0)


@pytest.mark.parametrize("words", ['{"a":' + "[" * 4000, "{" * 4096, '{"digest":' + "[" * 4000])
def test_no_words_of_a_model_keep_its_end_from_being_seen(words: str) -> None:
    found = facts(pod(containerStatuses=[container(restarts=1, terminated={"exitCode": 1, "message": words})]))
    assert found.restarts == {"p1": 1}
    assert [end.code for end in found.exits] == [1]
