"""The machine's world with an autoscaler for each revision, which does what it likes between its bounds."""

from dataclasses import replace
from random import Random

from tests.property.ledger import named, weight_of
from tests.property.people import PeopledWorld
from tests.property.world import BrokenInvariantError, Decide
from tests.unit.core import builders as make

from tidegate.core.autoscaling import MEMORY
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.manifests import replicas_of
from tidegate.core.observed import Observed
from tidegate.core.plan import Autoscaling, Plan
from tidegate.core.record import Record
from tidegate.core.values import Revision

LEAST, MOST = 2, 9
SCALED = replace(make.SERVING, replicas=LEAST, autoscaling=Autoscaling(most=MOST, metrics=()))


class ScaledWorld(PeopledWorld):
    """`sizes` are the live Deployments' replicas; `had` is what stable had when the last rollout began."""

    def __init__(self, machine: Decide = decide, seed: int = 0) -> None:
        super().__init__(machine)
        self.plan = replace(self.plan, serving=SCALED)
        self.sizes: dict[str, int] = {}
        self.had = 0
        self.ended: float | None = None
        self.filed = 0.0
        self._random = Random(seed)

    def observed(self) -> Observed:
        seen = super().observed()
        facts = {name: replace(found, scaled=self.sizes.get(name)) for name, found in seen.revisions.items()}
        return replace(seen, revisions=facts)

    def kubelet_syncs(self) -> None:
        """A Deployment keeps the size that its autoscaler gave it, and is lifted to its least."""
        super().kubelet_syncs()
        self.sizes = {name: max(self.sizes.get(name, 0), pods.ready) for name, pods in self.pods.items()}
        self._given()

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if seconds > 1:
            self._autoscalers_sync()

    def serving_edited(self) -> None:
        """Another image; autoscaling stays."""
        edited = replace(SCALED, canonical={"runtime": "tidegate", "resources": {"cpu": "2"}})
        self.plan = replace(self.plan, serving=SCALED if self.plan.serving == edited else edited)

    def look(self) -> Decision:
        decision = super().look()
        found = self._wrong(decision)
        if found is not None:
            raise BrokenInvariantError(f"{found}, after: {self.log[-12:]}")
        return decision

    def _autoscalers_sync(self) -> None:
        rollout = self.record.rollout
        # A canary without traffic has no load to be scaled by.
        canary = rollout.canary if rollout is not None and rollout.verdict is None and rollout.weight else None
        for revision in (self.record.stable, canary):
            if revision is not None and revision.name in self.sizes:
                least = self._least(self.record, revision)
                self.sizes[revision.name] = self._random.choice((least, max(least, 5), max(least, MOST)))
        self._given()

    def _given(self) -> None:
        for name, pods in self.pods.items():
            pods.ready = min(pods.ready, self.sizes[name]) if self.full else self.sizes.get(name, pods.ready)
            self.ledger.ready(name, pods.ready, self.now)

    def _least(self, record: Record, revision: Revision) -> int:
        return replicas_of(self.plan, record, revision, self.sizes)

    def _write(self, record: Record) -> None:
        before, written = self.record, not self.conflict
        super()._write(record)
        if not written:
            return
        began = record.rollout is not None and (
            before.rollout is None or named(before.rollout) != named(record.rollout)
        )
        if began:
            self.had = self.sizes.get(record.stable.name, 0) if record.stable is not None else 0
            self.ended = None
        if before.rollout is not None and record.rollout is None:
            # As the record has it: where the route was denied for a while, it is written later than it ended.
            self.ended, self.filed = record.history[-1].ended if record.history else self.now, self.now

    def _wrong(self, decision: Decision) -> str | None:
        """What is wrong with the sizes that a decision asks for."""
        before, after = self.record, decision.record
        if before.rollout is None or after.stable is None:
            return self._at_rest(before, after)
        if before.rollout is not None and after.rollout is not None:
            if before.stable is not None and self._least(after, after.stable) < self.had:
                return f"stable may shrink in a rollout to {self._least(after, after.stable)} of {self.had}"
            lasting = self.observed().of(after.rollout.canary.name).lasting
            share = -(-self.had * weight_of(after) // 100)
            if weight_of(after) > weight_of(before) and lasting < share:
                return f"{weight_of(after)}% for {lasting} pods where stable had {self.had}"
            return None
        kept = self._least(after, after.stable)
        return f"stable may shrink to {kept} of {self.had} with the rollout's end" if kept < self.had else None

    def _at_rest(self, before: Record, after: Record) -> str | None:
        if after.stable is None or after.rollout is not None or self.ended is None:
            return None
        # A version that failed its gates since is in the history, too, and puts the release off.
        since = self.now - self.ended
        last = self.now - max(self.filed, *(past.ended for past in before.history))
        least, over = self._least(after, after.stable), last >= MEMORY
        if least < self.had and since < MEMORY:
            return f"stable may shrink to {least} of {self.had} {since}s after a rollout"
        written = before == after and self.route is not None and self.taken_by is None and not after.retiring
        return (
            f"stable may not shrink to {LEAST} any more, but to {least}" if over and written and least > LEAST else None
        )


def _small_begin(plan: Plan, record: Record, seen: Observed) -> Decision:
    """Does not ask what stable has."""
    made = decide(plan, record, seen)
    rollout = made.record.rollout
    return made if rollout is None else replace(made, record=replace(made.record, rollout=replace(rollout, full=0)))


def _loose(plan: Plan, record: Record, seen: Observed) -> Decision:
    """Goes back to the spec's bounds as soon as a rollout is over."""
    made = decide(plan, record, seen)
    return made if made.record.rollout is not None else replace(made, record=replace(made.record, full=0))


def _clinging(plan: Plan, record: Record, seen: Observed) -> Decision:
    """Never goes back to the spec's bounds."""
    made = decide(plan, record, seen)
    idle = record.rollout is None and made.record.rollout is None
    return replace(made, record=replace(made.record, full=record.full)) if idle else made


MUTANTS = {
    "forgets what stable had": _small_begin,
    "lets stable shrink at once": _loose,
    "never lets stable shrink": _clinging,
}
