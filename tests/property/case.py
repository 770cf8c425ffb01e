"""One decision with what it was made on, in the words that invariants use."""

from dataclasses import dataclass

from tests.property.ledger import Ledger, named, work

from tidegate.core.observed import Observed
from tidegate.core.plan import Plan
from tidegate.core.record import Alert, Record, Rollout
from tidegate.core.revision import serving_digest
from tidegate.core.values import Revision, Unavailable

CLOCKS = 5.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One decision to be judged."""

    plan: Plan
    seen: Observed
    before: Record
    after: Record
    ledger: Ledger

    @property
    def rollout(self) -> Rollout | None:
        return self.before.rollout

    def endpoints(self, revision: Revision | None) -> int:
        return self.seen.of(revision.name).endpoints if revision else 0

    def wants(self, revision: Revision) -> bool:
        """Whether the registry answers and names this version, to be served in this way."""
        wanted = self.seen.wanted
        return not isinstance(wanted, Unavailable) and (wanted, serving_digest(self.plan.serving)) == (
            revision.version,
            revision.serving,
        )

    def asked(self, action: str) -> bool:
        return self.rollout is not None and self.seen.actions.get(action) == named(self.rollout)

    @property
    def by_hand(self) -> bool:
        """Whether a person asked for this attempt to be promoted."""
        if self.asked("promote") and self.rollout is not None:
            self.ledger.promoted_by_hand.add(named(self.rollout))
        return self.rollout is not None and named(self.rollout) in self.ledger.promoted_by_hand

    @property
    def confirmed(self) -> bool:
        route = self.seen.route
        return route is not None and route.confirmed and dict(route.weights) == self.before.weights()

    @property
    def holding(self) -> list[Alert]:
        """The alerts that fire by the ledger's books and of which nothing else is told just now."""
        over = {alert.fingerprint for alert in self.seen.alerts.resolved}
        return [a for a in self.ledger.holds(self.seen.now, self.seen.actions) if a.fingerprint not in over]

    def alarming(self) -> bool:
        """Whether an alert is told of that nobody knew and that is younger than the canary's first weight."""
        known = {alert.fingerprint: alert.since for alert in self.holding}
        return self.ledger.had_weight and any(
            alert.since >= self.ledger.weight_since - CLOCKS
            and (alert.until is None or alert.until > self.seen.now)
            and known.get(alert.fingerprint, -1e9) < alert.since - CLOCKS
            for alert in self.seen.alerts.firing
        )

    def at_gates(self, rollout: Rollout) -> bool:
        """Whether it has to pass gates: it had no weight in this attempt, and goes back to nothing proven."""
        weighed = rollout == self.rollout and self.ledger.had_weight
        return not weighed and not self.direct(rollout)

    @property
    def blocked(self) -> bool:
        """Whether the name of the route belongs to somebody else."""
        return self.seen.route is None and self.seen.taken_by is not None

    def direct(self, rollout: Rollout) -> bool:
        left = self.ledger.left.get(work(rollout.canary))
        return left is not None and rollout.started - left <= self.plan.rollback_window
