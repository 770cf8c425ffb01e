from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.api.case import CUSTOM, EXAMPLES, LEAST, merge

from tidegate.api.parse import DEEPEST, parse, reference
from tidegate.core.guards import Absolute, Guard, Increase, Kind, Mode, Ratio
from tidegate.core.plan import Candidate, MetricsFormat, Plan, Pointer, PointerKind, Runtime, Step
from tidegate.core.queries import QueryGuard
from tidegate.core.revision import serving_digest
from tidegate.core.values import ObjectRef
from tidegate.errors import InvalidSpec


def _body(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    seen = {"uid": "4b1d", "generation": 3, "resourceVersion": "17", "labels": {"team": "a"}, **metadata}
    return merge(LEAST, {"spec": spec or {}, "metadata": seen})


def _plan(**spec: Any) -> Plan:
    return parse(_body(spec))


def _guards(**guards: Any) -> dict[str, Guard]:
    return {guard.name: guard for guard in _plan(guards=guards).guards}


def test_the_least_object_gets_the_documented_defaults() -> None:
    plan = _plan()

    assert plan.ref == ObjectRef(namespace="default", name="fraud", uid="4b1d")
    assert plan.generation == 3
    assert plan.pointer == Pointer(kind=PointerKind.ALIAS, value="champion")
    assert plan.steps == tuple(Step(weight=weight, hold=300.0) for weight in (5, 25, 50, 100))
    assert (plan.deadline, plan.progress_deadline, plan.rollback_window) == (86400.0, 900.0, 86400.0)
    assert (plan.request_timeout, plan.interval) == (30.0, 1.0)
    assert (plan.serving.runtime, plan.serving.replicas) == (Runtime.TIDEGATE, 1)
    assert (plan.paused, plan.deleting, plan.registry_secret) == (False, False, None)


def test_without_guards_of_its_own_an_object_is_only_held_against_stable() -> None:
    guards = _guards()

    assert {name: guard.test for name, guard in guards.items()} == {
        "errorRate.maxRatio": Ratio(factor=1.5),
        "errorRate.maxIncrease": Increase(points=0.02),
        "clientErrors.maxRatio": Ratio(factor=2.0),
        "latency.p95.maxRatio": Ratio(factor=1.5),
    }
    assert all(guard.relative for guard in guards.values())


def test_settings_of_guards_keep_the_default_guards() -> None:
    guards = _guards(mode="Observe", minRequests=10)

    assert len(guards) == 4
    assert {guard.mode for guard in guards.values()} == {Mode.OBSERVE}
    assert {guard.requests_needed for guard in guards.values()} == {10}


def test_one_guard_of_its_own_replaces_all_default_guards() -> None:
    assert list(_guards(clientErrors={"maxRatio": "3"})) == ["clientErrors.maxRatio"]


def test_a_custom_runtime_without_a_histogram_gets_no_default_guard_on_latency() -> None:
    names = {guard.name for guard in _plan(serving=CUSTOM).guards}

    assert names == {"errorRate.maxRatio", "errorRate.maxIncrease", "clientErrors.maxRatio"}


def test_sources_are_the_pods_and_the_presets_that_feed_some_guard() -> None:
    every = _plan(evidence={"prometheus": ["kserve", "contour"]})
    assert every.sources == ("pods", "kserve", "contour")
    errors = _plan(evidence={"prometheus": ["kserve", "contour"]}, guards={"errorRate": {"max": "1%"}})
    assert errors.sources == ("pods", "contour")
    alone = _plan(evidence={"pods": False, "prometheus": ["kserve"]})
    assert (alone.sources, {guard.kind for guard in alone.guards}) == (("kserve",), {Kind.LATENCY})


def test_a_latency_beyond_a_source_s_histogram_is_refused_with_the_way_out() -> None:
    guards = {"latency": [{"percentile": "95", "max": "10s"}, {"percentile": "99", "max": "11s"}]}
    assert _plan(evidence={"prometheus": ["traefik"]}, guards=guards).sources == ("pods", "traefik")
    with pytest.raises(InvalidSpec) as refused:
        _plan(evidence={"prometheus": ["contour", "mlserver"]}, guards=guards)
    ((path, message),) = refused.value.findings
    assert path == "spec.guards.latency"
    assert "mlserver ends at 10s" in message
    assert "lower it, or leave mlserver out" in message


def test_a_query_is_held_to_its_limits_for_half_a_minute_unless_it_says_otherwise() -> None:
    queries = [
        {"name": "a", "promql": "x", "max": "0.5"},
        {"name": "b", "promql": "y", "min": "-1", "for": "0s", "mode": "Observe"},
    ]
    assert _plan(guards={"queries": queries}).queries == (
        QueryGuard(name="a", promql="x", most=0.5, seconds=30.0),
        QueryGuard(name="b", promql="y", least=-1.0, mode=Mode.OBSERVE),
    )


def test_each_limit_is_a_guard_named_by_its_place() -> None:
    guards = _guards(
        errorRate={"max": "1%", "maxRatio": "1.25", "maxIncrease": "0.5%"},
        latency=[{"percentile": "95", "max": "500ms", "maxRatio": "1.2"}, {"percentile": "99.9", "max": "1m1s"}],
    )

    assert guards["errorRate.max"] == Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01))
    assert guards["errorRate.maxRatio"].test == Ratio(factor=1.25)
    assert guards["errorRate.maxIncrease"].test == Increase(points=0.005)
    assert guards["latency.p95.max"].test == Absolute(limit=0.05)
    assert guards["latency.p95.max"].threshold_seconds == 0.5
    assert guards["latency.p95.maxRatio"].percentile == 0.95
    assert guards["latency.p99.9.max"].test == Absolute(limit=0.001)
    assert guards["latency.p99.9.max"].threshold_seconds == 61.0
    assert len(guards) == 6


