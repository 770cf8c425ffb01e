"""From an object as the API server keeps it to a `Plan`, or to findings that a person can act on."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tidegate.api import autoscaling as wire_autoscaling
from tidegate.api import gates as wire_gates
from tidegate.api import guards as wire_guards
from tidegate.api import spec as wire_spec
from tidegate.api.findings import findings
from tidegate.api.scalars import seconds, share
from tidegate.api.serving import CONTAINER
from tidegate.api.spec import Model, Spec, can_feed
from tidegate.api.v1alpha1 import KIND, Metadata, ModelDeployment
from tidegate.core.gates import INVOCATIONS, Gates, MetricGate, SemVerGate, SmokeGate, ThroughputGate
from tidegate.core.guards import Absolute, Guard, Increase, Kind, Mode, Ratio
from tidegate.core.plan import (
    AlertGuard,
    Autoscaling,
    Candidate,
    Gateway,
    MetricsFormat,
    Plan,
    Pointer,
    PointerKind,
    Runtime,
    Serving,
    Step,
)
from tidegate.core.predictions import DriftGuard
from tidegate.core.promql import PRESETS
from tidegate.core.queries import QueryGuard
from tidegate.core.signatures import SignaturePolicy
from tidegate.core.values import ObjectRef
from tidegate.errors import InvalidSpec

_UNIT = {"seconds": 1.0, "milliseconds": 0.001}
#: The CPU use (per cent of the request) that autoscalers aim at where nobody says by what they are to go.
DEFAULT_CPU = 80
#: Levels of lists and maps in a spec, of its free parts: fewer than are read (`jsontext`), so that none is missed.
DEEPEST = 64
#: Parts of a path that are named where it has so many.
SHOWN = 6


def reference(body: Mapping[str, Any]) -> ObjectRef:
    """Return which object a body is; never fails for what the API server hands out."""
    metadata = body["metadata"]
    return ObjectRef(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])


def parse(body: Mapping[str, Any]) -> Plan:
    """Return what an object asks for.

    Raises:
        InvalidSpec: with (field path, what is wrong and the way out) of everything that is wrong, also where the
            object was valid under the rules of an earlier version.
    """
    if (place := _bottomless(body.get("spec"))) is not None:
        raise InvalidSpec(((place, f"is nested more than {DEEPEST} levels deep; put what is below into fewer"),))
    try:
        wanted = ModelDeployment.model_validate(body)
    except ValidationError as error:
        raise InvalidSpec(tuple(findings(error, KIND))) from error
    return _plan(wanted.metadata, wanted.spec)


def _bottomless(spec: Any) -> str | None:
    """The field of a spec below which there is more than can be read; None where there is none."""
    below: list[tuple[tuple[str, ...], Any]] = [(("spec",), spec)]
    while below:
        path, value = below.pop()
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        if len(path) > DEEPEST and inner:
            return ".".join(path[:SHOWN])
        below += [((*path, str(key)), part) for key, part in inner if isinstance(part, (dict, list))]
    return None


def _plan(metadata: Metadata, spec: Spec) -> Plan:
    return Plan(
        ref=ObjectRef(namespace=metadata.namespace, name=metadata.name, uid=metadata.uid),
        generation=metadata.generation,
        model=spec.model.name,
        pointer=_pointer(spec.model),
        candidate=_candidate(spec.model.candidate),
        write_back=spec.model.write_back == "Tags",
        registry=_registry(metadata, spec.model),
        registry_secret=access.secret_ref.name if (access := spec.model.registry) and access.secret_ref else None,
        serving=_serving(spec),
        gateway=_gateway(spec),
        steps=tuple(Step(weight=weight, hold=hold, approval=asks) for weight, hold, asks in spec.rollout.plan()),
        deadline=seconds(spec.rollout.deadline),
        progress_deadline=seconds(spec.rollout.progress_deadline),
        rollback_window=seconds(spec.rollout.rollback_window),
        guards=tuple(_guards(spec)),
        request_timeout=seconds(spec.guards.timeout),
        interval=seconds(spec.guards.interval),
        sources=_sources(spec),
        queries=tuple(_query(query, spec.guards) for query in spec.guards.queries or ()),
        alerts=_alerts(spec.guards),
        drift=_drift(spec.guards),
        revoke_reverts=spec.rollout.on_revoke == "Revert",
        gates=_gates(spec.gates, Runtime(spec.serving.runtime)),
        paused=spec.paused,
        deleting=metadata.deletion_timestamp is not None,
    )


def _registry(metadata: Metadata, model: Model) -> str | None:
    named = model.registry.name if model.registry else None
    return f"{metadata.namespace}/{named}" if named else None


def _pointer(model: Model) -> Pointer:
    named = {PointerKind.STAGE: model.stage, PointerKind.ALIAS: model.alias, PointerKind.VERSION: model.version}
    kind, value = next((kind, value) for kind, value in named.items() if value is not None)
    return Pointer(kind=kind, value=value)


def _candidate(given: wire_spec.Candidate | None) -> Candidate | None:
    if given is None:
        return None
    named = {PointerKind.STAGE: given.stage, PointerKind.ALIAS: given.alias}
    kind, value = next((kind, value) for kind, value in named.items() if value is not None)
    return Candidate(pointer=Pointer(kind=kind, value=value), discard=given.on_reject is not None)


def _serving(spec: Spec) -> Serving:
    serving = spec.serving
    metrics = None
    if serving.metrics is not None:
        duration = serving.metrics.duration
        metrics = MetricsFormat(
            port=serving.metrics.port,
            path=serving.metrics.path,
            requests_metric=serving.metrics.requests.metric,
            code_label=serving.metrics.requests.code_label,
            duration_metric=duration.metric if duration else None,
            duration_unit=_UNIT[duration.unit] if duration else 1.0,
        )
    # Defaults are left out, so that a field which a later version adds with a default changes no revision.
    canonical = {"runtime": serving.runtime} | {
        name: _plain(part)
        for name, part in (
            ("metrics", serving.metrics),
            ("resources", serving.resources),
            ("template", serving.template),
        )
        if part is not None
    }
    return Serving(
        runtime=Runtime(serving.runtime),
        replicas=serving.autoscaling.min_replicas if serving.autoscaling else serving.replicas or 1,
        canonical=canonical,
        metrics=metrics,
        autoscaling=_autoscaling(serving.autoscaling) if serving.autoscaling else None,
    )


def _autoscaling(asked: wire_autoscaling.Autoscaling) -> Autoscaling:
    cpu, metrics = asked.target_cpu_utilization, [_full(metric) for metric in asked.metrics or ()]
    if cpu is not None or not metrics:
        target = {"type": "Utilization", "averageUtilization": cpu or DEFAULT_CPU}
        # Of the container alone: sidecars have requests of their own, or none, and then there is no share of them.
        source = {"name": "cpu", "container": CONTAINER, "target": target}
        metrics.insert(0, {"type": "ContainerResource", "containerResource": source})
    return Autoscaling(most=asked.max_replicas, metrics=tuple(metrics))


def _gateway(spec: Spec) -> Gateway:
    gateway = spec.traffic.gateway
    return Gateway(
        parent_refs=tuple(_full(ref) for ref in gateway.parent_refs),
        hostnames=tuple(gateway.hostnames or ()),
        matches=tuple(_full(match) for match in gateway.matches or ()),
        filters=tuple(_full(part) for part in gateway.filters or ()),
        timeouts=_full(gateway.timeouts) if gateway.timeouts else {},
    )


def _full(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(mode="json", by_alias=True, exclude_none=True)


def _plain(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(mode="json", by_alias=True, exclude_defaults=True)


#: What holds where a user names no guard. Only against stable: a service whose stable runs at 2 % errors must not be
#: stuck behind a limit that nobody chose.
DEFAULT_ERROR_RATE = wire_guards.ErrorRate.model_validate({"maxRatio": "1.5", "maxIncrease": "2%"})
DEFAULT_CLIENT_ERRORS = wire_guards.ClientErrors.model_validate({"maxRatio": "2"})
DEFAULT_LATENCY = wire_guards.Latency.model_validate({"percentile": "95", "maxRatio": "1.5"})


def _sources(spec: Spec) -> tuple[str, ...]:
    """The sources by name; a preset that can feed none of the guards is not asked."""
    kinds = {guard.kind for guard in _guards(spec)}
    asked = [name for name in spec.evidence.prometheus or () if kinds & PRESETS[name].feeds]
    return (*(["pods"] if spec.evidence.pods else []), *asked)


def _gates(asked: wire_gates.Gates, runtime: Runtime) -> Gates:
    tags: dict[str, str | None] = dict.fromkeys(asked.tags_present or ())
    return Gates(
        tags=tuple(sorted((tags | (asked.tags or {})).items())),
        max_age=seconds(asked.max_age) if asked.max_age is not None else None,
        metrics=tuple(MetricGate(name=m.name, least=_number(m.min), most=_number(m.max)) for m in asked.metrics or ()),
        semver=SemVerGate(
            tag=asked.semver.tag, range=asked.semver.range, not_below_stable=asked.semver.not_below_stable
        )
        if asked.semver is not None
        else None,
        signature=SignaturePolicy(asked.signature),
        max_size=wire_gates.size(asked.max_size) if asked.max_size is not None else None,
        smoke=_smoke(asked.smoke, lax=_lax(runtime, asked)) if asked.smoke else None,
        throughput=ThroughputGate(least=load.min, seconds=seconds(load.duration), concurrency=load.concurrency)
        if (load := asked.throughput) is not None
        else None,
        path=(asked.request.path if asked.request else None) or INVOCATIONS,
        body=json.dumps(asked.request.body) if asked.request and asked.request.body is not None else None,
    )


def _lax(runtime: Runtime, asked: wire_gates.Gates) -> bool:
    """Whether a server does not tell a malformed request from a fault of its own: both answer 500 to it."""
    return runtime is Runtime.TRITON or (runtime is Runtime.MLSERVER and asked.at_invocations)


def _smoke(asked: wire_gates.Smoke, *, lax: bool) -> SmokeGate:
    malformed = not lax if asked.malformed is None else asked.malformed
    return SmokeGate(limit=seconds(asked.timeout), malformed=malformed)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None else None


def _query(query: wire_guards.Query, asked: wire_guards.Guards) -> QueryGuard:
    return QueryGuard(
        name=query.name,
        promql=query.promql,
        most=float(query.max) if query.max is not None else None,
        least=float(query.min) if query.min is not None else None,
        seconds=seconds(query.for_),
        mode=Mode(query.mode or asked.mode),
    )


def _guards(spec: Spec) -> Iterator[Guard]:
    asked = spec.guards
    errors, clients, latencies = asked.error_rate, asked.client_errors, asked.latency or []
    if errors is None and clients is None and not latencies:
        errors = DEFAULT_ERROR_RATE if can_feed(spec, Kind.ERROR_RATE) else None
        clients = DEFAULT_CLIENT_ERRORS if can_feed(spec, Kind.CLIENT_ERRORS) else None
        latencies = [DEFAULT_LATENCY] if can_feed(spec, Kind.LATENCY) else []
    if errors is not None:
        yield from _error_rate(errors, asked)
    if clients is not None:
        test = Ratio(factor=float(clients.max_ratio))
        yield _guard(asked, clients.mode, name="clientErrors.maxRatio", kind=Kind.CLIENT_ERRORS, test=test)
    for latency in latencies:
        yield from _latency(latency, asked)


def _error_rate(guard: wire_guards.ErrorRate, asked: wire_guards.Guards) -> Iterator[Guard]:
    kind = Kind.ERROR_RATE
    if guard.max is not None:
        yield _guard(asked, guard.mode, name="errorRate.max", kind=kind, test=Absolute(limit=share(guard.max)))
    if guard.max_ratio is not None:
        yield _guard(asked, guard.mode, name="errorRate.maxRatio", kind=kind, test=Ratio(factor=float(guard.max_ratio)))
    if guard.max_increase is not None:
        test = Increase(points=share(guard.max_increase))
        yield _guard(asked, guard.mode, name="errorRate.maxIncrease", kind=kind, test=test)


def _latency(guard: wire_guards.Latency, asked: wire_guards.Guards) -> Iterator[Guard]:
    percentile = share(guard.percentile)
    name = f"latency.p{guard.percentile}"
    if guard.max is not None:
        yield _guard(
            asked,
            guard.mode,
            name=f"{name}.max",
            kind=Kind.LATENCY,
            test=Absolute(limit=round(1 - percentile, 6)),
            percentile=percentile,
            threshold_seconds=seconds(guard.max),
        )
    if guard.max_ratio is not None:
        test = Ratio(factor=float(guard.max_ratio))
        yield _guard(asked, guard.mode, name=f"{name}.maxRatio", kind=Kind.LATENCY, test=test, percentile=percentile)


def _alerts(asked: wire_guards.Guards) -> AlertGuard:
    named = asked.alerts or wire_guards.Alerts()
    return AlertGuard(match=named.match_labels, mode=Mode(named.mode or asked.mode))


def _drift(asked: wire_guards.Guards) -> DriftGuard | None:
    named = asked.drift
    if named is None:
        return None
    return DriftGuard(
        most=float(named.max_psi),
        needed=named.min_predictions,
        reverts=named.on_drift == "Revert",
        mode=Mode(named.mode or asked.mode),
    )


def _guard(asked: wire_guards.Guards, mode: str | None, **fields: Any) -> Guard:
    return Guard(mode=Mode(mode or asked.mode), min_requests=asked.min_requests, **fields)
