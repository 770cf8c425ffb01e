"""The road of a good version."""

import asyncio
from itertools import pairwise

import pytest
from tests.integration.loop.stage import HOLD, Stage

from tidegate.core.labels import KIND, ROUTE_KIND
from tidegate.ports import Manifest


async def test_a_first_version_serves_all_requests_once_ready_and_nothing_is_analysed(stage: Stage) -> None:
    first = await stage.serve()
    look = await stage.serves(first)
    assert look.weights == {first: 100}
    assert look.status["observedGeneration"] == look.body["metadata"]["generation"]
    assert "judge" not in look.status
    assert sum(pod.reads for pod in stage.evidence._pods.values()) == 0
    deployment = (await stage.hands.all("Deployment"))[0]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    pinned = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert pinned["TIDEGATE_MODEL_VERSION"] == first
    await stage.quiet()


async def test_a_good_version_gets_5_25_50_100_each_after_its_hold_and_no_pod_is_restarted(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(100)
    uids = {pod["metadata"]["uid"] for pod in await stage.kubelet.pods(second)}
    look = await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    times = [stage.books.when(second, weight) for weight in (5, 25, 50, 100)]
    assert all(HOLD <= b - a < HOLD + 15 for a, b in pairwise(times))
    assert {pod["metadata"]["uid"] for pod in await stage.kubelet.pods(second)} == uids
    assert [d["metadata"]["name"] for d in await stage.hands.all("Deployment")] == [look.status["stable"]["revision"]]
    assert [entry["version"] for entry in look.status["history"]] == [first, second]
    await stage.quiet()


async def test_each_step_shows_what_it_was_taken_for_also_if_the_pods_fall_silent_while_it_is_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: set[int] = set()
    hear = stage.hear

    def heard(event: str, body: Manifest) -> None:
        if body["kind"] == ROUTE_KIND:
            stage.spawn(silent())
        rollout = body.get("status", {}).get("rollout", {}) if body["kind"] == KIND else {}
        shown.update(f["weight"] for f in rollout.get("findings", []) if f["verdict"] == "Healthy")
        hear(event, body)

    async def silent() -> None:
        for pod in stage.evidence.pods():
            pod.mood = "down"
        await asyncio.sleep(5)
        for pod in stage.evidence.pods():
            pod.mood = "up"

    monkeypatch.setattr(stage, "hear", heard)
    stage.latency = 1.5
    await stage.reborn()
    # The hold is over long before there is enough to judge by: found healthy and raised is one pass.
    guards = {"errorRate": {"max": "1%"}, "minRequests": 300}
    await stage.serve(stage.manifest(rollout={"weights": [5, 25, 50, 100], "hold": "1s"}, guards=guards))
    await stage.serves(stage.point())
    assert shown >= {5, 25, 50}
