"""Counters by way of Prometheus: what to ask for each preset, and what the answer means.

A look asks for the counters as they stand, not for rates: `rate` and `increase` extrapolate, and reach back before the
canary's first request. The differences between looks are taken here, by counter and process, as those of pods are. One
query asks for everything of both revisions, so that all of it is of one moment.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from tidegate.core.guards import Kind
from tidegate.core.httproute import SERVICE_PORT
from tidegate.core.latency import Durations
from tidegate.core.readings import Reading, Readings, Unreadable
from tidegate.core.samples import Sample

#: Seconds after which a counter that was not scraped anew says nothing: Prometheus hands it out for five minutes.
STALE = 90.0
CANARY, STABLE = "canary", "stable"
_SIDE, _PART = "tidegate_side", "tidegate_part"
_BACKEND = {STABLE: "0", CANARY: "1"}
_EVERYTHING = frozenset({Kind.ERROR_RATE, Kind.CLIENT_ERRORS, Kind.LATENCY})
_ENVOY = 'envoy_cluster_name="<cluster>"'
_PODS = 'namespace="<namespace>",pod=~"<revision>-[a-z0-9]+-[a-z0-9]+"'
_INFERENCE = 'path=~"/invocations|/v2/models/.+/infer"'


class Part(StrEnum):
    """What one look asks for."""

    REQUESTS = "requests"
    STARTED = "started"
    DURATION = "duration"
    AGE = "age"
    SCRAPED = "scraped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How one software counts, in PromQL with `<namespace>`, `<name>`, `<revision>` and `<backend>` to be filled in.

    `by` tells processes apart: counters of two processes must not be added up, or a restart of one would look like a
    reset of all. `shared`: the counters are of a gateway, which outlives rollouts; what they said before this one does
    not count. `feeds` are the guards that it can feed; `unit` the seconds in one unit of the edges, `top` the last of
    them (seconds) where nobody can change it; `faults` the codes below 500 that are the model's fault.
    """

    by: str
    parts: Mapping[Part, str]
    feeds: frozenset[Kind] = _EVERYTHING
    shared: bool = False
    unit: float = 1.0
    top: float | None = None
    faults: frozenset[str] = frozenset()


def _envoy(cluster: str) -> Preset:
    matched = _ENVOY.replace("<cluster>", cluster)
    classes = f'envoy_cluster_upstream_rq_xx{{{matched},envoy_response_code_class=~"[2-5]"}}'
    total = f"envoy_cluster_upstream_rq_total{{{matched}}}"
    return Preset(
        by="instance",
        shared=True,
        unit=0.001,
        top=3600.0,
        parts={
            Part.REQUESTS: "sum by (instance, code) "
            f'(label_replace({classes}, "code", "${{1}}xx", "envoy_response_code_class", "(.*)"))',
            Part.STARTED: f"sum by (instance) ({total})",
            Part.DURATION: f"sum by (instance, le) (envoy_cluster_upstream_rq_time_bucket{{{matched}}})",
            Part.SCRAPED: f"min by (instance) (timestamp({total}))",
        },
    )


def _coded(metric: str, matchers: str, by: str, label: str) -> str:
    return f'sum by ({by}, code) (label_replace({metric}{{{matchers}}}, "code", "$1", "{label}", "(.*)"))'


def _laddered(metric: str, matchers: str, by: str, label: str) -> str:
    return f'sum by ({by}, code, le) (label_replace({metric}{{{matchers}}}, "code", "$1", "{label}", "(.*)"))'


def _scraped(metric: str, matchers: str, by: str) -> str:
    return f"min by ({by}) (timestamp({metric}{{{matchers}}}))"


def _total(metric: str, code: str) -> str:
    return f'label_replace(sum by (pod) ({metric}{{{_PODS}}}), "code", "{code}", "", "")'


_ISTIO = 'reporter="source",destination_service_name="<revision>",destination_service_namespace="<namespace>"'
# What Traefik calls a backend: its Service and port (or that's name); in 3.7 a router, its hash, the Service and the
# number of the backend (makeRouterName and loadService in its Gateway provider).
_TRAEFIK_NAMES = f"<namespace>-<revision>-(http-)?{SERVICE_PORT}|.+-[0-9a-f]{{20}}-svc-<namespace>-<revision>-[0-9]+"
_TRAEFIK = f'service=~"({_TRAEFIK_NAMES})@kubernetesgateway"'
_RUNTIME = "tidegate_runtime_requests"
_VLLM = f'{_PODS},method="POST",handler=~"/v1/.*"'

