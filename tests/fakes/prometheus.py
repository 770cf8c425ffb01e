"""A Prometheus in memory that knows the answers to whole queries, held to the same contract as a real one."""

import asyncio
from collections.abc import Mapping

from tidegate.core.reasons import Reason
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable

Answer = float | Mapping[tuple[tuple[str, str], ...], float]


class FakePrometheus:
    """`ports.Prometheus`. `mood`: up, down (refuses) or hanging (until `release`). What nobody told it is empty."""

    def __init__(self) -> None:
        self.mood = "up"
        self.asked: list[str] = []
        self.at = 1_760_000_000.0
        self._answers: dict[str, tuple[Sample, ...]] = {}
        self._moved = asyncio.Event()

    def tell(self, promql: str, *series: tuple[Mapping[str, str], float]) -> None:
        """From now on this query gives these series."""
        self._answers[promql] = tuple(Sample(labels=labels, value=value, at=self.at) for labels, value in series)

    def release(self) -> None:
        """What hangs goes on, and answers."""
        self.mood = "up"
        self._moved.set()

    async def query(self, promql: str, *, timeout: float) -> tuple[Sample, ...] | Unavailable:  # noqa: ASYNC109
        self.asked.append(promql)
        try:
            async with asyncio.timeout(timeout):
                while self.mood == "hanging":
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            message = f"http://prometheus.test: no answer within {timeout:g} s"
            return Unavailable(reason=Reason.PROMETHEUS_UNREACHABLE, message=message)
        if self.mood == "down":
            message = "http://prometheus.test: Connection refused"
            return Unavailable(reason=Reason.PROMETHEUS_UNREACHABLE, message=message)
        if promql.count("(") != promql.count(")"):
            return Unavailable(reason=Reason.QUERY_REFUSED, message="http://prometheus.test: parse error")
        return self._answers.get(promql, ())

    async def close(self) -> None:
        self.release()
