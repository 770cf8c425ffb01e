"""What comes out of one decision, and what it is made from."""

from dataclasses import dataclass, replace

from tidegate.core.gates import GateReport
from tidegate.core.observed import Observed, RevisionFacts
from tidegate.core.plan import Plan, Step
from tidegate.core.reasons import Reason
from tidegate.core.record import Handled, Past, Record, Rollout
from tidegate.core.values import Revision, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The record that the route is to carry, and why.

    `stalled`: nothing will change by itself; a person or the registry has to act. `requeue` is the time (seconds)
    after which the clock alone may change the answer, None where only an event can. `gates` is what was found of a
    revision that stands at its gates.
    """

    record: Record
    reason: Reason
    message: str
    stalled: bool = False
    requeue: float | None = None
    gates: GateReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The input of every rule."""

    plan: Plan
    record: Record
    seen: Observed
    wished: Revision | Unavailable

    @property
    def now(self) -> float:
        """The moment of the decision, in seconds since the epoch."""
        return self.seen.now

    def facts(self, revision: Revision) -> RevisionFacts:
        """What is seen of a revision's pods."""
        return self.seen.of(revision.name)

    def target(self, rollout: Rollout) -> Step | None:
        """The step that comes next, None at the last one."""
        last = self.plan.steps[-1]
        if rollout.direct and rollout.weight < last.weight:
            return last
        return self.plan.step_after(rollout.weight)

    def hold_left(self, rollout: Rollout) -> float | None:
        """Seconds for which the present step is still held, 0 or less once that is over; None where nothing is held."""
        if rollout.weight == 0 or rollout.unheld or rollout.hold is None:
            return None
        return self.plan.step_at(rollout.weight).hold - rollout.hold.elapsed(self.now)

    def pods_needed(self, rollout: Rollout) -> int:
        """Ready pods that the canary's next weight takes; all of them at the end, and where nothing serves yet."""
        target = self.target(rollout)
        weight = 100 if self.record.stable is None or target is None else target.weight
        return self.plan.pods_for(weight, rollout.full)

    def proven(self, canary: Revision, at: float) -> bool:
        """Whether a revision had finished its bake within the rollback window before `at`."""
        window = self.plan.rollback_window
        return any(p.revision.same_work(canary) and at - p.at <= window for p in self.record.proven)

    def confirmed(self) -> bool:
        """Whether the router has confirmed exactly the weights that the record asks for."""
        route = self.seen.route
        return route is not None and route.confirmed and dict(route.weights) == self.record.weights()

    def asked(self, action: str, revision: Revision, attempt: int) -> bool:
        """Whether a person asks for `action` on this very attempt and has not been answered yet."""
        value = self.seen.actions.get(action)
        if value != action_value(revision, attempt):
            return False
        return Handled(action=action, value=value) not in self.record.handled

    def stay(self, reason: Reason, message: str, *, stalled: bool = False, requeue: float | None = None) -> Decision:
        """Change nothing, and say why."""
        return Decision(record=self.record, reason=reason, message=message, stalled=stalled, requeue=requeue)

    def go(self, record: Record, reason: Reason, message: str) -> Decision:
        """Carry another record."""
        return Decision(record=record, reason=reason, message=message)

    def roll(self, rollout: Rollout, reason: Reason, message: str) -> Decision:
        """Carry another state of the rollout."""
        return self.go(replace(self.record, rollout=rollout), reason, message)


MEMORY = 50  # entries kept of each list in the record
PAST = 20  # ended attempts kept
PARKED = 30  # parked revisions kept: of a forgotten one only the count of its tries is lost
#: Rejections kept: forgetting one means to try it again, so they get more room. Full lists stay within the 256 KiB
#: that Kubernetes gives to all annotations of an object together.
REJECTIONS = 100


def action_value(revision: Revision, attempt: int) -> str:
    """How people name an attempt: `<version>/<attempt>`, as in `7/2`."""
    return f"{revision.version.number}/{attempt}"


def handle(record: Record, action: str, revision: Revision, attempt: int) -> Record:
    """Remember that an action was done; a leftover annotation then does nothing."""
    done = Handled(action=action, value=action_value(revision, attempt))
    if done in record.handled:
        return record
    return replace(record, handled=(*record.handled, done)[-MEMORY:])


def next_attempt(record: Record, canary: Revision) -> tuple[int, tuple[tuple[str, int], ...]]:
    """The number of a version's next attempt, and the counts with it."""
    counted = dict(record.attempts)
    attempt = counted.pop(canary.version.number, 0) + 1
    return attempt, (*counted.items(), (canary.version.number, attempt))[-MEMORY:]


def remember(record: Record, rollout: Rollout, reason: Reason, message: str, now: float) -> Record:
    """Add how an attempt ended to the history."""
    past = Past(
        revision=rollout.canary,
        attempt=rollout.attempt,
        reason=reason,
        message=message,
        started=rollout.started,
        ended=now,
    )
    return replace(record, history=(*record.history, past)[-PAST:])
