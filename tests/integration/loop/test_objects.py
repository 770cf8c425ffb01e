"""Objects as people treat them: deleted, contested, wrong, applied again and again, and pods of another preset."""

import asyncio
import copy

from tests.integration.loop.look import Look
from tests.integration.loop.stage import NAME, Stage

from tidegate.core.labels import KIND, ROUTE_KIND
from tidegate.core.manifests import CHILD_KINDS


async def test_an_object_deleted_in_mid_rollout_is_written_no_more_and_leaves_nothing(stage: Stage) -> None:
    await stage.serve()
    await stage.rolling(25)
    for pod in stage.evidence._pods.values():
        pod.mood = "hanging"
    stage.registry.hanging = True
    assert stage.operator is not None
    children = [body for kind in (*CHILD_KINDS, ROUTE_KIND) for body in await stage.hands.all(kind)]
    uid = (await stage.look()).body["metadata"]["uid"]
    assert {o["uid"] for body in children for o in body["metadata"]["ownerReferences"]} == {uid}
    await stage.hand(stage.vanish())
    await asyncio.sleep(1)
    before = len(stage.writes)
    await asyncio.sleep(2000)
    assert stage.writes[before:] == []
    assert [body for kind in (*CHILD_KINDS, ROUTE_KIND) for body in await stage.hands.all(kind)] == []
    stage.registry.release()