PRESETS: Mapping[str, Preset] = {
    "contour": _envoy(f"<namespace>_<revision>_{SERVICE_PORT}"),
    # Its clusters are numbered: stable is the first backend of the route, the canary the second (see Record.weights).
    "envoyGateway": _envoy("httproute/<namespace>/<name>/rule/0/backend/<backend>"),
    "istio": Preset(
        by="instance",
        shared=True,
        unit=0.001,
        top=3600.0,
        parts={
            Part.REQUESTS: _coded("istio_requests_total", _ISTIO, "instance", "response_code"),
            Part.DURATION: _laddered("istio_request_duration_milliseconds_bucket", _ISTIO, "instance", "response_code"),
            Part.SCRAPED: _scraped("istio_requests_total", _ISTIO, "instance"),
        },
    ),
    "traefik": Preset(
        by="instance",
        shared=True,
        parts={
            Part.REQUESTS: f"sum by (instance, code) (traefik_service_requests_total{{{_TRAEFIK}}})",
            Part.DURATION: "sum by (instance, code, le) "
            f"(traefik_service_request_duration_seconds_bucket{{{_TRAEFIK}}})",
            Part.SCRAPED: _scraped("traefik_service_requests_total", _TRAEFIK, "instance"),
        },
    ),
    "tidegate": Preset(
        by="pod",
        top=600.0,
        parts={
            Part.STARTED: f"sum by (pod) ({_RUNTIME}_started_total{{{_PODS}}})",
            Part.DURATION: f"sum by (pod, code, le) (tidegate_runtime_request_duration_seconds_bucket{{{_PODS}}})",
            Part.AGE: f"sum by (pod, le) ({_RUNTIME}_in_flight_age_seconds_bucket{{{_PODS}}})",
            Part.SCRAPED: _scraped(f"{_RUNTIME}_started_total", _PODS, "pod"),
        },
    ),
    "mlserver": Preset(
        by="pod",
        top=10.0,
        faults=frozenset({"400"}),
        parts={
            Part.REQUESTS: _coded("rest_server_requests_total", f"{_PODS},{_INFERENCE}", "pod", "status_code"),
            Part.DURATION: _laddered(
                "rest_server_request_duration_seconds_bucket", f"{_PODS},{_INFERENCE}", "pod", "status_code"
            ),
            Part.SCRAPED: _scraped("process_start_time_seconds", _PODS, "pod"),
        },
    ),
    "kserve": Preset(
        by="pod",
        top=10.0,
        feeds=frozenset({Kind.LATENCY}),
        parts={
            Part.DURATION: f"sum by (pod, le) (request_predict_seconds_bucket{{{_PODS}}})",
            Part.SCRAPED: _scraped("process_start_time_seconds", _PODS, "pod"),
        },
    ),
    "triton": Preset(
        by="pod",
        feeds=frozenset({Kind.ERROR_RATE}),
        parts={
            Part.REQUESTS: f"{_total('nv_inference_request_success', '2xx')} or "
            f"{_total('nv_inference_request_failure', '5xx')}",
            Part.SCRAPED: _scraped("nv_inference_request_success", _PODS, "pod"),
        },
    ),
    "vllm": Preset(
        by="pod",
        parts={
            Part.REQUESTS: _coded("http_requests_total", _VLLM, "pod", "status"),
            Part.DURATION: f"sum by (pod, le) (vllm:e2e_request_latency_seconds_bucket{{{_PODS}}})",
            Part.SCRAPED: _scraped("process_start_time_seconds", _PODS, "pod"),
        },
    ),
}