def test_a_guard_s_own_mode_wins_over_that_of_all() -> None:
    guards = _guards(mode="Observe", errorRate={"max": "1%", "mode": "Enforce"}, clientErrors={"maxRatio": "2"})

    assert guards["errorRate.max"].enforced
    assert not guards["clientErrors.maxRatio"].enforced


def test_steps_keep_their_own_holds() -> None:
    plan = _plan(rollout={"steps": [{"weight": 10, "hold": "1h30m"}, {"weight": 100, "hold": "2s500ms"}]})

    assert plan.steps == (Step(weight=10, hold=5400.0), Step(weight=100, hold=2.5))


@given(
    hours=st.integers(min_value=0, max_value=700),
    minutes=st.integers(min_value=0, max_value=99),
    milliseconds=st.integers(min_value=0, max_value=99999),
)
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, milliseconds: int) -> None:
    rollout = {"weights": [100], "hold": f"{hours}h{minutes}m{milliseconds}ms", "deadline": "2160h"}

    parts = hours * 3600 + minutes * 60 + milliseconds / 1000
    assert _plan(rollout=rollout).steps[0].hold == pytest.approx(parts, abs=1e-6)


def test_what_makes_a_revision_is_kept_as_it_was_written() -> None:
    serving = merge(CUSTOM, {"replicas": 4, "resources": {"limits": {"cpu": 2, "memory": "1Gi"}}})

    assert _plan(serving=serving).serving.canonical == {
        "runtime": "custom",
        "metrics": CUSTOM["metrics"],
        "resources": {"limits": {"cpu": 2, "memory": "1Gi"}},
        "template": CUSTOM["template"],
    }


def test_replicas_make_no_revision() -> None:
    assert _plan(serving={"replicas": 1}).serving.canonical == _plan(serving={"replicas": 9}).serving.canonical


def test_a_default_that_is_written_out_makes_no_revision() -> None:
    written = merge(CUSTOM, {"metrics": {"path": "/metrics"}})

    assert serving_digest(_plan(serving=written).serving) == serving_digest(_plan(serving=CUSTOM).serving)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"resources": {"limits": {"cpu": "2"}}}, id="resources"),
        pytest.param({"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}, id="an unmodelled field of the pod"),
        pytest.param({"template": {"metadata": {"labels": {"team": "b"}}}}, id="a label"),
        pytest.param({"metrics": {"port": 9091}}, id="the metrics port"),
    ],
)
def test_any_other_change_of_serving_makes_a_revision(change: dict[str, Any]) -> None:
    assert serving_digest(_plan(serving=merge(CUSTOM, change)).serving) != serving_digest(_plan(serving=CUSTOM).serving)


def test_null_in_a_pod_template_is_kept_because_it_takes_a_preset_s_field_away() -> None:
    template = {"spec": {"terminationGracePeriodSeconds": None}}
    body = _body()
    body["spec"]["serving"] = {"template": template}

    assert parse(body).serving.canonical["template"] == template


def test_a_custom_runtime_says_where_it_counts() -> None:
    duration = {"metric": "request_duration_milliseconds", "unit": "milliseconds"}

    assert _plan(serving=merge(CUSTOM, {"metrics": {"duration": duration}})).serving.metrics == MetricsFormat(
        port=9090,
        path="/metrics",
        requests_metric="http_requests_total",
        code_label="code",
        duration_metric="request_duration_milliseconds",
        duration_unit=0.001,
    )


