"""How each runtime counts its requests: a metrics page becomes a `Reading`."""

import math
from collections.abc import Mapping

from tidegate.adapters.exposition import (
    Malformed,
    Samples,
    by_label,
    count,
    durations,
    ladders,
    rungs,
    samples,
    single,
)
from tidegate.core.latency import Durations
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Predictions, Reading

_PROCESS_STARTED = "process_start_time_seconds"

_STARTED = "tidegate_runtime_requests_started_total"
_DURATION = "tidegate_runtime_request_duration_seconds_bucket"
_AGE = "tidegate_runtime_requests_in_flight_age_seconds_bucket"
_PREDICTION = "tidegate_runtime_prediction_bucket"

_MLSERVER_REQUESTS = "rest_server_requests_total"
_MLSERVER_DURATION = "rest_server_request_duration_seconds_bucket"

_KSERVE_DURATION = "request_predict_seconds_bucket"

_TRITON_SUCCESS = "nv_inference_request_success"
_TRITON_FAILURE = "nv_inference_request_failure"

_VLLM_REQUESTS = "http_requests_total"
_VLLM_DURATION = "vllm:e2e_request_latency_seconds_bucket"


def read_page(text: str, runtime: Runtime, metrics: MetricsFormat | None) -> Reading:
    """Read one page. `metrics` is for `custom` and only for it.

    Raises:
        Malformed: the page can't be believed; its words say why.
    """
    match runtime:
        case Runtime.TIDEGATE:
            return _tidegate(text)
        case Runtime.MLSERVER:
            return _mlserver(text)
        case Runtime.KSERVE:
            return _kserve(text)
        case Runtime.TRITON:
            return _triton(text)
        case Runtime.VLLM:
            return _vllm(text)
        case Runtime.CUSTOM:
            if metrics is None:
                raise Malformed("spec.serving.metrics does not say how this runtime counts")
            return _custom(text, metrics)


def _tidegate(text: str) -> Reading:
    found = samples(text, {_STARTED, _DURATION, _AGE, _PREDICTION, _PROCESS_STARTED})
    known = durations(_DURATION, ladders(_DURATION, found.get(_DURATION, []), "code"))
    if known is None or not known.labelled:
        raise Malformed(f"{_DURATION} is missing: this is no tidegate runtime")
    ages = rungs(_AGE, ladders(_AGE, found.get(_AGE, []), None).get("", {}))
    if tuple(ages)[:-1] != known.edges:
        raise Malformed(f"{_AGE} and {_DURATION} have different edges")
    return Reading(
        finished=_totals(known),
        started=count(_STARTED, single(_STARTED, found.get(_STARTED, []))),
        durations=known,
        in_flight=tuple(ages.values()),
        process_started=_process_started(found),
        predictions=_predictions(found.get(_PREDICTION, [])),
    )


def _predictions(series: Samples) -> Predictions | None:
    if not series:
        return None
    ladder = rungs(_PREDICTION, ladders(_PREDICTION, series, None)[""])
    return Predictions(edges=tuple(ladder)[:-1], counts=tuple(ladder.values()))


def _mlserver(text: str) -> Reading:
    found = samples(text, {_MLSERVER_REQUESTS, _MLSERVER_DURATION, _PROCESS_STARTED})
    requests = _answers(found.get(_MLSERVER_REQUESTS, []))
    finished: dict[str, int] = {}
    for part in _parts(requests):
        for code, number in by_label(_MLSERVER_REQUESTS, part, "status_code").items():
            finished[code] = finished.get(code, 0) + number
    merged: dict[str, dict[float, int]] = {}
    for part in _parts(_answers(found.get(_MLSERVER_DURATION, []))):
        for code, ladder in ladders(_MLSERVER_DURATION, part, "status_code").items():
            into = merged.setdefault(code, {})
            for edge, number in ladder.items():
                into[edge] = into.get(edge, 0) + number
    return Reading(
        finished=finished,
        durations=durations(_MLSERVER_DURATION, merged),
        process_started=_process_started(found),
    )


