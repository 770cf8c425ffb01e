"""The way back: every cause takes the canary off traffic in one write, and says why."""

import asyncio

from tests.fakes.cluster import refuse_kind
from tests.integration.loop.look import Look
from tests.integration.loop.stage import Stage

from tidegate.core.labels import KIND, ROUTE_KIND
from tidegate.errors import Unreachable


async def test_errors_at_25_send_everything_back_and_reject_with_value_limit_and_samples(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    look = await stage.reverted(second)
    assert stage.books.raises(second) == [5, 25]
    assert look.weights == {first: 100}
    entry = look.rejected[second]
    assert entry["reason"] == "GuardBreached"
    assert "1%" in entry["message"]
    assert look.reason("Stalled") == "GuardBreached"
    assert f"version {second} rejected" in look.condition("Ready")["message"]
    assert f"version {first} serves" in look.condition("Ready")["message"]
    assert look.condition("Available")["status"] == "True"
    await stage.alone(first)
    await stage.quiet()


async def test_a_revert_is_one_write_of_the_route_that_carries_weights_and_verdict(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(50)
    stage.traffic.errors[second] = 1.0
    before = len(stage.writes)
    await stage.until(lambda look: second not in look.weights, "off traffic")
    assert next(write.kind for write in stage.writes[before:] if write.verb == "apply") == ROUTE_KIND
    record = (await stage.look()).route["metadata"]["annotations"]["tidegate.dev/record"]
    assert "GuardBreached" in record


async def test_a_canary_that_refuses_real_bodies_is_reverted_on_client_errors(stage: Stage) -> None:
    await stage.serve(stage.manifest(guards={"clientErrors": {"maxRatio": "2"}, "minRequests": 30, "interval": "5s"}))
    second = await stage.rolling(5)
    stage.traffic.refusals[second] = 1.0
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"


async def test_a_slow_canary_is_reverted_on_latency(stage: Stage) -> None:
    latency = [{"percentile": "95", "max": "500ms"}]
    await stage.serve(stage.manifest(guards={"latency": latency, "minRequests": 30, "interval": "5s"}))
    second = await stage.rolling(25)
    stage.traffic.seconds[second] = 2.0
    look = await stage.reverted(second)
    assert "slower than 500 ms" in look.rejected[second]["message"]


async def unheard(stage: Stage, version: str) -> Look:
    """It has traffic, and the gateway believes that it sends it some; no request arrives."""
    await stage.until(lambda look: look.weights.get(version) == 5, "it has traffic")
    stage.kubelet.ready = {name: pods for name, pods in stage.kubelet.ready.items() if f"-v{version}-" not in name}
    return await stage.reverted(version)


async def test_a_canary_that_counts_no_request_is_tried_again_and_promoted_if_they_arrive(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(5)
    look = await unheard(stage, second)
    assert look.parked[second]["reason"] == "Unreachable"
    assert not look.rejected
    look = await stage.serves(second)
    assert not look.parked
    assert stage.books.wrong == []


async def test_a_canary_that_counts_no_request_for_the_third_time_is_rejected(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(5)
    await unheard(stage, second)
    look = await unheard(stage, second)
    assert (look.parked[second]["reason"], look.rejected) == ("Unreachable", {})
    look = await unheard(stage, second)
    assert (look.rejected[second]["reason"], look.rejected[second]["attempt"]) == ("Unreachable", 3)
    assert not look.parked
    await asyncio.sleep(7200)
    assert (await stage.look()).weights == {first: 100}


async def test_five_per_cent_errors_revert_and_one_per_cent_at_a_limit_of_one_does_not(stage: Stage) -> None:
    first = await stage.serve()
    stage.traffic.errors["2"] = 0.008
    await stage.rolling(100)
    await stage.serves("2")
    stage.traffic.errors["3"] = 0.05
    stage.point()
    look = await stage.reverted("3") if await stage.rolling_of("3") else None
    assert look is not None
    assert look.rejected["3"]["reason"] == "GuardBreached"
    assert look.version == "2" != first


async def test_both_versions_failing_alike_is_held_and_said_and_goes_on_when_it_is_over(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors |= {first: 0.2, second: 0.2}
    await asyncio.sleep(300)
    look = await stage.look()
    assert look.weights == {first: 75, second: 25}
    assert "stable" in look.condition("Ready")["message"] or "stable" in str(look.rollout["findings"])
    stage.traffic.errors.clear()
    await stage.serves(second, 3000)


async def test_the_alias_moved_back_takes_the_canary_off_at_once_and_rejects_nothing(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    began = asyncio.get_running_loop().time()
    stage.point(first)
    await stage.until(lambda look: look.weights == {first: 100}, "everything back")
    assert asyncio.get_running_loop().time() - began < 7  # one poll of the registry, and a second
    look = await stage.serves(first)
    assert not look.rejected
    assert look.parked[second]["reason"] == "Withdrawn"
    stage.point(second)
    await stage.serves(second)
    await stage.quiet()


async def test_an_edited_spec_in_mid_rollout_restarts_it_and_back_takes_it_off(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    slim = {"replicas": 2, "resources": {"requests": {"cpu": "10m"}}}
    await stage.respec(serving=slim)
    await stage.until(lambda look: look.rollout.get("weight") == 0, "started again")
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 5, 25, 50, 100]
    await stage.quiet()
    assert first != second


async def test_a_third_version_waits_until_everything_is_back_and_starts_at_the_first_step(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(50)
    third = stage.point()
    await stage.serves(third)
    shares = [change.weights for change in stage.books.changes]
    back = shares.index({first: 50, second: 50}) + 1
    assert shares[back] == {first: 100}
    assert stage.books.raises(third) == [5, 25, 50, 100]
    assert all(not {second, third} <= set(share) for share in shares)
    await stage.quiet()


async def test_a_canary_whose_pods_are_deleted_is_off_at_once_parked_and_tried_again(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(50)
    await stage.kubelet.lose(second)
    began = asyncio.get_running_loop().time()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back")
    assert asyncio.get_running_loop().time() - began <= 1.0
    look = await stage.until(lambda look: second in look.parked, "parked")
    assert look.parked[second]["reason"] == "EndpointsLost"
    assert look.parked[second]["tries"] == 1
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 5, 25, 50, 100]


async def test_a_container_that_restarts_with_weight_rejects_and_says_how(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(5)
    await stage.kubelet.restart(second)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "Crashed"
    assert "137" in look.rejected[second]["message"]


async def test_a_breach_in_the_bake_goes_back_to_the_old_version_at_its_full_size(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(100)
    assert len(await stage.kubelet.pods(first)) == 2
    stage.traffic.errors[second] = 1.0
    look = await stage.reverted(second)
    assert look.weights == {first: 100}
    assert second in look.rejected
    await stage.quiet()


async def test_stable_short_of_a_pod_delays_no_revert(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.hand(stage.hands.edit("Deployment", (await stage.named(first)), lambda b: b["spec"].update(replicas=1)))
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 30)


async def test_stable_without_endpoints_keeps_a_good_canary_where_it_is_and_raises_nothing(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.kubelet.mood(first, "never")
    await asyncio.sleep(400)
    look = await stage.look()
    assert look.weights == {first: 75, second: 25}
    assert look.condition("Available")["status"] == "False"
    await stage.kubelet.mood(first, "ready")
    await stage.serves(second)


async def test_a_verdict_without_a_stable_endpoint_is_written_and_weights_follow_the_first_endpoint(
    stage: Stage,
) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.kubelet.mood(first, "never")
    stage.traffic.errors[second] = 1.0
    look = await stage.until(lambda look: "verdict" in look.rollout, "the verdict")
    assert look.weights == {first: 75, second: 25}
    assert look.condition("Available")["status"] == "False"
    await stage.kubelet.mood(first, "ready")
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 2)


async def test_a_route_that_can_not_be_written_is_written_within_a_second_of_when_it_can(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    stage.traffic.errors[second] = 1.0
    await asyncio.sleep(120)
    assert (await stage.look()).weights == {first: 75, second: 25}
    stage.faults.clear()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 1.5)


async def test_a_breach_while_the_api_server_is_away_is_written_within_a_second_of_its_return(stage: Stage) -> None:
    guards = {"errorRate": {"max": "1%"}, "minRequests": 30, "interval": "1s"}
    first = await stage.serve(stage.manifest(guards=guards))
    second = await stage.rolling(25)
    assert stage.line is not None
    assert stage.operator is not None
    stage.line.down = Unreachable("503")
    pods = [stage.evidence.pod(pod["metadata"]["uid"]) for pod in await stage.hands.all("Pod")]
    for pod in pods:
        pod.serve(100, "5xx" if pod.answers() < max(each.answers() for each in pods) / 2 else "2xx")
    await asyncio.sleep(60)
    # With the API server the lease is lost: what was found before that is not forgotten with it.
    assert not stage.operator.elector.leads
    assert stage.operator.ready() == "no answer of the API server about the Lease"
    assert stage.operator.listed() is None
    assert second in (await stage.look()).weights
    # And nobody could find it again.
    for pod in pods:
        pod.restart()
    stage.line.down = None
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 2)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"
    assert stage.operator.ready() is None


async def test_writes_of_children_that_are_refused_delay_no_revert(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind("Deployment"))
    stage.faults.append(refuse_kind(KIND))
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 30)


async def test_an_abort_is_done_once_and_its_leftover_annotation_does_nothing(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(5)
    await stage.annotate("abort", f"{second}/1")
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "Aborted"
    await stage.annotate("retry", f"{second}/1")

    def again(look: Look) -> bool:
        return look.rollout.get("attempt") == 2 and look.weights.get(second) == 25

    await stage.until(again, "a second attempt, untouched by the leftover abort")
    await stage.serves(second)
    assert first != second
    await stage.quiet()
