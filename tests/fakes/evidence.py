"""Pods in memory that count as the tidegate runtime does, held to the same contract as real ones."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from tidegate.core.latency import Durations
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Predictions, Reading, Unreadable
from tidegate.ports import PodTarget

#: Seconds; coarser than the runtime's own.
EDGES = (0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CODES = ("2xx", "4xx", "5xx")
#: What is predicted is told by these; the runtime's own are finer, and negative as well.
PREDICTED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class FakePod:
    """One pod's counters. `mood`: up, down (refuses), hanging (until `release`) or garbled."""

    def __init__(self, uid: str) -> None:
        self.target = PodTarget(uid=uid, url=f"http://{uid}.test/metrics")
        self.mood = "up"
        self.reads = 0
        self._finished: Counter[tuple[str, float]] = Counter()
        self._in_flight: list[float] = []
        self._predicted: Counter[float] = Counter()
        self._process_started = 1_700_000_000.0
        self._moved = asyncio.Event()

    def serve(self, number: int, code: str = "2xx", seconds: float = 0.02) -> None:
        """So many requests came and were answered."""
        self._finished[code, seconds] += number

    def predict(self, value: float, number: int = 1) -> None:
        """So many answers had this number in them."""
        self._predicted[value] += number

    def accept(self, number: int, age: float = 0.0) -> None:
        """So many requests came and are unanswered, for `age` seconds by now."""
        self._in_flight += [age] * number

    def grow_older(self, seconds: float) -> None:
        """Time passes for what is unanswered."""
        self._in_flight = [age + seconds for age in self._in_flight]

    def answers(self, code: str = "2xx") -> int:
        """How many requests were answered so."""
        return sum(number for (of, _), number in self._finished.items() if of == code)

    def restart(self) -> None:
        """The process starts anew: counters at zero."""
        self._finished, self._in_flight, self._predicted = Counter(), [], Counter()
        self._process_started += 60.0

    def release(self) -> None:
        """What hangs goes on, and answers."""
        self.mood = "up"
        self._moved.set()

    async def read(self, timeout: float) -> Reading | Unreadable:  # noqa: ASYNC109 (the port's)
        """As the adapter would."""
        self.reads += 1
        try:
            async with asyncio.timeout(timeout):
                while self.mood == "hanging":
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return Unreadable(reason=f"{self.target.url}: no answer within {timeout:g} s")
        if self.mood == "up":
            return self._reading()
        return Unreadable(reason=f"{self.target.url}: {self.mood}")

    def _reading(self) -> Reading:
        counts = {code: tuple(self._within(code, edge) for edge in (*EDGES, float("inf"))) for code in _CODES}
        return Reading(
            finished={code: ladder[-1] for code, ladder in counts.items()},
            started=self._finished.total() + len(self._in_flight),
            durations=Durations(edges=EDGES, counts=counts),
            in_flight=tuple(sum(age <= edge for age in self._in_flight) for edge in (*EDGES, float("inf"))),
            process_started=self._process_started,
            predictions=Predictions(
                edges=PREDICTED,
                counts=tuple(
                    sum(number for value, number in self._predicted.items() if value <= edge)
                    for edge in (*PREDICTED, float("inf"))
                ),
            ),
        )

    def _within(self, code: str, edge: float) -> int:
        return sum(number for (of, took), number in self._finished.items() if of == code and took <= edge)


class FakeEvidence:
    """`ports.Evidence` over `FakePod`s; a target that nobody made is down."""

    def __init__(self) -> None:
        self._pods: dict[str, FakePod] = {}

    def pod(self, uid: str) -> FakePod:
        """The pod of that uid, made at the first call."""
        return self._pods.setdefault(uid, FakePod(uid))

    def pods(self) -> list[FakePod]:
        """All pods that were made."""
        return list(self._pods.values())

    async def read(
        self,
        targets: Sequence[PodTarget],
        runtime: Runtime,
        metrics: MetricsFormat | None,
        *,
        timeout: float,  # noqa: ASYNC109 (the port's)
    ) -> Mapping[str, Reading | Unreadable]:
        readings = await asyncio.gather(*(self._read(target, timeout) for target in targets))
        return {target.uid: reading for target, reading in zip(targets, readings, strict=True)}

    async def _read(self, target: PodTarget, seconds: float) -> Reading | Unreadable:
        pod = self._pods.get(target.uid)
        return await pod.read(seconds) if pod else Unreadable(reason=f"{target.url}: Connection refused")
