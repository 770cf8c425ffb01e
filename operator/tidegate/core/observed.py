"""What is seen of the world in one moment. A source that fails or is too old is `Unavailable` in it, never a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.core.gates import VersionDetails
from tidegate.core.guards import Finding
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Approval, Intent, Record, Verdict
from tidegate.core.trials import Tried
from tidegate.core.values import Unavailable, VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A container of a model pod that ended: which, how, and the last thing that it said.

    `current`: it has not been started again since; otherwise this was its life before.
    """

    pod: str
    container: str
    code: int
    message: str
    current: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What keeps a pod from getting ready, in the vocabulary's words."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionFacts:
    """A revision's pods as the API server tells of them.

    `endpoints` counts ready endpoints by the pods' revision label, whichever Service lists them. `restarts` are the
    restart counts of the live (not deleted) pods by pod name, those above zero only; `exits` their ended containers.
    `digest` is the artifact digest that the pods' init containers computed. `scaled` is the size that an
    autoscaler, whosever it is, gives to the Deployment, None where there is none.

    `own` counts the ready pods that the revision's Deployment calls its own; None where nobody asked it. Pods of an
    earlier Deployment of the same name serve on until the garbage collector finds them, seconds after it was deleted.
    """

    endpoints: int = 0
    own: int | None = None
    pods: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict)
    exits: tuple[Exit, ...] = ()
    obstacle: Obstacle | None = None
    digest: str | None = None
    scaled: int | None = None

    @property
    def lasting(self) -> int:
        """The ready endpoints that a weight may be built on: those that are there to stay."""
        return self.endpoints if self.own is None else min(self.endpoints, self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts:
    """The live route. `weights` is what its backendRefs say (by revision name), whoever wrote them.

    `confirmed`: every parentRef has a status entry with Accepted and ResolvedRefs True at the route's generation.
    `refusal` is the gateway's own word where one of them is False at that generation.
    """

    uid: str
    resource_version: str
    record: Record
    weights: Mapping[str, int]
    confirmed: bool
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the guards say of one rollout: the newest look's findings.

    `fresh` is false where no look came in lately (the judge's process goes on, but nothing may be raised on it).
    `healthy`: every enforced guard is `HEALTHY` at the present weight. `breach` names what reverts. `held` explains
    an absolute breach that stable shares. `missing` says which source can't tell while others can. `drifted`: what is
    predicted is no longer what stable predicts, which counts at the end of a step's hold.
    """

    canary: str
    attempt: int
    weight: int
    findings: tuple[Finding, ...]
    fresh: bool
    healthy: bool
    breach: Obstacle | None = None
    suspected: bool = False
    held: str | None = None
    missing: str | None = None
    drifted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """What was just told of alerts: which fire, and which do so no more. What fires already is in the record."""

    firing: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What came of the first of a record's intents. `failed` is why it is not carried out yet; it is tried again.

    Once it is over, `pointed` says whether the registry is as the intent wants it, or a person had another wish. The
    pointers were read again after that.
    """

    intent: Intent
    pointed: bool = False
    failed: Unavailable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the registry's tags say of an object that has no record: what was stable, and what was rejected and why."""

    stable: VersionId | None = None
    rejected: tuple[tuple[VersionId, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One snapshot. `now` is seconds since the epoch by a clock that never jumps while the process lives.

    `wanted` is what the first pointer names, `candidate` what the second one does, None where the plan has none.
    `memory` is what the registry's tags say, None where that does not matter.

    `condemned` is a verdict on the attempt under way that the route could not take and that was saved elsewhere.
    `diverted` are the revisions whose Service selects another's pods, with that other one's name. `approvals` are
    people's words on steps by attempt, as in `7/2`; without `governed` nobody vouches for whose they are, and there are
    none.
    `astray`: revisions whose Service selects the pods of another one that is known here, by nobody's plan.
    `registry` is the identity of the registry that is asked, None where it is not known.
    `details` are what the registry tells of versions that stand at gates. `tried` is how far the requests of our own
    are that a canary gets before its first weight; `counted`: what its pods counted by then is known, and is no
    evidence.
    """

    now: float
    wanted: VersionId | Unavailable
    route: RouteFacts | None
    record: Record
    revisions: Mapping[str, RevisionFacts]
    evidence: Judgement | Unavailable
    preset: str
    actions: Mapping[str, str] = field(default_factory=dict)
    taken_by: str | None = None
    condemned: Verdict | None = None
    diverted: Mapping[str, str] = field(default_factory=dict)
    astray: Mapping[str, str] = field(default_factory=dict)
    alerts: Alerts = Alerts()
    candidate: VersionId | Unavailable | None = None
    errand: Errand | None = None
    memory: Memory | Unavailable | None = None
    approvals: Mapping[str, tuple[Approval, ...]] = field(default_factory=dict)
    governed: bool = True
    registry: str | None = None
    details: Mapping[VersionId, VersionDetails | Unavailable] = field(default_factory=dict)
    tried: Tried | None = None
    counted: bool = False

    def of(self, revision: str) -> RevisionFacts:
        """A revision's facts; nothing at all where nobody has seen a pod of it."""
        return self.revisions.get(revision, RevisionFacts())
