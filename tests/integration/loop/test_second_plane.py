"""The route can't be written and the canary is bad: its Service selects stable's pods, and the route follows."""

import asyncio
from dataclasses import replace

import pytest
from tests.fakes.cluster import Fault, Phase, Write, conflict_every, refuse_kind
from tests.integration.loop.line import Line
from tests.integration.loop.stage import Stage
from tests.integration.loop.test_alerts import alert, tell

from tidegate.core.labels import DIVERTED, KIND, REVISION, ROUTE_KIND
from tidegate.core.reasons import Reason
from tidegate.core.record import Verdict
from tidegate.errors import Refused, Unreachable
from tidegate.ports import Manifest


def unreachable(kind: str) -> Fault:
    def fault(write: Write, phase: Phase) -> None:
        if phase == "before" and write.kind == kind:
            raise Unreachable(f"{kind}: no answer in time")

    return fault


async def service(stage: Stage, version: str) -> Manifest:
    body = await stage.hands.read("Service", await stage.named(version))
    assert body is not None
    return body


async def selected(stage: Stage, version: str) -> str:
    """The version whose pods a version's Service selects."""
    selector = (await service(stage, version))["spec"]["selector"]
    return str(selector[REVISION]).rsplit("-", 2)[1].removeprefix("v")


async def until_selects(stage: Stage, version: str, other: str, seconds: float = 60) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while await selected(stage, version) != other:
        assert asyncio.get_running_loop().time() < end, await service(stage, version)
        await asyncio.sleep(0.01)


async def bad_and_denied(stage: Stage, *faults: Fault) -> tuple[str, str]:
    """A canary at 25 % fails every request, and no write of the route gets through: traffic leaves all the same."""
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults += faults or (refuse_kind(ROUTE_KIND),)
    stage.traffic.errors[second] = 1.0
    await until_selects(stage, second, first)
    return first, second


async def nobody_reaches(stage: Stage, version: str, seconds: float) -> None:
    await asyncio.sleep(1.0)  # what is on its way
    served = stage.traffic.served[version]
    await asyncio.sleep(seconds)
    assert stage.traffic.served[version] == served


@pytest.mark.parametrize("fault", [refuse_kind(ROUTE_KIND), unreachable(ROUTE_KIND)], ids=["denied", "unreachable"])
async def test_traffic_leaves_by_the_service_and_the_route_follows_when_it_can(stage: Stage, fault: Fault) -> None:
    first, second = await bad_and_denied(stage, fault)
    await nobody_reaches(stage, second, 120)
    look = await stage.look()
    assert look.weights == {first: 75, second: 25}
    assert look.rollout["verdict"]["reason"] == "GuardBreached"
    ready, accepted = look.condition("Ready"), look.condition("RouteAccepted")
    assert (ready["status"], ready["reason"]) == ("False", "RouteDiverted")
    assert (accepted["status"], accepted["reason"]) == ("False", "RouteDiverted")
    assert "errors" in ready["message"]
    assert "the route can't be written" in ready["message"]
    assert look.condition("Available")["status"] == "True"
    stage.faults.clear()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 1.5)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"
    await stage.alone(first)
    look = await stage.look()
    assert look.condition("RouteAccepted")["reason"] == "RouteConfirmed"
    assert look.reason("Stalled") == "GuardBreached"
    await nobody_reaches(stage, second, 60)
    told = [event["reason"] for event in await stage.events()]
    assert told.count("RouteDiverted") == 1
    assert "PutBack" not in told
    await stage.quiet()


async def test_a_write_that_hangs_delays_the_diversion_by_no_more_than_its_patience(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    assert stage.line is not None
    stage.line.hanging.add(ROUTE_KIND)
    began = asyncio.get_running_loop().time()
    await stage.annotate("abort", f"{second}/1")
    await until_selects(stage, second, first, 2)
    assert asyncio.get_running_loop().time() - began < 0.7
    look = await stage.until(lambda look: "verdict" in look.rollout, "the verdict is in status", 1)
    assert look.weights == {first: 75, second: 25}
    stage.line.release()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 2)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "Aborted"
    await stage.quiet()


