"""Alerts on the loop: what is told reaches the route in one write, on whichever replica it is told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.fakes.cluster import conflict_every, refuse_kind
from tests.integration.loop.look import Look
from tests.integration.loop.stage import NAME, Stage

from tidegate.core.labels import ROUTE_KIND
from tidegate.core.observed import Alerts
from tidegate.core.record import Alert
from tidegate.errors import ClusterError, Unreachable
from tidegate.loop.telling import Effect
from tidegate.wiring import Operator

ERRORS = "HighErrorRate"


def alert(stage: Stage, **fields: Any) -> Alert:
    """An alert that begins now."""
    return Alert(**{"fingerprint": "a1", "name": ERRORS, "since": stage.clock.now(), "summary": "8% errors"} | fields)


async def tell(
    stage: Stage, *firing: Alert, resolved: tuple[Alert, ...] = (), replica: Operator | None = None
) -> Sequence[Effect]:
    """Tell an operator of alerts of the object, and wait until they are on the route."""
    operator = replica or stage.operator
    assert operator is not None
    key = f"{stage.hands.namespace}/{NAME}"
    told = await operator.alerts.tell(key, Alerts(firing=firing, resolved=resolved))
    return [effect for _, effect in told]


def shown(look: Look) -> list[str]:
    return [entry["name"] for entry in look.status.get("alerts") or ()]


async def test_an_alert_takes_the_canary_off_in_one_write_that_is_done_when_it_is_answered(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    before, began = len(stage.writes), asyncio.get_running_loop().time()
    assert await tell(stage, alert(stage)) == [Effect.REVERTED]
    took = asyncio.get_running_loop().time() - began
    look = await stage.look()
    assert look.weights == {first: 100}
    assert took < 3 * stage.latency, "nothing is waited for but the route's write"
    written = [write.kind for write in stage.writes[before:] if write.verb == "apply"]
    assert written[0] == ROUTE_KIND
    assert written.count(ROUTE_KIND) == 1, "the leader tidies up meanwhile"
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "AlertFiring"
    assert ERRORS in look.rejected[second]["message"]
    await stage.until(lambda look: shown(look) == [ERRORS], "shown in status")
    await stage.quiet()


async def test_an_alert_is_answered_and_rolled_back_while_events_can_not_be_written(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.line.hanging.add("Event")
    began = asyncio.get_running_loop().time()
    assert await tell(stage, alert(stage)) == [Effect.REVERTED]
    assert asyncio.get_running_loop().time() - began < 3 * stage.latency
    assert (await stage.look()).weights == {first: 100}
    stage.line.release()
    await stage.reverted(second)
    await stage.quiet()


async def test_an_alert_in_the_bake_goes_back_to_the_old_version(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(100)
    assert await tell(stage, alert(stage)) == [Effect.REVERTED]
    assert (await stage.look()).weights == {first: 100}
    await stage.reverted(second)
    await stage.quiet()


async def test_conflicts_with_other_writers_delay_an_alert_by_no_more_than_a_reading(stage: Stage) -> None:
    first = await stage.serve()
    await stage.rolling(25)
    stage.faults.append(conflict_every(2))
    began = asyncio.get_running_loop().time()
    assert await tell(stage, alert(stage)) == [Effect.REVERTED]
    assert (await stage.look()).weights == {first: 100}
    assert asyncio.get_running_loop().time() - began < 0.1


async def test_an_alert_that_is_told_again_or_was_resolved_before_writes_nothing(stage: Stage) -> None:
    await stage.serve()
    told = alert(stage)
    assert await tell(stage, resolved=(told,)) == [Effect.NOTHING]
    assert await tell(stage, told) == [Effect.NOTED]
    await stage.until(lambda look: shown(look) == [ERRORS], "shown in status")
    await asyncio.sleep(30)
    before = len(stage.writes)
    assert await tell(stage, told) == [Effect.NOTHING]
    await asyncio.sleep(300)
    assert stage.writes[before:] == []


async def test_an_alert_while_there_is_nothing_to_lower_holds_the_next_version_until_it_is_resolved(
    stage: Stage,
) -> None:
    first = await stage.serve()
    told = alert(stage)
    assert await tell(stage, told) == [Effect.NOTED]
    second = stage.point()
    look = await stage.until(lambda look: "held at 0%" in look.condition("Ready").get("message", ""), "held")
    assert look.condition("Ready")["reason"] == "HeldByAlert"
    await asyncio.sleep(200)
    assert (await stage.look()).weights == {first: 100}
    assert await tell(stage, resolved=(told,)) == [Effect.RESOLVED]
    look = await stage.serves(second)
    assert not shown(look)
    await stage.quiet()


async def test_an_alert_that_is_older_than_the_first_weight_blocks_raises_and_lowers_nothing(stage: Stage) -> None:
    first = await stage.serve()
    old = alert(stage)
    await asyncio.sleep(60)
    second = await stage.rolling(25)
    assert await tell(stage, old) == [Effect.NOTED]
    await asyncio.sleep(200)
    look = await stage.look()
    assert look.weights == {first: 75, second: 25}
    assert look.condition("Ready")["reason"] == "HeldByAlert"
    assert await tell(stage, resolved=(old,)) == [Effect.RESOLVED]
    await stage.serves(second)
    await stage.quiet()


async def test_a_hold_whose_end_nobody_tells_stalls_after_an_hour_and_a_person_dismisses_it(stage: Stage) -> None:
    await stage.serve()
    await tell(stage, alert(stage, since=stage.clock.now() - 3540))
    second = stage.point()
    await stage.until(lambda look: look.condition("Ready")["reason"] == "HeldByAlert", "held")
    look = await stage.until(lambda look: look.reason("Stalled") == "HeldByAlert", "stalled", 70)
    assert "tidegate.dev/dismiss" in look.condition("Stalled")["message"]
    await stage.annotate("dismiss", look.status["alerts"][0]["id"])
    await stage.serves(second)
    await stage.quiet()


async def test_an_alert_ends_by_itself_when_its_sender_said_so(stage: Stage) -> None:
    await stage.serve()
    await tell(stage, alert(stage, until=stage.clock.now() + 300))
    second = stage.point()
    look = await stage.serves(second)
    assert not shown(look)
    assert stage.books.raises(second) == [5, 25, 50, 100]


async def test_a_route_that_can_not_be_written_keeps_the_alert_until_it_can(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    with pytest.raises(ClusterError, match="denied"):
        await tell(stage, alert(stage))
    await asyncio.sleep(60)
    stage.faults.clear()
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", 1.5)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "AlertFiring"


async def test_an_alert_told_to_a_replica_that_only_watches_is_written_by_it_and_learnt_by_the_other(
    stage: Stage,
) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    assert stage.line is not None
    standby = await stage.watcher(stage.line)
    assert await tell(stage, alert(stage), replica=standby) == [Effect.REVERTED]
    assert (await stage.look()).weights == {first: 100}
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "AlertFiring"
    await stage.quiet()


async def test_an_object_without_a_route_or_that_nobody_can_read_is_not_answered_for(stage: Stage) -> None:
    await stage.serve()

    def spoil(body: Any) -> None:
        body["metadata"]["annotations"]["tidegate.dev/record"] = "{}"

    await stage.hands.edit(ROUTE_KIND, NAME, spoil)
    await asyncio.sleep(1)
    with pytest.raises(Unreachable, match="format"):
        await tell(stage, alert(stage))
    await stage.hands.edit(ROUTE_KIND, NAME, lambda body: body["metadata"].update(ownerReferences=[]))
    await asyncio.sleep(1)
    with pytest.raises(Unreachable, match="no route"):
        await tell(stage, alert(stage))


async def test_an_alert_of_an_object_that_is_gone_is_forgotten(stage: Stage) -> None:
    await stage.serve()
    operator = stage.operator
    await stage.vanish()
    await asyncio.sleep(1)
    assert operator is not None
    assert await tell(stage, alert(stage), replica=operator) == []


async def test_an_alert_of_an_object_whose_spec_became_invalid_is_noted(stage: Stage) -> None:
    await stage.serve()
    await stage.respec(rollout={"weights": [50, 5]})
    await asyncio.sleep(1)
    assert await tell(stage, alert(stage)) == [Effect.NOTED]


async def test_alerts_concern_the_object_that_their_labels_name_or_that_chose_them(stage: Stage) -> None:
    await stage.serve()
    operator = stage.operator
    assert operator is not None
    mine = {"namespace": "ml", "modeldeployment": NAME}
    assert operator.matching.now().keys({"alertname": ERRORS, **mine}) == [f"ml/{NAME}"]
    assert operator.matching.now().keys({"alertname": ERRORS, **mine, "namespace": "other"}) == []
    assert operator.matching.now().keys({"alertname": ERRORS}) == []
    guards = {"errorRate": {"max": "1%"}, "alerts": {"matchLabels": {"team": "risk"}}}
    await stage.respec(guards=guards)
    await asyncio.sleep(1)
    assert operator.matching.now().keys({"team": "risk", "severity": "page"}) == [f"ml/{NAME}"]
    assert operator.matching.now().keys(mine) == []
