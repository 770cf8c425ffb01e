"""A queue that nobody works on: a standby's."""

import asyncio

from tidegate.loop.queue import SPARE, WorkQueue


async def test_a_shut_queue_takes_nothing_and_drops_what_waits() -> None:
    queue = WorkQueue()
    queue.add("ml/a")
    queue.add_after("ml/b", 0.0)
    queue.shut()
    queue.add("ml/c")
    queue.add_after("ml/d", 0.0)
    assert len(queue) == 0
    assert queue.untaken() == 0.0
    queue.open()
    queue.add("ml/e")
    assert await queue.get() == "ml/e"
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0.01)
    assert not getter.done()
    getter.cancel()


async def test_a_pass_that_ends_after_the_queue_was_shut_asks_for_no_other() -> None:
    queue = WorkQueue()
    queue.add("ml/a")
    key = await queue.get()
    queue.add(key)
    queue.shut()
    queue.done(key)
    queue.open()
    assert len(queue) == 0


async def test_wishes_that_earlier_ones_took_the_place_of_do_not_pile_up() -> None:
    queue = WorkQueue()
    for _ in range(10 * SPARE):
        queue.add_after("ml/a", 86_400.0)
        queue.add_after("ml/a", 0.0)
        assert await queue.get() == "ml/a"
        queue.done("ml/a")
    queue.add_after("ml/a", 86_400.0)
    queue.add_after("ml/b", 0.0)
    assert len(queue._later) <= 2 * 2 + SPARE + 1
    assert await queue.get() == "ml/b"
    # What is still wanted is kept.
    assert queue._due.keys() == {"ml/a"}
    assert any(key == "ml/a" and due == queue._due[key] for due, key in queue._later)