async def test_a_diverted_service_is_deleted_with_its_revision_and_never_gets_its_pods_back(stage: Stage) -> None:
    first, second = await bad_and_denied(stage)
    name = await stage.named(second)
    seen: list[str] = []

    def told(event: str, body: Manifest) -> None:
        if body["kind"] == "Service" and body["metadata"]["name"] == name and event != "DELETED":
            seen.append(body["spec"]["selector"][REVISION])

    stage.memory.watchers.append(told)  # type: ignore[attr-defined]  # the stage in memory
    stage.faults.clear()
    await stage.alone(first)
    assert await stage.hands.read("Service", name) is None
    assert name not in seen


async def test_a_new_process_holds_to_the_verdict_that_only_the_service_and_status_know(stage: Stage) -> None:
    first, second = await bad_and_denied(stage)
    await asyncio.sleep(5)
    stage.traffic.errors.clear()
    await stage.kill()
    await asyncio.sleep(60)
    stage.start()
    await nobody_reaches(stage, second, 300)
    assert (await stage.look()).weights == {first: 75, second: 25}
    await stage.reborn()
    stage.faults.clear()
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"
    assert stage.books.raises(second) == [5, 25]


@pytest.mark.parametrize("lost", ["annotation", "status"])
async def test_either_of_the_two_that_know_the_verdict_is_enough(stage: Stage, lost: str) -> None:
    first, second = await bad_and_denied(stage)
    await asyncio.sleep(5)
    await stage.kill()
    stage.traffic.errors.clear()
    if lost == "annotation":
        name = await stage.named(second)
        await stage.hand(stage.hands.edit("Service", name, lambda b: b["metadata"].pop("annotations")))
    else:
        await stage.hand(stage.hands.set_status(KIND, "fraud", {}))
    stage.start()
    await until_selects(stage, second, first, 2)
    stage.faults.clear()
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "GuardBreached"


async def test_a_selector_that_is_edited_while_diverted_is_put_back_to_stables(stage: Stage) -> None:
    first, second = await bad_and_denied(stage)
    name = await stage.named(second)
    await asyncio.sleep(30)

    def back(body: Manifest) -> None:
        body["spec"]["selector"] = {REVISION: name}

    await stage.hand(stage.hands.edit("Service", name, back))
    await until_selects(stage, second, first, 2)


