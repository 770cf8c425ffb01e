"""The audit trail as JSON lines: on standard output among the log's, or in a file of its own."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidegate.core.audit import AuditEvent
from tidegate.core.labels import API_VERSION
from tidegate.errors import AuditFailed

#: What tells a line of the trail from the log's.
STREAM = "tidegate.audit"


class AuditLines:
    """`ports.AuditTrail`. `path` is a file, which is opened for each line, so that it may be rotated; None: stdout."""

    def __init__(self, path: Path | None = None, *, cluster: str = "") -> None:
        self._path = path
        self._cluster = cluster

    def append(self, event: AuditEvent) -> None:
        """See the port."""
        line = json.dumps(render(event, cluster=self._cluster), ensure_ascii=False, separators=(",", ":")) + "\n"
        try:
            if self._path is None:
                sys.stdout.write(line)
                sys.stdout.flush()
            else:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line)
        except OSError as error:
            raise AuditFailed(f"{self._path or 'standard output'}: {error.strerror or error}") from error


def render(event: AuditEvent, *, cluster: str = "") -> dict[str, Any]:
    """The event as JSON values; the fields are those of docs/reference/audit.md."""
    moment = datetime.fromtimestamp(event.at, tz=UTC).isoformat(timespec="milliseconds")
    return {
        "stream": STREAM,
        "time": moment.replace("+00:00", "Z"),
        "id": event.id,
        "sequence": event.sequence,
        "cluster": cluster,
        "object": {
            "apiVersion": API_VERSION,
            "kind": event.kind,
            "namespace": event.ref.namespace,
            "name": event.ref.name,
            "uid": event.ref.uid,
        },
        "act": event.act.value,
        "actor": event.actor,
        "model": event.model,
        "version": event.version,
        "from": event.source,
        "to": event.target,
        "reason": event.reason,
        "message": event.message,
        "decision": event.decision,
        "outcome": event.outcome,
    }
