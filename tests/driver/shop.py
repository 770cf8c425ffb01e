"""A business number that Prometheus scrapes and alerts on: what no guard of Tidegate's knows of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from tests.driver.monitoring import Monitoring, inside
from tests.driver.platform import wait_for


class Shop:
    """`conversion`: 1 while all is well."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self.well()

    def well(self) -> None:
        """From now on."""
        self._gauge.set(1.0)

    def badly(self) -> None:
        """From now on: `rule` fires."""
        self._gauge.set(0.2)


def rule(namespace: str, name: str) -> Mapping[str, Any]:
    """An alert on the shop that concerns an object."""
    return {
        "alert": "ConversionFell",
        "expr": "conversion < 0.5",
        "labels": {"namespace": namespace, "modeldeployment": name},
        "annotations": {"summary": "conversion fell by half"},
    }


@contextmanager
def open_shop(monitoring: Monitoring, *, pushed: bool = True) -> Iterator[Shop]:
    """A shop that Prometheus scrapes. `pushed`: there is an Alertmanager.

    A Prometheus that has just read its configuration knows no Alertmanager for some seconds, drops what it would tell
    it and tries again after a minute: so rules are not what changes here.
    """
    registry = CollectorRegistry()
    gauge = Gauge("conversion", "Share of visits that end in an order.", registry=registry)
    shop = Shop(gauge)
    with inside(monitoring.access):
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    monitoring.scrape("shop", [f"127.0.0.1:{server.server_port}"])

    def told() -> bool:
        known = monitoring.prometheus.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        return bool((known or not pushed) and monitoring.prometheus.query("conversion"))

    try:
        wait_for(told, seconds=30, what="Prometheus scrapes the shop and knows whom to tell")
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
