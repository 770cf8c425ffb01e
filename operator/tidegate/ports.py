"""What the loop needs of the outside, as small protocols. Each has a contract suite that fakes and real parts share."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from tidegate.core.audit import AuditEvent
from tidegate.core.election import Lease
from tidegate.core.evidence import Reading, Unreadable
from tidegate.core.gates import VersionDetails, Wants
from tidegate.core.notice import Happening, Notice
from tidegate.core.plan import MetricsFormat, Pointer, Runtime
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.retraining import Order
from tidegate.core.samples import Sample
from tidegate.core.trials import NoReply, Reply
from tidegate.core.values import Unavailable, VersionId

#: A Kubernetes object as the API server speaks it.
Manifest = dict[str, Any]


class Clock(Protocol):
    """The time. Both readings move together: neither jumps while the process lives."""

    def now(self) -> float:
        """Seconds since the epoch: the wall clock at start plus the monotonic time since."""
        ...

    def monotonic(self) -> float:
        """Seconds of a monotonic clock, for ages and deadlines."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where a registry is and how one gets in. Equal ones are one registry, seen by one user.

    `ca` is PEM text, None for the system's certificates. `declared`: by a `ModelRegistry`, not by the operator's own
    environment; who reads a message must know which of them to mend.
    """

    uri: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)
    workspace: str | None = None
    declared: bool = False


class Registry(Protocol):
    """An MLflow model registry. Never raises for what a registry can do wrong: it answers `Unavailable`."""

    @property
    def url(self) -> str:
        """Its part of every version's identity: the tracking URI without credentials, `#` and a workspace, if any."""
        ...

    @property
    def pace(self) -> int:
        """Many names may be read every so many intervals: 1, and more on a server that has to be walked for them."""
        ...

    async def check(self) -> Unavailable | None:
        """What is wrong with the registry itself, whatever is asked of it; None for nothing. One small request."""
        ...

    async def resolve(
        self, wishes: Sequence[tuple[str, Pointer]]
    ) -> Mapping[tuple[str, Pointer], VersionId | Unavailable]:
        """Read what each (model, pointer) names now, in as few requests as it takes."""
        ...

    async def describe(self, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """What the registry tells of a version beyond its number. Read now, as it may have changed since.

        Of a version without a file MLmodel nothing is told where that is wanted.
        """
        ...

    async def close(self) -> None:
        """Release threads and connections."""
        ...


class RegistryWriter(Protocol):
    """The write side of an MLflow model registry. Never raises for what a registry can do wrong.

    A write answers None once it is done. `Unavailable` says that it is not, or that nobody knows; every write says what
    shall be, so it is simply done again. A registry knows no compare-and-set: who must not overwrite what a person did
    reads right before, and after.
    """

    @property
    def url(self) -> str:
        """See `Registry.url`."""
        ...

    async def read(self, model: str) -> RegisteredModel | Unavailable:
        """A model with its aliases and all versions with stages and tags. Two requests and more: not for polling."""
        ...

    async def version(self, model: str, number: str) -> RegisteredVersion | Unavailable:
        """One version with its stage and tags, in one request."""
        ...

    async def set_tag(self, model: str, number: str, key: str, value: str) -> Unavailable | None:
        """Set a tag of a version."""
        ...

    async def delete_tag(self, model: str, number: str, key: str) -> Unavailable | None:
        """Delete a tag of a version; one that is not there is deleted."""
        ...

    async def set_alias(self, model: str, alias: str, number: str) -> Unavailable | None:
        """Set an alias, or move it here."""
        ...

    async def delete_alias(self, model: str, alias: str) -> Unavailable | None:
        """Delete an alias; one that is not there is deleted."""
        ...

    async def move(self, model: str, number: str, stage: str, *, archive: bool) -> Unavailable | None:
        """Move a version to a stage; `archive` archives all others there in the same transaction.

        `archive` goes with Staging and Production alone.
        """
        ...

    async def delete_version(self, model: str, number: str) -> Unavailable | None:
        """Delete a version, and with it its aliases, for good; one that is not there is deleted.

        What it was registered from (a run with its artifacts) stays.
        """
        ...

    async def close(self) -> None:
        """Release threads and connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTarget:
    """A pod whose metrics are read: `url` as seen from the operator."""

    uid: str
    url: str


class Evidence(Protocol):
    """Reads the counters of pods. Never raises for an unreadable pod: it answers `Unreadable`."""

    async def read(
        self,
        targets: Sequence[PodTarget],
        runtime: Runtime,
        metrics: MetricsFormat | None,
        *,
        timeout: float,  # noqa: ASYNC109 (each target's own, not the call's)
    ) -> Mapping[str, Reading | Unreadable]:
        """One reading for each target, by pod uid, each within its own `timeout` (seconds)."""
        ...


class ModelClient(Protocol):
    """Sends single requests to the model server of one pod. Never raises for what one can do wrong: it answers."""

    async def post(self, url: str, body: str, *, timeout: float) -> Reply | NoReply:  # noqa: ASYNC109
        """POST a JSON body, and give up after `timeout` seconds: then the answer is `NoReply` and late."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Prometheus(Protocol):
    """Asks a Prometheus. Never raises for what one can do wrong: it answers `Unavailable`."""

    async def query(self, promql: str, *, timeout: float) -> tuple[Sample, ...] | Unavailable:  # noqa: ASYNC109
        """Evaluate an instant query now, within `timeout` seconds. No samples is an answer, and says nothing."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Logs(Protocol):
    """What containers wrote. Never raises: what can't be read, or may not be, is nothing."""

    async def last_line(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The last line of a container's log; with `previous`, of the one that ran before the present one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the objects of a list. `version` is the whole list's: a watch goes on from there."""

    items: "list[Manifest]"
    version: str


class Cluster(Protocol):
    """The Kubernetes API as the loop uses it. Errors are those of `tidegate.errors`."""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Read one object from the API server itself (not a cache); None where there is none."""
        ...

    async def list(self, kind: str, namespace: str | None) -> "list[Manifest]":
        """Read all objects of a kind that Tidegate watches, page by page; None means every namespace.

        Kinds that others own too are narrowed to what carries the label `app.kubernetes.io/managed-by: tidegate`.
        """
        ...

    def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        """The same list while it is being read: of thousands of objects never more than a page is in memory."""
        ...

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply by the field manager `tidegate`, forced.

        With `metadata.uid` and `metadata.resourceVersion` in the manifest it is a compare-and-set: `Conflict`
        where the live object is another.
        """
        ...

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; `Conflict` where an object of that name exists."""
        ...

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        """Delete that very object in the background; nothing happens where it is gone.

        With its resourceVersion as `version` it is a compare-and-delete: `Conflict` where it was written since.
        """
        ...

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Server-side apply of a `ModelDeployment`'s status subresource.

        Raises:
            Conflict: The object is gone, or `metadata.uid` is another's.
        """
        ...

    async def emit(self, event: Manifest) -> None:
        """Create an `events.k8s.io/v1` Event."""
        ...


class Delivery(StrEnum):
    """What came of handing a notice over."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # the receiver never takes it as it is: not tried again
    FAILED = "failed"  # it could not: tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A receiver's answer: `detail` for a person, without addresses; `wait` is what it asked for (seconds)."""

    delivery: Delivery
    detail: str = ""
    wait: float | None = None


class Notifier(Protocol):
    """Somebody outside who is told of rollouts. Never raises for what a receiver can do wrong: it answers."""

    @property
    def name(self) -> str:
        """The receiver in a word, for logs and metrics; no address, which may be a secret."""
        ...

    @property
    def wanted(self) -> frozenset[Happening]:
        """What it wants to hear of."""
        ...

    async def send(self, notice: Notice) -> Answer:
        """Hand one notice over. It takes as long as it takes: the caller bounds it, by cancelling."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class AuditTrail(Protocol):
    """Where audit events go, for good and in order."""

    def append(self, event: AuditEvent) -> None:
        """Write one event. Returns when it can no longer be lost with this process.

        Raises:
            AuditFailed: it was not written, or not all of it.
        """
        ...


class AuditReceiver(Protocol):
    """Somebody outside who takes audit events one by one. Never raises for what a receiver can do wrong: it answers."""

    async def take(self, event: AuditEvent) -> Answer:
        """Hand one event over. It takes as long as it takes: the caller bounds it, by cancelling."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Trainer(Protocol):
    """Whoever trains models. Never raises for what a receiver can do wrong: it answers."""

    async def order(self, order: Order) -> Answer:
        """Hand a request over, more than once with the same `ref.uid` where nobody knows whether it arrived."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Leases(Protocol):
    """The one Lease that all replicas compete for. Errors are those of `tidegate.errors`."""

    async def read(self) -> Lease | None:
        """Read it from the API server itself (not a cache); None where there is none."""
        ...

    async def write(self, lease: Lease) -> Lease:
        """Write it if it is still at `lease.version`; without a version, make it.

        Returns what stands there now, with its new version.

        Raises:
            Conflict: somebody else wrote, made or deleted it. Nothing was written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as the API server knows him: user name, groups, uid, and what an authenticator adds (`extra`)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Reviews(Protocol):
    """Whom the API server takes a bearer token for, and what that one may do."""

    async def identify(self, token: str) -> Caller | None:
        """Whose token it is; None where it is nobody's.

        Raises:
            ClusterError: it can't be said now.
        """
        ...

    async def may_revert(self, caller: Caller, namespace: str, name: str) -> bool:
        """Whether he may `create` `modeldeployments/revert` of this object.

        Raises:
            ClusterError: it can't be said now.
        """
        ...


class Tokens(Protocol):
    """Bearer tokens that are known without asking anybody."""

    def admits(self, token: str) -> bool:
        """Whether a token is one of them, found out in constant time.

        Raises:
            OSError: the tokens can't be read.
        """
        ...
