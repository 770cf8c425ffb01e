"""The queues in front of the receivers: bounded, in order, and nobody's concern but their own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog
from tests.contract.test_notifier import notice
from tests.fakes.notifier import FakeNotifier
from tests.fixtures.loopclock import LoopClock

from tidegate.core.notice import Happening, Notice
from tidegate.loop import notices as module
from tidegate.loop.notices import Notices
from tidegate.telemetry import Metrics

VIRTUAL_TIME = True


def numbered(count: int) -> list[Notice]:
    return [replace(notice(), happening=Happening.STEP, attempt=number + 1) for number in range(count)]


class Post:
    """Queues with their receivers, at work."""

    def __init__(self, *receivers: FakeNotifier, most: int = 10) -> None:
        self.metrics = Metrics()
        self.notices = Notices(receivers, clock=LoopClock(), metrics=self.metrics, most=most)
        self._work = asyncio.create_task(self.notices.run())

    def count(self, result: str, receiver: str = "fake") -> float:
        labels = {"receiver": receiver, "result": result}
        return self.metrics.registry.get_sample_value("tidegate_notifications_total", labels) or 0.0

    async def end(self) -> None:
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        await self.notices.stop()


@pytest.fixture
def fake() -> FakeNotifier:
    return FakeNotifier()


@pytest.fixture
async def post(fake: FakeNotifier) -> AsyncIterator[Post]:
    made = Post(fake)
    yield made
    await made.end()


async def test_everything_arrives_once_and_in_order(post: Post, fake: FakeNotifier) -> None:
    post.notices.tell(numbered(10))
    await asyncio.sleep(1)
    post.notices.tell(numbered(13))
    await asyncio.sleep(1)
    assert fake.taken == numbered(13)
    assert post.count("delivered") == 13


async def test_the_same_notice_is_told_once_and_only_so_many_are_remembered(post: Post, fake: FakeNotifier) -> None:
    post.notices.tell([notice(), notice()])
    await asyncio.sleep(1)
    post.notices.tell([notice()])
    await asyncio.sleep(1)
    assert fake.taken == [notice()]
    for number in range(module.REMEMBERED):
        post.notices.tell([replace(notice(), attempt=number + 10)])
        await asyncio.sleep(0.01)
    post.notices.tell([notice()])
    await asyncio.sleep(1)
    assert fake.taken[-1] == notice()


async def test_what_a_receiver_does_not_want_it_does_not_get() -> None:
    picky = FakeNotifier(wanted=frozenset({Happening.REVERTED}))
    post = Post(picky)
    post.notices.tell([*numbered(2), notice()])
    await asyncio.sleep(1)
    assert picky.taken == [notice()]
    await post.end()


async def test_a_full_queue_drops_the_oldest_and_counts_them(post: Post, fake: FakeNotifier) -> None:
    fake.mood = "down"
    post.notices.tell(numbered(25))
    fake.mood = "up"
    await asyncio.sleep(100)
    assert fake.taken == numbered(25)[15:]
    assert post.count("dropped") == 15


async def test_one_that_fails_is_tried_again_ever_more_slowly_until_it_takes_it(post: Post, fake: FakeNotifier) -> None:
    fake.mood = "down"
    post.notices.tell(numbered(3))
    await asyncio.sleep(7.4)
    assert fake.tries == 4  # after 0, 0.5, 1.5 and 3.5 seconds
    await asyncio.sleep(200)
    assert fake.tries < 16
    fake.mood = "up"
    await asyncio.sleep(module.LAST_BACKOFF)
    assert fake.taken == numbered(3)


async def test_one_that_asks_for_time_gets_it(post: Post, fake: FakeNotifier) -> None:
    fake.mood, fake.wait = "down", 60.0
    post.notices.tell(numbered(1))
    await asyncio.sleep(59)
    assert fake.tries == 1
    await asyncio.sleep(2)
    assert fake.tries == 2


async def test_what_nobody_took_for_too_long_is_no_news_and_is_let_go(post: Post, fake: FakeNotifier) -> None:
    fake.mood = "down"
    post.notices.tell(numbered(2))
    await asyncio.sleep(module.LIFETIME + module.LAST_BACKOFF + 1)
    assert post.count("expired") == 2
    fake.mood = "up"
    post.notices.tell([notice()])
    await asyncio.sleep(module.LAST_BACKOFF)
    assert fake.taken == [notice()]


async def test_what_is_refused_is_not_tried_again_and_blocks_nothing(post: Post, fake: FakeNotifier) -> None:
    fake.mood = "refusing"
    post.notices.tell(numbered(3))
    await asyncio.sleep(1)
    assert (fake.tries, post.count("refused")) == (3, 3)


async def test_one_that_hangs_is_given_up_at_the_deadline_and_tried_again(post: Post, fake: FakeNotifier) -> None:
    fake.mood = "hanging"
    post.notices.tell(numbered(1))
    await asyncio.sleep(module.DEADLINE + module.FIRST_BACKOFF + 0.1)
    assert fake.tries == 2


async def test_one_that_hangs_delays_no_other() -> None:
    hanging, well = FakeNotifier("hanging"), FakeNotifier("well")
    hanging.mood = "hanging"
    post = Post(hanging, well)
    post.notices.tell(numbered(5))
    await asyncio.sleep(0.01)
    assert well.taken == numbered(5)
    await post.end()


async def test_a_fault_of_ours_in_a_receiver_ends_nothing_and_its_address_is_not_logged(
    post: Post, fake: FakeNotifier
) -> None:
    fake.mood = "broken"
    with structlog.testing.capture_logs() as lines:
        post.notices.tell(numbered(1))
        await asyncio.sleep(0.1)
    fake.mood = "up"
    await asyncio.sleep(1)
    assert fake.taken == numbered(1)
    assert [line["error"] for line in lines] == ["RuntimeError"]


async def test_a_long_failure_is_logged_once_and_its_end_too(post: Post, fake: FakeNotifier) -> None:
    fake.mood = "down"
    with structlog.testing.capture_logs() as lines:
        post.notices.tell(numbered(1))
        await asyncio.sleep(100)
        fake.mood = "up"
        await asyncio.sleep(module.LAST_BACKOFF)
    assert [line["event"] for line in lines] == [
        "notice not delivered, it is tried again",
        "receiver takes notices again",
    ]


async def test_at_the_end_what_is_queued_is_still_delivered(fake: FakeNotifier) -> None:
    post = Post(fake)
    post.notices.tell(numbered(5))
    await post.end()
    assert fake.taken == numbered(5)
    assert fake.closed


@pytest.mark.parametrize("mood", ["hanging", "down"])
async def test_at_the_end_a_dead_receiver_costs_a_moment_and_what_is_lost_is_counted(
    fake: FakeNotifier, mood: str
) -> None:
    fake.mood = mood
    post = Post(fake)
    post.notices.tell(numbered(5))
    await asyncio.sleep(1)
    before = asyncio.get_running_loop().time()
    await post.end()
    assert asyncio.get_running_loop().time() - before == pytest.approx(module.FAREWELL, abs=0.01)
    assert post.count("dropped") == 5


async def test_without_receivers_there_is_nothing_to_do() -> None:
    post = Post()
    post.notices.tell(numbered(5))
    await post.end()
