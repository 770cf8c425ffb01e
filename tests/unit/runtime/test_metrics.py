"""The metrics contract: what one scrape says, and that it always adds up."""

import time
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.unit.runtime.scrape import Scrape

from tidegate_runtime.ladder import edges, prediction_edges
from tidegate_runtime.metrics import Metrics, PredictionCounts, Ticket

LADDER = [*edges(), float("inf")]


class ManualClock:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def metrics(clock: ManualClock, *, revision: str = "fraud-v7-abc", version: str = "7") -> Metrics:
    return Metrics(revision=revision, version=version, started_at=1700000000.25, clock=clock)


def cumulative(values: Iterable[float]) -> list[float]:
    values = list(values)
    return [sum(value <= edge for value in values) for edge in LADDER]


def test_every_series_is_there_from_the_start_at_zero() -> None:
    scrape = Scrape(metrics(ManualClock()).render())
    assert scrape.value("tidegate_runtime_requests_started_total") == 0
    for code in ("2xx", "4xx", "5xx"):
        assert scrape.buckets("tidegate_runtime_request_duration_seconds_bucket", code=code) == [0] * len(LADDER)
        assert scrape.value("tidegate_runtime_request_duration_seconds_sum", code=code) == 0
    assert scrape.ages() == [0] * len(LADDER)
    assert scrape.value("tidegate_runtime_prediction_count") == 0


def test_the_types_are_those_of_the_contract() -> None:
    types = Scrape(metrics(ManualClock()).render()).types
    assert types == {
        "process_start_time_seconds": "gauge",
        "tidegate_runtime_info": "gauge",
        "tidegate_runtime_requests_started": "counter",
        "tidegate_runtime_request_duration_seconds": "histogram",
        "tidegate_runtime_requests_in_flight_age_seconds_bucket": "gauge",
        "tidegate_runtime_prediction": "histogram",
    }


def test_process_and_revision_are_named() -> None:
    scrape = Scrape(metrics(ManualClock(), revision='a"b\\c\nd').render())
    assert scrape.value("process_start_time_seconds") == 1700000000.25
    assert scrape.value("tidegate_runtime_info", revision='a"b\\c\nd', version="7") == 1


def test_the_parser_reads_the_ladder_back_exactly() -> None:
    text = metrics(ManualClock()).render().decode()
    found = sorted(float(line.split('"')[1]) for line in text.splitlines() if "age_seconds_bucket{" in line)
    assert found == LADDER


def test_a_duration_on_an_edge_is_within_it() -> None:
    clock = ManualClock()
    clock.now = 0.0
    subject = metrics(clock)
    ticket = subject.start()
    clock.now = 0.5
    subject.finish(ticket, 200)
    buckets = Scrape(subject.render()).buckets("tidegate_runtime_request_duration_seconds_bucket", code="2xx")
    assert buckets == cumulative([0.5])


@pytest.mark.parametrize(("status", "code"), [(200, "2xx"), (400, "4xx"), (415, "4xx"), (500, "5xx"), (503, "5xx")])
def test_an_answer_counts_by_the_class_of_its_status(status: int, code: str) -> None:
    subject = metrics(ManualClock())
    subject.finish(subject.start(), status)
    scrape = Scrape(subject.render())
    counts = {c: scrape.value("tidegate_runtime_request_duration_seconds_count", code=c) for c in ("2xx", "4xx", "5xx")}
    assert counts == {"2xx": 0, "4xx": 0, "5xx": 0} | {code: 1}


def test_predictions_add_up() -> None:
    subject = metrics(ManualClock())
    buckets = [0] * (len(prediction_edges()) + 1)
    buckets[3], buckets[-1] = 2, 1
    for _ in range(2):
        subject.add_predictions(PredictionCounts(buckets=tuple(buckets), total=7.5))
    scrape = Scrape(subject.render())
    assert scrape.value("tidegate_runtime_prediction_sum") == 15
    assert scrape.value("tidegate_runtime_prediction_count") == 6
    assert scrape.buckets("tidegate_runtime_prediction_bucket")[2:5] == [0, 4, 4]


def test_a_scrape_with_a_thousand_requests_in_flight_takes_under_five_milliseconds() -> None:
    subject = metrics(ManualClock())
    for _ in range(1000):
        subject.start()
    took = []
    for _ in range(20):
        began = time.perf_counter()
        subject.render()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.005


class RequestsOfAnyOrder(RuleBasedStateMachine):
    """Requests start, age and finish in any order; a plain list of them is the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.subject = metrics(self.clock)
        self.flying: dict[Ticket, float] = {}
        self.done: dict[str, list[float]] = {"2xx": [], "4xx": [], "5xx": []}

    @rule()
    def start(self) -> None:
        self.flying[self.subject.start()] = self.clock.now

    @rule(seconds=st.one_of(st.sampled_from(edges()), st.floats(min_value=0, max_value=700)))
    def age(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), status=st.sampled_from([200, 400, 413, 415, 500, 503]))
    def finish(self, data: st.DataObject, status: int) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.flying)))
        self.subject.finish(ticket, status)
        self.done[f"{status // 100}xx"].append(self.clock.now - self.flying.pop(ticket))

    @rule()
    def scrape(self) -> None:
        self.one_scrape_adds_up()

    def teardown(self) -> None:
        self.one_scrape_adds_up()

    def one_scrape_adds_up(self) -> None:
        scrape = Scrape(self.subject.render())
        started = scrape.value("tidegate_runtime_requests_started_total")
        assert started == scrape.finished() + scrape.ages()[-1]
        assert scrape.ages() == cumulative(self.clock.now - began for began in self.flying.values())
        for code, durations in self.done.items():
            buckets = scrape.buckets("tidegate_runtime_request_duration_seconds_bucket", code=code)
            assert buckets == cumulative(durations)
            total = scrape.value("tidegate_runtime_request_duration_seconds_sum", code=code)
            assert total == pytest.approx(sum(durations))
        assert self.subject.in_flight == len(self.flying)


TestOneScrapeAddsUpWhateverTheOrderOfRequests = RequestsOfAnyOrder.TestCase
TestOneScrapeAddsUpWhateverTheOrderOfRequests.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None
)
