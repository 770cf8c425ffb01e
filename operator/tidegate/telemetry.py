"""What the operator tells of itself: metrics, and how its log lines look.

Names and units follow Prometheus (https://prometheus.io/docs/practices/naming/). Series are bounded: labels hold words
of the vocabulary, and those that name an object vanish with it.
"""

import logging
from collections.abc import Iterator
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate import VERSION
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef, Role

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
#: What the labels of an object are called. Not `modeldeployment`: an alert on one of these series must not be taken
#: for one that speaks of a model, which reverts.
OBJECT = ("namespace", "name")


class Metrics:
    """The operator's own metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.passes = self._counter("tidegate_reconciles_total", "Passes of the loop by outcome.", "outcome")
        self.pass_seconds = self._histogram(
            "tidegate_reconcile_duration_seconds",
            "How long a pass took, its writes included.",
            (0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 30),
        )
        self.alerts = self._counter(
            "tidegate_alerts_total",
            "Alerts told of, by what came of them: reverted, noted, resolved, nothing (known already), foreign, "
            "forbidden or failed.",
            "result",
        )
        self.alert_requests = self._counter(
            "tidegate_alert_requests_total",
            "Requests that told of alerts, by form (alertmanager or plain) and HTTP status.",
            "form",
            "code",
        )
        self.decisions = self._counter("tidegate_decisions_total", "Records written to a route, by reason.", "reason")
        self.conflicts = self._counter("tidegate_route_conflicts_total", "Route writes that met another writer.")
        self.rollouts = self._histogram(
            "tidegate_rollout_duration_seconds",
            "Attempts that ended, from their start, by result: promoted, rejected or parked.",
            (MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY),
            "result",
        )
        self.reverts = self._histogram(
            "tidegate_revert_seconds",
            "From the cause of a revert as seen here to the route's new weights.",
            (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
        )
        self.revert_failures = self._counter(
            "tidegate_revert_failures_total", "Writes of a revert that failed and were tried again."
        )
        self.diversions = self._counter(
            "tidegate_diversions_total",
            "Services of canaries that were pointed at stable's pods, as the route could not be written.",
        )
        self.put_back = self._counter(
            "tidegate_put_back_total", "Objects of ours that somebody else had changed, by kind.", "kind"
        )
        self.evidence_errors = self._counter(
            "tidegate_evidence_errors_total", "Readings of evidence that failed, by source.", "source"
        )
        self.webhook_requests = self._counter(
            "tidegate_webhook_requests_total", "Calls of MLflow's webhooks, by the status that was answered.", "code"
        )
        self.registry_errors = self._counter(
            "tidegate_registry_errors_total", "Reads of the registry that got such an answer, by reason.", "reason"
        )
        self.registry_seconds = self._histogram(
            "tidegate_registry_request_duration_seconds",
            "How long a read of the registry took.",
            (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.versions_due = self._gauge(
            "tidegate_registry_versions_due",
            "Archived versions that nothing keeps any more: retention deletes them next, or would without dryRun.",
        )
        self.versions_deleted = self._counter(
            "tidegate_registry_versions_deleted_total",
            "Archived versions that retention deleted from a registry, by outcome: done, failed (it is still there) or "
            "unknown (the registry does not tell).",
            "outcome",
        )
        self.events_dropped = self._counter(
            "tidegate_events_dropped_total", "Kubernetes Events not written, by cause: rate, queue or error.", "cause"
        )
        self.notifications = self._counter(
            "tidegate_notifications_total",
            "Notices by receiver and result: delivered, refused (by the receiver), expired (tried for too long), "
            "dropped (no room in the queue, or the process ended).",
            "receiver",
            "result",
        )
        self.audit_events = self._counter(
            "tidegate_audit_events_total",
            "Audit events by result: written, failed (and tried again), or lost (acts that fell out of their object's "
            "journal before they were written).",
            "result",
        )
        self.audit_posts = self._counter(
            "tidegate_audit_posts_total",
            "Audit events to the webhook by result: delivered, failed or refused (and tried again), or lost (acts that "
            "fell out of their object's journal before they were delivered).",
            "result",
        )
        self.audit_behind = self._gauge(
            "tidegate_audit_behind", "Objects with acts that the audit trail's webhook has not taken yet."
        )
        self.part_failures = self._counter(
            "tidegate_part_failures_total", "Parts of the leader's work that failed and were started again.", "part"
        )
        self.queue = self._gauge("tidegate_queue_depth", "Objects that wait for a pass.")
        self.leader = self._gauge("tidegate_leader", "1 while this replica leads, else 0.")
        self.reverting = self._gauge("tidegate_reverts_in_progress", "Reverts that are being written.")
        self.objects = self._gauge("tidegate_modeldeployments", "Objects known.")
        self.loop_lag = self._histogram(
            "tidegate_event_loop_lag_seconds",
            "How much later than asked for the event loop came round, each second.",
            (0.005, 0.02, 0.1, 0.5, 1, 5),
        )
        self.tasks = self._gauge(
            "tidegate_asyncio_tasks",
            "Tasks of the event loop that have not ended, counted each second. A number that only grows is a leak.",
        )
        self.weights = ObjectGauge(
            "tidegate_weight_ratio", "Share of the traffic (0 to 1) that the route gives to a role.", "role"
        )
        self.stalled = ObjectGauge(
            "tidegate_stalled", "1 while nothing changes by itself and a person has to act, by reason.", "reason"
        )
        for collector in (self.weights, self.stalled):
            self.registry.register(collector)
        self.build = Info("tidegate_build", "The operator's version.", registry=self.registry)
        self.build.info({"version": VERSION})
        ProcessCollector(registry=self.registry)

        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Show what words are known beforehand: a series that appears with its first event has no rate of it."""
        for outcome in ("done", "conflict", "unreachable", "error"):
            self.passes.labels(outcome=outcome)
        for result in ("promoted", "rejected", "parked"):
            self.rollouts.labels(result=result)
        for cause in ("rate", "queue", "error"):
            self.events_dropped.labels(cause=cause)
        for written in ("written", "failed", "lost"):
            self.audit_events.labels(result=written)
        for posted in ("delivered", "failed", "refused", "lost"):
            self.audit_posts.labels(result=posted)
        for outcome in ("done", "failed", "unknown"):
            self.versions_deleted.labels(outcome=outcome)
        for source in ("pods", "prometheus"):
            self.evidence_errors.labels(source=source)
        for came in ("reverted", "noted", "resolved", "nothing", "foreign", "forbidden", "failed"):
            self.alerts.labels(result=came)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=buckets, registry=self.registry)

    def decided(self, reason: Reason) -> None:
        """Count a record that was written."""
        self.decisions.labels(reason=reason.value).inc()

    def weighed(self, ref: ObjectRef, record: Record) -> None:
        """Show the weights of an object's record."""
        canary = record.rollout.weight if record.rollout else 0
        stable = {Role.STABLE.value: (100 - canary) / 100} if record.stable else {}
        self.weights.show(ref.key, stable | {Role.CANARY.value: canary / 100})

    def stands(self, ref: ObjectRef, reason: Reason, *, stalled: bool) -> None:
        """Show whether an object waits for a person."""
        self.stalled.show(ref.key, {reason.value: 1.0} if stalled else {})

    def forget(self, key: str) -> None:
        """Let the series of an object that is gone vanish."""
        self.weights.forget(key)
        self.stalled.forget(key)


class ObjectGauge(Collector):
    """A gauge of series that name an object and one thing of it. What is shown of an object replaces what was."""

    def __init__(self, name: str, about: str, label: str) -> None:
        self.name = name
        self.about = about
        self.labels = (*OBJECT, label)
        self._shown: dict[str, dict[str, float]] = {}

    def show(self, key: str, values: dict[str, float]) -> None:
        """Show these values of an object, by what the label says, and no others."""
        self._shown[key] = values

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._shown.pop(key, None)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The family without samples."""
        yield GaugeMetricFamily(self.name, self.about, labels=self.labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family as it stands."""
        family = GaugeMetricFamily(self.name, self.about, labels=self.labels)
        for key, values in self._shown.items():
            namespace, _, name = key.partition("/")
            for label, value in values.items():
                family.add_metric((namespace, name, label), value)
        yield family


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
