"""What must hold before a version gets its first request, and what was found of it.

A gate that fails refuses the version for good; one that waits asks for something that may still come, such as a
person's tag. Nothing here knows where its facts are from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tidegate.core.signatures import Signature, SignaturePolicy
from tidegate.core.values import Revision, VersionId

#: Where MLflow's protocol takes requests.
INVOCATIONS = "/invocations"
#: Characters of a saved input example that is sent; a larger one is no smoke request any more.
LARGEST_EXAMPLE = 256 * 1024


class Outcome(StrEnum):
    """What a gate says; there is always the third answer."""

    PASSED = "Passed"
    FAILED = "Failed"
    WAITING = "Waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """What one gate found. `gate` is its place in `spec.gates`; `value` and `limit` are words for a person."""

    gate: str
    outcome: Outcome
    message: str
    value: str | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What the gates found of a revision that has had no request yet."""

    revision: Revision
    findings: tuple[GateFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """What the file MLmodel says: the signature, None where it has none, and the size of all files in bytes.

    `example` is the path of the file with the saved body for `/invocations`, below the model's directory.
    """

    signature: Signature | None = None
    size: int | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDetails:
    """What the registry tells of a version beyond its number. `created`: when it was registered (epoch seconds).

    `metrics` are those of its run, None where it has no run or nobody asked; `model` is None where nobody asked, and so
    is `example`, the saved body for `/invocations`, which a version need not have. No more than `LARGEST_EXAMPLE` + 1
    characters of it are kept.
    """

    created: float
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] | None = None
    model: ModelFile | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What of a version has to be read beside its tags: each costs a request, `example` two."""

    run: bool = False
    model: bool = False
    example: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of which versions a registry has to tell, and what: first the one at the gates, then what it is compared with."""

    versions: tuple[VersionId, ...] = ()
    wants: Wants = Wants()

    def wants_of(self, version: VersionId) -> Wants:
        """What has to be told of one of them: nobody sends the example of what it is compared with."""
        return self.wants if version == self.versions[0] else replace(self.wants, example=False)


NOBODY = Asked()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGate:
    """A metric of the version's run and what it must be."""

    name: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SemVerGate:
    """A tag that holds a semantic version: the range that it must be in, and whether it may be below stable's."""

    tag: str
    range: str | None = None
    not_below_stable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeGate:
    """One request must be answered 2xx within `limit` seconds, and, with `malformed`, one that is no JSON with 4xx."""

    limit: float
    malformed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputGate:
    """At `concurrency` requests at a time one pod must answer `least` a second, over `seconds`."""

    least: int
    seconds: float
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What must hold; the default asks for nothing.

    `tags`: the tags that a version must have, each with its value, or None for any. `max_age`: seconds since it was
    registered. `max_size`: bytes. `path` and `body` are of the request that `smoke` and `throughput` send; without a
    body it is the version's saved input example.
    """

    tags: tuple[tuple[str, str | None], ...] = ()
    max_age: float | None = None
    metrics: tuple[MetricGate, ...] = ()
    semver: SemVerGate | None = None
    signature: SignaturePolicy = SignaturePolicy.IGNORE
    max_size: int | None = None
    smoke: SmokeGate | None = None
    throughput: ThroughputGate | None = None
    path: str = INVOCATIONS
    body: str | None = None

    @property
    def registered(self) -> bool:
        """Whether any of them needs to be told of the version by the registry."""
        plain = (self.tags, self.metrics, self.semver)
        return any(plain) or self.max_age is not None or self.wants.model or self.wants.example

    @property
    def tries(self) -> bool:
        """Whether any of them sends requests to a pod."""
        return self.smoke is not None or self.throughput is not None

    @property
    def wants(self) -> Wants:
        """What has to be read of a version."""
        model = self.signature is not SignaturePolicy.IGNORE or self.max_size is not None
        return Wants(run=bool(self.metrics), model=model, example=self.tries and self.body is None)

    @property
    def compares(self) -> bool:
        """Whether the version that serves has to be told of, too."""
        below = self.semver is not None and self.semver.not_below_stable
        return below or self.signature is not SignaturePolicy.IGNORE


NO_GATES = Gates()


@dataclass(frozen=True, slots=True, kw_only=True)
class AtGates:
    """The version at the gates, and what the registry tells of it at the moment `now`.

    `serves`: requests are answered by this very version already, served in another way. `stable` is told of the version
    that serves, None where there is none or nothing is compared with it.
    """

    version: VersionId
    details: VersionDetails
    now: float
    serves: bool = False
    stable: VersionDetails | None = None


def first_of(findings: tuple[GateFinding, ...], outcome: Outcome) -> GateFinding | None:
    """The first finding with an outcome."""
    return next((found for found in findings if found.outcome is outcome), None)