def _kserve(text: str) -> Reading:
    """It counts how long its models took, and not how that ended."""
    found = samples(text, {_KSERVE_DURATION, _PROCESS_STARTED})
    known = _merged(_KSERVE_DURATION, found.get(_KSERVE_DURATION, []))
    return Reading(
        finished=_totals(known) if known is not None else {},
        durations=known,
        process_started=_process_started(found),
    )


def _triton(text: str) -> Reading:
    """It counts what reached a model, by model, version and, for failures, reason."""
    found = samples(text, {_TRITON_SUCCESS, _TRITON_FAILURE})
    if _TRITON_SUCCESS not in found:
        raise Malformed(f"{_TRITON_SUCCESS} is missing: this is no Triton, or one without a model")
    totals = {
        code: sum(count(name, value) for _, value in found.get(name, []))
        for code, name in (("2xx", _TRITON_SUCCESS), ("5xx", _TRITON_FAILURE))
    }
    return Reading(finished=totals)


def _vllm(text: str) -> Reading:
    found = samples(text, {_VLLM_REQUESTS, _VLLM_DURATION, _PROCESS_STARTED})
    finished: dict[str, int] = {}
    for labels, value in found.get(_VLLM_REQUESTS, []):
        if labels.get("method") == "POST" and labels.get("handler", "").startswith("/v1/"):
            code = labels.get("status", "")
            finished[code] = finished.get(code, 0) + count(_VLLM_REQUESTS, value)
    return Reading(
        finished=finished,
        durations=_merged(_VLLM_DURATION, found.get(_VLLM_DURATION, [])),
        process_started=_process_started(found),
    )


def _merged(name: str, series: Samples) -> Durations | None:
    """One histogram of those of all models and engines in a process."""
    apart: dict[tuple[tuple[str, str], ...], Samples] = {}
    for labels, value in series:
        others = tuple(sorted((key, text) for key, text in labels.items() if key != "le"))
        apart.setdefault(others, []).append((labels, value))
    whole: dict[float, int] = {}
    edges: set[tuple[float, ...]] = set()
    for part in apart.values():
        ladder = rungs(name, ladders(name, part, None)[""])
        edges.add(tuple(ladder))
        for edge, number in ladder.items():
            whole[edge] = whole.get(edge, 0) + number
    if len(edges) > 1:
        raise Malformed(f"{name} has different edges for different models")
    return durations(name, {"": whole} if whole else {})


def _answers(series: Samples) -> Samples:
    """Without probes, metadata and repository calls: the server counts them like any request."""
    return [(labels, value) for labels, value in series if _is_inference(labels.get("path", ""))]


def _is_inference(path: str) -> bool:
    return path == "/invocations" or (path.startswith("/v2/models/") and path.endswith("/infer"))


def _parts(series: Samples) -> list[Samples]:
    """The series of each path and method by themselves: these may be added up, nothing else."""
    parts: dict[tuple[str, str], Samples] = {}
    for labels, value in series:
        parts.setdefault((labels.get("path", ""), labels.get("method", "")), []).append((labels, value))
    return list(parts.values())


def _custom(text: str, metrics: MetricsFormat) -> Reading:
    requests = metrics.requests_metric
    bucket = f"{metrics.duration_metric.removesuffix('_bucket')}_bucket" if metrics.duration_metric else None
    found = samples(text, {requests, _PROCESS_STARTED} | ({bucket} if bucket else set()))
    known = None
    if bucket is not None:
        ladder = ladders(bucket, found.get(bucket, []), metrics.code_label)
        known = durations(bucket, ladder, metrics.duration_unit)
    return Reading(
        finished=by_label(requests, found.get(requests, []), metrics.code_label),
        durations=known,
        process_started=_process_started(found),
    )


def _totals(known: Durations) -> dict[str, int]:
    return {code: counts[-1] for code, counts in known.counts.items()}


def _process_started(found: Mapping[str, Samples]) -> float | None:
    if _PROCESS_STARTED not in found:
        return None
    value = single(_PROCESS_STARTED, found[_PROCESS_STARTED])
    if not math.isfinite(value):
        raise Malformed(f"{_PROCESS_STARTED} is {value:g}")
    return value
