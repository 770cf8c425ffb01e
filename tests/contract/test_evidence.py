"""What every source of evidence owes the watch: the fake and the one that reads real pages over HTTP alike."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.fakes.evidence import FakeEvidence

from tidegate.adapters.pods import PodEvidence
from tidegate.core.plan import Runtime
from tidegate.core.readings import Reading, Unreadable
from tidegate.ports import Evidence, PodTarget
from tidegate_runtime.metrics import CONTENT_TYPE, Metrics


class Pod(Protocol):
    """A pod that the test moves."""

    mood: str

    @property
    def target(self) -> PodTarget: ...

    def serve(self, number: int, code: str = "2xx", seconds: float = 0.02) -> None: ...

    def accept(self, number: int, age: float = 0.0) -> None: ...

    def grow_older(self, seconds: float) -> None: ...

    def restart(self) -> None: ...

    def release(self) -> None: ...


class RuntimePod:
    """The runtime's own metrics, served over HTTP."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.mood = "up"
        self._now = 0.0
        self._starts = 0
        self._moved = asyncio.Event()
        self._metrics = self._new_process()
        app = web.Application()
        app.router.add_get("/metrics", self._page)
        self.server = TestServer(app, host="127.0.0.1")

    @property
    def target(self) -> PodTarget:
        return PodTarget(uid=self.uid, url=f"http://127.0.0.1:{self.server.port}/metrics")

    def serve(self, number: int, code: str = "2xx", seconds: float = 0.02) -> None:
        tickets = [self._metrics.start() for _ in range(number)]
        self._now += seconds
        for ticket in tickets:
            self._metrics.finish(ticket, int(code[0]) * 100)

    def accept(self, number: int, age: float = 0.0) -> None:
        for _ in range(number):
            self._metrics.start()
        self._now += age

    def grow_older(self, seconds: float) -> None:
        self._now += seconds

    def restart(self) -> None:
        self._metrics = self._new_process()

    def release(self) -> None:
        self.mood = "up"
        self._moved.set()

    def _new_process(self) -> Metrics:
        self._starts += 1
        return Metrics(revision="r", version="7", started_at=1e9 + 60 * self._starts, clock=lambda: self._now)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        while self.mood == "hanging":
            self._moved.clear()
            await self._moved.wait()
        if self.mood == "down":
            raise web.HTTPServiceUnavailable
        page = self._metrics.render()
        return web.Response(body=page[: len(page) // 2] if self.mood == "garbled" else page, headers=_HEADERS)


_HEADERS = {"Content-Type": CONTENT_TYPE}


class World:
    """A source, and the pods that it reads."""

    def __init__(self, source: Evidence, pods: list[Pod]) -> None:
        self.source = source
        self.pods = pods

    async def read_all(self, seconds: float = 5.0) -> list[Reading | Unreadable]:
        targets = [pod.target for pod in self.pods]
        readings = await self.source.read(targets, Runtime.TIDEGATE, None, timeout=seconds)
        assert set(readings) == {target.uid for target in targets}
        return [readings[target.uid] for target in targets]

    async def read(self) -> Reading:
        reading = (await self.read_all())[0]
        assert isinstance(reading, Reading), reading
        return reading


@pytest.fixture(params=["fake", "http"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        fake = FakeEvidence()
        yield World(fake, [fake.pod("a"), fake.pod("b")])
        return
    real = [RuntimePod("a"), RuntimePod("b")]
    for pod in real:
        await pod.server.start_server()
    source = PodEvidence()
    yield World(source, list(real))
    await source.close()
    for pod in real:
        pod.release()
        await pod.server.close()


async def test_answers_are_counted_by_code_class_and_duration(world: World) -> None:
    world.pods[0].serve(40, "2xx", 0.02)
    world.pods[0].serve(3, "5xx", 2.0)
    world.pods[0].serve(2, "4xx", 0.02)
    reading = await world.read()
    assert reading.finished == {"2xx": 40, "4xx": 2, "5xx": 3}
    assert reading.started == reading.arrived == 45
    edge = reading.edge(0.5)
    assert edge is not None
    assert reading.durations is not None
    index = reading.durations.edges.index(edge)
    assert 0.5 <= edge <= 0.55
    assert {code: counts[index] for code, counts in reading.durations.counts.items()} == {"2xx": 40, "4xx": 2, "5xx": 0}


async def test_what_is_unanswered_is_counted_by_its_age(world: World) -> None:
    world.pods[0].accept(4, age=40.0)
    world.pods[0].accept(5)
    reading = await world.read()
    assert reading.durations is not None
    assert reading.in_flight is not None
    ages = dict(zip((*reading.durations.edges, float("inf")), reading.in_flight, strict=True))
    assert ages[float("inf")] == 9
    assert ages[max(edge for edge in reading.durations.edges if edge <= 35)] == 5
    assert reading.answered == 0
    world.pods[0].grow_older(600.0)
    assert (await world.read()).in_flight != reading.in_flight


async def test_a_process_that_started_anew_is_seen(world: World) -> None:
    world.pods[0].serve(5)
    before = await world.read()
    world.pods[0].restart()
    after = await world.read()
    assert before.process_started != after.process_started
    assert after.answered == 0


@pytest.mark.parametrize("mood", ["down", "garbled", "hanging"])
async def test_a_pod_that_does_not_tell_is_unreadable_and_hides_no_other(world: World, mood: str) -> None:
    world.pods[0].mood = mood
    world.pods[1].serve(7)
    first, second = await world.read_all(0.5)
    assert isinstance(first, Unreadable)
    assert first.reason
    assert isinstance(second, Reading)
    assert second.answered == 7
    world.pods[0].release()
    assert isinstance(await world.read(), Reading)


async def test_a_pod_that_hangs_costs_no_more_than_its_deadline(world: World) -> None:
    world.pods[0].mood = "hanging"
    loop = asyncio.get_running_loop()
    began = loop.time()
    first, _ = await world.read_all(0.3)
    assert loop.time() - began < 2
    assert isinstance(first, Unreadable)
    assert "no answer within 0.3 s" in first.reason


async def test_nobody_listening_is_unreadable(world: World) -> None:
    target = PodTarget(uid="gone", url="http://127.0.0.1:1/metrics")
    readings = await world.source.read([target], Runtime.TIDEGATE, None, timeout=5)
    assert isinstance(readings["gone"], Unreadable)
    assert "onnection refused" in readings["gone"].reason


async def test_no_pods_are_no_readings(world: World) -> None:
    assert await world.source.read([], Runtime.TIDEGATE, None, timeout=5) == {}
