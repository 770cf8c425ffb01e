"""One source of evidence of one rollout: its looks, what they say, and what of it is worth saving."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from tidegate.core.evidence import EvidenceState, Look, observe
from tidegate.core.guards import Finding, Guard, Verdict
from tidegate.core.judge import JudgeState, Ruling, judge, restart_step
from tidegate.core.observed import Judgement, Obstacle
from tidegate.core.plan import Runtime
from tidegate.core.predictions import DriftGuard, DriftState
from tidegate.core.promql import PRESETS
from tidegate.core.queries import QueryGuard
from tidegate.core.readings import EvidenceConfig, Reading, Readings, Unreadable
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.loop.reads import Side
from tidegate.ports import Clock

#: The source that needs nothing: the pods' own pages.
PODS = "pods"
#: Seconds between two states worth saving; a status must not change with every look.
SAVE_EVERY = 10.0
#: A ruling older than this many intervals (and than `FRESH`) is not fresh.
FRESH_INTERVALS = 3
FRESH = 5.0
_FULL = 100
#: MLServer and mlflow answer 400 where the model raised.
_MODEL_FAULTS = {Runtime.MLSERVER: frozenset({"400"})}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to watch.

    `weight` is the canary's share in per cent as the router confirmed it, 0 while it has not. `saved` is what `state`
    gave for this canary and attempt, in this or an earlier process. `takeovers` is how often the judge had to start
    anew in this attempt, this time included, where there is nothing saved: 0 at the attempt's start. `untouched`: the
    canary never had weight in this attempt, so what its pods count already is of an earlier one. `since` is when it
    first had weight (seconds since the epoch). `tried`: requests of our own are sent to its pods before that.
    """

    canary: Side
    stable: Side | None
    attempt: int
    weight: int
    guards: tuple[Guard, ...]
    timeout: float
    interval: float
    saved: Mapping[str, Any] | None = None
    takeovers: int = 0
    untouched: bool = False
    namespace: str = ""
    name: str = ""
    sources: tuple[str, ...] = (PODS,)
    queries: tuple[QueryGuard, ...] = ()
    drift: DriftGuard | None = None
    since: float | None = None
    tried: bool = False

    @property
    def from_now(self) -> bool:
        """Whether what the canary's pods have counted before the first look is none of its traffic.

        Before its first weight that is so. Later it is where requests of our own went to its pods and nothing was
        saved: better to miss some of its first ones than to hold ours against it.
        """
        return self.untouched or self.tried

    @property
    def rollout(self) -> tuple[str, int]:
        """What evidence belongs to; another one starts with none."""
        return self.canary.revision, self.attempt

    def config(self, source: str = PODS) -> EvidenceConfig:
        """How to count what a source tells: the guards that it can feed."""
        receiving = self.weight > 0
        if source != PODS:
            preset = PRESETS[source]
            fed = tuple(guard for guard in self.guards if guard.kind in preset.feeds)
            return EvidenceConfig(
                guards=fed, timeout=self.timeout, faults=preset.faults, lasting=True, shared=preset.shared,
                receiving=receiving,
            )  # fmt: skip
        runtimes = [side.runtime for side in (self.canary, self.stable) if side is not None]
        faults = frozenset[str]().union(*(_MODEL_FAULTS.get(runtime, frozenset()) for runtime in runtimes))
        return EvidenceConfig(guards=self.guards, timeout=self.timeout, faults=faults, receiving=receiving)


class Part(Protocol):
    """One source of a rollout, or one query: looked at by a task of its own, so that it waits for nobody."""

    spec: Spec
    task: "asyncio.Task[None] | None"
    saved: Mapping[str, Any] | None

    @property
    def gist(self) -> tuple[Any, ...]:
        """What of the last look matters to a decision: not its numbers."""
        ...

    @property
    def opened(self) -> bool:
        """Whether what pods counted before is known, where this source counts what pods answer."""
        ...

    def update(self, spec: Spec) -> None:
        """Go on with another weight, other guards, another interval."""
        ...

    def restart_step(self) -> None:
        """Forget what speaks in favour."""
        ...

    async def look(self) -> bool:
        """Take one look; true if it is the first one that says that the canary must go."""
        ...

    def fail(self, message: str) -> None:
        """A look that came to nothing."""
        ...

    def begin_anew(self) -> None:
        """Judge from nothing, as after a take-over with nothing saved."""
        ...

    def judgement(self, now: float) -> Judgement | Unavailable:
        """What it says at a monotonic time."""
        ...

    def save_is_due(self, now: float) -> bool:
        """Whether the state that was handed out has become old."""
        ...

    def save(self, now: float) -> None:
        """Hand out a new state, unless the last one is young and nothing depends on it."""
        ...

    def close(self) -> None:
        """Give up what is under way."""
        ...


