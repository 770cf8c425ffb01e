"""Specs as people might write them, right about as often as wrong."""

from typing import Any

from hypothesis import strategies as st
from tests.unit.api.case import CUSTOM


def _mostly(right: str, wrong: str) -> st.SearchStrategy[str]:
    """Words of which four in five are right, so that whole specs often are."""
    return st.integers(min_value=0, max_value=4).flatmap(
        lambda roll: st.sampled_from((right if roll else wrong).split())
    )


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_durations = _mostly(
    "1s 59s999ms 1m 00060s 10s500ms", "0s 99ms 10m1ms 24h1ms 720h1ms 2161h 99999h99999h99999h99999h 5 s -1s 1d 1us"
)
_spans = _mostly("1h 24h 23h59m60s 1h1h 720h", "0ms 19m 24h1ms 2160h 2160h1ms 99999h99999h99999h99999h 1.5h ago")
_percentages = _mostly("0% 00% 0.0% 0.0001% 1% 099% 99.9999%", "0.00001% 100% 100.0% 999% 1 % 1.% .5% -1%")
_ratios = _mostly("1 1.0 01 1.5 999.999", "0 0.999 1000 1. .5 1e2 NaN -2")
_percentiles = _mostly("1 5 05 50 95 95.0 99.99", "0 0.99 99.999 100 p95")
_modes = _mostly("Enforce Observe", "enforce")
_aliases = st.one_of(
    st.text(st.sampled_from("vVlateset12-_ßé٣"), min_size=1, max_size=8),
    _mostly("v v1a", "latest LATEST v1 V0 a.b"),
)
_names = st.text(st.sampled_from("aß .:/-\t\u00a0\u2003\n"), max_size=4) | _mostly("a .a a..", ". .. ..a a/b")
_rising = st.sets(st.integers(min_value=1, max_value=99), max_size=4).map(lambda found: [*sorted(found), 100])
_weights = _rising | st.lists(st.sampled_from([-1, 0, 1, 25, 99, 100, 101]), max_size=4)
_steps = st.tuples(_weights, _durations).map(lambda both: [{"weight": weight, "hold": both[1]} for weight in both[0]])