async def test_an_object_that_is_going_is_written_no_more(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    await stage.hands.edit(KIND, NAME, lambda b: b["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"))
    await asyncio.sleep(1)
    before = len(stage.writes)
    stage.traffic.errors[second] = 1.0
    await stage.kubelet.lose(second)
    await asyncio.sleep(1000)
    assert stage.writes[before:] == []


async def test_of_two_objects_that_claim_one_host_the_second_is_refused_and_the_first_untouched(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    versions = {body["metadata"]["resourceVersion"] for body in await stage.hands.all(ROUTE_KIND)}
    other = stage.manifest()
    other["metadata"]["name"] = "later"
    await stage.hands.put(other)
    await asyncio.sleep(60)
    later = Look(await stage.hands.read(KIND, "later"), None)
    assert later.reason("Stalled") == "RouteTaken"
    assert f"{stage.hands.namespace}/fraud" in later.condition("Stalled")["message"]
    assert later.condition("RouteAccepted")["reason"] == "RouteTaken"
    assert {body["metadata"]["resourceVersion"] for body in await stage.hands.all(ROUTE_KIND)} == versions
    assert {body["metadata"]["name"] for body in await stage.hands.all("Deployment")} == {await stage.named(first)}
    assert (await stage.look()).ready


async def test_a_route_of_the_same_name_that_is_not_ours_is_never_touched(stage: Stage) -> None:
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": ROUTE_KIND,
        "metadata": {"name": NAME, "namespace": stage.hands.namespace},
        "spec": {"parentRefs": [{"name": "other"}], "rules": [{"backendRefs": [{"name": "theirs-v1-x", "port": 80}]}]},
    }
    stage.books.by_hand = True
    kept = copy.deepcopy((await stage.hands.put(theirs))["spec"])
    stage.point()
    await stage.apply(stage.manifest())
    stage.start()
    look = await stage.until(lambda look: look.reason("Stalled") == "RouteTaken", "said")
    assert "that Tidegate does not own" in look.condition("Stalled")["message"]
    await asyncio.sleep(600)
    live = await stage.hands.read(ROUTE_KIND, NAME)
    assert live is not None
    assert live["spec"] == kept
    assert not live["metadata"].get("ownerReferences")


async def test_a_spec_that_is_not_valid_any_more_names_the_field_and_what_served_goes_on(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    seen = len(stage.books.changes)
    await stage.respec(rollout={"weights": [50, 25, 100], "hold": "30s"})
    look = await stage.until(lambda look: look.reason("Stalled") == "InvalidSpec", "said")
    assert "spec.rollout.weights" in look.condition("Stalled")["message"]
    assert look.condition("Ready")["status"] == "False"
    assert look.condition("Available")["status"] == "True"
    assert look.status["observedGeneration"] == look.body["metadata"]["generation"]
    stage.point()
    await asyncio.sleep(600)
    assert stage.books.changes[seen:] == []
    await stage.respec(rollout={"weights": [50, 100], "hold": "30s"})
    await stage.serves("2")


async def test_a_rollout_whose_spec_becomes_invalid_is_sent_back_and_starts_again_with_a_valid_one(
    stage: Stage,
) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    good = (await stage.look()).body["spec"]["rollout"]
    await stage.respec(rollout={"weights": [], "hold": "-5m"})
    look = await stage.until(lambda look: look.reason("Stalled") == "InvalidSpec", "said")
    assert "spec.rollout" in look.condition("Stalled")["message"]
    look = await stage.until(lambda look: look.weights == {first: 100}, "everything back", 5)
    look = await stage.until(lambda look: look.rollout.get("weight", 0) == 0, "status says so")
    reads = sum(pod.reads for pod in stage.evidence._pods.values())
    await asyncio.sleep(300)
    assert sum(pod.reads for pod in stage.evidence._pods.values()) == reads
    await stage.respec(rollout=good)
    look = await stage.serves(second)
    assert not look.rejected
    assert stage.books.raises(second) == [5, 25, 5, 25, 50, 100]
    await stage.quiet()


async def test_the_same_object_applied_every_second_changes_nothing(stage: Stage) -> None:
    manifest = stage.manifest()
    await stage.serve(manifest)

    async def flux() -> None:
        while True:
            await asyncio.sleep(1)
            await stage.apply(manifest)

    stage.spawn(flux())
    second = stage.point()
    look = await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    times = [stage.books.when(second, weight) for weight in (5, 100)]
    assert times[1] - times[0] < 3 * (stage.books.hold + 15)
    assert look.body["metadata"]["generation"] == 1
    await stage.quiet()


async def test_another_runtime_image_and_an_edited_guard_roll_nothing_and_write_nothing(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    await asyncio.sleep(60)
    before = len(stage.writes)
    image = (await stage.kubelet.pods(first))[0]["spec"]["containers"][0]["image"]
    stage.settings = stage.settings.model_copy(update={"runtime_image": "example.invalid/runtime:2"})
    await stage.reborn()
    await asyncio.sleep(700)
    assert stage.writes[before:] == []
    await stage.respec(guards={"errorRate": {"max": "2%"}, "minRequests": 10, "interval": "5s"})
    await asyncio.sleep(60)
    assert {write.verb for write in stage.writes[before:]} == {"status"}  # the new generation was observed
    assert (await stage.look()).ready
    second = stage.point()
    await stage.serves(second)
    assert (await stage.kubelet.pods(second))[0]["spec"]["containers"][0]["image"] != image


async def test_changed_replicas_are_applied_and_start_no_rollout(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    uids = {pod["metadata"]["uid"] for pod in await stage.kubelet.pods(first)}
    await stage.respec(serving={"replicas": 3})
    await stage.until_kind("Pod", 3)
    look = await stage.serves(first)
    assert uids < {pod["metadata"]["uid"] for pod in await stage.kubelet.pods(first)}
    assert look.status["history"][-1]["attempt"] == 1


async def test_a_changed_resource_takes_the_same_road_as_a_new_version(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    slim = {"replicas": 2, "resources": {"requests": {"cpu": "10m"}}}
    await stage.respec(serving=slim)
    await stage.until_kind("Deployment", 2)
    shares: list[tuple[int, ...]] = []

    def done(look: Look) -> bool:
        backends = look.route["spec"]["rules"][0]["backendRefs"] if look.route else []
        share = tuple(sorted(ref["weight"] for ref in backends if ref["weight"]))
        if share not in shares[-1:]:
            shares.append(share)
        return look.ready and len(backends) == 1

    await stage.until(done, "the new revision serves alone")
    assert shares == [(100,), (5, 95), (25, 75), (50, 50), (100,)]
    await stage.quiet()


async def test_pause_freezes_weight_and_clock_resume_goes_on_and_promote_skips_holds(stage: Stage) -> None:
    await stage.serve(stage.manifest(rollout={"weights": [5, 25, 50, 100], "hold": "100s", "deadline": "1h"}))
    second = await stage.rolling(25)
    began = stage.books.when(second, 25)
    await asyncio.sleep(40)
    await stage.annotate("pause", f"{second}/1")
    look = await stage.until(lambda look: look.status["phase"] == "Paused", "paused")
    await asyncio.sleep(7200)
    look = await stage.look()
    assert look.weights[second] == 25
    await stage.annotate("pause", None)
    resumed = asyncio.get_running_loop().time()
    await stage.until(lambda look: look.weights.get(second) == 50, "goes on")
    held = (stage.books.when(second, 50) - resumed) + 40 + 2
    assert 95 <= held <= 115, (held, began)
    await stage.annotate("promote", f"{second}/1")
    promoted = asyncio.get_running_loop().time()
    await stage.until(lambda look: look.version == second, "promoted")
    assert asyncio.get_running_loop().time() - promoted < 10
    await stage.serves(second)


async def test_paused_in_the_spec_starts_nothing_new_and_reverts_all_the_same(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.respec(paused=True)
    await stage.until(lambda look: look.status["phase"] == "Paused", "paused")
    stage.traffic.errors[second] = 1.0
    await stage.reverted(second)
    third = stage.point()
    await asyncio.sleep(300)
    assert (await stage.look()).named == {first}
    await stage.respec(paused=False)
    await stage.serves(third)


async def test_promote_does_not_skip_readiness(stage: Stage) -> None:
    first = await stage.serve()
    stage.kubelet.moods["2"] = "never"
    second = stage.point()
    await stage.until(lambda look: look.rollout.get("attempt") == 1, "starting")
    await stage.annotate("promote", f"{second}/1")
    await asyncio.sleep(300)
    assert (await stage.look()).weights == {first: 100}
    await stage.kubelet.mood(second, "ready")
    await stage.serves(second)
    assert stage.books.raises(second) == [100]
    await stage.quiet()
