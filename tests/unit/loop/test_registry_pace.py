"""What the shared poll costs: by watched names, spread over the interval, and never more for a registry that fails."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import pytest
from tests.fakes.registry import FakeRegistry

from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.loop.registry import SINGLES, SPREAD, RegistryPoll, Wish

VIRTUAL_TIME = True
CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")
INTERVAL = 30.0


class Clock:
    """The event loop's time, which is a number here."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Timed(FakeRegistry):
    """A registry that keeps when it was read, and what for."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, frozenset[str]]] = []

    async def resolve(self, wishes: Iterable[Wish]) -> dict[Wish, VersionId | Unavailable]:
        wanted = list(wishes)
        self.times.append((asyncio.get_running_loop().time(), frozenset(model for model, _ in wanted)))
        return dict(await super().resolve(wanted))


class Polled:
    """A poll of as many models as a test says."""

    def __init__(self) -> None:
        self.registry = Timed()
        self.changes: list[set[str]] = []
        self.faults = 0
        self.poll = RegistryPoll(
            self.registry,
            Clock(),
            INTERVAL,
            on_change=lambda keys: self.changes.append(set(keys)),
            on_fault=self._fault,
        )
        self.names: list[str] = []

    def _fault(self) -> None:
        self.faults += 1

    def watch(self, count: int) -> list[str]:
        for number in range(count):
            name = f"model-{number:03}"
            self.registry.register(name)
            self.registry.add_version(name)
            self.registry.add_version(name)
            self.registry.set_alias(name, "champion", "1")
            self.poll.want(f"ml/{name}", name, CHAMPION)
            self.names.append(name)
        return self.names

    def value(self, name: str) -> VersionId | Unavailable | None:
        read = self.poll.value(name, CHAMPION)
        return read[0] if read else None

    def unknown(self) -> list[str]:
        return [name for name in self.names if not isinstance(self.value(name), VersionId)]


@pytest.fixture
async def polled() -> AsyncIterator[Polled]:
    subject = Polled()
    task = asyncio.create_task(subject.poll.run())
    yield subject
    subject.registry.release()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_few_names_are_read_one_by_one_over_the_whole_interval(polled: Polled) -> None:
    names = polled.watch(SINGLES)
    await asyncio.sleep(10 * INTERVAL)
    # The first interval began before anybody asked for anything.
    rest = [(at, read) for at, read in polled.registry.times if at > INTERVAL]
    assert polled.registry.times[0][1] == set(names)
    assert {len(read) for _, read in rest} == {1}
    pauses = [after[0] - before[0] for before, after in itertools.pairwise(rest)]
    assert min(pauses) >= INTERVAL / SINGLES * (1 - SPREAD) - 1e-6
    assert max(pauses) <= INTERVAL / SINGLES + 1e-6
    assert {name for _, (name,) in rest[:SINGLES]} == set(names)


async def test_every_name_is_read_within_each_interval(polled: Polled) -> None:
    names = polled.watch(SINGLES)
    await asyncio.sleep(3 * INTERVAL)
    for name in names:
        polled.registry.set_alias(name, "champion", "2")
    await asyncio.sleep(2 * INTERVAL)
    assert {getattr(polled.value(name), "number", None) for name in names} == {"2"}


async def test_many_names_are_read_together_once_an_interval(polled: Polled) -> None:
    names = polled.watch(SINGLES + 1)
    await asyncio.sleep(10 * INTERVAL)
    assert {read for _, read in polled.registry.times} == {frozenset(names)}
    assert 10 <= len(polled.registry.times) <= 1 + 10 / (1 - SPREAD)


async def test_a_server_that_has_to_be_walked_is_walked_every_fifth_interval_at_most(polled: Polled) -> None:
    polled.registry.pace = 5
    polled.watch(SINGLES + 1)
    await asyncio.sleep(50 * INTERVAL)
    times = [at for at, _ in polled.registry.times]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert min(pauses[1:]) >= 5 * INTERVAL * (1 - SPREAD) - 1e-6
    assert not polled.unknown()


async def test_with_few_names_a_server_without_filter_costs_no_walk(polled: Polled) -> None:
    polled.registry.pace = 5
    polled.watch(SINGLES)
    await asyncio.sleep(4 * INTERVAL)
    assert {len(read) for at, read in polled.registry.times if at > INTERVAL} == {1}


@pytest.mark.parametrize("pace", [1, 5])
@pytest.mark.parametrize("count", [1, SINGLES, SINGLES + 1])
async def test_an_outage_is_told_to_all_at_once_and_its_end_within_an_interval(
    polled: Polled, count: int, pace: int
) -> None:
    polled.registry.pace = pace
    names = polled.watch(count)
    await asyncio.sleep(6 * INTERVAL)
    polled.changes.clear()
    polled.registry.fail(Reason.REGISTRY_UNREACHABLE)
    await asyncio.sleep(5 * INTERVAL)
    assert polled.unknown() == names
    assert max(map(len, polled.changes)) >= count - 1
    assert polled.poll.fault is not None
    polled.registry.fail(None)
    await asyncio.sleep(INTERVAL)
    assert polled.unknown() == []
    assert polled.poll.fault is None


async def test_a_failing_server_that_has_to_be_walked_is_asked_by_its_smallest_request(polled: Polled) -> None:
    polled.registry.pace = 5
    polled.watch(SINGLES + 1)
    await asyncio.sleep(INTERVAL)
    polled.registry.fail(Reason.REGISTRY_UNREACHABLE)
    await asyncio.sleep(10 * INTERVAL)
    reads, checks = len(polled.registry.times), polled.registry.checks
    await asyncio.sleep(10 * INTERVAL)
    assert len(polled.registry.times) == reads
    assert polled.registry.checks >= checks + 9


async def test_a_model_that_is_forbidden_is_no_fault_of_the_registry_and_costs_no_more_reads(polled: Polled) -> None:
    names = polled.watch(3)
    await asyncio.sleep(2 * INTERVAL)
    polled.registry.forbidden = {names[0]}
    await asyncio.sleep(2 * INTERVAL)
    assert polled.unknown() == names[:1]
    reads, told = len(polled.registry.times), polled.faults
    await asyncio.sleep(10 * INTERVAL)
    assert polled.poll.fault is None
    assert {len(read) for _, read in polled.registry.times[reads:]} == {1}
    assert polled.faults == told


async def test_a_hint_is_followed_at_once_and_only_for_what_somebody_asks(polled: Polled) -> None:
    first, second = polled.watch(2)
    await asyncio.sleep(1.0)
    polled.registry.set_alias(first, "champion", "2")
    polled.registry.set_alias(second, "champion", "2")
    assert polled.poll.hint("another") is False
    assert polled.poll.hint(first) is True
    await asyncio.sleep(0.1)
    assert [getattr(polled.value(name), "number", None) for name in (first, second)] == ["2", "1"]


async def test_a_flood_of_hints_is_a_few_reads(polled: Polled) -> None:
    (name,) = polled.watch(1)
    await asyncio.sleep(1.0)
    before = len(polled.registry.times)
    for _ in range(1000):
        polled.poll.hint(name)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    assert len(polled.registry.times) - before <= 25
