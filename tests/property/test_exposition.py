"""The page parser is held to prometheus_client's, and nothing that a pod sends makes it fall over."""

import contextlib
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tidegate.adapters.exposition import Malformed, samples
from tidegate.adapters.formats import read_page
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate_runtime.metrics import Metrics

WANTED = {"hits_total", "level", "took_bucket", "took_sum"}
FORMAT = MetricsFormat(port=1, path="/m", requests_metric="hits_total", code_label="code", duration_metric="took")
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FORMATS = [(Runtime.TIDEGATE, None), (Runtime.MLSERVER, None), (Runtime.CUSTOM, FORMAT)]


def rows(text: str) -> set[tuple[str, frozenset[tuple[str, str]], str]]:
    found = samples(text, WANTED)
    return {(n, frozenset(labels.items()), repr(value)) for n, series in found.items() for labels, value in series}


def reference(text: str) -> set[tuple[str, frozenset[tuple[str, str]], str]]:
    families = text_string_to_metric_families(text)
    every = [sample for family in families for sample in family.samples]
    return {(s.name, frozenset(s.labels.items()), repr(float(s.value))) for s in every if s.name in WANTED}


@st.composite
def pages(draw: st.DrawFn) -> str:
    registry = CollectorRegistry()
    hits = Counter("hits", "requests\nof clients", ["code", "path"], registry=registry)
    for code, path in draw(st.sets(st.tuples(VALUES, VALUES), max_size=4)):
        hits.labels(code=code, path=path).inc(draw(st.integers(0, 10**12)))
    level = Gauge("level", 'a "level"', ["where"], registry=registry)
    for where in draw(st.sets(VALUES, max_size=3)):
        level.labels(where=where).set(draw(st.floats()))
    took = Histogram("took", "seconds", ["code"], buckets=(0.1, 1.0), registry=registry)
    for seconds in draw(st.lists(st.floats(0, 5), max_size=5)):
        took.labels(code="200").observe(seconds)
    Gauge("last", "so that no page is empty", registry=registry).set(1)
    # The times at which series were made are the only thing in a page that differs from run to run.
    lines = generate_latest(registry).decode().split("\n")
    return "\n".join(line for line in lines if "_created" not in line)


@settings(deadline=None)
@given(pages())
def test_what_prometheus_client_writes_is_read_as_prometheus_client_reads_it(page: str) -> None:
    assert rows(page) == reference(page)


@settings(deadline=None)
@given(pages(), st.data())
def test_a_damaged_page_is_read_alike_or_refused(page: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(page)))
    junk = data.draw(st.sampled_from(["", "\n", "}", "{", '"', " ", ",", "\\", "=", "x", "1", "#", "NaN "]))
    damaged = page[:at] + junk + page[at + data.draw(st.integers(0, 3)) :]
    try:
        mine = rows(damaged)
    except Malformed:
        return
    try:
        theirs = reference(damaged)
    except ValueError:
        # Theirs refuses the whole page for a line that was not asked for; each line that was reads by itself.
        kept = [line for line in damaged.split("\n") if line.partition("{")[0].split(" ")[0].strip() in WANTED]
        theirs = reference("\n".join([*kept, ""]))
    assert mine == theirs


@settings(deadline=None)
@given(st.text() | pages().map(lambda page: page[: len(page) // 2]))
def test_no_text_makes_the_reader_fall_over(text: str) -> None:
    for runtime, metrics in FORMATS:
        reading = None
        with contextlib.suppress(Malformed):
            reading = read_page(text, runtime, metrics)
        assert reading is None or reading.answered >= 0


@settings(deadline=None)
@given(st.data())
def test_a_damaged_page_of_the_runtime_is_refused_or_still_adds_up(data: st.DataObject) -> None:
    metrics = Metrics(revision="r", version="7", started_at=1.5e9, clock=lambda: 0.0)
    for status in data.draw(st.lists(st.sampled_from([200, 404, 500]), max_size=5)):
        metrics.finish(metrics.start(), status)
    page = metrics.render().decode()
    at = data.draw(st.integers(0, len(page)))
    damaged = page[:at] + data.draw(st.text(max_size=4)) + page[at + data.draw(st.integers(0, 200)) :]
    try:
        reading = read_page(damaged, Runtime.TIDEGATE, None)
    except Malformed:
        return
    assert reading.durations is not None
    assert reading.in_flight is not None
    assert reading.answered == reading.durations.merged[-1]
    assert len(reading.in_flight) == len(reading.durations.edges) + 1
    assert all(counts == tuple(sorted(counts)) for counts in (*reading.durations.counts.values(), reading.in_flight))
    assert all(math.isfinite(edge) for edge in reading.durations.edges)
