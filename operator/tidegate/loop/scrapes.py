"""Looks by way of Prometheus: one query for both revisions, at most one under way."""

import asyncio
from dataclasses import replace

from tidegate.core.promql import CANARY, STABLE, Preset, answered, question
from tidegate.core.readings import Readings, Unreadable
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable
from tidegate.loop.reads import WAIT_SHARE, Side
from tidegate.ports import Prometheus

#: Seconds that one query may take.
QUERY_SECONDS = 5.0
NOT_YET = "not scraped yet since the rollout began"
DIVERTED = "the canary's Service selects stable's pods, so what is counted for it says nothing of the canary"


class PrometheusReads:
    """Takes readings from Prometheus, one look after the other."""

    def __init__(self, prometheus: Prometheus, preset: Preset, namespace: str, name: str) -> None:
        self._prometheus = prometheus
        self._preset = preset
        self._namespace = namespace
        self._name = name
        self._task: asyncio.Task[tuple[Sample, ...] | Unavailable] | None = None
        self._asked = ""
        self._last: Readings | None = None
        self._since: float | None = None
        self._scraped: dict[tuple[str, str], float] = {}

    async def read(self, canary: Side, stable: Side | None, *, at: float, interval: float) -> Readings:
        """The newest counters of both revisions, within `WAIT_SHARE` of the interval.

        Counters of different processes are scraped at different moments. So that what is compared is of the same
        time, nothing is new until every process was scraped anew: until then a look sees what the last one saw.
        """
        self._since = at if self._since is None else self._since
        if self._preset.shared and canary.diverted():
            return _nothing(at, DIVERTED)
        revisions = {CANARY: canary.revision} | ({STABLE: stable.revision} if stable is not None else {})
        text = question(self._preset, self._namespace, self._name, revisions)
        if self._task is None or self._asked != text:
            self.close()
            self._asked = text
            asking = self._prometheus.query(text, timeout=QUERY_SECONDS)
            self._task = asyncio.create_task(asking, name=f"query for {canary.revision}")
        await asyncio.wait([self._task], timeout=min(interval * WAIT_SHARE, QUERY_SECONDS))
        if not self._task.done():
            return _nothing(at, "no answer of Prometheus yet")
        task, self._task = self._task, None
        answer = task.result()
        if isinstance(answer, Unavailable):
            return _nothing(at, answer.message)
        return self._taken(answer, at, watched=at - self._since)

    def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _taken(self, samples: tuple[Sample, ...], at: float, *, watched: float) -> Readings:
        told = answered(self._preset, samples, at=at)
        if self._last is None and told.oldest > watched:
            # What was scraped before would make requests of an earlier attempt, scraped after, those of this one.
            return _nothing(at, NOT_YET)
        waiting = any(told.scraped.get(process, moment + 1) <= moment for process, moment in self._scraped.items())
        if self._last is not None and waiting:
            return replace(self._last, at=at)
        self._last, self._scraped = told.readings, dict(told.scraped)
        return told.readings


def _nothing(at: float, why: str) -> Readings:
    return Readings(at=at, canary={"": Unreadable(reason=why)}, stable={}, silence=False)
