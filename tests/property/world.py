"""A small world for the machine: a registry, a router, pods, traffic and people, all of them only values.

It carries decisions out as the loop does and keeps its own books of what happened (`Ledger`), from which
`tests.property.invariants` judges each decision without believing a word of the record's clocks.
"""

from collections.abc import Callable
from dataclasses import replace

from tests.property.gatebooks import GATES, told_of, tried_of
from tests.property.invariants import violations
from tests.property.ledger import Ledger, named
from tests.property.standing import Live, Pods
from tests.unit.core import builders as make

from tidegate.core.alerts import identity
from tidegate.core.decide import decide
from tidegate.core.decision import Decision, action_value
from tidegate.core.diversion import Diversion, condemned, diversion, saved_verdict
from tidegate.core.guards import Mode
from tidegate.core.manifests import diversion_for, replicas_of
from tidegate.core.observed import Alerts, Exit, Judgement, Observed, Obstacle, RevisionFacts, RouteFacts
from tidegate.core.plan import Plan, Step
from tidegate.core.predictions import DriftGuard
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Approval, Record, Verdict
from tidegate.core.values import Revision, Unavailable

Decide = Callable[[Plan, Record, Observed], Decision]

LONG = (Step(weight=5, hold=60), Step(weight=50, hold=120), Step(weight=100, hold=60))
#: A machine that writes more often than this without anything happening does not come to rest.
MOST_WRITES = 20


class BrokenInvariantError(AssertionError):
    """An invariant did not hold."""


