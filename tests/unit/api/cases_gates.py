"""What is right and wrong about gates."""

from collections.abc import Mapping
from typing import Any

from tests.unit.api.case import right, wrong


def _gates(**gates: Any) -> Mapping[str, Any]:
    return {"gates": gates}


def _foreign(runtime: str, **request: Any) -> Mapping[str, Any]:
    template = {"spec": {"containers": [{"name": "model", "image": "registry.example.com/server:1"}]}}
    return {"serving": {"runtime": runtime, "template": template}, **_gates(smoke={}, request=request)}


RIGHT_GATES = (
    right("no gate", _gates()),
    right("tags with values", _gates(tags={"validation_status": "approved", "team/owner": "fraud: eu"})),
    right("tags that are present", _gates(tagsPresent=["schema_version", "a b.c-d:e"])),
    right("an age of ten years", _gates(maxAge="87600h")),
    right(
        "a metric with a limit", _gates(metrics=[{"name": "f1", "min": "0.85"}, {"name": "val/loss", "max": "-0.1"}])
    ),
    right("a semantic version in a range", _gates(semver={"tag": "schema", "range": ">=1.2.3-rc.1 <2 =v1"})),
    right("a semantic version beside stable's", _gates(semver={"tag": "schema", "notBelowStable": True})),
    right("a signature that is the same", _gates(signature="Identical", maxSize="1.5Gi")),
    right("no tags at all", _gates(tags={}, tagsPresent=[])),
    right("smoke requests by their defaults", _gates(smoke={})),
    right(
        "smoke requests, and a load",
        _gates(
            smoke={"timeout": "1m", "malformed": False},
            throughput={"min": 300, "duration": "30s", "concurrency": 32},
        ),
    ),
    right(
        "a request of one's own",
        _gates(
            throughput={"min": 1},
            request={
                "path": "/v2/models/m/infer",
                "body": {
                    "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.5, 2]}],
                },
            },
        ),
    ),
    right("a path of one's own", _gates(smoke={}, request={"path": "/predict?a=b"})),
    *(
        right(f"smoke requests to {runtime}", _foreign(runtime, path="/v2/models/m/infer", body={"inputs": []}))
        for runtime in ("kserve", "triton", "vllm")
    ),
    right(
        "no nonsense for mlserver",
        {
            "serving": {"runtime": "mlserver"},
            "gates": {"smoke": {"malformed": False}},
        },
    ),
    right(
        "nonsense for another path of mlserver's",
        {
            "serving": {"runtime": "mlserver"},
            "gates": {"smoke": {"malformed": True}, "request": {"path": "/v2/models/m/infer", "body": {"inputs": []}}},
        },
    ),
    right("a request to mlserver by its default", {"serving": {"runtime": "mlserver"}, "gates": {"smoke": {}}}),
)
GATES = (
    wrong("smoke requests without a time", "spec.gates.smoke.timeout", _gates(smoke={"timeout": "0s"})),
    wrong("smoke requests for hours", "spec.gates.smoke.timeout", _gates(smoke={"timeout": "2h"})),
    wrong("an unknown part of smoke", "spec.gates.smoke.path", _gates(smoke={"path": "/x"})),
    wrong("a load without a least", "spec.gates.throughput.min", _gates(throughput={})),
    wrong("a load of nothing", "spec.gates.throughput.min", _gates(throughput={"min": 0})),
    wrong("a load that is none of a gate", "spec.gates.throughput.min", _gates(throughput={"min": 301})),
    wrong("a load as text", "spec.gates.throughput.min", _gates(throughput={"min": "50"})),
    wrong("an endless load", "spec.gates.throughput.duration", _gates(throughput={"min": 1, "duration": "31s"})),
    wrong("a load of too many", "spec.gates.throughput.concurrency", _gates(throughput={"min": 1, "concurrency": 33})),
    wrong("a request that nobody sends", "spec.gates.request", _gates(request={"path": "/invocations"})),
    wrong("a request to another host", "spec.gates.request.path", _gates(smoke={}, request={"path": "http://x/y"})),
    wrong("a request as text", "spec.gates.request.body", _gates(smoke={}, request={"body": "{}"})),
    *(
        wrong(f"mlflow's example for {runtime}", "spec.gates.request", _foreign(runtime, path="/v2/models/m/infer"))
        for runtime in ("kserve", "triton", "vllm")
    ),
    wrong(
        "nonsense for mlserver, which answers 500",
        "spec.gates.smoke.malformed",
        {
            "serving": {"runtime": "mlserver"},
            "gates": {"smoke": {"malformed": True}},
        },
    ),
    wrong(
        "nonsense for mlserver at the path that it has anyway",
        "spec.gates.smoke.malformed",
        {
            "serving": {"runtime": "mlserver"},
            "gates": {"smoke": {"malformed": True}, "request": {"path": "/invocations"}},
        },
    ),
    wrong("a load on vllm without a path", "spec.gates.request", _foreign("vllm", body={"prompt": "Hello"})),
    wrong("an unknown gate", "spec.gates.approval", _gates(approval=True)),
    wrong("a tag with an empty value", "spec.gates.tags.validated", _gates(tags={"validated": ""})),
    wrong("a tag whose value is no text", "spec.gates.tags.validated", _gates(tags={"validated": True})),
    wrong("a tag with a name that MLflow refuses", "spec.gates.tags", _gates(tags={"a=b": "c"})),
    wrong("too many tags", "spec.gates.tags", _gates(tags={f"t{i}": "v" for i in range(17)})),
    wrong("an age of nothing", "spec.gates.maxAge", _gates(maxAge="0s")),
    wrong("an age in days", "spec.gates.maxAge", _gates(maxAge="30d")),
    wrong("a metric without a limit", "spec.gates.metrics[0]", _gates(metrics=[{"name": "f1"}])),
    wrong("a metric without a name", "spec.gates.metrics[0].name", _gates(metrics=[{"min": "1"}])),
    wrong("a metric's limit as a number", "spec.gates.metrics[0].min", _gates(metrics=[{"name": "f1", "min": 0.8}])),
    wrong(
        "a metric twice",
        "spec.gates.metrics[1]",
        _gates(metrics=[{"name": "f1", "min": "0"}, {"name": "f1", "max": "1"}]),
    ),
    wrong("a semantic version that asks for nothing", "spec.gates.semver", _gates(semver={"tag": "schema"})),
    wrong("a range of words", "spec.gates.semver.range", _gates(semver={"tag": "schema", "range": "newest"})),
    wrong("a range with carets", "spec.gates.semver.range", _gates(semver={"tag": "schema", "range": "^1.2"})),
    wrong("an unknown policy", "spec.gates.signature", _gates(signature="Similar")),
    wrong("a size of nothing", "spec.gates.maxSize", _gates(maxSize="0")),
    wrong("a size in words", "spec.gates.maxSize", _gates(maxSize="500 MB")),
    wrong("a present tag without a name", "spec.gates.tagsPresent[0]", _gates(tagsPresent=[""])),
    wrong("a present tag twice", "spec.gates.tagsPresent[1]", _gates(tagsPresent=["a", "a"])),
)
