"""What the operator judges by: requests started, finished and in flight, kept so that one scrape always adds up.

All state belongs to the event loop's thread, and a scrape renders on that thread without an await. So in one scrape
``started = finished + in flight`` holds exactly, with no lock.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NewType

from tidegate_runtime.ladder import edges, prediction_edges

Ticket = NewType("Ticket", int)

CODES: Final = ("2xx", "4xx", "5xx")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_STARTED: Final = "tidegate_runtime_requests_started_total"
_DURATION: Final = "tidegate_runtime_request_duration_seconds"
_AGE: Final = "tidegate_runtime_requests_in_flight_age_seconds_bucket"
_PREDICTION: Final = "tidegate_runtime_prediction"
_INFO: Final = "tidegate_runtime_info"
_START_TIME: Final = "process_start_time_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionCounts:
    """The numeric predictions of one answer, sorted into ``prediction_edges()`` and +Inf.

    Attributes:
        buckets: Predictions by bucket, not cumulative, one more than there are edges.
        total: Their sum.
    """

    buckets: tuple[int, ...]
    total: float


class Histogram:
    """Counts by bucket over fixed edges, with the sum; rendered cumulatively, as Prometheus wants it."""

    def __init__(self, name: str, ladder: tuple[float, ...], labels: str = "") -> None:
        self._ladder = ladder
        self._counts = [0] * (len(ladder) + 1)
        self._sum = 0.0
        self._bucket_names = _bucket_names(f"{name}_bucket", ladder, labels)
        suffix = f"{{{labels}}}" if labels else ""
        self._sum_name = f"{name}_sum{suffix} "
        self._count_name = f"{name}_count{suffix} "

    def observe(self, value: float) -> None:
        """Count one value into the first bucket whose edge is not below it."""
        self._counts[bisect_left(self._ladder, value)] += 1
        self._sum += value

    def add(self, counts: PredictionCounts) -> None:
        """Count many values that are sorted into buckets already."""
        self._counts = [mine + more for mine, more in zip(self._counts, counts.buckets, strict=True)]
        self._sum += counts.total

    def lines(self) -> Iterator[str]:
        """Render the samples, without HELP and TYPE."""
        cumulative = 0
        for name, cumulative in zip(self._bucket_names, accumulate(self._counts), strict=True):
            yield f"{name}{cumulative}\n"
        yield f"{self._sum_name}{self._sum!r}\n"
        yield f"{self._count_name}{cumulative}\n"


class Metrics:
    """The runtime's metrics. Not thread-safe: every call comes from the event loop's thread.

    Args:
        revision: Label of ``tidegate_runtime_info``.
        version: Likewise.
        started_at: Unix time of the process's start, seconds.
        clock: A monotonic clock, seconds.
    """

    def __init__(self, *, revision: str, version: str, started_at: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = 0
        # Tickets only grow and the clock never goes back, so the values are in ascending order.
        self._in_flight: dict[Ticket, float] = {}
        self._durations = {code: Histogram(_DURATION, edges(), f'code="{code}"') for code in CODES}
        self._predictions = Histogram(_PREDICTION, prediction_edges())
        self._age_names = _bucket_names(_AGE, edges(), "")
        self._constant = (
            _head(_START_TIME, "gauge", "Start of the process, Unix time in seconds.")
            + f"{_START_TIME} {started_at!r}\n"
            + _head(_INFO, "gauge", "1, labelled with what is served.")
            + f'{_INFO}{{revision="{_escaped(revision)}",version="{_escaped(version)}"}} 1\n'
        )

    @property
    def in_flight(self) -> int:
        """Requests started and not finished."""
        return len(self._in_flight)

    @property
    def started(self) -> int:
        """Requests started since the process did."""
        return self._started

    def start(self) -> Ticket:
        """Count a request and set its clock going."""
        self._started += 1
        ticket = Ticket(self._started)
        self._in_flight[ticket] = self._clock()
        return ticket

    def finish(self, ticket: Ticket, status: int) -> None:
        """Count the request's answer by the class of its HTTP status (200 to 299, 400 to 499, else 5xx)."""
        began = self._in_flight.pop(ticket)
        code = {2: "2xx", 4: "4xx"}.get(status // 100, "5xx")
        self._durations[code].observe(self._clock() - began)

    def add_predictions(self, counts: PredictionCounts) -> None:
        """Count the numeric predictions of one answer."""
        self._predictions.add(counts)

    def render(self) -> bytes:
        """Render everything as Prometheus text, format 0.0.4, as of one instant."""
        parts = [
            self._constant,
            _head(_STARTED, "counter", "Requests to /invocations, counted when their body has arrived."),
            f"{_STARTED} {self._started}\n",
            _head(_DURATION, "histogram", "Seconds from a request's start to its answer, by class of status code."),
        ]
        for histogram in self._durations.values():
            parts.extend(histogram.lines())
        parts.append(_head(_AGE, "gauge", "Requests in flight now that are at most this many seconds old."))
        parts.extend(f"{name}{count}\n" for name, count in zip(self._age_names, self._ages(), strict=True))
        parts.append(_head(_PREDICTION, "histogram", "Numeric predictions of 2xx answers."))
        parts.extend(self._predictions.lines())
        return "".join(parts).encode()

    def _ages(self) -> Iterator[int]:
        now = self._clock()
        counts = [0] * (len(edges()) + 1)
        for began in self._in_flight.values():
            counts[bisect_left(edges(), now - began)] += 1
        return accumulate(counts)


def _bucket_names(name: str, ladder: tuple[float, ...], labels: str) -> list[str]:
    prefix = f"{name}{{{labels},le=" if labels else f"{name}{{le="
    return [f'{prefix}"{edge!r}"}} ' for edge in ladder] + [f'{prefix}"+Inf"}} ']


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