class Reads(Protocol):
    """Takes the readings of a look."""

    async def read(self, canary: Side, stable: Side | None, *, at: float, interval: float) -> Readings:
        """The newest readings, well within the interval."""
        ...

    def close(self) -> None:
        """Give up what is under way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A ruling and what predictions say, if they are asked for; what was confirmed then, and the monotonic time."""

    ruling: Ruling
    drift: Finding | None
    weight: int
    at: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of all guards."""
        return self.ruling.findings if self.drift is None else (*self.ruling.findings, self.drift)

    def drifted(self, guard: DriftGuard | None) -> Verdict:
        """What predictions say, healthy where a guard asks nothing of them."""
        return self.drift.verdict if guard is not None and guard.enforced and self.drift else Verdict.HEALTHY


@dataclass(slots=True)
class SourceWatch:
    """The looks at one source, judged by a judge of its own. `make_reads` is called once."""

    source: str
    spec: Spec
    make_reads: Callable[[], Reads]
    clock: Clock
    task: "asyncio.Task[None] | None" = None
    step: int = 0
    seen: EvidenceState = field(default_factory=EvidenceState)
    judged: JudgeState = field(default_factory=JudgeState)
    predicted: DriftState = field(default_factory=DriftState)
    said: _Said | None = None
    breach: _Said | None = None
    missing: str | None = "no look at the pods yet"
    saved: Mapping[str, Any] | None = None
    saved_at: float = 0.0
    reads: Reads = field(init=False)

    def __post_init__(self) -> None:
        self.reads = self.make_reads()
        self.step = self.spec.weight
        self.saved = saved_of(self.spec, self.source)
        self.saved_at = self.clock.monotonic()
        if self.source != PODS:
            self.missing = f"{self.source}: no answer of Prometheus yet"
        self.seen, self.judged = restored(self.spec, self.saved)
        self._share()

    def update(self, spec: Spec) -> None:
        """Go on with another weight, other guards, another interval."""
        self.spec = spec
        self._share()
        if not spec.from_now and not self.seen.opened:
            # Nothing was read before the first request: all of it counts.
            self.seen = replace(self.seen, untouched=False)
        if spec.weight and spec.weight != self.step:
            self.step = spec.weight
            self.restart_step()

    def restart_step(self) -> None:
        """Forget what speaks in favour."""
        self.judged = restart_step(self.judged)
        self.predicted = self.predicted.restarted()
        self.said = None

    def _share(self) -> None:
        self.judged = replace(self.judged, judges=len(self.spec.sources))

    async def look(self) -> bool:
        """Take one look; true if it is the first one that says that the canary must go."""
        spec, config = self.spec, self.spec.config(self.source)
        readings = await self.reads.read(spec.canary, spec.stable, at=self.clock.monotonic(), interval=spec.interval)
        # Weight and guards may have changed while the pods were read; the readings are good for either.
        spec = self.spec
        look: Look | Unavailable
        self.missing = unreadable(readings, self.source)
        if self.missing is None:
            self.seen, look = observe(self.seen, readings, config)
        else:
            look = Unavailable(reason=Reason.EVIDENCE_MISSING, message=self.missing)
        ruling = judge(self.judged, config.guards, look, weight=spec.weight, at_full=self.step == _FULL)
        self.judged = ruling.state
        if self.missing is not None:
            return False
        self.said = _Said(ruling=ruling, drift=self._drift(readings), weight=self.step, at=readings.at)
        if ruling.verdict is not Verdict.BREACH or self.breach is not None:
            return False
        self.breach = self.said
        return True

    def _drift(self, readings: Readings) -> Finding | None:
        if self.spec.drift is None or self.source != PODS:
            return None
        self.predicted = self.predicted.after(readings)
        return self.predicted.finding(self.spec.drift, at_full=self.step == _FULL)

    def fail(self, message: str) -> None:
        """A look that came to nothing."""
        self.missing = message

    def begin_anew(self) -> None:
        """Judge from nothing, as after a take-over with nothing saved."""
        self.seen = EvidenceState(untouched=self.spec.tried)
        self.judged = JudgeState(restarts=max(1, self.spec.takeovers))
        self.predicted = DriftState()
        self.said = None
        self._share()

    def close(self) -> None:
        """Give up what is under way."""
        self.reads.close()

    def judgement(self, now: float) -> Judgement | Unavailable:
        """See `EvidenceWatch.judgement`."""
        said = self.breach or self.said
        if said is None or (self.missing is not None and self.breach is None):
            message = self.missing or f"no look at {self._what} in this step yet"
            return Unavailable(reason=Reason.EVIDENCE_MISSING, message=message)
        ruling, drifted = said.ruling, said.drifted(self.spec.drift)
        fresh = now - said.at <= max(FRESH_INTERVALS * self.spec.interval, FRESH)
        return Judgement(
            canary=self.spec.canary.revision,
            attempt=self.spec.attempt,
            weight=said.weight,
            findings=tuple(self._named(finding) for finding in said.findings),
            fresh=fresh,
            healthy=ruling.verdict is Verdict.HEALTHY and drifted is Verdict.HEALTHY,
            breach=_obstacle(ruling, self.source),
            suspected=ruling.suspected,
            held=ruling.held,
            drifted=said.drift.message if said.drift and drifted is Verdict.BREACH else None,
        )

    @property
    def opened(self) -> bool:
        """See `Part`. A gateway does not see requests that go to pods directly."""
        return self.seen.opened or (self.source != PODS and PRESETS[self.source].shared)

    @property
    def _what(self) -> str:
        return "the pods" if self.source == PODS else self.source

    @property
    def gist(self) -> tuple[Any, ...]:
        """What of the last ruling matters to a decision: not its numbers."""
        if self.said is None:
            return (self.missing,)
        ruling = self.said.ruling
        verdicts = tuple((finding.guard, finding.verdict, finding.held) for finding in self.said.findings)
        return self.missing, self.said.weight, ruling.verdict, ruling.suspected, ruling.held is None, verdicts

    def _named(self, finding: Finding) -> Finding:
        if self.source == PODS:
            return finding
        return replace(finding, guard=f"{finding.guard} ({self.source})", message=f"{self.source}: {finding.message}")

    def save_is_due(self, now: float) -> bool:
        """Whether the state that was handed out has become old."""
        return self.said is not None and now - self.saved_at >= SAVE_EVERY

    def save(self, now: float) -> None:
        """Hand out a new state, unless the last one is young and nothing depends on it."""
        if self.saved is not None and self.breach is None and not self.save_is_due(now):
            return
        self.saved_at = now
        self.saved = {
            "canary": self.spec.canary.revision,
            "attempt": self.spec.attempt,
            "weight": self.step,
            "judge": self.judged.to_wire(),
            "evidence": self.seen.to_wire(),
        }


def saved_of(spec: Spec, source: str) -> Mapping[str, Any] | None:
    """What was saved of one source: the pods' stands for itself, the others' below `sources`."""
    if spec.saved is None or source == PODS:
        return spec.saved
    sources = spec.saved.get("sources")
    found = sources.get(source) if isinstance(sources, Mapping) else None
    return found if isinstance(found, Mapping) else None


def restored(spec: Spec, saved: Mapping[str, Any] | None) -> tuple[EvidenceState, JudgeState]:
    """Where a watch starts: from what was saved for this rollout, with nothing in favour, or from nothing."""
    anew = JudgeState(restarts=spec.takeovers)
    if saved is None or (saved.get("canary"), saved.get("attempt")) != spec.rollout:
        return EvidenceState(untouched=spec.from_now), anew
    try:
        judged = restart_step(JudgeState.from_wire(saved["judge"]))
        return EvidenceState.from_wire(saved["evidence"]), judged
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("evidence.saved_state_unreadable", revision=spec.canary.revision, error=str(error))
        return EvidenceState(untouched=spec.tried), replace(anew, restarts=max(1, spec.takeovers))


def unreadable(readings: Readings, source: str) -> str | None:
    """Why a look says nothing at all; None where some pod or process of either revision could be read."""
    everything: list[Reading | Unreadable] = [*readings.canary.values(), *readings.stable.values()]
    if any(isinstance(reading, Reading) for reading in everything):
        return None
    if source != PODS:
        faults = [reading.reason for reading in everything if isinstance(reading, Unreadable)]
        return f"{source}: {faults[0] if faults else 'Prometheus has no series of either revision'}"
    if not everything:
        return "there are no pods whose metrics could be read"
    first = next(reading.reason for reading in everything if isinstance(reading, Unreadable))
    return f"no metrics of any of {len(readings.canary)} canary and {len(readings.stable)} stable pods: {first}"


def _obstacle(ruling: Ruling, source: str) -> Obstacle | None:
    if ruling.verdict is not Verdict.BREACH:
        return None
    reason = Reason.UNREACHABLE if ruling.blamed is None else Reason.GUARD_BREACHED
    message = ruling.message or ""
    return Obstacle(reason=reason, message=message if source == PODS else f"{source}: {message}")
