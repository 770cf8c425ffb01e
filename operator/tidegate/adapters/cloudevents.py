"""Notices as CloudEvents 1.0 over HTTP, in structured mode (one JSON document; CloudEvents HTTP binding, 3.2)."""

import json
from datetime import UTC, datetime
from typing import Any

from tidegate.adapters.audit import render as render_line
from tidegate.adapters.webhooks import Webhook
from tidegate.core.audit import AuditEvent
from tidegate.core.labels import API_VERSION
from tidegate.core.notice import Happening, Notice
from tidegate.core.retraining import Order
from tidegate.ports import Answer

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
#: What each event's type begins with: the reversed domain, as the specification asks for.
TYPE = "dev.tidegate.rollout"
AUDIT = "dev.tidegate.audit"
TRAINING = "dev.tidegate.retraining.requested"


class CloudEvents:
    """`ports.Notifier` for whatever takes CloudEvents: a broker, an event mesh, a function."""

    name = "cloudevents"

    def __init__(self, url: str, *, token: str = "", wanted: frozenset[Happening], cluster: str = "") -> None:
        headers = {"Content-Type": CONTENT_TYPE}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._webhook = Webhook(url, headers)
        self._cluster = cluster
        self._wanted = wanted

    @property
    def wanted(self) -> frozenset[Happening]:
        """See the port."""
        return self._wanted

    async def send(self, notice: Notice) -> Answer:
        """See the port."""
        return await self._webhook.post(json.dumps(render(notice, cluster=self._cluster)).encode())

    async def close(self) -> None:
        """See the port."""
        await self._webhook.close()


class AuditEvents:
    """`ports.AuditReceiver` for whatever takes CloudEvents: a broker, a SIEM's collector, a function.

    Raises:
        OSError: `ca_file` can't be read.
    """

    def __init__(self, url: str, *, token_file: str = "", ca_file: str = "", cluster: str = "") -> None:
        self._webhook = Webhook(url, {"Content-Type": CONTENT_TYPE}, token_file=token_file, ca_file=ca_file)
        self._cluster = cluster

    async def take(self, event: AuditEvent) -> Answer:
        """See the port."""
        return await self._webhook.post(json.dumps(render_act(event, cluster=self._cluster)).encode())

    async def close(self) -> None:
        """See the port."""
        await self._webhook.close()


def render_act(event: AuditEvent, *, cluster: str = "") -> dict[str, Any]:
    """An audit event as JSON values; `data` is what a line of the trail says of it (docs/reference/audit.md)."""
    line = render_line(event, cluster=cluster)
    path = f"/apis/{API_VERSION}/namespaces/{event.ref.namespace}/{_plural(event.kind)}/{event.ref.name}"
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": f"//{cluster}{path}" if cluster else path,
        "type": f"{AUDIT}.{event.act}",
        "subject": f"{event.model}/{event.version}" if event.version else event.model,
        "time": line["time"],
        "partitionkey": event.ref.uid,
        # Extension "sequence": what tells the order of one object's events, and whether one is missing.
        **({} if event.sequence is None else {"sequence": f"{event.sequence:010}"}),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in line.items() if name not in {"stream", "id", "time"}},
    }


def _plural(kind: str) -> str:
    word = kind.lower()
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


class TrainingEvents:
    """`ports.Trainer` for whatever takes CloudEvents: a pipeline's trigger, a broker, a function."""

    def __init__(self, url: str, *, token: str = "", cluster: str = "") -> None:
        headers = {"Content-Type": CONTENT_TYPE}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._webhook = Webhook(url, headers)
        self._cluster = cluster

    async def order(self, order: Order) -> Answer:
        """See the port."""
        return await self._webhook.post(json.dumps(render_order(order, cluster=self._cluster)).encode())

    async def close(self) -> None:
        """See the port."""
        await self._webhook.close()


def render_order(order: Order, *, cluster: str = "") -> dict[str, Any]:
    """A request for training as JSON values; `id` is the object's uid, so that a repetition can be told."""
    path = f"/apis/{API_VERSION}/namespaces/{order.ref.namespace}/retrainingrequests/{order.ref.name}"
    moment = datetime.fromtimestamp(order.at, tz=UTC).isoformat(timespec="seconds")
    return {
        "specversion": "1.0",
        "id": order.ref.uid,
        "source": f"//{cluster}{path}" if cluster else path,
        "type": TRAINING,
        "subject": order.model,
        "time": moment.replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "namespace": order.ref.namespace,
            "name": order.ref.name,
            "model": order.model,
            "version": order.version,
            "modelDeployment": order.deployment,
            "cause": order.cause.value,
            "requestedBy": order.requester,
            "comment": order.comment,
        },
    }


def render(notice: Notice, *, cluster: str = "") -> dict[str, Any]:
    """The event as JSON values. `source` and `id` together name it once and for all (CloudEvents 1.0, 3.1)."""
    version = notice.revision.version
    path = f"/apis/{API_VERSION}/namespaces/{notice.ref.namespace}/modeldeployments/{notice.ref.name}"
    moment = datetime.fromtimestamp(notice.at, tz=UTC).isoformat(timespec="milliseconds")
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": f"//{cluster}{path}" if cluster else path,
        "type": f"{TYPE}.{notice.happening}",
        "subject": notice.revision.name,
        "time": moment.replace("+00:00", "Z"),
        # Extension "partitioning": what keeps the events of one object in order behind a broker.
        "partitionkey": notice.ref.uid,
        "datacontenttype": "application/json",
        "data": {
            "namespace": notice.ref.namespace,
            "name": notice.ref.name,
            "uid": notice.ref.uid,
            "model": version.model,
            "registry": version.registry,
            "version": version.number,
            "revision": notice.revision.name,
            "attempt": notice.attempt,
            "weight": notice.weight,
            "stableVersion": notice.stable.version.number if notice.stable else None,
            "reason": notice.reason.value,
            "message": notice.message,
            "rejected": notice.rejects,
        },
    }
