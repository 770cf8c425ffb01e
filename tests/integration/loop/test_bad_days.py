"""Registry, gateway, evidence and people at their worst: what serves goes on serving, and a condition says why."""

import asyncio

import pytest
from tests.fakes.cluster import conflict_every
from tests.integration.loop.look import Look
from tests.integration.loop.stage import FakeStage, Stage

from tidegate.core.labels import KIND, REVISION, ROUTE_KIND
from tidegate.core.reasons import Reason
from tidegate.errors import Unreachable
from tidegate.ports import Manifest


async def test_a_registry_that_fails_touches_nothing_and_is_said_and_comes_back_without_a_rollout(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    seen = len(stage.books.changes)
    for reason, status in (
        (Reason.REGISTRY_UNREACHABLE, "Unknown"),
        (Reason.REGISTRY_UNAUTHORIZED, "False"),
        (Reason.ALIAS_NOT_FOUND, "False"),
        (Reason.MODEL_NOT_FOUND, "False"),
    ):
        stage.registry.fail(reason, "it says so")

        def told(look: Look, reason: Reason = reason) -> bool:
            return look.condition("ModelResolved").get("reason") == reason

        look = await stage.until(told, f"{reason} is said")
        assert look.condition("ModelResolved")["status"] == status
        assert look.condition("Available")["status"] == "True"
        await asyncio.sleep(600)
    stage.registry.fail(None)
    look = await stage.serves(first)
    assert stage.books.changes[seen:] == []
    assert look.status["history"][-1]["attempt"] == 1


async def test_a_registry_that_is_down_in_mid_rollout_stops_raises_and_no_revert(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.registry.fail(Reason.REGISTRY_UNREACHABLE)
    await asyncio.sleep(600)
    assert (await stage.look()).weights == {first: 75, second: 25}
    stage.traffic.errors[second] = 1.0
    look = await stage.reverted(second)
    assert look.weights == {first: 100}
    assert second in look.rejected


async def test_a_registry_that_hangs_stops_raises_and_no_revert(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(5)
    stage.registry.hanging = True
    await asyncio.sleep(61)  # the last answer is good for a minute
    reached = (await stage.look()).weights
    assert reached[second] < 100
    await asyncio.sleep(600)
    assert (await stage.look()).weights == reached
    stage.traffic.errors[second] = 1.0
    await stage.reverted(second)
    stage.registry.release()


async def test_a_pinned_version_needs_no_registry(stage: Stage) -> None:
    stage.registry.add_version("fraud-detector")
    stage.registry.add_version("fraud-detector")
    model = {"name": "fraud-detector", "version": "1"}
    await stage.apply(stage.manifest(model=model))
    stage.start()
    await stage.serves("1")
    await stage.respec(model={**model, "version": "2"})
    await stage.rolling_of("2")
    stage.registry.fail(Reason.REGISTRY_UNREACHABLE)
    await stage.serves("2")


async def test_without_traffic_nothing_is_promoted_or_reverted_until_the_deadline_parks_it(stage: Stage) -> None:
    rollout = {"weights": [5, 25, 50, 100], "hold": "30s", "deadline": "1h"}
    first = await stage.serve(stage.manifest(rollout=rollout))
    stage.traffic.rate = 0.0
    second = await stage.rolling(5)
    await asyncio.sleep(3000)
    look = await stage.look()
    assert look.weights == {first: 95, second: 5}
    assert "30 requests needed" in look.condition("Ready")["message"]
    look = await stage.reverted(second)
    assert look.parked[second]["reason"] == "DeadlineExceeded"
    assert stage.books.raises(second) == [5]


async def test_evidence_that_can_not_be_read_holds_and_says_so_and_recovers(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    everything = list(stage.evidence._pods.values())
    for mood in ("down", "hanging"):
        for pod in everything:
            pod.mood = mood
        look = await stage.until(lambda look: look.condition("EvidenceAvailable")["status"] == "False", "said")
        await asyncio.sleep(300)
        assert (await stage.look()).weights == {first: 75, second: 25}
        assert look.condition("EvidenceAvailable")["reason"] == "EvidenceMissing"
    for pod in everything:
        pod.release()
    await stage.serves(second)


@pytest.mark.parametrize(
    ("mood", "reason", "words"),
    [
        ("unschedulable", "Unschedulable", "Insufficient cpu"),
        ("image", "ImagePullFailed", "no such image"),
        ("artifact", "ArtifactFailed", "no MLmodel"),
        ("exits", "Exited", "nothing to serve"),
        ("never", "ProgressDeadlineExceeded", "0 of 1 pods ready"),
    ],
)
async def test_a_version_that_never_gets_ready_gets_no_request_and_is_parked_at_its_deadline(
    stage: Stage, mood: str, reason: str, words: str
) -> None:
    first = await stage.serve()
    stage.kubelet.moods["2"] = mood
    second = stage.point()
    if mood != "never":
        await stage.until(lambda look: words in look.condition("Ready").get("message", ""), "the reason is said")
    began = asyncio.get_running_loop().time()
    look = await stage.until(lambda look: second in look.parked, "parked", 1000)
    assert asyncio.get_running_loop().time() - began <= 910
    assert look.parked[second]["reason"] == reason
    assert words in look.parked[second]["message"]
    assert stage.books.raises(second) == []
    assert look.weights == {first: 100}
    assert look.condition("Available")["status"] == "True"
    await stage.quiet()


async def test_a_parked_version_is_tried_with_back_off_five_times_more_and_then_stalls(stage: Stage) -> None:
    await stage.serve(stage.manifest(rollout={"hold": "30s", "progressDeadline": "1m"}))
    stage.kubelet.moods["2"] = "never"
    second = stage.point()
    look = await stage.until(lambda look: look.reason("Stalled") == "RetriesExhausted", "given up", 20_000)
    begun = [entry for entry in look.status["history"] if entry["version"] == second]
    assert [entry["attempt"] for entry in begun] == [1, 2, 3, 4, 5, 6]
    stage.kubelet.moods.clear()
    await stage.annotate("retry", f"{second}/6")
    await stage.serves(second)


async def test_a_gateway_that_refuses_is_quoted_and_no_weight_is_believed(stage: Stage) -> None:
    first = await stage.serve()
    stage.gateway.say("refusing")
    second = stage.point()
    look = await stage.until(lambda look: look.reason("Stalled") == "RouteNotAccepted", "said")
    assert look.condition("RouteAccepted")["status"] == "False"
    assert "no listener has this host" in look.condition("RouteAccepted")["message"]
    await asyncio.sleep(300)
    assert (await stage.look()).weights == {first: 100}
    stage.gateway.say("quick")
    await stage.serves(second)


async def test_a_gateway_that_says_nothing_is_waited_for_and_then_called_so(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(5)
    stage.gateway.say("silent")
    await stage.until(lambda look: look.weights.get(second) == 25, "raised on the old confirmation")
    look = await stage.until(lambda look: look.reason("Stalled") == "RouteNotAccepted", "said")
    assert look.weights == {first: 75, second: 25}
    assert look.status.get("weights") is None
    await asyncio.sleep(300)
    assert (await stage.look()).weights == {first: 75, second: 25}
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: look.weights == {first: 100}, "reverted without the gateway's word")


async def test_a_conflict_on_every_second_write_ends_the_same(stage: Stage) -> None:
    stage.faults.append(conflict_every(2))
    await stage.serve()
    second = stage.point()
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    third = await stage.rolling(50)
    stage.traffic.errors[third] = 1.0
    look = await stage.reverted(third)
    assert third in look.rejected
    await stage.quiet()


async def test_an_api_server_that_is_away_for_a_minute_delays_and_changes_nothing(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    assert stage.line is not None
    stage.line.down = Unreachable("503")
    await asyncio.sleep(60)
    stage.line.down = None
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    await stage.quiet()


async def test_what_vanished_while_the_watch_was_away_is_found_by_the_next_list(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    stage.blind = True
    await stage.hand(stage.hands.remove("Deployment", await stage.named(first)))
    await asyncio.sleep(1)
    stage.blind = False
    assert await stage.hands.all("Deployment") == []
    await stage.until_kind("Deployment", 1)
    await stage.serves(first)


async def test_an_object_that_was_deleted_while_the_watch_was_away_is_written_no_more(stage: Stage) -> None:
    await stage.serve()
    await stage.rolling(25)
    stage.blind = True
    await stage.hand(stage.vanish())
    await asyncio.sleep(1)
    stage.blind = False
    await asyncio.sleep(1500)
    assert await stage.hands.read(KIND, "fraud") is None
    assert await stage.hands.all(ROUTE_KIND) == []
    assert await stage.hands.all("Deployment") == []
    before = len(stage.writes)
    await asyncio.sleep(1500)
    assert stage.writes[before:] == []


@pytest.mark.parametrize("share", [0, 30, 100])
async def test_a_weight_edited_by_hand_is_put_back_at_once_and_the_next_step_is_the_plans(
    stage: Stage, share: int
) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)

    def edit(route: Manifest) -> None:
        for ref in route["spec"]["rules"][0]["backendRefs"]:
            ref["weight"] = share if f"-v{second}-" in ref["name"] else 100 - share

    await stage.hand(stage.hands.edit(ROUTE_KIND, "fraud", edit))
    await stage.until(lambda look: look.weights == {first: 75, second: 25}, "put back", 1)
    await stage.until(lambda look: look.weights not in ({first: 75, second: 25}, {}), "goes on")
    assert (await stage.look()).weights == {first: 50, second: 50}
    notes = [event["note"] for event in await stage.events() if event["reason"] == "PutBack"]
    assert notes == ["HTTPRoute fraud was changed by somebody else and was put back"]
    await stage.serves(second)


async def test_children_edited_by_hand_are_put_back_at_once_with_an_event(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    name = await stage.named(first)
    await stage.hand(stage.hands.edit("Service", name, lambda b: b["spec"].update(selector={"app": "mine"})))
    await stage.hand(stage.hands.edit("Deployment", name, lambda b: b["spec"].update(replicas=7)))
    await asyncio.sleep(1)
    service, deployment = await stage.hands.read("Service", name), await stage.hands.read("Deployment", name)
    assert service is not None
    assert service["spec"]["selector"] == {"tidegate.dev/revision": name}
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 2
    await stage.hand(stage.hands.remove("Deployment", name))
    await asyncio.sleep(1)
    assert await stage.hands.read("Deployment", name) is not None
    notes = {event["note"] for event in await stage.events() if event["reason"] == "PutBack"}
    assert {note.split()[0] for note in notes} == {"Service", "Deployment"}
    await stage.serves(first)


async def test_a_canarys_service_that_somebody_points_at_stable_is_put_back_and_the_canary_keeps_its_weight(
    stage: Stage,
) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stable, canary = await stage.named(first), await stage.named(second)

    def edit(service: Manifest) -> None:
        service["spec"]["selector"]["tidegate.dev/revision"] = stable

    async def endpoints(ready: bool) -> None:
        for piece in await stage.hands.all("EndpointSlice"):
            if piece["metadata"]["labels"].get("tidegate.dev/revision") == canary:
                await stage.hands.edit(
                    "EndpointSlice",
                    piece["metadata"]["name"],
                    lambda b: [e["conditions"].update(ready=ready) for e in b["endpoints"]],
                )

    await stage.hand(stage.hands.edit("Service", canary, edit))
    await stage.hand(endpoints(False))  # the canary's pods are nobody's endpoints now
    await asyncio.sleep(1)
    service = await stage.hands.read("Service", canary)
    assert service is not None
    assert service["spec"]["selector"] == {"tidegate.dev/revision": canary}
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]


async def test_endpoints_that_are_behind_a_service_that_was_put_back_cost_the_canary_nothing(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stable, canary = await stage.named(first), await stage.named(second)
    async with stage.kubelet._listing:  # nobody lists endpoints meanwhile
        theirs = next(b["endpoints"] for b in await stage.hands.all("EndpointSlice") if b["metadata"]["name"] == stable)
        edits = {REVISION: stable}
        await stage.hand(stage.hands.edit("Service", canary, lambda b: b["spec"]["selector"].update(edits)))
        await stage.hand(stage.hands.edit("EndpointSlice", canary, lambda b: b.update(endpoints=theirs)))
        await asyncio.sleep(3)
        service = await stage.hands.read("Service", canary)
        assert service is not None
        assert service["spec"]["selector"] == {REVISION: canary}
        assert (await stage.look()).weights == {first: 75, second: 25}
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]


async def test_ones_own_changes_of_the_spec_are_no_hand_edits(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    gateway = {"parentRefs": [{"name": "public"}], "hostnames": ["fraud.example.com", "betrug.example.com"]}
    await stage.respec(traffic={"gateway": gateway}, serving={"replicas": 3})
    stage.books.replicas = 3
    await stage.until(lambda look: look.route["spec"]["hostnames"] == gateway["hostnames"], "hostnames")  # type: ignore[index]
    second = stage.point()
    await stage.serves(second)
    assert [event["note"] for event in await stage.events() if event["reason"] == "PutBack"] == []
    assert len(await stage.hands.all("Deployment")) == 1
    await stage.quiet()


async def test_of_a_process_that_ends_well_and_serves_nothing_the_logs_last_line_is_told(stage: Stage) -> None:
    assert isinstance(stage, FakeStage)
    await stage.serve()
    stage.kubelet.moods["2"] = "silent"
    second = stage.point()
    await stage.until_kind("Pod", 3)
    for pod in await stage.kubelet.pods(second):
        stage.memory.logs["ml", pod["metadata"]["name"], "model"] = "no model to serve, good bye"
    look = await stage.until(lambda look: "good bye" in look.condition("Ready").get("message", ""), "its last words")
    assert "exited with code 0: no model to serve, good bye" in look.condition("Ready")["message"]
    await stage.until(lambda look: second in look.parked, "parked")
    assert (await stage.look()).parked[second]["reason"] == "Exited"
