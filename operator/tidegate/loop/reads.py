"""The reads of one object's pods: at most one under way for each pod, and no look waits for a pod known to be slow."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading, Readings, Unreadable
from tidegate.ports import Evidence, PodTarget

#: Seconds that one pod may take to answer, whatever the interval: a busy pod is not a dead one.
POD_SECONDS = 2.0
#: The share of an interval that a look waits for its readings.
WAIT_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One revision's pods. `targets` is asked at every look; `counters` is for a `custom` runtime.

    `diverted` tells whether its Service selects the pods of another revision at present.
    """

    revision: str
    runtime: Runtime
    targets: Callable[[], Sequence[PodTarget]]
    counters: MetricsFormat | None = None
    diverted: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A read under way; its task gives the reading and the seconds that it took."""

    target: PodTarget
    task: "asyncio.Task[tuple[Reading | Unreadable, float]]"


class PodReads:
    """Reads pods for looks, one look after the other."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._reads: dict[str, _Read] = {}
        self._late: set[str] = set()

    async def read(self, canary: Side, stable: Side | None, *, at: float, interval: float) -> Readings:
        """The newest readings of all pods, within `WAIT_SHARE` of the interval and at once if only slow ones are left.

        `at` is the time of the look. A pod that has not answered yet is `Unreadable` in this look.
        """
        sides = [side for side in (canary, stable) if side is not None]
        pods = {side.revision: tuple(side.targets()) for side in sides}
        self._drop({target.uid: target for targets in pods.values() for target in targets})
        patience = min(interval * WAIT_SHARE, POD_SECONDS)
        for side in sides:
            for target in pods[side.revision]:
                if target.uid not in self._reads:
                    self._start(side, target)
        prompt = [read.task for uid, read in self._reads.items() if uid not in self._late]
        if prompt:
            await asyncio.wait(prompt, timeout=patience)
        return Readings(
            at=at,
            canary=dict(self._collected(pods[canary.revision], patience)),
            stable=dict(self._collected(pods[stable.revision], patience)) if stable else {},
        )

    def close(self) -> None:
        """Give up what is under way."""
        self._drop({})

    def _drop(self, wanted: dict[str, PodTarget]) -> None:
        for uid, read in list(self._reads.items()):
            if wanted.get(uid) != read.target:
                read.task.cancel()
                del self._reads[uid]
        self._late &= wanted.keys()

    def _start(self, side: Side, target: PodTarget) -> None:
        task = asyncio.create_task(self._timed(side, target), name=f"read {target.url}")
        self._reads[target.uid] = _Read(target=target, task=task)

    async def _timed(self, side: Side, target: PodTarget) -> tuple[Reading | Unreadable, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        readings = await self._evidence.read([target], side.runtime, side.counters, timeout=POD_SECONDS)
        return readings[target.uid], loop.time() - began

    def _collected(self, targets: Sequence[PodTarget], patience: float) -> Iterator[tuple[str, Reading | Unreadable]]:
        for target in targets:
            task = self._reads[target.uid].task
            if not task.done():
                self._late.add(target.uid)
                yield target.uid, Unreadable(reason=f"{target.url}: no answer yet after {patience:g} s")
                continue
            del self._reads[target.uid]
            reading, seconds = task.result()
            if seconds > patience:
                self._late.add(target.uid)
            else:
                self._late.discard(target.uid)
            yield target.uid, reading