def question(preset: Preset, namespace: str, name: str, revisions: Mapping[str, str]) -> str:
    """The one query of a look at an object. `revisions` by side.

    A revision's name is that of its Service, too, and begins those of its pods.
    """
    asked = []
    for side, revision in revisions.items():
        filled = {"<namespace>": namespace, "<name>": name, "<revision>": revision, "<backend>": _BACKEND[side]}
        for part, template in preset.parts.items():
            text = template
            for blank, value in filled.items():
                text = text.replace(blank, value)
            asked.append(
                f'label_replace(label_replace({text}, "{_PART}", "{part}", "", ""), "{_SIDE}", "{side}", "", "")'
            )
    return "\nor ".join(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Readings, and when each side's processes were scraped (seconds since the epoch by Prometheus' clock).

    `oldest` is how many seconds ago the one was scraped that was so first.
    """

    readings: Readings
    scraped: Mapping[tuple[str, str], float]
    oldest: float


def answered(preset: Preset, samples: Sequence[Sample], *, at: float) -> Answered:
    """The answer as readings, by process, at `at` (see `Readings`)."""
    sorted_out: dict[str, dict[str, dict[Part, list[Sample]]]] = {CANARY: {}, STABLE: {}}
    for sample in samples:
        process = sample.labels.get(preset.by, "")
        parts = sorted_out[sample.labels[_SIDE]].setdefault(process, {})
        parts.setdefault(Part(sample.labels[_PART]), []).append(sample)
    sides = {
        side: {process: _process(preset, process, parts) for process, parts in found.items()}
        for side, found in sorted_out.items()
    }
    scraped = {
        (side, process): parts[Part.SCRAPED][0].value
        for side, found in sorted_out.items()
        for process, parts in found.items()
        if Part.SCRAPED in parts
    }
    # Silence means something where both sides are counted by one process from the start: else a series may be absent,
    # or older, for reasons of its own.
    told = preset.shared and Part.STARTED in preset.parts and sides[CANARY].keys() >= sides[STABLE].keys()
    if preset.shared:
        sides = _filled(sides)
    readings = Readings(at=at, canary=sides[CANARY], stable=sides[STABLE], silence=told)
    now = max((sample.at for sample in samples), default=0.0)
    return Answered(readings=readings, scraped=scraped, oldest=now - min(scraped.values(), default=now))


def _filled(sides: Mapping[str, Mapping[str, Reading | Unreadable]]) -> dict[str, dict[str, Reading | Unreadable]]:
    """A gateway that is read and has no series of a revision has sent it nothing yet: its count starts at zero."""
    processes = {
        process: isinstance(reading, Reading) for found in sides.values() for process, reading in found.items()
    }
    nothing = Reading(finished={}, started=0)
    return {
        side: {process: found.get(process, nothing) for process, read in processes.items() if read or process in found}
        for side, found in sides.items()
    }


def _process(preset: Preset, process: str, parts: Mapping[Part, Sequence[Sample]]) -> Reading | Unreadable:
    try:
        return _reading(preset, process, parts)
    except _NoReading as fault:
        return Unreadable(reason=f"{preset.by} {process or '?'}: {fault}")


class _NoReading(Exception):  # noqa: N818 (never leaves this module)
    """Counters that can't be believed."""


def _reading(preset: Preset, process: str, parts: Mapping[Part, Sequence[Sample]]) -> Reading:
    if not process:
        raise _NoReading(f"its series have no label {preset.by}, so that processes can't be told apart")
    scraped = parts.get(Part.SCRAPED)
    if not scraped:
        raise _NoReading("nothing says when it was scraped")
    age = scraped[0].at - scraped[0].value
    if not age <= STALE:
        raise _NoReading(f"it was last scraped {age:.0f} s ago")
    known = _durations(preset, parts.get(Part.DURATION, ()))
    finished = {sample.labels.get("code", ""): _count(sample) for sample in parts.get(Part.REQUESTS, ())}
    if Part.REQUESTS not in preset.parts and known is not None:
        finished = {code: counts[-1] for code, counts in known.counts.items()}
    started = parts.get(Part.STARTED)
    reading = Reading(finished=finished, durations=known, started=_count(started[0]) if started else None)
    ages = _ladder(parts.get(Part.AGE, ()), preset.unit)
    if ages and known is not None and tuple(ages)[:-1] == known.edges:
        return replace(reading, in_flight=tuple(ages.values()))
    return reading


def _durations(preset: Preset, samples: Sequence[Sample]) -> Durations | None:
    by_code: dict[str, list[Sample]] = {}
    for sample in samples:
        by_code.setdefault(sample.labels.get("code", ""), []).append(sample)
    if not by_code:
        return None
    ladders = {code: _ladder(found, preset.unit) for code, found in by_code.items()}
    edges = {tuple(ladder) for ladder in ladders.values()}
    if len(edges) != 1:
        raise _NoReading("its histogram has different edges for different codes")
    counts = {code: tuple(ladder.values()) for code, ladder in ladders.items()}
    if any(later < sooner for ladder in counts.values() for sooner, later in pairwise(ladder)):
        raise _NoReading("its histogram falls")
    return Durations(edges=edges.pop()[:-1], counts=counts)


def _ladder(samples: Sequence[Sample], unit: float) -> dict[float, int]:
    """Counts by edge (seconds), ascending, the last one infinite."""
    try:
        found = {float(sample.labels["le"]) * unit: _count(sample) for sample in samples}
    except (KeyError, ValueError) as error:
        raise _NoReading("its histogram has an edge that is none") from error
    if samples and (math.inf not in found or any(math.isnan(edge) for edge in found)):
        raise _NoReading("its histogram has no +Inf")
    return dict(sorted(found.items()))


def _count(sample: Sample) -> int:
    value = sample.value
    if not math.isfinite(value) or value < 0 or value != math.floor(value):
        raise _NoReading(f"{value:g} counts nothing")
    return int(value)
