"""A guard with a query of the user's own: asked every interval, by a task of its own."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.core.guards import Verdict
from tidegate.core.observed import Judgement, Obstacle
from tidegate.core.queries import QueryGuard, QueryState
from tidegate.core.reasons import Reason
from tidegate.loop.looks import FRESH, FRESH_INTERVALS, Spec
from tidegate.loop.scrapes import QUERY_SECONDS
from tidegate.ports import Clock, Prometheus


@dataclass(slots=True)
class QueryWatch:
    """The looks at one query. Nothing of it is saved: after a take-over its time starts anew."""

    guard: QueryGuard
    spec: Spec
    prometheus: Prometheus
    clock: Clock
    task: "asyncio.Task[None] | None" = None
    saved: Mapping[str, Any] | None = None
    step: int = 0
    state: QueryState = field(default_factory=QueryState)
    breach: str | None = None

    def __post_init__(self) -> None:
        self.step = self.spec.weight

    def update(self, spec: Spec) -> None:
        """Go on with another weight, other limits, another interval."""
        self.spec = spec
        self.guard = next(guard for guard in spec.queries if guard.name == self.guard.name)
        if spec.weight and spec.weight != self.step:
            self.step = spec.weight
            self.restart_step()

    def restart_step(self) -> None:
        """Forget what speaks in favour."""
        self.state = self.state.restarted()

    async def look(self) -> bool:
        """Ask once; true if it is the first answer that says that the canary must go."""
        spec = self.spec
        if spec.since is None:
            self.state = self.state.silent("the canary had no traffic yet")
            return False
        elapsed = self.clock.now() - spec.since
        wait = self.guard.wait(elapsed)
        if wait > 0:
            self.state = self.state.silent(f"its range reaches back before the canary's first traffic for {wait:.0f} s")
            return False
        names = {"revision": spec.canary.revision, "namespace": spec.namespace, "name": spec.name}
        names["stable"] = spec.stable.revision if spec.stable is not None else ""
        answer = await self.prometheus.query(self.guard.text(names, elapsed), timeout=QUERY_SECONDS)
        self.state = self.state.after(self.guard, answer, self.clock.monotonic())
        if not self.state.breached(self.guard) or not self.guard.enforced or self.breach is not None:
            return False
        self.breach = f"{self.guard.place}: {self.state.finding(self.guard).message}"
        return True

    def fail(self, message: str) -> None:
        """A look that came to nothing."""
        self.state = self.state.silent(message)

    def begin_anew(self) -> None:
        """Nothing is saved that could be wrong."""

    def judgement(self, now: float) -> Judgement:
        """What it says at a monotonic time. One that only observes keeps nothing from being raised."""
        enforced, verdict = self.guard.enforced, self.state.verdict(self.guard)
        patience = max(FRESH_INTERVALS * self.spec.interval, FRESH)
        fresh = self.state.at is not None and now - self.state.at <= patience
        missing = f"{self.guard.place}: {self.state.missing}" if self.state.missing is not None else None
        return Judgement(
            canary=self.spec.canary.revision,
            attempt=self.spec.attempt,
            weight=self.step,
            findings=(self.state.finding(self.guard),),
            fresh=fresh or missing is not None or not enforced,
            healthy=verdict is Verdict.HEALTHY or not enforced,
            breach=Obstacle(reason=Reason.GUARD_BREACHED, message=self.breach) if self.breach is not None else None,
            suspected=enforced and missing is None and verdict is not Verdict.HEALTHY,
            missing=missing if enforced else None,
        )

    @property
    def opened(self) -> bool:
        """See `Part`. What a query counts is its author's business."""
        return True

    @property
    def gist(self) -> tuple[Any, ...]:
        """What matters to a decision."""
        return self.state.missing, self.state.verdict(self.guard), self.step, self.breach is None

    def save_is_due(self, now: float) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def save(self, now: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing stays open: a query ends with the task that asked."""
