"""A real Prometheus and a real Alertmanager tell an operator on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.driver.monitoring import Monitoring, Receiver
from tests.driver.shop import Shop, open_shop, rule
from tests.integration.loop.test_api_server import RealStage, real

from tidegate.adapters.tokens import TokenFile
from tidegate.intake.alerts import Doors
from tidegate.intake.http import IntakeServer
from tidegate.process import alert_intake

__all__ = ["real"]
pytestmark = pytest.mark.apiserver
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
async def shop(real: RealStage, tmp_path: Path) -> AsyncIterator[Shop]:
    """Watched by a Prometheus, whose Alertmanager tells the operator that leads."""
    (tmp_path / "token").write_text(TOKEN)
    # A minute of the machine's time, at the pace of this operator's clock.
    await real.serve(real.manifest(rollout={"weights": [25, 100], "hold": "300s"}))
    assert real.operator is not None
    server = IntakeServer(
        host="127.0.0.1",
        port=0,
        registry=real.operator.metrics.registry,
        healthy=lambda: None,
        ready=real.operator.listed,
        alerts=alert_intake(real.operator, Doors(tokens=TokenFile(str(tmp_path / "token")))),
    )
    await server.start()
    url = f"http://127.0.0.1:{server.port}/alerts/alertmanager"
    receivers = [Receiver(url=url, token=TOKEN), Receiver(url=url, token="another-token-of-nobody")]
    with ExitStack() as stack:

        def opened() -> Shop:
            made = Monitoring(tmp_path, rules=[rule(real.hands.namespace, "fraud")], receivers=receivers)
            stack.callback(made.stop)
            made.start()
            return stack.enter_context(open_shop(made))

        yield await asyncio.to_thread(opened)
        await asyncio.to_thread(stack.close)
    await server.stop()


async def test_an_alert_takes_the_canary_off_and_its_end_lets_the_next_version_go(real: RealStage, shop: Shop) -> None:
    real.books.by_hand = True
    second = await real.rolling(25)
    shop.badly()
    look = await real.until(lambda look: second not in look.weights, "off traffic", 60)
    look = await real.reverted(second, 60)
    assert look.rejected[second]["reason"] == "AlertFiring"
    assert "conversion fell by half" in look.rejected[second]["message"]
    third = real.point()
    await real.until(lambda look: look.condition("Ready").get("reason") == "HeldByAlert", "held", 60)
    shop.well()
    await real.until(lambda look: look.weights.get(third, 0) > 0, "the hold is over", 60)
    await real.until(lambda look: not look.status.get("alerts"), "no longer shown", 60)
    assert not real.traffic.lost
    assert real.operator is not None
    metrics = real.operator.metrics.registry
    assert metrics.get_sample_value("tidegate_alerts_total", {"result": "reverted"}) == 1
    assert metrics.get_sample_value("tidegate_alerts_total", {"result": "resolved"}) == 1
    refused = {"form": "alertmanager", "code": "401"}
    assert (metrics.get_sample_value("tidegate_alert_requests_total", refused) or 0) >= 1
