"""The pages of the runtimes as they are, and everything that makes a page unbelievable."""

import math
from pathlib import Path

import pytest

from tidegate.adapters.exposition import Malformed
from tidegate.adapters.formats import read_page
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading
from tidegate_runtime.ladder import prediction_edges
from tidegate_runtime.metrics import Metrics, PredictionCounts

#: As MLServer 1.7 shows it: probes and metadata calls are counted too, each path, method and code by itself.
MLSERVER = """\
# HELP python_info Python platform information
# TYPE python_info gauge
python_info{implementation="CPython",major="3",minor="11",patchlevel="7",version="3.11.7"} 1.0
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79526938452e+09
# HELP rest_server_requests_total Total HTTP requests
# TYPE rest_server_requests_total counter
rest_server_requests_total{app_name="mlserver",method="GET",path="/v2/health/ready",status_code="200"} 912.0
rest_server_requests_total{app_name="mlserver",method="GET",path="/v2/models/fraud/ready",status_code="500"} 4.0
rest_server_requests_total{app_name="mlserver",method="POST",path="/invocations",status_code="200"} 40.0
rest_server_requests_total{app_name="mlserver",method="POST",path="/invocations",status_code="400"} 3.0
rest_server_requests_total{app_name="mlserver",method="POST",path="/v2/models/fraud/infer",status_code="200"} 2.0
rest_server_requests_total{app_name="mlserver",method="POST",path="/v2/models/fraud/infer",status_code="500"} 1.0
rest_server_requests_total{app_name="mlserver",method="POST",path="/v2/repository/index",status_code="404"} 9.0
# HELP rest_server_requests_created Total HTTP requests
# TYPE rest_server_requests_created gauge
rest_server_requests_created{app_name="mlserver",method="POST",path="/invocations",status_code="200"} 1.795e+09
# HELP rest_server_request_duration_seconds HTTP request duration, in seconds
# TYPE rest_server_request_duration_seconds histogram
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="0.005",method="GET",path="/v2/health/ready",status_code="200"} 912.0
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="+Inf",method="GET",path="/v2/health/ready",status_code="200"} 912.0
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="0.005",method="POST",path="/invocations",status_code="200"} 10.0
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="1.0",method="POST",path="/invocations",status_code="200"} 39.0
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="+Inf",method="POST",path="/invocations",status_code="200"} 40.0
rest_server_request_duration_seconds_count{app_name="mlserver",method="POST",path="/invocations",status_code="200"} 40.0
rest_server_request_duration_seconds_sum{app_name="mlserver",method="POST",path="/invocations",status_code="200"} 4.2
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="0.005",method="POST",path="/v2/models/fraud/infer",status_code="200"} 1.0
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="1.0",method="POST",path="/v2/models/fraud/infer",status_code="200"} 2.0
rest_server_request_duration_seconds_bucket{app_name="mlserver",le="+Inf",method="POST",path="/v2/models/fraud/infer",status_code="200"} 2.0
"""  # noqa: E501 (a real page has long lines)

CUSTOM = """\
# TYPE hits counter
hits{code="200"} 7
hits{code="503"} 2
# TYPE took_ms histogram
took_ms_bucket{code="200",le="10"} 3
took_ms_bucket{code="200",le="100"} 7
took_ms_bucket{code="200",le="+Inf"} 7
took_ms_bucket{code="503",le="10"} 0
took_ms_bucket{code="503",le="100"} 1
took_ms_bucket{code="503",le="+Inf"} 2
"""
FORMAT = MetricsFormat(
    port=9000,
    path="/metrics",
    requests_metric="hits",
    code_label="code",
    duration_metric="took_ms",
    duration_unit=0.001,
)


def tidegate_page() -> str:
    clock = iter(range(1000))
    metrics = Metrics(revision="r", version="7", started_at=1.5e9, clock=lambda: float(next(clock)))
    for status in (200, 200, 404, 500):
        metrics.finish(metrics.start(), status)
    metrics.start()
    predicted = (0,) * 100 + (3, 4) + (0,) * (len(prediction_edges()) - 101)
    metrics.add_predictions(PredictionCounts(buckets=predicted, total=0.5))
    return metrics.render().decode()


def fault(text: str, runtime: Runtime = Runtime.TIDEGATE, metrics: MetricsFormat | None = None) -> str:
    with pytest.raises(Malformed) as raised:
        read_page(text, runtime, metrics)
    return str(raised.value)


def test_the_runtimes_own_page_is_read() -> None:
    reading = read_page(tidegate_page(), Runtime.TIDEGATE, None)
    assert reading.finished == {"2xx": 2, "4xx": 1, "5xx": 1}
    assert (reading.started, reading.answered, reading.process_started) == (5, 4, 1.5e9)
    assert reading.in_flight is not None
    assert reading.durations is not None
    assert reading.in_flight[-1] == 1
    assert len(reading.in_flight) == len(reading.durations.edges) + 1
    assert reading.durations.merged[-1] == 4