async def test_nothing_is_diverted_to_nobody_and_it_is_as_soon_as_stable_has_an_endpoint(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.kubelet.mood(first, "never")
    stage.faults.append(refuse_kind(ROUTE_KIND))
    stage.traffic.errors[second] = 1.0
    look = await stage.until(lambda look: "verdict" in look.rollout, "the verdict is in status")
    assert look.weights == {first: 75, second: 25}
    await asyncio.sleep(60)
    assert await selected(stage, second) == second
    await stage.kubelet.mood(first, "ready")
    await until_selects(stage, second, first, 2)


async def test_children_are_kept_while_the_route_is_denied(stage: Stage) -> None:
    first, _ = await bad_and_denied(stage)
    await stage.hand(stage.hands.remove("Deployment", await stage.named(first)))
    await asyncio.sleep(2)
    assert await stage.named(first)


async def test_a_denied_raise_diverts_nothing(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    await stage.until(lambda look: look.condition("Ready")["reason"] == "ApplyFailed", "said")
    await asyncio.sleep(120)
    assert await selected(stage, second) == second
    assert DIVERTED not in ((await service(stage, second))["metadata"].get("annotations") or {})
    stage.faults.clear()
    await stage.serves(second)
    assert first != second


async def test_a_version_that_is_wanted_again_waits_for_its_diverted_service_to_go(stage: Stage) -> None:
    """Moved back and forth while the route is denied: nothing of the diversion is left in the second attempt."""
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    stage.point(first)
    await until_selects(stage, second, first)
    stage.point(second)
    await asyncio.sleep(30)
    stage.faults.clear()
    await stage.until(lambda look: look.rollout.get("attempt") == 2, "a second attempt")
    assert await selected(stage, second) == second
    await stage.serves(second)
    look = await stage.look()
    assert not look.rejected
    await stage.quiet()


async def test_a_route_that_others_write_all_the_time_is_as_good_as_denied(stage: Stage) -> None:
    def busy(write: Write, phase: Phase) -> None:
        if write.kind == ROUTE_KIND:
            conflicts(write, phase)

    conflicts = conflict_every(1)
    first, second = await bad_and_denied(stage, busy)
    stage.faults.clear()
    look = await stage.reverted(second)
    assert look.weights == {first: 100}


async def test_a_breach_in_a_bake_whose_promotion_was_denied_is_diverted(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(100)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    await stage.until(lambda look: look.condition("Ready")["reason"] == "ApplyFailed", "the promotion is denied")
    stage.traffic.errors[second] = 1.0
    await until_selects(stage, second, first)
    await nobody_reaches(stage, second, 60)
    stage.faults.clear()
    look = await stage.reverted(second)
    assert look.weights == {first: 100}
    assert second in look.rejected


async def test_a_route_that_is_gone_and_can_not_be_made_leaves_the_second_plane(stage: Stage) -> None:
    """Its kind is not served any more, and the gateway goes on by what it knew."""
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.gateway.say("deaf")
    stage.faults.append(refuse_kind(ROUTE_KIND, "the server could not find the requested resource"))
    await stage.hand(stage.hands.remove(ROUTE_KIND, "fraud"))
    stage.traffic.errors[second] = 1.0
    await until_selects(stage, second, first)
    look = await stage.look()
    assert look.rollout["verdict"]["reason"] == "GuardBreached"


async def test_a_refused_service_and_a_refused_route_are_both_tried_until_one_can_be_written(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults += [refuse_kind(ROUTE_KIND), refuse_kind("Service")]
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: "verdict" in look.rollout, "the verdict is in status")
    await asyncio.sleep(30)
    stage.faults.pop()
    await until_selects(stage, second, first, 2)


async def test_a_verdict_that_comes_from_an_invalid_spec_is_diverted_too(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    await stage.respec(guards={"errorRate": {"max": "nonsense"}})
    await until_selects(stage, second, first)
    stage.faults.clear()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 2)


async def test_a_stale_process_diverts_no_version_that_was_promoted(stage: Stage) -> None:
    """Its cache shows a canary; the Service is stable's by now."""
    await stage.serve()
    second = await stage.rolling(100)
    operator = stage.operator
    assert operator is not None
    stale = operator.world.state("Service", f"{stage.hands.namespace}/{await stage.named(second)}")
    snapshot = operator.reverts._observer.snapshot(f"{stage.hands.namespace}/fraud")
    assert snapshot is not None
    assert stale is not None
    await stage.serves(second)
    operator.world._kept["Service"][stale.name] = stale
    rollout = snapshot.seen.record.rollout
    assert rollout is not None
    verdict = Verdict(reason=Reason.CRASHED, message="late", rejects=True, at=1.0)
    late = replace(snapshot.seen.record, rollout=replace(rollout, weight=0, verdict=verdict))
    assert await operator.reverts._plane.divert(snapshot, late) is None
    assert await selected(stage, second) == second
    await asyncio.sleep(60)
    assert (await stage.look()).ready


async def test_an_alert_that_the_route_can_not_take_takes_the_canary_off_all_the_same(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    with pytest.raises(Refused):
        await tell(stage, alert(stage))
    await until_selects(stage, second, first, 1)
    stage.faults.clear()
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "AlertFiring"


async def test_a_replica_that_does_not_lead_diverts_and_the_next_leader_holds_to_it(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    line = Line(stage.cluster, on_death=lambda: None)
    line.faults.append(refuse_kind(ROUTE_KIND))
    standby = await stage.watcher(line)
    await stage.kill()
    with pytest.raises(Refused):
        await tell(stage, alert(stage), replica=standby)
    await until_selects(stage, second, first, 1)
    assert (await stage.look()).rollout["verdict"]["reason"] == "AlertFiring"
    await standby.stop()
    stage.start()
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "AlertFiring"
    assert look.weights == {first: 100}


async def test_a_diverted_service_without_its_labels_is_put_back_and_goes_with_its_revision(stage: Stage) -> None:
    first, second = await bad_and_denied(stage)
    name = await stage.named(second)
    stage.gateway.say("silent")
    stage.faults.clear()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back, and not confirmed")
    await stage.hand(stage.hands.edit("Service", name, lambda body: body["metadata"].pop("labels")))
    await asyncio.sleep(15)
    service = await stage.hands.read("Service", name)
    assert service is not None
    assert service["metadata"]["labels"][REVISION] == name
    assert service["spec"]["selector"][REVISION] != name
    stage.gateway.say("quick")
    await stage.alone(first)
