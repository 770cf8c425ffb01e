"""The outside's ports with a meter on them: how long it took, and what came back that was no answer."""

import asyncio
from collections.abc import Mapping, Sequence

from tidegate.core.gates import VersionDetails, Wants
from tidegate.core.plan import MetricsFormat, Pointer, Runtime
from tidegate.core.readings import Reading, Unreadable
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Evidence, PodTarget, Prometheus, Registry
from tidegate.telemetry import Metrics


class MeteredRegistry:
    """`ports.Registry` that counts."""

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        self._registry = registry
        self._metrics = metrics

    @property
    def url(self) -> str:
        """See the port."""
        return self._registry.url

    @property
    def pace(self) -> int:
        """See the port."""
        return self._registry.pace

    async def resolve(
        self, wishes: Sequence[tuple[str, Pointer]]
    ) -> Mapping[tuple[str, Pointer], VersionId | Unavailable]:
        """See the port. An outage is one error for each read, however many objects it concerns."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = await self._registry.resolve(wishes)
        self._metrics.registry_seconds.observe(loop.time() - began)
        for reason in {answer.reason for answer in answers.values() if isinstance(answer, Unavailable)}:
            self._metrics.registry_errors.labels(reason=reason).inc()
        return answers

    async def check(self) -> Unavailable | None:
        """See the port."""
        fault = await self._registry.check()
        if fault is not None:
            self._metrics.registry_errors.labels(reason=fault.reason).inc()
        return fault

    async def describe(self, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """See the port."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await self._registry.describe(version, wants)
        self._metrics.registry_seconds.observe(loop.time() - began)
        if isinstance(answer, Unavailable):
            self._metrics.registry_errors.labels(reason=answer.reason).inc()
        return answer

    async def close(self) -> None:
        """See the port."""
        await self._registry.close()


class MeteredEvidence:
    """`ports.Evidence` that counts; `source` is its name in the metrics."""

    def __init__(self, evidence: Evidence, metrics: Metrics, *, source: str) -> None:
        self._evidence = evidence
        self._metrics = metrics
        self._source = source

    async def read(
        self,
        targets: Sequence[PodTarget],
        runtime: Runtime,
        metrics: MetricsFormat | None,
        *,
        timeout: float,  # noqa: ASYNC109 (the port's)
    ) -> Mapping[str, Reading | Unreadable]:
        """See the port."""
        readings = await self._evidence.read(targets, runtime, metrics, timeout=timeout)
        unreadable = sum(isinstance(reading, Unreadable) for reading in readings.values())
        if unreadable:
            self._metrics.evidence_errors.labels(source=self._source).inc(unreadable)
        return readings


class MeteredPrometheus:
    """`ports.Prometheus` that counts the queries which came to nothing."""

    def __init__(self, prometheus: Prometheus, metrics: Metrics) -> None:
        self._prometheus = prometheus
        self._metrics = metrics

    async def query(self, promql: str, *, timeout: float) -> tuple[Sample, ...] | Unavailable:  # noqa: ASYNC109
        """See the port."""
        answer = await self._prometheus.query(promql, timeout=timeout)
        if isinstance(answer, Unavailable):
            self._metrics.evidence_errors.labels(source="prometheus").inc()
        return answer

    async def close(self) -> None:
        """See the port."""
        await self._prometheus.close()
