"""The watch over canaries: for each object that rolls one task for each source of evidence, a look every interval.

A source that hangs delays nobody, and neither does a pod. Each pod has at most one read under way; a look waits only
for pods that answered in time the last time, and takes what a slow one said whenever that comes: counters are
cumulative, so nothing is lost.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from tidegate.core.combine import combined
from tidegate.core.observed import Judgement
from tidegate.core.promql import PRESETS
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.loop.looks import PODS, SAVE_EVERY, Part, Reads, SourceWatch, Spec
from tidegate.loop.questions import QueryWatch
from tidegate.loop.reads import PodReads, Side
from tidegate.loop.scrapes import PrometheusReads
from tidegate.ports import Clock, Evidence, Prometheus

__all__ = ["SAVE_EVERY", "EvidenceWatch", "Side", "Spec"]

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Rolling:
    """One object that rolls: its parts by name."""

    spec: Spec
    parts: dict[str, Part] = field(default_factory=dict)


class EvidenceWatch:
    """Watches what rolls.

    Args:
        evidence: Reads pods.
        prometheus: Is asked by guards with queries, and by the other sources.
        clock: For ages.
        on_breach: Called with the key, once for each source of a rollout, in the moment a look says that its canary
            must go.
        on_look: Called with the key when what the guards say changed, and when a new state is worth saving.
    """

    def __init__(
        self,
        evidence: Evidence,
        prometheus: Prometheus,
        clock: Clock,
        *,
        on_breach: Callable[[str], None],
        on_look: Callable[[str], None],
    ) -> None:
        self._evidence = evidence
        self._prometheus = prometheus
        self._clock = clock
        self._on_breach = on_breach
        self._on_look = on_look
        self._rolling: dict[str, _Rolling] = {}
        self._kept: dict[str, Judgement] = {}

    def ensure(self, key: str, spec: Spec) -> None:
        """Watch this rollout; go on with the evidence so far where it is the same canary and attempt.

        A weight that was not confirmed before starts the step: what speaks in favour counts from now.
        """
        known = self._rolling.get(key)
        if known is None or known.spec.rollout != spec.rollout:
            self.stop(key)
            known = self._rolling[key] = _Rolling(spec=spec)
        if (kept := self._kept.get(key)) is not None and (kept.canary, kept.attempt) != spec.rollout:
            del self._kept[key]
        known.spec = spec
        wanted = self._wanted(spec)
        for name in known.parts.keys() - wanted.keys():
            _end(known.parts.pop(name))
        for name, make in wanted.items():
            if name in known.parts:
                known.parts[name].update(spec)
                continue
            part = known.parts[name] = make()
            part.task = asyncio.create_task(self._run(key, part), name=f"evidence {key} {name}")

    def _wanted(self, spec: Spec) -> dict[str, Callable[[], Part]]:
        """How to make each part of a rollout, by a name that changes with what the part can't go on with."""
        parts: dict[str, Callable[[], Part]] = {}
        for source in spec.sources:
            parts[source] = partial(SourceWatch, source, spec, partial(self._reads, source, spec), self._clock)
        for guard in spec.queries:
            parts[f"{guard.place} {guard.promql}"] = partial(QueryWatch, guard, spec, self._prometheus, self._clock)
        return parts

    def _reads(self, source: str, spec: Spec) -> Reads:
        if source == PODS:
            return PodReads(self._evidence)
        return PrometheusReads(self._prometheus, PRESETS[source], spec.namespace, spec.name)

    def restart_step(self, key: str) -> None:
        """Let what speaks in favour count from now."""
        for part in self._parts(key):
            part.restart_step()

    def stop(self, key: str) -> None:
        """Watch nobody any more. What broke a limit goes on to be told: the route may not have been written yet."""
        said = self._said(key)
        if isinstance(said, Judgement) and _condemns(said):
            self._kept[key] = said
        for part in self._parts(key):
            _end(part)
        self._rolling.pop(key, None)

    def forget(self, key: str) -> None:
        """The object is gone."""
        self.stop(key)
        self._kept.pop(key, None)

    async def close(self) -> None:
        """Stop everything and wait for it."""
        tasks = [part.task for key in self._rolling for part in self._parts(key) if part.task is not None]
        for key in list(self._rolling):
            self.stop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def judgement(self, key: str, under_way: tuple[str, int] | None = None) -> Judgement | Unavailable:
        """What the guards say by the newest looks. `under_way`: revision and attempt that have no verdict yet.

        A breach stays one for as long as the attempt has none: also where the watch ended before the verdict could be
        written (the lease is lost where the API server is away), and where another watch has begun since.
        """
        said, kept = self._said(key), self._kept.get(key)
        if kept is None or (kept.canary, kept.attempt) != under_way:
            return said
        return said if isinstance(said, Judgement) and said.breach is not None else kept

    def _said(self, key: str) -> Judgement | Unavailable:
        parts = self._parts(key)
        if not parts:
            return Unavailable(reason=Reason.EVIDENCE_NOT_NEEDED, message="no rollout is being watched")
        now = self._clock.monotonic()
        return combined([part.judgement(now) for part in parts])

    def opened(self, key: str) -> bool:
        """Whether every source that counts what pods answer has been looked at: what came before is no evidence."""
        parts = self._parts(key)
        return bool(parts) and all(part.opened for part in parts)

    def state(self, key: str) -> Mapping[str, Any] | None:
        """The state to be saved, as JSON values; the same one for `SAVE_EVERY` seconds. None before the first look."""
        known = self._rolling.get(key)
        if known is None:
            return None
        saved = {name: part.saved for name, part in known.parts.items() if part.saved is not None}
        pods = saved.pop(PODS, None)
        if not saved:
            return pods
        revision, attempt = known.spec.rollout
        return {**(pods or {"canary": revision, "attempt": attempt}), "sources": saved}

    def _parts(self, key: str) -> list[Part]:
        known = self._rolling.get(key)
        return list(known.parts.values()) if known is not None else []

    async def _run(self, key: str, part: Part) -> None:
        loop = asyncio.get_running_loop()
        # The key's own phase: objects that began to roll together are not read together.
        due = loop.time() + part.spec.interval * (zlib.crc32(key.encode()) / 2**32)
        try:
            while True:
                await asyncio.sleep(due - loop.time())
                await self._look(key, part)
                # The next one of the grid that has not passed: looks are left out rather than queued up.
                interval = part.spec.interval
                due += interval * max(1, -(-(loop.time() - due) // interval))
        finally:
            part.close()

    async def _look(self, key: str, part: Part) -> None:
        before = part.gist
        try:
            breached = await part.look()
        except Exception:
            # The outermost loop of this source's watch: a fault in judging one must not blind all others.
            log.exception("evidence.look_failed", object=key)
            part.fail("the look failed: see the operator's log")
            # A saved state that was believed and can't be gone on with would fail every look to come.
            part.begin_anew()
            breached = False
        if breached:
            self._on_breach(key)
        if part.gist != before or part.save_is_due(self._clock.monotonic()):
            part.save(self._clock.monotonic())
            self._on_look(key)


def _condemns(found: Judgement) -> bool:
    """Whether it is a breach that nothing takes back. Silence is none: it may have been us who were cut off."""
    return found.breach is not None and found.breach.reason is not Reason.UNREACHABLE


def _end(part: Part) -> None:
    if part.task is not None:
        part.task.cancel()
