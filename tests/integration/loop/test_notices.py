"""Receivers hear of a rollout in its order, and one that hangs changes nothing of it."""

import asyncio

from tests.fakes.cluster import refuse_kind
from tests.fakes.notifier import FakeNotifier
from tests.integration.loop.stage import FakeStage, Stage

from tidegate.core.labels import ROUTE_KIND
from tidegate.core.notice import Happening, Notice


def words(notices: list[Notice], version: str) -> list[str]:
    told = [notice for notice in notices if notice.revision.version.number == version]
    return [f"{n.happening} {n.weight}" if n.happening is Happening.STEP else str(n.happening) for n in told]


async def one_good_one_bad(stage: Stage) -> tuple[str, str]:
    """A first version, a second that takes over, a third that breaks at 25 %."""
    await stage.serve()
    second = await stage.rolling()
    await stage.serves(second)
    third = await stage.rolling(25)
    stage.traffic.errors[third] = 1.0
    await stage.reverted(third)
    return second, third


async def test_a_receiver_hears_of_everything_in_its_order(stage: Stage) -> None:
    receiver = FakeNotifier()
    stage.notifiers.append(receiver)
    second, third = await one_good_one_bad(stage)
    await asyncio.sleep(5)
    assert words(receiver.taken, "1") == ["started", "promoted"]
    assert words(receiver.taken, second) == ["started", "step 5", "step 25", "step 50", "step 100", "promoted"]
    assert words(receiver.taken, third) == ["started", "step 5", "step 25", "reverted"]
    last = receiver.taken[-1]
    assert (last.reason, last.rejects) == ("GuardBreached", True)
    assert last.stable is not None
    assert last.stable.version.number == second
    assert len({notice.id for notice in receiver.taken}) == len(receiver.taken)


async def course(receivers: list[FakeNotifier]) -> list[dict[str, int]]:
    """What the route gave whom, write by write, in one and the same story."""
    stage = FakeStage()
    stage.notifiers += receivers
    await stage.open()
    try:
        await one_good_one_bad(stage)
        await stage.quiet()
        return [change.weights for change in stage.books.changes]
    finally:
        await stage.close()


async def test_a_receiver_that_hangs_changes_nothing_of_the_course() -> None:
    hanging = FakeNotifier()
    hanging.mood = "hanging"
    without = await course([])
    assert await course([hanging]) == without
    assert hanging.tries > 0
    # All of it came to pass, the revert too, before the first notice was taken.
    assert hanging.taken == []


async def test_a_revert_by_the_second_plane_is_told_when_traffic_has_left_and_not_again_with_the_route(
    stage: Stage,
) -> None:
    receiver = FakeNotifier()
    stage.notifiers.append(receiver)
    await stage.serve()
    second = await stage.rolling(25)
    stage.faults.append(refuse_kind(ROUTE_KIND))
    stage.traffic.errors[second] = 1.0
    await stage.until(lambda _: words(receiver.taken, second)[-1:] == ["reverted"], "told of the revert")
    assert (await stage.look()).weights.get(second) == 25
    stage.faults.clear()
    await stage.reverted(second)
    await asyncio.sleep(5)
    assert words(receiver.taken, second) == ["started", "step 5", "step 25", "reverted"]


async def test_an_operator_that_is_killed_tells_nothing_twice(stage: Stage) -> None:
    receiver = FakeNotifier()
    stage.notifiers.append(receiver)
    await stage.serve()
    second = await stage.rolling(25)
    await stage.reborn()
    await stage.serves(second)
    await asyncio.sleep(5)
    told = words(receiver.taken, second)
    assert len(told) == len(set(told))
    assert told[-1] == "promoted"