models = st.one_of(
    st.fixed_dictionaries({"name": _names, "alias": _aliases}),
    st.fixed_dictionaries({"name": _names, "stage": _mostly("Production Staging", "None staging")}),
    st.fixed_dictionaries({"name": _names, "version": _mostly("1 12", "0 01 v1 1234567890")}),
    st.fixed_dictionaries({"name": _names, "version": st.just("7")}, optional={"alias": _aliases}),
)
rollouts = st.one_of(
    _some(weights=_weights, hold=_durations, deadline=_spans, progressDeadline=_durations, rollbackWindow=_spans),
    _some(steps=_steps, deadline=_spans),
    _some(weights=_weights, steps=_steps, hold=_durations),
)
_queries = _mostly("x ${revision} $revision ${1} ${name}${window} rate(x[${window}])", "${nam} ${name ${} $${stabl}")
_numbers = _mostly("0 1 -1 0.5 12.25", "1e3 .5 + 1, -")
evidences = _some(
    pods=st.booleans(),
    prometheus=st.lists(_mostly("contour istio kserve triton", "nginx"), max_size=2, unique=True),
)
guards = _some(
    errorRate=_some(max=_percentages, maxRatio=_ratios, maxIncrease=_percentages, mode=_modes),
    clientErrors=_some(maxRatio=_ratios, mode=_modes),
    latency=st.lists(_some(percentile=_percentiles, max=_durations, maxRatio=_ratios), max_size=2),
    queries=st.lists(
        st.fixed_dictionaries(
            {"name": _mostly("a b c", "A"), "promql": st.one_of(_queries, st.text(max_size=6))},
            optional={"max": _numbers, "min": _numbers, "for": _durations, "mode": _modes},
        ),
        max_size=2,
        unique_by=lambda query: query["name"],
    ),
    alerts=_some(
        matchLabels=st.dictionaries(_mostly("team _a A9", "9a a-b a.b ä"), st.sampled_from(["x", "ü"]), max_size=2),
        mode=_modes,
    ),
    minRequests=st.integers(min_value=0, max_value=9),
    timeout=_durations,
    interval=_durations,
    mode=_modes,
)
_parents = st.lists(
    st.fixed_dictionaries(
        {"name": _mostly("a b", "A")},
        optional={
            "namespace": _mostly("a b", "a.b"),
            "sectionName": _mostly("http https", "-"),
            "port": st.sampled_from([80, 443, 65535, 65536]),
            "kind": _mostly("Gateway", "Service"),
        },
    ),
    min_size=1,
    max_size=3,
)
_paths = _some(
    type=st.sampled_from(["Exact", "PathPrefix", "RegularExpression"]),
    value=st.text(st.sampled_from("/.a%2Ff# "), max_size=3).map("/".__add__) | st.text(max_size=3),
)
_rewrites = _some(
    hostname=_mostly("a.example", "A *.a"),
    path=st.one_of(
        st.fixed_dictionaries({"type": st.just("ReplaceFullPath"), "replaceFullPath": _mostly("/ /a", "a")}),
        st.fixed_dictionaries({"type": st.just("ReplacePrefixMatch"), "replacePrefixMatch": _mostly("/ /a", "a")}),
        st.fixed_dictionaries({"type": st.just("ReplacePrefixMatch")}, optional={"replaceFullPath": st.just("/")}),
    ),
)
_filters = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("URLRewrite"), "urlRewrite": _rewrites}),
        st.fixed_dictionaries(
            {"type": _mostly("RequestHeaderModifier", "ResponseHeaderModifier")},
            optional={"requestHeaderModifier": _some(remove=st.lists(_mostly("x-a", "x:a"), max_size=2))},
        ),
    ),
    max_size=2,
)
gateways = _some(
    parentRefs=_parents,
    matches=st.lists(_some(path=_paths), max_size=2),
    filters=_filters,
    timeouts=_some(request=_durations, backendRequest=_durations),
)
_quantities = st.sampled_from([0, 1, -1, "1", "1.5Gi", "1e3", "1E", "500m", "+1", ".5", "1."]) | st.sampled_from(
    [1.5, True, "1 Gi", "1gi", ""]
)
_scalings = _some(
    minReplicas=st.sampled_from([1, 2, 1000, 0]),
    maxReplicas=st.sampled_from([1, 2, 1000, 1001]),
    targetCPUUtilization=st.sampled_from([1, 80, 0]),
    metrics=st.lists(
        st.fixed_dictionaries(
            {"type": _mostly("Resource Pods", "pods")},
            optional={"resource": st.just({"name": "cpu"}), "pods": st.just({"metric": {"name": "a"}})},
        ),
        max_size=2,
    ),
)
servings = _some(
    replicas=st.sampled_from([1, 2, 1000, 1001, 0]),
    autoscaling=_scalings,
    runtime=_mostly("tidegate mlserver kserve triton vllm custom", "other"),
    metrics=st.sampled_from([CUSTOM["metrics"], {**CUSTOM["metrics"], "duration": {"metric": "latency"}}]),
    template=st.sampled_from([CUSTOM["template"], CUSTOM["template"], {}, {"spec": {}}, {"spec": {"containers": []}}]),
    resources=_some(limits=st.dictionaries(_mostly("cpu a/b a.b/c_d", "a//b -a a%b"), _quantities, max_size=2)),
)
gates = _some(
    smoke=_some(timeout=_durations, malformed=st.booleans()),
    throughput=_some(
        min=st.sampled_from([1, 50, 300, 0, 301]),
        duration=_durations,
        concurrency=st.sampled_from([1, 32, 0, 33]),
    ),
    request=_some(
        path=_mostly("/ /invocations /v1/completions?a=b /%2F", "a http://a/b"),
        body=st.dictionaries(st.sampled_from(["inputs", "a b", ""]), st.sampled_from([1, 1.5, "x", [], {"a": [True]}])),
    ),
)
