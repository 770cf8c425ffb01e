"""What the operator tells of itself: metrics and one log line per decision."""

import logging
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tidegate.core.reasons import Reason


class Metrics:
    """The operator's own metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.passes = Counter(
            "tidegate_reconciles_total", "Passes of the loop by outcome.", ["outcome"], registry=self.registry
        )
        self.decisions = Counter(
            "tidegate_decisions_total", "Records written to a route, by reason.", ["reason"], registry=self.registry
        )
        self.conflicts = Counter(
            "tidegate_route_conflicts_total", "Route writes that met another writer.", registry=self.registry
        )
        self.reverts = Histogram(
            "tidegate_revert_seconds",
            "From the cause of a revert as seen here to the route's new weights.",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
            registry=self.registry,
        )
        self.queue = Gauge("tidegate_queue_depth", "Objects that wait for a pass.", registry=self.registry)
        self.objects = Gauge("tidegate_modeldeployments", "Objects known.", registry=self.registry)

    def decided(self, reason: Reason) -> None:
        """Count a record that was written."""
        self.decisions.labels(reason=reason.value).inc()


def configure_logging(level: str, form: str) -> None:
    """Log to standard error: JSON lines in a container, readable ones at a terminal."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(numeric, logging.WARNING))
