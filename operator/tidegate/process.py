"""One operator process: the parts outside the cluster's own, told by settings, and its beginning and end."""

import asyncio
import os
from pathlib import Path

import structlog

from tidegate.adapters.access import Access, find_identity, own_namespace
from tidegate.adapters.audit import AuditLines
from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.cloudevents import AuditEvents, CloudEvents, TrainingEvents
from tidegate.adapters.kube import KubeCluster
from tidegate.adapters.lease import KubeLease
from tidegate.adapters.mlflow import MlflowRegistry, login_from
from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.adapters.pods import PodEvidence
from tidegate.adapters.prometheus import HttpPrometheus, NoPrometheus
from tidegate.adapters.relay import LeaderRelay
from tidegate.adapters.reviews import KubeReviews
from tidegate.adapters.signatures import SecretFile
from tidegate.adapters.slack import Slack
from tidegate.adapters.tokens import TokenFile
from tidegate.intake.alerts import AlertIntake, Doors
from tidegate.intake.certificate import Certificate
from tidegate.intake.handlers import Intake
from tidegate.intake.http import IntakeServer
from tidegate.intake.informer import run_informer
from tidegate.intake.webhooks import PATH, WebhookIntake
from tidegate.ports import AuditTrail, Notifier, Prometheus
from tidegate.settings import AuditSettings, NotifySettings, RetrainSettings, Settings, happenings
from tidegate.wiring import Operator

_log = structlog.get_logger("tidegate")


async def run(settings: Settings) -> None:
    """Run one operator process until it is told to end."""
    identity = await find_identity()
    access = Access(identity)
    lease_access = Access(identity, connections=2)
    registry, writer = MlflowRegistry(login_from(os.environ)), MlflowWriter(login_from(os.environ))
    retraining = RetrainSettings()
    trainer = _trainer(retraining)
    auditor = audit_receiver(AuditSettings())
    evidence = PodEvidence()
    prometheus = _prometheus(settings)
    cluster = KubeCluster(access, total=settings.api_timeout)
    operator = Operator(
        settings=settings,
        cluster=cluster,
        registry=registry,
        writer=writer,
        evidence=evidence,
        prometheus=prometheus,
        logs=cluster,
        clock=SteadyClock(),
        notifiers=receivers(NotifySettings()),
        trainer=trainer,
        retraining=retraining,
        trail=audit_trail(settings),
        audit_receiver=auditor,
        leases=_leases(settings, lease_access),
    )
    server = IntakeServer(
        host=settings.http_host,
        port=settings.http_port,
        registry=operator.metrics.registry,
        healthy=operator.watchdog.trouble,
        ready=operator.ready,
        alerts=alert_intake(operator, _doors(settings, access)),
        webhooks=webhook_intake(operator, settings),
        tls=_certificate(settings),
    )
    await server.start()
    try:
        await _until_told(operator, access, settings)
    finally:
        await server.stop()
        await evidence.close()
        await prometheus.close()
        await registry.close()
        await writer.close()
        if trainer is not None:
            await trainer.close()
        if auditor is not None:
            await auditor.close()
        await lease_access.close()
        await access.close()


def alert_intake(operator: Operator, doors: Doors) -> AlertIntake:
    """Takes alerts for an operator, from whom the doors let in."""
    return AlertIntake(
        lane=operator.alerts,
        match=operator.matching.now,
        doors=doors,
        clock=operator.clock,
        metrics=operator.metrics,
        ready=operator.listed,
    )


def _leases(settings: Settings, access: Access) -> KubeLease:
    """The Lease, on connections of its own.

    It is asked for all the time. On those of all it would use each of them again and again, so that none is ever idle
    for long enough to be closed; and it would wait behind a thousand others.
    """
    cluster = KubeCluster(access, total=settings.api_timeout)
    return KubeLease(cluster, namespace=settings.lease_namespace or own_namespace(), name=settings.lease_name)


def _doors(settings: Settings, access: Access) -> Doors:
    return Doors(
        tokens=TokenFile(settings.alerts_token_file) if settings.alerts_token_file else None,
        reviews=KubeReviews(access, audience=settings.alerts_audience, total=settings.api_timeout)
        if settings.alerts_reviews
        else None,
    )


def audit_trail(settings: Settings) -> AuditTrail | None:
    """Where audit events go; None where nobody wants them."""
    if settings.audit == "off":
        return None
    return AuditLines(None if settings.audit == "stdout" else Path(settings.audit), cluster=NotifySettings().cluster)


def audit_receiver(settings: AuditSettings) -> AuditEvents | None:
    """Who takes audit events over HTTP; None where nobody does."""
    url = settings.url.get_secret_value()
    if not url:
        return None
    return AuditEvents(url, token_file=settings.token_file, ca_file=settings.ca_file, cluster=NotifySettings().cluster)


def webhook_intake(operator: Operator, settings: Settings) -> WebhookIntake | None:
    """Takes webhooks of MLflow for an operator, where there is a secret to verify them by."""
    if not settings.webhook_secret_file:
        return None
    return WebhookIntake(
        signatures=SecretFile(settings.webhook_secret_file),
        hint=operator.registries.hint,
        leads=lambda: operator.elector.leads,
        relay=LeaderRelay(lambda: operator.elector.leader, PATH, cert_file=settings.webhook_cert_file),
        clock=operator.clock,
        metrics=operator.metrics,
    )


def _certificate(settings: Settings) -> Certificate | None:
    if not settings.webhook_cert_file:
        return None
    return Certificate(settings.webhook_cert_file, settings.webhook_key_file, port=settings.webhook_port)


def _prometheus(settings: Settings) -> Prometheus:
    if not settings.prometheus_url:
        return NoPrometheus()
    return HttpPrometheus(
        settings.prometheus_url, token_file=settings.prometheus_token_file, ca_file=settings.prometheus_ca_file
    )


async def _until_told(operator: Operator, access: Access, settings: Settings) -> None:
    told, over = asyncio.Event(), asyncio.Event()
    intake = Intake(seen=operator.seen, gone=operator.gone, listed=operator.relister.since)
    watches = asyncio.create_task(
        run_informer(intake, access, namespaces=settings.watched_namespaces, stop=over, on_signal=told.set),
        name="watches",
    )
    work = asyncio.create_task(operator.run(), name="work")
    # A loop or watches that died must take the process with them: the kubelet starts a new one.
    for task in (watches, work):
        task.add_done_callback(lambda _: told.set())
    await told.wait()
    # The lease first: kopf takes seconds to end.
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await operator.stop()
    over.set()
    await watches
    if not work.cancelled():
        work.result()
    _log.info("stopped")


def _trainer(settings: RetrainSettings) -> TrainingEvents | None:
    url = settings.url.get_secret_value()
    if not url:
        return None
    return TrainingEvents(url, token=settings.token.get_secret_value(), cluster=NotifySettings().cluster)


def receivers(settings: NotifySettings) -> tuple[Notifier, ...]:
    """Who is told of rollouts."""
    found: list[Notifier] = []
    if url := settings.cloudevents_url.get_secret_value():
        wanted = happenings(settings.cloudevents_events)
        token = settings.cloudevents_token.get_secret_value()
        found.append(CloudEvents(url, token=token, wanted=wanted, cluster=settings.cluster))
    if url := settings.slack_url.get_secret_value():
        found.append(Slack(url, wanted=happenings(settings.slack_events), cluster=settings.cluster))
    return tuple(found)
