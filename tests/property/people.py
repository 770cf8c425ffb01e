"""The world with people in it, who point, edit, pause and approve, and who bring it back into order."""

from dataclasses import replace

from tests.property.ledger import named, work
from tests.property.world import LONG, World
from tests.unit.core import builders as make

from tidegate.core.decision import action_value
from tidegate.core.plan import Step
from tidegate.core.record import Approval

#: Two steps that ask for approval.
ASKING = tuple(replace(step, approval=step.weight in {50, 100}) for step in LONG)
SHORT = (Step(weight=10, hold=30), Step(weight=100, hold=30))
#: Seconds that nobody waits for just because something is due then.
FAR = 50_000.0


class PeopledWorld(World):
    """A world in which everything may happen."""

    # what people do

    def paused(self, *, spec: bool) -> None:
        """Pause, or resume; seen at once, so that ledger and machine stop their clocks at the same moment."""
        self.down = False
        if self._paused():
            self.plan = replace(self.plan, paused=False)
            self.actions.pop("pause", None)
        elif spec:
            self.plan = replace(self.plan, paused=True)
        else:
            self.annotate("pause")

    def annotate(self, action: str) -> None:
        """Name the attempt under way; without one, the last that ended badly."""
        record = self.record
        ended = [*record.rejected, *record.parked]
        if record.rollout is not None:
            self.actions[action] = action_value(record.rollout.canary, record.rollout.attempt)
        elif ended:
            last = max(ended, key=lambda entry: entry.at)
            self.actions[action] = action_value(last.revision, last.attempt)

    def points_at(self, number: int) -> None:
        self.wanted = number
        self.newest = max(self.newest, number)

    def points_back(self) -> None:
        """To what serves, or to any earlier version."""
        stable = self.record.stable
        self.wanted = int(stable.version.number) if stable is not None and self.wanted != 1 else 1

    def serving_edited(self) -> None:
        """Another image, say; or the first one again."""
        edited = replace(make.SERVING, canonical={"runtime": "tidegate", "resources": {"cpu": "2"}})
        self.plan = replace(self.plan, serving=make.SERVING if self.plan.serving == edited else edited)

    def steps_edited(self) -> None:
        self.plan = replace(self.plan, steps=SHORT if self.plan.steps == LONG else LONG)

    def drift_edited(self) -> None:
        """What drifts is held, or reverted."""
        drift = self.plan.drift
        if drift is not None:
            self.plan = replace(self.plan, drift=replace(drift, reverts=not drift.reverts))

    def approval_asked(self, *, revert: bool) -> None:
        self.plan = replace(self.plan, steps=ASKING if self.plan.steps != ASKING else LONG, revoke_reverts=revert)

    def says(self, weight: int, *, granted: bool) -> None:
        """Somebody approves or refuses a step of the attempt under way; the object may be deleted later."""
        rollout = self.record.rollout
        if rollout is None or self.down or self.route is None:
            return
        attempt = named(rollout)
        word = Approval(weight=weight, granted=granted, approver="alice", name=f"a-{weight}", at=self.now)
        self.words[attempt] = (*self.words.get(attempt, ()), word)
        self.ledger.spoke(attempt, weight, self.now, granted=granted)

    def words_deleted(self) -> None:
        """Somebody deletes what was heard already."""
        self.settle()
        rollout = self.record.rollout
        if not self.down and not self.denied and not self.conflict and rollout is not None and rollout.verdict is None:
            self.words = {}

    def everybody_agrees(self) -> None:
        """Whoever is asked says yes, and whoever said no changes his mind."""
        rollout = self.record.rollout
        if rollout is None:
            return
        refused = [word.weight for word in rollout.approvals if not word.granted]
        for weight in {*refused, *((rollout.asked.weight,) if rollout.asked else ())}:
            self.says(weight, granted=True)

    # everything in order

    def healed(self) -> None:
        self.down = self.registry_down = self.conflict = self.full = self.denied = False
        self.refusal = self.taken_by = None
        self.evidence, self.actions, self.gate, self.trial = "good", {}, "open", "answers"
        self.agreeable = True
        self.plan = replace(self.plan, paused=False)
        self.settle()  # a route that is made anew: nobody is told of alerts while there is none
        self.resolve()

    def mended(self) -> None:
        """What broke works again; people's wishes stay."""
        self.registry_down = self.down = self.full = self.denied = False
        self.refusal = self.taken_by = None
        self.evidence, self.gate, self.trial = "good", "open", "answers"
        self.resolve()

    def good_moment(self, longest: float = 130.0) -> None:
        """Pods get ready, the router confirms, and as much time goes by as the machine says that it needs."""
        self.settle()
        self.kubelet_syncs()
        self.settle()
        self.router_confirms()
        if self.agreeable:
            self.settle()
            self.everybody_agrees()
        decision = self.settle()
        due = decision.requeue if decision is not None else None
        pause = due if due is not None and due < FAR else 1.0
        self.wait(min(pause, longest) + 0.001)
        self.settle()

    def serves(self, number: int) -> bool:
        stable = self.record.stable
        return (
            stable is not None
            and self.record.rollout is None
            and work(stable) == (str(number), work(make.revision(number, self.plan.serving))[1])
        )