def test_what_the_runtime_predicted_is_read() -> None:
    predictions = read_page(tidegate_page(), Runtime.TIDEGATE, None).predictions
    assert predictions is not None
    assert predictions.edges == prediction_edges()
    assert predictions.counts[99:103] == (0, 3, 7, 7)
    assert (len(predictions.counts), predictions.counts[-1]) == (len(predictions.edges) + 1, 7)


def test_an_older_runtime_that_counts_no_predictions_is_read_without_them() -> None:
    page = "".join(line for line in tidegate_page().splitlines(keepends=True) if "runtime_prediction" not in line)
    assert read_page(page, Runtime.TIDEGATE, None).predictions is None


def test_mlserver_is_counted_without_probes_and_over_both_inference_paths() -> None:
    reading = read_page(MLSERVER, Runtime.MLSERVER, None)
    assert reading.finished == {"200": 42, "400": 3, "500": 1}
    assert reading.durations is not None
    assert reading.durations.edges == (0.005, 1.0)
    assert reading.durations.counts == {"200": (11, 41, 42)}
    assert (reading.started, reading.in_flight) == (None, None)
    assert reading.process_started == 1795269384.52


def test_mlserver_before_its_first_request_has_counted_nothing() -> None:
    reading = read_page('python_info{version="3.11"} 1.0\n', Runtime.MLSERVER, None)
    assert reading == Reading(finished={})


def test_a_custom_page_is_read_in_its_own_unit() -> None:
    reading = read_page(CUSTOM, Runtime.CUSTOM, FORMAT)
    assert reading.finished == {"200": 7, "503": 2}
    assert reading.durations is not None
    assert reading.durations.edges == pytest.approx((0.01, 0.1))
    assert reading.durations.counts == {"200": (3, 7, 7), "503": (0, 1, 2)}


def test_a_custom_histogram_without_the_code_is_one_for_all() -> None:
    page = 'hits{code="200"} 7\ntook_ms_bucket{le="10"} 3\ntook_ms_bucket{le="+Inf"} 7\n'
    reading = read_page(page, Runtime.CUSTOM, FORMAT)
    assert reading.durations is not None
    assert reading.durations.counts == {"": (3, 7)}
    assert not reading.durations.labelled


def test_a_custom_runtime_without_a_histogram_counts_requests() -> None:
    plain = MetricsFormat(port=1, path="/m", requests_metric="hits", code_label="code")
    assert read_page(CUSTOM, Runtime.CUSTOM, plain) == Reading(finished={"200": 7, "503": 2})


def test_timestamps_spaces_escapes_and_comments_are_part_of_the_format() -> None:
    page = '\n# a comment\n  \nhits{code="200", path="a\\"b\\\\c}d\\n",}   7e0   1395066363000\n#\n'
    plain = MetricsFormat(port=1, path="/m", requests_metric="hits", code_label="code")
    assert read_page(page, Runtime.CUSTOM, plain).finished == {"200": 7}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("", "empty"),
        ("# TYPE hits counter\n", "no samples"),
        ('hits{code="200"} 7', "cut off"),
        ("<html>\n", "line 1 is no sample"),
        ('hits{code="200" 7\n', "labels without an end"),
        ("hits{code=200} 7\n", "labels that can't be read"),
        ('hits{code="200",code="500"} 7\n', "label code twice"),
        ('hits{code="200"} seven\n', "no number"),
        ('hits{code="200"}\n', "not one value"),
        ('hits{code="200"} 7 8 9\n', "not one value"),
        ('hits{code="200"} NaN\n', "counts nothing"),
        ('hits{code="200"} +Inf\n', "counts nothing"),
        ('hits{code="200"} -1\n', "counts nothing"),
        ('hits{code="200"} 1.5\n', "counts nothing"),
        ('hits{code="200"} 1_000\n', "no number"),
        ('hits{code="200"} 7\nhits{code="200"} 8\n', 'more than one series with code="200"'),
        ('hits{code="200",pod="a"} 7\nhits{code="200",pod="b"} 8\n', "['code', 'pod']"),
        ("hits 7\n", "without the label 'code'"),
        ('took_ms_bucket{le="ten"} 7\n', "edge 'ten'"),
        ("took_ms_bucket 7\n", "edge None"),
        ('took_ms_bucket{le="10"} 7\n', "no +Inf bucket"),
        ('took_ms_bucket{le="10"} 8\ntook_ms_bucket{le="+Inf"} 7\n', "not cumulative"),
        ('took_ms_bucket{le="+Inf"} 7\ntook_ms_bucket{le="+Inf"} 7\n', "more than one series for the edge"),
        ('took_ms_bucket{le="+Inf"} 7\ntook_ms_bucket{code="200",le="+Inf"} 7\n', "with and without"),
        (
            (
                'took_ms_bucket{code="5",le="+Inf"} 7\ntook_ms_bucket{code="2",le="1"} 7\n'
                'took_ms_bucket{code="2",le="+Inf"} 7\n'
            ),
            "different edges",
        ),
        ("process_start_time_seconds NaN\nx 1\n", "process_start_time_seconds is nan"),
        ("process_start_time_seconds 1\nprocess_start_time_seconds 2\n", "has 2 series, not one"),
    ],
)
def test_a_page_that_cannot_be_believed_says_why(page: str, words: str) -> None:
    assert words in fault(page, Runtime.CUSTOM, FORMAT)


