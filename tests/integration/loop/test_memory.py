"""What was rejected stays rejected, and what was only parked comes again."""

import asyncio

from tests.integration.loop.look import Look
from tests.integration.loop.stage import Stage

from tidegate.core.labels import KIND, RECORD, ROUTE_KIND


async def rejected(stage: Stage) -> tuple[str, str]:
    """A first version serves, a second one was rejected."""
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    await stage.reverted(second)
    stage.traffic.errors.clear()
    return first, second


async def stays(stage: Stage, first: str, second: str) -> None:
    seen = len(stage.books.changes)
    await asyncio.sleep(7200)
    look = await stage.look()
    assert look.weights == {first: 100}
    assert look.named == {first}
    assert second in look.rejected
    assert look.reason("Stalled") == "GuardBreached"
    assert stage.books.changes[seen:] == []


async def test_a_rejected_version_stays_so_after_a_restart_a_re_apply_and_an_upgrade(stage: Stage) -> None:
    first, second = await rejected(stage)
    await stage.reborn()
    await stage.apply(stage.manifest())
    stage.settings = stage.settings.model_copy(update={"runtime_image": "example.invalid/runtime:2"})
    await stage.reborn()
    await stays(stage, first, second)


async def test_a_rejected_version_stays_so_when_the_route_was_deleted_while_nobody_looked(stage: Stage) -> None:
    first, second = await rejected(stage)
    await stage.alone(first)
    await stage.kill()
    await stage.hand(stage.hands.remove(ROUTE_KIND, "fraud"))
    stage.start()
    await stage.until(lambda look: look.weights == {first: 100}, "the route again")
    look = await stage.until(lambda look: look.condition("RouteAccepted").get("status") == "True", "confirmed")
    assert second in look.rejected


async def test_a_retry_is_done_once_and_only_for_the_attempt_that_it_names(stage: Stage) -> None:
    _, second = await rejected(stage)
    await stage.annotate("retry", f"{second}/1")
    await stage.until(lambda look: look.weights.get(second) == 5, "tried again")
    stage.traffic.errors[second] = 1.0
    look = await stage.reverted(second)
    assert look.rejected[second]["attempt"] == 2
    stage.traffic.errors.clear()
    await stays(stage, "1", second)
    await stage.annotate("retry", f"{second}/2")
    await stage.serves(second)


