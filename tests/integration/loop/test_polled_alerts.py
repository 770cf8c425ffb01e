"""Alerts that are read from Prometheus: each reading is the whole truth, and none says nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.fakes.prometheus import FakePrometheus
from tests.integration.loop.look import Look
from tests.integration.loop.stage import FakeStage, Stage

from tidegate.core.reasons import Reason
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable
from tidegate.loop.polled import BEGINNINGS, FIRING, INTERVAL, REMEMBERED

LABELS = {"alertname": "HighErrorRate", "namespace": "ml", "modeldeployment": "fraud"}


def fires(prometheus: FakePrometheus, *series: dict[str, str], since: float = 0.0) -> None:
    prometheus.tell(FIRING, *[({**labels, "__name__": "ALERTS", "alertstate": "firing"}, 1.0) for labels in series])
    prometheus.tell(BEGINNINGS, *[({**labels, "__name__": BEGINNINGS}, since) for labels in series])
    if series:
        prometheus.tell(REMEMBERED, *[({**labels, "alertstate": "firing"}, 1.0) for labels in series])


def held(look: Look) -> bool:
    return bool(look.condition("Ready").get("reason") == "HeldByAlert")


@pytest.fixture
async def prometheus() -> FakePrometheus:
    return FakePrometheus()


@pytest.fixture
async def stage(prometheus: FakePrometheus) -> AsyncIterator[Stage]:
    made = FakeStage()
    made.settings = made.settings.model_copy(update={"alerts_from_prometheus": True})
    made.prometheus = prometheus
    await made.open()
    yield made
    await made.close()


async def test_an_alert_that_appears_takes_the_canary_off_and_holds_the_next_until_it_is_gone(
    stage: Stage, prometheus: FakePrometheus
) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    fires(prometheus, LABELS)
    await stage.until(lambda look: look.weights == {first: 100}, "everything back", INTERVAL + 1)
    look = await stage.reverted(second)
    assert look.rejected[second]["reason"] == "AlertFiring"
    third = stage.point()
    await stage.until(held, "held")
    prometheus.mood = "down"
    fires(prometheus)
    await asyncio.sleep(60)
    assert held(await stage.look())
    prometheus.mood = "up"
    await stage.serves(third)
    await stage.quiet()


async def test_what_fires_already_when_a_leader_begins_is_as_old_as_prometheus_says(
    stage: Stage, prometheus: FakePrometheus
) -> None:
    first = await stage.serve()
    fires(prometheus, LABELS, since=stage.clock.now() - 1)
    await stage.kill()
    await asyncio.sleep(60)
    stage.start()
    second = stage.point()
    await stage.until(held, "held")
    assert (await stage.look()).weights == {first: 100}
    # The one after it knows from the route what was told before, and that it is over.
    fires(prometheus)
    await stage.reborn()
    await stage.serves(second)
    await stage.quiet()


async def test_alerts_of_others_and_an_alert_that_stays_write_nothing(stage: Stage, prometheus: FakePrometheus) -> None:
    await stage.serve()
    fires(prometheus, LABELS, {**LABELS, "namespace": "other"}, {"alertname": "Watchdog"})
    await stage.until(lambda look: bool(look.status.get("alerts")), "noted")
    await asyncio.sleep(30)
    before = len(stage.writes)
    await asyncio.sleep(120)
    assert [write for write in stage.writes[before:] if write.kind != "Lease"] == []
    assert len((await stage.look()).status["alerts"]) == 1


async def test_a_prometheus_that_lost_its_data_resolves_nothing(stage: Stage, prometheus: FakePrometheus) -> None:
    first = await stage.serve()
    fires(prometheus, LABELS)
    await stage.until(lambda look: bool(look.status.get("alerts")), "noted")
    second = stage.point()
    await stage.until(held, "held")
    fires(prometheus)
    prometheus.tell(REMEMBERED)
    await asyncio.sleep(120)
    assert held(await stage.look())
    # It fires again, and is over this time.
    fires(prometheus, LABELS)
    await asyncio.sleep(30)
    assert held(await stage.look())
    assert (await stage.look()).weights == {first: 100}
    fires(prometheus)
    await stage.serves(second)
    await stage.quiet()


async def test_what_is_asked_when_an_alert_is_gone_and_not_answered_resolves_nothing(
    stage: Stage, prometheus: FakePrometheus
) -> None:
    await stage.serve()
    fires(prometheus, LABELS)
    await stage.until(lambda look: bool(look.status.get("alerts")), "noted")
    second = stage.point()
    await stage.until(held, "held")
    query = prometheus.query
    refused = Unavailable(reason=Reason.QUERY_REFUSED, message="too much")

    async def partly(promql: str, *, timeout: float) -> tuple[Sample, ...] | Unavailable:  # noqa: ASYNC109 (the port's)
        return refused if promql == REMEMBERED else await query(promql, timeout=timeout)

    prometheus.query = partly  # type: ignore[method-assign]
    fires(prometheus)
    await asyncio.sleep(60)
    assert held(await stage.look())
    prometheus.query = query  # type: ignore[method-assign]
    await stage.serves(second)
