"""The watch over canaries: one task for each object that rolls, a look at both revisions' pods every interval.

A pod that hangs delays nobody. Each pod has at most one read under way; a look waits only for pods that answered in
time the last time, and takes what a slow one said whenever that comes: counters are cumulative, so nothing is lost.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from tidegate.core.evidence import EvidenceState, Look, observe
from tidegate.core.guards import Guard, Verdict
from tidegate.core.judge import JudgeState, Ruling, judge, restart_step
from tidegate.core.observed import Judgement, Obstacle
from tidegate.core.plan import Runtime
from tidegate.core.readings import EvidenceConfig, Reading, Readings, Unreadable
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.loop.reads import PodReads, Side
from tidegate.ports import Clock, Evidence

__all__ = ["EvidenceWatch", "Side", "Spec"]

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
    canary never had weight in this attempt, so what its pods count already is of an earlier one.
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

    @property
    def rollout(self) -> tuple[str, int]:
        """What evidence belongs to; another one starts with none."""
        return self.canary.revision, self.attempt

    @property
    def config(self) -> EvidenceConfig:
        """How to count."""
        runtimes = [side.runtime for side in (self.canary, self.stable) if side is not None]
        faults = frozenset[str]().union(*(_MODEL_FAULTS.get(runtime, frozenset()) for runtime in runtimes))
        return EvidenceConfig(guards=self.guards, timeout=self.timeout, faults=faults)


class EvidenceWatch:
    """Watches what rolls.

    Args:
        evidence: Reads pods.
        clock: For ages.
        on_breach: Called with the key, once for each rollout, in the moment a look says that its canary must go.
        on_look: Called with the key when what the guards say changed, and when a new state is worth saving.
    """

    def __init__(
        self,
        evidence: Evidence,
        clock: Clock,
        *,
        on_breach: Callable[[str], None],
        on_look: Callable[[str], None],
    ) -> None:
        self._evidence = evidence
        self._clock = clock
        self._on_breach = on_breach
        self._on_look = on_look
        self._watches: dict[str, _Watch] = {}

    def ensure(self, key: str, spec: Spec) -> None:
        """Watch this rollout; go on with the evidence so far where it is the same canary and attempt.

        A weight that was not confirmed before starts the step: what speaks in favour counts from now.
        """
        known = self._watches.get(key)
        if known is not None and known.spec.rollout == spec.rollout:
            known.update(spec)
            return
        self.stop(key)
        watch = _Watch(key, spec, self._evidence, self._clock)
        watch.task = asyncio.create_task(self._run(watch), name=f"evidence {key}")
        self._watches[key] = watch

    def restart_step(self, key: str) -> None:
        """Let what speaks in favour count from now."""
        watch = self._watches.get(key)
        if watch is not None:
            watch.restart_step()

    def stop(self, key: str) -> None:
        """Nothing rolls any more."""
        watch = self._watches.pop(key, None)
        if watch is not None and watch.task is not None:
            watch.task.cancel()

    async def close(self) -> None:
        """Stop everything and wait for it."""
        tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
        for key in list(self._watches):
            self.stop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def judgement(self, key: str) -> Judgement | Unavailable:
        """What the guards say by the newest look. A breach stays one until the watch ends."""
        watch = self._watches.get(key)
        if watch is None:
            return Unavailable(reason=Reason.EVIDENCE_NOT_NEEDED, message="no rollout is being watched")
        return watch.judgement(self._clock.monotonic())

    def state(self, key: str) -> Mapping[str, Any] | None:
        """The state to be saved, as JSON values; the same one for `SAVE_EVERY` seconds. None before the first look."""
        watch = self._watches.get(key)
        return watch.saved if watch is not None else None

    async def _run(self, watch: "_Watch") -> None:
        loop = asyncio.get_running_loop()
        # The key's own phase: objects that began to roll together are not read together.
        due = loop.time() + watch.spec.interval * (zlib.crc32(watch.key.encode()) / 2**32)
        try:
            while True:
                await asyncio.sleep(due - loop.time())
                await self._look(watch)
                # The next one of the grid that has not passed: looks are left out rather than queued up.
                interval = watch.spec.interval
                due += interval * max(1, -(-(loop.time() - due) // interval))
        finally:
            watch.reads.close()

    async def _look(self, watch: "_Watch") -> None:
        before = watch.gist
        try:
            breached = await watch.look()
        except Exception:
            # The outermost loop of this object's watch: a fault in judging one must not blind all others.
            log.exception("evidence.look_failed", object=watch.key)
            watch.fail("the look failed: see the operator's log")
            # A saved state that was believed and can't be gone on with would fail every look to come.
            watch.begin_anew()
            breached = False
        if breached:
            self._on_breach(watch.key)
        if watch.gist != before or watch.save_is_due(self._clock.monotonic()):
            watch.save(self._clock.monotonic())
            self._on_look(watch.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A ruling, what was confirmed when it was made, and its monotonic time."""

    ruling: Ruling
    weight: int
    at: float