async def test_a_retry_at_once_on_pods_that_are_still_there_is_not_blamed_for_the_first_attempt(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    look = await stage.until(lambda look: second in look.rejected, "rejected")
    uids = {pod["metadata"]["uid"] for pod in await stage.kubelet.pods(second)}
    stage.traffic.errors.clear()
    await stage.annotate("retry", f"{second}/1")
    await stage.until(lambda look: look.rollout.get("attempt") == 2, "the second attempt")
    assert uids & {pod["metadata"]["uid"] for pod in await stage.kubelet.pods(second)}, "no pod is left to be blamed"
    look = await stage.serves(second)
    assert not look.rejected
    await stage.quiet()


async def test_a_second_attempt_on_old_pods_is_not_blamed_either_if_the_operator_dies_in_it(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda look: second in look.rejected, "rejected")
    stage.traffic.errors.clear()
    await stage.annotate("retry", f"{second}/1")
    await stage.until(lambda look: look.rollout.get("attempt") == 2 and bool(look.weights.get(second)), "has weight")
    await asyncio.sleep(12)
    await stage.reborn()
    look = await stage.serves(second)
    assert not look.rejected


async def test_a_new_version_makes_the_rejected_one_past(stage: Stage) -> None:
    _, second = await rejected(stage)
    third = stage.point()
    await stage.serves(third)
    stage.point(second)
    look = await stage.until(lambda look: look.reason("Stalled") == "GuardBreached", "still rejected")
    assert look.version == third


async def test_a_superseded_version_is_not_rejected_and_works_when_it_comes_back(stage: Stage) -> None:
    await stage.serve()
    second = await stage.rolling(25)
    third = stage.point()
    await stage.until(lambda look: look.weights.get(third) == 5, "the third begins")
    stage.point(second)
    look = await stage.serves(second)
    assert not look.rejected
    await stage.quiet()


async def test_a_version_that_was_promoted_goes_straight_back_to_100_once_ready(stage: Stage) -> None:
    first = await stage.serve()
    second = stage.point()
    await stage.serves(second)
    await asyncio.sleep(3600)
    stage.point(first)
    await stage.serves(first)
    assert stage.books.raises(first)[-1] == 100
    shares = [change.weights for change in stage.books.changes]
    assert shares[-1] == {first: 100}
    assert shares[-2] == {second: 100}
    await stage.quiet()


async def test_outside_of_the_rollback_window_it_takes_the_steps_again(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(rollout={"weights": [50, 100], "hold": "30s", "rollbackWindow": "1m"}))
    second = stage.point()
    await stage.serves(second)
    await asyncio.sleep(3600)
    stage.point(first)
    await stage.serves(first)
    assert {first: 50, second: 50} in [change.weights for change in stage.books.changes[-3:]]


def unreadable(body: dict[str, object]) -> None:
    body["metadata"]["annotations"][RECORD] = '{"v":99}'  # type: ignore[index]  # an object as JSON


async def held(stage: Stage) -> Look:
    return await stage.until(lambda look: look.reason("Stalled") == "RecordUnreadable", "held")


async def test_a_record_of_another_format_on_the_route_is_held_and_nothing_is_written(stage: Stage) -> None:
    first, second = await rejected(stage)
    await stage.alone(first)
    kept = (await stage.look()).route
    assert kept is not None
    await stage.hand(stage.hands.edit(ROUTE_KIND, "fraud", unreadable))
    look = await held(stage)
    assert RECORD in look.condition("Stalled")["message"]
    assert look.rejected[second]
    before = len(stage.writes)
    stage.point()
    await stage.hand(stage.hands.remove("Deployment", await stage.named(first)))
    await stage.reborn()
    await asyncio.sleep(1200)
    assert stage.writes[before:] == []
    record = kept["metadata"]["annotations"][RECORD]
    await stage.hand(
        stage.hands.edit(ROUTE_KIND, "fraud", lambda b: b["metadata"]["annotations"].update({RECORD: record}))
    )
    await stage.serves("3")
    assert second in (await stage.look()).rejected


async def test_a_record_that_nobody_can_read_is_held_in_mid_rollout_too(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.hand(stage.hands.edit(ROUTE_KIND, "fraud", unreadable))
    await held(stage)
    seen = len(stage.books.changes)
    await asyncio.sleep(600)
    assert stage.books.changes[seen:] == []
    assert (await stage.look()).weights == {first: 75, second: 25}
    stage.books.by_hand = True
    await stage.hands.remove(ROUTE_KIND, "fraud")
    await stage.until(lambda look: look.weights == {first: 100}, "made anew from status, everything on stable")
    stage.books.by_hand = False
    await stage.serves(second)


async def test_an_unreadable_record_in_status_is_held_while_there_is_no_route(stage: Stage) -> None:
    first, _ = await rejected(stage)
    await stage.alone(first)
    await stage.kill()

    def spoil(body: dict[str, dict[str, object]]) -> None:
        body["status"]["record"] = '{"v":99}'

    status = (await stage.look()).status
    await stage.hands.set_status(KIND, "fraud", {**status, "record": '{"v":99}'})
    await stage.hand(stage.hands.remove(ROUTE_KIND, "fraud"))
    before = len(stage.writes)
    stage.start()
    look = await held(stage)
    assert "status.record" in look.condition("Stalled")["message"]
    await asyncio.sleep(1200)
    assert {write.verb for write in stage.writes[before:]} == {"status"}
    assert (await stage.look()).route is None


async def test_a_route_that_was_lost_in_mid_rollout_is_made_anew_and_the_attempt_goes_on_from_0(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    await stage.hand(stage.hands.remove(ROUTE_KIND, "fraud"))
    look = await stage.until(lambda look: look.route is not None, "a route")
    assert look.weights == {first: 100}
    look = await stage.serves(second)
    assert [entry["attempt"] for entry in look.status["history"]] == [1, 1]
