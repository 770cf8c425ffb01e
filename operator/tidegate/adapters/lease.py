"""A `coordination.k8s.io/v1` Lease, as `tidegate.ports.Leases` wants it."""

from datetime import UTC, datetime
from typing import Any

from tidegate.core.election import Lease
from tidegate.errors import Conflict
from tidegate.ports import Cluster, Manifest

#: Seconds that a Lease lasts which does not say so: longer than anybody's.
UNSAID = 60.0


class KubeLease:
    """One Lease by name.

    Its first form is created, so that only one of two can; after that every write is applied on uid and
    resourceVersion.
    """

    def __init__(self, cluster: Cluster, *, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name

    async def read(self) -> Lease | None:
        """Read it from the API server itself."""
        body = await self._cluster.get("Lease", self._namespace, self._name)
        return _parsed(body) if body is not None else None

    async def write(self, lease: Lease) -> Lease:
        """Write it if it is still at its version.

        Raises:
            Conflict: it is not.
        """
        meta: dict[str, Any] = {"namespace": self._namespace, "name": self._name}
        if lease.version:
            meta["uid"], _, meta["resourceVersion"] = lease.version.partition("/")
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": _spec(lease)}
        written = await (self._cluster.apply(body) if lease.version else self._cluster.create(body))
        found = _parsed(written)
        if found.holder != lease.holder:
            raise Conflict(f"Lease {self._namespace}/{self._name} is held by {found.holder!r}")
        return found


def _spec(lease: Lease) -> dict[str, Any]:
    return {
        "holderIdentity": lease.holder,
        "leaseDurationSeconds": max(1, round(lease.lasts)),
        "leaseTransitions": lease.transitions,
        "acquireTime": _stamp(lease.acquired),
        "renewTime": _stamp(lease.renewed),
    }


def _parsed(body: Manifest) -> Lease:
    spec, meta = body.get("spec") or {}, body["metadata"]
    return Lease(
        holder=spec.get("holderIdentity") or "",
        lasts=float(spec.get("leaseDurationSeconds") or UNSAID),
        acquired=_seconds(spec.get("acquireTime")),
        renewed=_seconds(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=f"{meta['uid']}/{meta['resourceVersion']}",
    )


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(stamp: str | None) -> float:
    """Only shown to people again, so one that nobody can read is none."""
    try:
        return datetime.fromisoformat(stamp).timestamp() if stamp else 0.0
    except ValueError:
        return 0.0