@dataclass(slots=True)
class _Watch:
    """One object's watch."""

    key: str
    spec: Spec
    evidence: Evidence
    clock: Clock
    task: "asyncio.Task[None] | None" = None
    step: int = 0
    seen: EvidenceState = field(default_factory=EvidenceState)
    judged: JudgeState = field(default_factory=JudgeState)
    said: _Said | None = None
    breach: _Said | None = None
    missing: str | None = "no look at the pods yet"
    saved: Mapping[str, Any] | None = None
    saved_at: float = 0.0
    reads: PodReads = field(init=False)

    def __post_init__(self) -> None:
        self.reads = PodReads(self.evidence)
        self.step = self.spec.weight
        self.saved = self.spec.saved
        self.saved_at = self.clock.monotonic()
        self.seen, self.judged = restored(self.spec)

    def update(self, spec: Spec) -> None:
        """Go on with another weight, other guards, another interval."""
        self.spec = spec
        if not spec.untouched and not self.seen.opened:
            # Nothing was read before the first request: all of it counts.
            self.seen = replace(self.seen, untouched=False)
        if spec.weight and spec.weight != self.step:
            self.step = spec.weight
            self.restart_step()

    def restart_step(self) -> None:
        """Forget what speaks in favour."""
        self.judged = restart_step(self.judged)
        self.said = None

    async def look(self) -> bool:
        """Take one look; true if it is the first one that says that the canary must go."""
        spec, config = self.spec, self.spec.config
        readings = await self.reads.read(spec.canary, spec.stable, at=self.clock.monotonic(), interval=spec.interval)
        # Weight and guards may have changed while the pods were read; the readings are good for either.
        spec = self.spec
        look: Look | Unavailable
        self.missing = unreadable(readings)
        if self.missing is None:
            self.seen, look = observe(self.seen, readings, config)
        else:
            look = Unavailable(reason=Reason.EVIDENCE_MISSING, message=self.missing)
        ruling = judge(self.judged, config.guards, look, weight=spec.weight, at_full=self.step == _FULL)
        self.judged = ruling.state
        if self.missing is not None:
            return False
        self.said = _Said(ruling=ruling, weight=self.step, at=readings.at)
        if ruling.verdict is not Verdict.BREACH or self.breach is not None:
            return False
        self.breach = self.said
        return True

    def begin_anew(self) -> None:
        """Judge from nothing, as after a take-over with nothing saved."""
        self.seen = EvidenceState()
        self.judged = JudgeState(restarts=max(1, self.spec.takeovers))
        self.said = None

    def fail(self, message: str) -> None:
        """A look that came to nothing."""
        self.missing = message

    def judgement(self, now: float) -> Judgement | Unavailable:
        """See `EvidenceWatch.judgement`."""
        said = self.breach or self.said
        if said is None or (self.missing is not None and self.breach is None):
            message = self.missing or "no look at the pods in this step yet"
            return Unavailable(reason=Reason.EVIDENCE_MISSING, message=message)
        ruling = said.ruling
        fresh = now - said.at <= max(FRESH_INTERVALS * self.spec.interval, FRESH)
        return Judgement(
            canary=self.spec.canary.revision,
            attempt=self.spec.attempt,
            weight=said.weight,
            findings=ruling.findings,
            fresh=fresh,
            healthy=ruling.verdict is Verdict.HEALTHY,
            breach=_obstacle(ruling),
            suspected=ruling.suspected,
            held=ruling.held,
        )

    @property
    def gist(self) -> tuple[Any, ...]:
        """What of the last ruling matters to a decision: not its numbers."""
        if self.said is None:
            return (self.missing,)
        ruling = self.said.ruling
        verdicts = tuple((finding.guard, finding.verdict, finding.held) for finding in ruling.findings)
        return self.missing, self.said.weight, ruling.verdict, ruling.suspected, ruling.held is None, verdicts

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


def restored(spec: Spec) -> tuple[EvidenceState, JudgeState]:
    """Where a watch starts: from what was saved for this rollout, with nothing in favour, or from nothing."""
    saved = spec.saved
    anew = JudgeState(restarts=spec.takeovers)
    if saved is None or (saved.get("canary"), saved.get("attempt")) != spec.rollout:
        return EvidenceState(untouched=spec.untouched), anew
    try:
        judged = restart_step(JudgeState.from_wire(saved["judge"]))
        return EvidenceState.from_wire(saved["evidence"]), judged
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("evidence.saved_state_unreadable", revision=spec.canary.revision, error=str(error))
        return EvidenceState(), replace(anew, restarts=max(1, spec.takeovers))


def unreadable(readings: Readings) -> str | None:
    """Why a look says nothing at all; None where some pod of either revision could be read."""
    everything: list[Reading | Unreadable] = [*readings.canary.values(), *readings.stable.values()]
    if any(isinstance(reading, Reading) for reading in everything):
        return None
    if not everything:
        return "there are no pods whose metrics could be read"
    first = next(reading.reason for reading in everything if isinstance(reading, Unreadable))
    return f"no metrics of any of {len(readings.canary)} canary and {len(readings.stable)} stable pods: {first}"


def _obstacle(ruling: Ruling) -> Obstacle | None:
    if ruling.verdict is not Verdict.BREACH:
        return None
    reason = Reason.UNREACHABLE if ruling.blamed is None else Reason.GUARD_BREACHED
    return Obstacle(reason=reason, message=ruling.message or "")
