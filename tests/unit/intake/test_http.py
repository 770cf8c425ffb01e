"""Health, readiness and metrics as probes and Prometheus ask for them."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidegate.intake.http import IntakeServer
from tidegate.telemetry import Metrics


class Door:
    def __init__(self) -> None:
        self.sick: str | None = None
        self.missing: str | None = None
        self.server = IntakeServer(
            host="127.0.0.1",
            port=0,
            registry=Metrics().registry,
            healthy=lambda: self.sick,
            ready=lambda: self.missing,
        )

    async def ask(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.server.port}{path}") as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    await made.server.start()
    yield made
    await made.server.stop()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_well_is_200(door: Door, path: str) -> None:
    assert await door.ask(path) == (200, "ok\n")


async def test_what_is_stuck_is_unhealthy_and_said(door: Door) -> None:
    door.sick = "the pass of ml/fraud has not ended for 121 s"
    assert await door.ask("/healthz") == (503, "the pass of ml/fraud has not ended for 121 s\n")
    assert await door.ask("/readyz") == (200, "ok\n")


async def test_what_is_missing_is_unready_and_no_reason_to_be_killed(door: Door) -> None:
    door.missing = "not everything was listed yet"
    assert await door.ask("/readyz") == (503, "not everything was listed yet\n")
    assert await door.ask("/healthz") == (200, "ok\n")


async def test_metrics_can_be_parsed(door: Door) -> None:
    status, text = await door.ask("/metrics")
    assert status == 200
    assert "tidegate_queue_depth" in {family.name for family in text_string_to_metric_families(text)}


async def test_one_metric_can_be_asked_for_alone(door: Door) -> None:
    status, text = await door.ask("/metrics?name[]=tidegate_reconciles_total")
    assert status == 200
    assert {family.name for family in text_string_to_metric_families(text)} == {"tidegate_reconciles"}


async def test_a_connection_on_which_nobody_asks_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.intake.http.IDLE", 0.05)
    door = Door()
    await door.server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 200")  # read to its end: the server's
    writer.close()
    await door.server.stop()