def test_the_route_s_parts_are_plain_gateway_api_values() -> None:
    gateway = _plan(
        traffic={
            "gateway": {
                "hostnames": ["fraud.example.com"],
                "matches": [{"path": {"value": "/fraud"}, "headers": [{"name": "x-tenant", "value": "a"}]}],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}
                ],
                "timeouts": {"request": "10s"},
            }
        }
    ).gateway

    assert gateway.parent_refs == ({"name": "public", "namespace": "gateways"},)
    assert gateway.hostnames == ("fraud.example.com",)
    assert gateway.matches == (
        {
            "path": {"type": "PathPrefix", "value": "/fraud"},
            "headers": [{"type": "Exact", "name": "x-tenant", "value": "a"}],
        },
    )
    assert gateway.filters == (
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
    )
    assert gateway.timeouts == {"request": "10s"}


def test_an_object_on_its_way_out_says_so() -> None:
    assert parse(_body(deletionTimestamp="2026-11-21T14:00:00Z")).deleting


def test_a_secret_is_known_by_name() -> None:
    assert _plan(model={"registry": {"secretRef": {"name": "mlflow"}}}).registry_secret == "mlflow"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidSpec) as error:
        _plan(
            model={"stage": "Production"},
            rollout={"weights": [50, 5], "deadline": "soon"},
            guards={"errorRate": {"max": "2"}, "interval": "10ms"},
        )

    assert {path for path, _ in error.value.findings} == {
        "spec.model",
        "spec.rollout.weights",
        "spec.rollout.deadline",
        "spec.guards.errorRate.max",
        "spec.guards.interval",
    }


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        pytest.param(None, "spec", id="no spec at all"),
        pytest.param([], "spec", id="a list in place of a spec"),
        pytest.param({"model": "fraud"}, "spec.model", id="a name in place of a model"),
        pytest.param(
            {"model": {"name": "a", "alias": "b"}, "traffic": {"ingress": {}}}, "spec.traffic.gateway", id="of old"
        ),
    ],
)
def test_an_object_that_an_older_version_took_is_a_finding_and_no_crash(spec: object, path: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse(_body() | {"spec": spec})

    assert path in dict(error.value.findings)


def test_a_wrong_object_can_still_be_named() -> None:
    assert reference(_body({"model": {"name": ""}})) == ObjectRef(namespace="default", name="fraud", uid="4b1d")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["model", "name", "alias", "traffic", "gateway", "rollout", "weights", "steps", "guards"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_spec_makes_it_crash(spec: object) -> None:
    with pytest.raises(InvalidSpec):
        parse(_body() | {"spec": spec})


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_right(name: str) -> None:
    seen = {"uid": "4b1d", "generation": 1, "namespace": "ml"}
    body = merge(EXAMPLES[name], {"metadata": seen})

    assert parse(body).ref.name == body["metadata"]["name"]


def test_there_are_examples() -> None:
    assert {"fraud", "full"} <= EXAMPLES.keys()


def test_a_candidate_is_a_second_pointer() -> None:
    plan = _plan(model={"candidate": {"stage": "Staging"}})
    assert plan.candidate == Candidate(pointer=Pointer(kind=PointerKind.STAGE, value="Staging"))
    asked = _plan(model={"candidate": {"alias": "challenger", "onReject": {"removeAlias": True}}})
    pointer = Pointer(kind=PointerKind.ALIAS, value="challenger")
    assert asked.candidate == Candidate(pointer=pointer, discard=True)
    assert _plan().candidate is None


def test_tags_are_written_back_unless_nobody_wants_them() -> None:
    assert _plan().write_back
    assert not _plan(model={"writeBack": "None"}).write_back


@pytest.mark.parametrize("levels", [DEEPEST - 3, DEEPEST - 2])
def test_what_is_nested_too_deeply_is_named(levels: int) -> None:
    """`spec.gates.request.body` are four levels, and the body is one."""
    inner: object = 1
    for _ in range(levels - 1):
        inner = [inner]
    asked = {"smoke": {}, "request": {"path": "/invocations", "body": {"a": inner}}}
    if levels == DEEPEST - 3:
        assert _plan(gates=asked).gates.body is not None
        return
    with pytest.raises(InvalidSpec, match="64 levels") as error:
        _plan(gates=asked)
    assert [path for path, _ in error.value.findings] == ["spec.gates.request.body.a.0"]