def test_another_programs_page_is_no_tidegate_runtime() -> None:
    assert "no tidegate runtime" in fault(CUSTOM)
    assert "no tidegate runtime" in fault('tidegate_runtime_request_duration_seconds_bucket{le="+Inf"} 1\n')


def test_a_tidegate_page_must_be_of_one_piece() -> None:
    page = tidegate_page()
    started = "tidegate_runtime_requests_started_total 5\n"
    assert started in page
    assert "has 0 series" in fault(page.replace(started, ""))
    assert "has 2 series" in fault(page.replace(started, started * 2))
    assert "counts nothing" in fault(page.replace(started, started.replace("5", "NaN")))
    age = "tidegate_runtime_requests_in_flight_age_seconds_bucket"
    without = "".join(line for line in page.splitlines(keepends=True) if not line.startswith(f'{age}{{le="0.001"'))
    assert without != page
    assert "different edges" in fault(without)


def test_a_custom_runtime_must_say_how_it_counts() -> None:
    assert "spec.serving.metrics" in fault(CUSTOM, Runtime.CUSTOM, None)


def test_an_infinite_edge_is_no_edge() -> None:
    reading = read_page(tidegate_page(), Runtime.TIDEGATE, None)
    assert reading.durations is not None
    assert all(math.isfinite(edge) for edge in reading.durations.edges)


#: Pages of that software, and one written after its documentation; see the README there.
PAGES = Path(__file__).resolve().parents[2] / "integration" / "prometheus" / "pages"


def page_of(runtime: Runtime) -> str:
    return (PAGES / f"{runtime.value}.txt").read_text()


@pytest.mark.parametrize(
    ("runtime", "finished", "last", "slow"),
    [
        (Runtime.KSERVE, {"": 34}, 10.0, (0.005, 0)),
        (Runtime.TRITON, {"2xx": 46, "5xx": 13}, None, None),
        (Runtime.VLLM, {"2xx": 35, "4xx": 6, "5xx": 13}, 7680.0, (0.5, 41)),
    ],
)
def test_a_page_of_another_projects_server_is_counted(
    runtime: Runtime, finished: dict[str, int], last: float | None, slow: tuple[float, int] | None
) -> None:
    reading = read_page(page_of(runtime), runtime, None)
    assert reading.finished == finished
    assert (reading.durations.edges[-1] if reading.durations else None) == last
    if slow is not None and reading.durations is not None:
        counts = reading.durations.merged
        assert counts[-1] - counts[reading.durations.edges.index(slow[0])] == slow[1]


@pytest.mark.parametrize("runtime", [Runtime.KSERVE, Runtime.VLLM])
def test_a_server_that_was_not_asked_yet_has_counted_nothing(runtime: Runtime) -> None:
    reading = read_page("process_start_time_seconds 1.7e+09\n", runtime, None)
    assert reading == Reading(finished={}, process_started=1.7e9)


def test_triton_without_a_model_can_not_be_believed() -> None:
    assert "nv_inference_request_success is missing" in fault("nv_gpu_utilization 0\n", Runtime.TRITON)


def test_the_models_of_one_process_are_one_histogram_where_their_edges_are_the_same() -> None:
    page = page_of(Runtime.KSERVE)
    second = page.replace('model_name="fraud"', 'model_name="other"').split(
        "# TYPE request_predict_seconds histogram\n"
    )[1]
    both = read_page(page + second, Runtime.KSERVE, None)
    assert both.finished == {"": 68}
    odd = "\n".join(line for line in second.splitlines() if 'le="0.25"' not in line)
    assert "different edges for different models" in fault(page + odd + "\n", Runtime.KSERVE)


@pytest.mark.parametrize(
    ("runtime", "line"),
    [
        (Runtime.KSERVE, 'request_predict_seconds_bucket{le="+Inf",model_name="fraud"} 34.5'),
        (Runtime.TRITON, 'nv_inference_request_failure{model="fraud",reason="OTHER",version="1"} NaN'),
        (Runtime.VLLM, 'http_requests_total{handler="/v1/completions",method="POST",status="2xx"} -1'),
    ],
)
def test_what_counts_nothing_is_not_counted(runtime: Runtime, line: str) -> None:
    series = line.rpartition(" ")[0]
    kept = "\n".join(line if old.startswith(series) else old for old in page_of(runtime).splitlines())
    assert "counts nothing" in fault(kept + "\n", runtime)
