"""The record that the route carries: everything a decision needs to remember.

It is written with the weights in one compare-and-set, so what is recorded and what clients get can't disagree.
Times are seconds since the epoch, from the `Clock` port.
"""

from dataclasses import dataclass
from enum import StrEnum

from tidegate.core.audit import Entry
from tidegate.core.plan import Pointer
from tidegate.core.reasons import Reason
from tidegate.core.values import Revision, VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """A clock that can be stopped. `since` is None while it stands; `spent` is what ran before (seconds)."""

    spent: float = 0.0
    since: float | None = None

    def elapsed(self, now: float) -> float:
        """Seconds that it ran until `now`."""
        return self.spent if self.since is None else self.spent + max(0.0, now - self.since)

    def stopped(self, now: float) -> "Stopwatch":
        """The same clock, standing."""
        return Stopwatch(spent=self.elapsed(now), since=None)

    def running(self, now: float) -> "Stopwatch":
        """The same clock, running on."""
        return self if self.since is not None else Stopwatch(spent=self.spent, since=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a rollout was ended early. `rejects`: never again by itself; otherwise the revision is parked."""

    reason: Reason
    message: str
    rejects: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's word on one step (its `weight`): yes or no, by whom, in which `ModelApproval`, and when."""

    weight: int
    granted: bool
    approver: str
    name: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The weight that a rollout waits to be approved, and since when."""

    weight: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One attempt to bring `canary` from 0 to 100.

    `weight` is the canary's share in per cent. `hold` runs from the router's confirmation of that weight and is None
    before it. `canary_since` is when the canary first had weight. `restarts` are the pods' restart counts from before
    that. `direct`: straight to the last weight (a proven version within its rollback window, or a person's
    `promote`); `unheld`: a person's `promote`, which skips holds and evidence in favour. `full` is how many pods all of
    the traffic took when the attempt began, where an autoscaler had decided that; 0: what the spec says.
    `asked`: it waits for approval, and the deadline stands. `approvals`: the newest word on each step, oldest first.
    """

    canary: Revision
    attempt: int
    started: float
    deadline: Stopwatch
    weight: int = 0
    raised: float | None = None
    hold: Stopwatch | None = None
    canary_since: float | None = None
    restarts: tuple[tuple[str, int], ...] = ()
    direct: bool = False
    unheld: bool = False
    full: int = 0
    asked: Asked | None = None
    approvals: tuple[Approval, ...] = ()
    verdict: Verdict | None = None


class Leaving(StrEnum):
    """How far a revision without weight is on its way out."""

    DRAINING = "draining"  # still named by the route, at weight 0
    UNROUTED = "unrouted"  # no longer named by the route; its pods go once the router has confirmed that


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring:
    """A revision on its way out. `since` starts when the router has confirmed weight 0, None before."""

    revision: Revision
    stage: Leaving = Leaving.DRAINING
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A revision that is not tried again by itself."""

    revision: Revision
    attempt: int
    reason: Reason
    message: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """A revision that is tried again once it is wanted and `retry_at` has come. `tries` counts failed ones."""

    revision: Revision
    attempt: int
    reason: Reason
    message: str
    at: float
    tries: int
    retry_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A revision that finished its bake."""

    revision: Revision
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """The value of an action annotation that was acted upon."""

    action: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How one attempt ended: `Promoted`, or the verdict's reason."""

    revision: Revision
    attempt: int
    reason: Reason
    message: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert that fires for the object, in its sender's words; identified by `fingerprint`.

    `since`: when it began, by the sender's clock. `until`: when the sender's word is over, None where it gave none.
    `polled`: it was read from Prometheus, so that a reading without it ends it.
    """

    fingerprint: str
    name: str
    since: float
    summary: str = ""
    until: float | None = None
    polled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """The intent to move the first pointer to `version` in the registry, kept until that is done.

    `before` is what the pointer named when the rollout finished, None where it named nothing. A pointer that is still
    there waits for this; any other value is a person's, and wins. `candidate` named the version until then.
    """

    version: VersionId
    pointer: Pointer
    before: str | None
    candidate: Pointer
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """The intent to take a rejected version off the candidate pointer, kept until that is done."""

    version: VersionId
    candidate: Pointer
    at: float


Intent = Promotion | Discard


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The whole memory of one object. Lists are bounded, newest last.

    `full` is the `full` of the rollout that made stable what it is. With autoscaling it is that of the last one, and
    stable's least until its autoscaler knows the load that came back with the end of that (`core/autoscaling.py`);
    `full_since` is when it ended, on the route.
    `journal` is for the audit trail alone: no rule reads it. `tried` is the version whose promotion is over and that
    the candidate pointer named all the same: it is not tried again before that pointer has named something else.
    `recalled` is what the registry's tags call stable, where nothing else was known.
    """

    stable: Revision | None = None
    rollout: Rollout | None = None
    retiring: tuple[Retiring, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    parked: tuple[Parking, ...] = ()
    proven: tuple[Proven, ...] = ()
    attempts: tuple[tuple[str, int], ...] = ()
    handled: tuple[Handled, ...] = ()
    history: tuple[Past, ...] = ()
    alerts: tuple[Alert, ...] = ()
    full: int = 0
    full_since: float = 0.0
    journal: tuple[Entry, ...] = ()
    promotion: Promotion | None = None
    discards: tuple[Discard, ...] = ()
    tried: VersionId | None = None
    recalled: VersionId | None = None

    def intents(self) -> tuple[Intent, ...]:
        """What is to be written to the registry, in this order."""
        return (*((self.promotion,) if self.promotion is not None else ()), *self.discards)

    def parking(self, revision: Revision | None) -> Parking | None:
        """How the same work is parked, if it is."""
        return next((entry for entry in self.parked if entry.revision.same_work(revision)), None)

    def revisions(self) -> tuple[Revision, ...]:
        """Every revision that still owns objects: stable, canary, then those on their way out."""
        first = [self.stable, self.rollout.canary if self.rollout else None]
        kept = [r for r in first if r is not None]
        kept += [leaving.revision for leaving in self.retiring if leaving.revision not in kept]
        return tuple(kept)

    def weights(self) -> dict[str, int]:
        """The share of each revision that the route names, by revision name; adds up to 100 once anything is stable.

        Before anything is stable the first revision is named at 0: no request reaches what is not ready.
        """
        shares: dict[str, int] = {}
        canary = self.rollout.weight if self.rollout else 0
        if self.stable is not None:
            shares[self.stable.name] = 100 - canary
        if self.rollout is not None:
            shares[self.rollout.canary.name] = canary
        for leaving in self.retiring:
            if leaving.stage is Leaving.DRAINING:
                shares.setdefault(leaving.revision.name, 0)
        return shares
