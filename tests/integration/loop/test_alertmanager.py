"""A real Prometheus and a real Alertmanager tell an operator on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.driver.monitoring import Monitoring, Receiver
from tests.integration.loop.test_api_server import RealStage, real

from tidegate.adapters.tokens import TokenFile
from tidegate.intake.alerts import Doors
from tidegate.intake.http import IntakeServer
from tidegate.wiring import alert_intake

__all__ = ["real"]
pytestmark = pytest.mark.apiserver
TOKEN = "a-token-that-nobody-guesses"


def rule(stage: RealStage, *, fires: bool) -> dict[str, Any]:
    return {
        "alert": "HighErrorRate",
        "expr": "vector(1) > 0" if fires else "vector(0) > 0",
        "labels": {"namespace": stage.hands.namespace, "modeldeployment": "fraud"},
        "annotations": {"summary": "8% errors"},
    }


@pytest.fixture
async def monitoring(real: RealStage, tmp_path: Path) -> AsyncIterator[Monitoring]:
    """Prometheus and Alertmanager, told of the operator that leads."""
    (tmp_path / "token").write_text(TOKEN)
    # A minute of the machine's time, at the pace of this operator's clock.
    await real.serve(real.manifest(rollout={"weights": [25, 100], "hold": "300s"}))
    assert real.operator is not None
    server = IntakeServer(
        host="127.0.0.1",
        port=0,
        registry=real.operator.metrics.registry,
        healthy=lambda: None,
        ready=real.operator.ready,
        alerts=alert_intake(real.operator, Doors(tokens=TokenFile(str(tmp_path / "token")))),
    )
    await server.start()
    url = f"http://127.0.0.1:{server.port}/alerts/alertmanager"
    receivers = [Receiver(url=url, token=TOKEN), Receiver(url=url, token="another-token-of-nobody")]
    made = await asyncio.to_thread(lambda: Monitoring(tmp_path, rules=[rule(real, fires=False)], receivers=receivers))
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.stop)
    await server.stop()


async def test_an_alert_takes_the_canary_off_and_its_end_lets_the_next_version_go(
    real: RealStage, monitoring: Monitoring
) -> None:
    real.books.by_hand = True
    second = await real.rolling(25)
    await asyncio.to_thread(monitoring.configure, rules=[rule(real, fires=True)])
    look = await real.until(lambda look: second not in look.weights, "off traffic", 60)
    look = await real.reverted(second, 60)
    assert look.rejected[second]["reason"] == "AlertFiring"
    assert "8% errors" in look.rejected[second]["message"]
    third = real.point()
    await real.until(lambda look: look.condition("Ready").get("reason") == "HeldByAlert", "held", 60)
    await asyncio.to_thread(monitoring.configure, rules=[rule(real, fires=False)])
    await real.until(lambda look: look.weights.get(third, 0) > 0, "the hold is over", 60)
    assert not (await real.look()).status.get("alerts")
    assert not real.traffic.lost
    assert real.operator is not None
    metrics = real.operator.metrics.registry
    assert metrics.get_sample_value("tidegate_alerts_total", {"result": "reverted"}) == 1
    assert metrics.get_sample_value("tidegate_alerts_total", {"result": "resolved"}) == 1
    refused = {"form": "alertmanager", "code": "401"}
    assert (metrics.get_sample_value("tidegate_alert_requests_total", refused) or 0) >= 1
