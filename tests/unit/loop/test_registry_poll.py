"""The shared poll: one read for all, a new wish at once, and nobody waits for a registry that hangs."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from tests.fakes.registry import FakeRegistry
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.loop.registry import OLDEST, RegistryPoll

CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")
LONG = 3600.0


class Clock(SteadyClock):
    """Real time, and as much more as the test says."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Polled:
    """A poll over a fake registry with a model whose alias names version 1."""

    def __init__(self, interval: float) -> None:
        self.registry = FakeRegistry()
        self.registry.register("fraud")
        self.registry.add_version("fraud")
        self.registry.add_version("fraud")
        self.registry.set_alias("fraud", "champion", "1")
        self.clock = Clock()
        self.changes: list[set[str]] = []
        self.poll = RegistryPoll(self.registry, self.clock, interval, on_change=self._changed)
        self.task = asyncio.create_task(self.poll.run())

    def _changed(self, keys: Iterable[str]) -> None:
        self.changes.append(set(keys))

    def value(self, model: str = "fraud") -> VersionId | Unavailable | None:
        read = self.poll.value(model, CHAMPION)
        return read[0] if read else None

    def number(self) -> str | None:
        value = self.value()
        return value.number if isinstance(value, VersionId) else None

    def reason(self) -> str | None:
        value = self.value()
        return value.reason if isinstance(value, Unavailable) else None


async def polled(interval: float) -> AsyncIterator[Polled]:
    subject = Polled(interval)
    yield subject
    subject.registry.release()
    subject.task.cancel()
    await asyncio.gather(subject.task, return_exceptions=True)


@pytest.fixture
async def fast() -> AsyncIterator[Polled]:
    async for subject in polled(0.03):
        yield subject


@pytest.fixture
async def slow() -> AsyncIterator[Polled]:
    async for subject in polled(LONG):
        yield subject


async def test_nothing_is_known_before_the_first_read(slow: Polled) -> None:
    slow.poll.want("ml/fraud", "fraud", CHAMPION)
    assert slow.poll.value("fraud", CHAMPION) is None


async def test_new_wishes_are_read_at_once_and_together(slow: Polled) -> None:
    for i in range(100):
        slow.poll.want(f"ml/{i}", "fraud" if i % 2 else f"model-{i}", CHAMPION)
    await until(lambda: bool(slow.changes))
    assert slow.number() == "1"
    assert len(slow.registry.reads) == 1
    assert slow.changes == [{f"ml/{i}" for i in range(100)}]


async def test_a_wish_that_is_known_already_costs_no_read(slow: Polled) -> None:
    slow.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: slow.number() == "1")
    slow.poll.want("ml/b", "fraud", CHAMPION)
    slow.poll.want("ml/a", "fraud", CHAMPION)
    slow.poll.want("ml/c", "other", CHAMPION)
    await until(lambda: slow.value("other") is not None)
    assert [len(read) for read in slow.registry.reads] == [1, 1]


async def test_a_moved_alias_is_told_to_those_who_asked_for_it(fast: Polled) -> None:
    fast.registry.register("other")
    fast.registry.add_version("other")
    fast.registry.set_alias("other", "champion", "1")
    for key, model in (("ml/a", "fraud"), ("ml/b", "fraud"), ("ml/c", "other")):
        fast.poll.want(key, model, CHAMPION)
    await until(lambda: len(fast.changes) == 1)
    fast.registry.set_alias("fraud", "champion", "2")
    await until(lambda: fast.number() == "2")
    assert fast.changes[1:] == [{"ml/a", "ml/b"}]


async def test_what_stays_the_same_is_told_once(fast: Polled) -> None:
    fast.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: len(fast.registry.reads) > 5)
    assert fast.changes == [{"ml/a"}]


async def test_a_failing_registry_is_said_and_so_is_its_end(fast: Polled) -> None:
    fast.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: fast.number() == "1")
    fast.registry.fail(Reason.REGISTRY_FAILING)
    await until(lambda: fast.reason() == Reason.REGISTRY_FAILING)
    fast.registry.fail(None)
    await until(lambda: fast.number() == "1")
    assert fast.changes == [{"ml/a"}] * 3


async def test_a_registry_that_hangs_keeps_nobody_and_is_too_old_in_the_end(slow: Polled) -> None:
    slow.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: slow.number() == "1")
    slow.registry.hanging = True
    slow.poll.want("ml/b", "other", CHAMPION)
    await until(lambda: len(slow.registry.reads) == 2)
    assert slow.number() == "1"
    assert slow.value("other") is None
    slow.clock.ahead = max(3 * LONG, OLDEST) + 1
    assert slow.reason() == Reason.REGISTRY_UNREACHABLE
    slow.registry.release()
    await until(lambda: slow.value("other") is not None)


async def test_the_time_of_a_read_is_when_it_was_asked(slow: Polled) -> None:
    before = slow.clock.monotonic()
    slow.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: slow.number() == "1")
    read = slow.poll.value("fraud", CHAMPION)
    assert read is not None
    assert before <= read[1] <= slow.clock.monotonic()


async def test_what_nobody_asks_for_any_more_is_forgotten(fast: Polled) -> None:
    fast.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: fast.number() == "1")
    fast.poll.want("ml/a", "other", CHAMPION)
    assert fast.value() is None
    await until(lambda: fast.value("other") is not None)
    fast.poll.forget("ml/a")
    fast.poll.forget("ml/unknown")
    assert fast.value("other") is None
    count = len(fast.registry.reads)
    fast.poll.want("ml/b", "fraud", CHAMPION)
    await until(lambda: fast.number() == "1")
    assert all(("other", CHAMPION) not in read for read in fast.registry.reads[count:])


async def test_a_read_that_was_overtaken_by_a_later_one_is_dropped(slow: Polled) -> None:
    slow.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: slow.number() == "1")
    read = slow.poll.value("fraud", CHAMPION)
    assert read is not None
    old = Unavailable(reason=Reason.REGISTRY_FAILING, message="an old answer")
    assert slow.poll._take({("fraud", CHAMPION): old}, read[1] - 1) == set()
    assert slow.number() == "1"


async def test_the_poll_goes_on_as_long_as_it_is_not_cancelled(fast: Polled) -> None:
    await until(lambda: not fast.task.done())
    fast.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: len(fast.registry.reads) > 3)
    assert not fast.task.done()


async def test_a_poll_that_begins_again_asks_at_once_and_goes_by_nothing_that_it_was_told_before(slow: Polled) -> None:
    slow.poll.want("ml/a", "fraud", CHAMPION)
    await until(lambda: slow.number() == "1")
    slow.task.cancel()
    await asyncio.gather(slow.task, return_exceptions=True)
    slow.registry.set_alias("fraud", "champion", "2")
    again = asyncio.create_task(slow.poll.run())
    await asyncio.sleep(0)
    assert slow.poll.value("fraud", CHAMPION) is None
    await until(lambda: slow.number() == "2")
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