class World:
    """Everything around `decide`. Each public method is something that happens; `settle` lets the machine answer."""

    def __init__(self, machine: Decide = decide) -> None:
        self.machine = machine
        self.now = make.NOW
        self.plan = make.plan(
            steps=LONG,
            deadline=7200.0,
            progress_deadline=600.0,
            rollback_window=3000.0,
            gates=GATES,
            drift=DriftGuard(most=0.25, needed=1000, reverts=True),
        )
        self.wanted = 1
        self.newest = 1
        self.registry_down = False
        self.route: Live | None = None
        self.saved = Record()
        self.refusal: str | None = None
        self.taken_by: str | None = None
        self.pods: dict[str, Pods] = {}
        self.evidence = "good"
        self.actions: dict[str, str] = {}
        self.told = Alerts()
        self.words: dict[str, tuple[Approval, ...]] = {}
        self.preset = make.PRESET
        self.gate = "open"
        self.trial = "answers"
        self.conflict = False
        self.denied = False
        self.diversions: dict[str, Diversion] = {}
        self.down = False
        self.full = False
        self.agreeable = False
        self.ledger = Ledger()
        self.log: list[str] = []

    # what the machine sees

    @property
    def record(self) -> Record:
        return self.route.record if self.route is not None else self.saved

    def _judgement(self, record: Record) -> Judgement | Unavailable:
        rollout = record.rollout
        if rollout is None or rollout.weight == 0 or self.evidence == "none":
            return make.unavailable("EvidenceMissing")
        said = make.judgement(
            record, healthy=self.evidence in {"good", "stale", "partial", "elsewhere", "suspected", "held"}
        )
        changes: dict[str, dict[str, object]] = {
            "bad": {"breach": Obstacle(reason=Reason.GUARD_BREACHED, message="8% errors (34 of 420) over 1%")},
            "silent": {"breach": Obstacle(reason=Reason.UNREACHABLE, message="the canary counted no request")},
            "stale": {"fresh": False},
            "partial": {"missing": "contour: no answer of Prometheus"},
            "elsewhere": {"weight": rollout.weight - 1},
            "suspected": {"suspected": True},
            "drifted": {"drifted": "PSI 0.4 of 1200 predictions against stable's 9000 over the limit of 0.25"},
            "held": {"held": "stable is over the limit itself"},
            "observed": {
                "healthy": True,
                "findings": tuple(replace(f, mode=Mode.OBSERVE, value=0.5, bad=200) for f in said.findings),
            },
        }
        return replace(said, **changes.get(self.evidence, {}))  # type: ignore[arg-type]  # a table of fields

    def observed(self) -> Observed:
        record = self.record
        canary = [record.rollout.canary.version] if record.rollout else []
        facts = None
        if self.route is not None:
            told = self.route.told == self.route.generation and self.refusal is None
            facts = RouteFacts(
                uid="r", resource_version="1", record=record, weights=dict(self.route.weights), confirmed=told,
                refusal=self.refusal,
            )  # fmt: skip
        return Observed(
            now=self.now,
            wanted=make.unavailable() if self.registry_down else make.version(self.wanted),
            route=facts,
            record=record,
            revisions={
                name: RevisionFacts(
                    endpoints=0 if name in self.diversions else p.ready + p.leaving,
                    own=p.ready,
                    pods=p.ready + p.leaving,
                    restarts=dict(p.restarts),
                    exits=p.exits,
                )
                for name, p in self.pods.items()
            },
            evidence=self._judgement(record),
            preset=self.preset,
            actions=dict(self.actions),
            taken_by=self.taken_by,
            condemned=self._condemned(record),
            diverted={name: away.to for name, away in self.diversions.items()},
            alerts=self.told,
            approvals=dict(self.words),
            details=told_of(self.gate, [make.version(self.wanted), *canary], self.now),
            tried=tried_of(self.trial, record.rollout),
            counted=self.trial != "uncounted",
        )

    def _condemned(self, record: Record) -> Verdict | None:
        if self.route is None or record.rollout is None or record.rollout.verdict is not None:
            return None
        return saved_verdict(record.rollout, self.diversions.get(record.rollout.canary.name), self.saved)

    # what the machine does

    def settle(self) -> Decision | None:
        """Passes until there is nothing left to write; every one of them is judged."""
        if self.down:
            return None
        for _ in range(MOST_WRITES):
            decision = self.look()
            if decision.record == self.record and self._in_place():
                self._services(decision.record)
                return decision
            if self.denied:
                self._save(decision.record)
                return decision
            self._write(decision.record)
        raise BrokenInvariantError(f"{MOST_WRITES} writes without an end: {self.log[-5:]}")

    def look(self) -> Decision:
        """One pass that writes nothing, as one that is killed before its first write."""
        seen = self.observed()
        decision = self.machine(self.plan, seen.record, seen)
        found = violations(self.plan, seen, decision, self.ledger, self.machine)
        if found:
            raise BrokenInvariantError(
                "\n".join([*found, f"after: {self.log[-12:]}", f"said: {decision.reason} {decision.message}"])
            )
        return decision

    def _in_place(self) -> bool:
        if self.taken_by is not None and self.route is None:
            return True
        return self.route is not None and self.route.weights == self.route.record.weights()

    def _services(self, record: Record) -> None:
        """The Services are rendered: a diversion that is no longer kept is put back."""
        kept = {r.name: diversion_for(record, r, self.diversions) for r in record.revisions()}
        gone = {name: away for name, away in self.diversions.items() if name not in kept}
        self.diversions = gone | {name: away for name, away in kept.items() if away is not None}

    def _save(self, record: Record) -> None:
        """The route can't be written: the verdict goes where it can, and traffic with it."""
        before, rollout = self.record, record.rollout
        if rollout is None or rollout.verdict is None:
            return
        self.saved = condemned(before, record)
        self.ledger.condemned.setdefault(named(rollout), rollout.verdict)
        if rollout.verdict.rejects:
            self.ledger.condemned[named(rollout)] = rollout.verdict
        ready = self.pods[record.stable.name].ready if record.stable and record.stable.name in self.pods else 0
        away = diversion(record, stable_endpoints=ready)
        if away is not None:
            self.diversions[rollout.canary.name] = away
        self.log.append(f"denied {rollout.verdict.reason}, diverted to {away and away.to}")
        routed = self.route.weights.get(rollout.canary.name, 0) if self.route else 0
        if routed and ready and rollout.canary.name not in self.diversions:
            raise BrokenInvariantError(f"a condemned canary goes on getting requests: {self.log[-5:]}")

    def _write(self, record: Record) -> None:
        before = self.record
        if self.conflict:
            self.conflict = False
            return
        weights = record.weights()
        if self.route is None:
            self.route = Live(record=record, weights=weights)
        else:
            changed = self.route.weights != weights
            self.route = replace(self.route, record=record, weights=weights, generation=self.route.generation + changed)
        self.saved = record
        first = record.rollout.canary.name if record.rollout else ""
        restarts = dict(self.pods[first].restarts) if first in self.pods else {}
        self.ledger.wrote(before, record, self.now, restarts)
        self.log.append(f"wrote {weights} {[e.reason.value for e in record.history[-1:]]}")

    # what happens by itself

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.passed(seconds, paused=self._paused())

    def router_confirms(self) -> None:
        if self.route is None or self.refusal is not None:
            return
        self.route.told = self.route.generation
        self.ledger.confirmed(self.route.weights, self.now)

    def kubelet_syncs(self) -> None:
        """Every revision of the record gets the pods that it is to have; others lose theirs."""
        record = self.record
        wanted = {r.name: r for r in record.revisions()} if self.route is not None else {}
        for name in [name for name in self.pods if name not in wanted]:
            del self.pods[name]
        if self.route is not None:
            self.diversions = {name: away for name, away in self.diversions.items() if name in wanted}
        for name, revision in wanted.items():
            pods = self.pods.setdefault(name, Pods())
            sizes = {key: max(1, value.ready) for key, value in self.pods.items()}
            size = replicas_of(self.plan, record, revision, sizes)
            pods.ready = min(pods.ready, size) if self.full else size
            pods.leaving = 0
            pods.exits = tuple(replace(e, current=False) for e in pods.exits)
            self.ledger.ready(name, pods.ready, self.now)

    # what breaks

    def _lose(self, revision: Revision | None) -> None:
        if revision is not None and revision.name in self.pods:
            self.pods[revision.name].ready = 0
            self.ledger.ready(revision.name, 0, self.now)

    def stable_lost(self) -> None:
        self._lose(self.record.stable)

    def stable_short(self) -> None:
        stable = self.record.stable
        if stable is not None and stable.name in self.pods:
            self.pods[stable.name].ready = min(1, self.pods[stable.name].ready)
            self.ledger.ready(stable.name, self.pods[stable.name].ready, self.now)

    def canary_lost(self) -> None:
        self._lose(self.record.rollout.canary if self.record.rollout else None)

    def canary_left_over(self) -> None:
        """The canary's pods turn out to be those of an earlier Deployment, which go soon."""
        rollout = self.record.rollout
        pods = self.pods.get(rollout.canary.name) if rollout else None
        if rollout is not None and pods is not None and rollout.weight == 0:
            pods.ready, pods.leaving = 0, pods.ready + pods.leaving
            self.ledger.ready(rollout.canary.name, 0, self.now)

    def canary_exits(self) -> None:
        rollout = self.record.rollout
        pods = self.pods.get(rollout.canary.name) if rollout else None
        if rollout is None or pods is None or not pods.ready:
            return
        name = f"{rollout.canary.name}-0"
        pods.ready -= 1
        pods.restarts = {name: pods.restarts.get(name, 0) + 1}
        pods.exits = (Exit(pod=name, container="model", code=3, message="boom"),)
        self.ledger.ready(rollout.canary.name, pods.ready, self.now)

    def route_deleted(self) -> None:
        self.route = None
        self.ledger.router_lost(self.now)

    def weights_edited(self) -> None:
        if self.route is not None:
            self.route.weights = dict.fromkeys(self.route.weights, 50)
            self.route.generation += 1

    # what is told of alerts

    def alert(self, began: float, lasts: float | None = None) -> None:
        """An alert of a name of its own fires since `began` seconds ago, and is over by itself in `lasts` seconds."""
        until = None if lasts is None else self.now + lasts
        name = f"a{len(self.ledger.told) % 3}"
        self.tell(firing=(Alert(fingerprint=name, name=name, since=self.now - began, until=until),))

    def alert_again(self) -> None:
        """What fires is told of once more, as it was."""
        self.tell(firing=tuple(self.ledger.firing.values()))

    def resolve(self) -> None:
        """Nothing fires any more, and the operator hears of it."""
        self.tell(resolved=tuple(replace(alert, until=None) for alert in self.record.alerts))

    def tell(self, firing: tuple[Alert, ...] = (), resolved: tuple[Alert, ...] = ()) -> None:
        """Tell as often as it takes to get it onto the route; an operator that is down is told nothing."""
        if self.down or self.route is None:
            return
        self.told = Alerts(firing=firing, resolved=resolved)
        self.settle()
        self.told = Alerts()
        self.ledger.heard(firing, resolved, self.record)

    def dismiss(self) -> None:
        """A person has enough of one alert."""
        if self.record.alerts:
            self.actions["dismiss"] = identity(self.record.alerts[0])

    def _paused(self) -> bool:
        rollout = self.record.rollout
        named = rollout is not None and self.actions.get("pause") == action_value(rollout.canary, rollout.attempt)
        return self.plan.paused or named
