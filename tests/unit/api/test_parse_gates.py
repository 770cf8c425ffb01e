"""From `spec.gates` to what the machine asks a pod."""

from typing import Any

import pytest
from tests.unit.api.case import LEAST, merge

from tidegate.api.parse import parse
from tidegate.core.gates import Gates, SmokeGate, ThroughputGate

TEMPLATE = {"spec": {"containers": [{"name": "model", "image": "registry.example.com/server:1"}]}}


def _gates(runtime: str = "tidegate", **gates: Any) -> Gates:
    serving = {"runtime": runtime, **({"template": TEMPLATE} if runtime == "triton" else {})}
    spec = {"serving": serving, "gates": gates}
    return parse(merge(LEAST, {"metadata": {"uid": "u", "generation": 1}, "spec": spec})).gates


def test_requests_have_their_documented_defaults() -> None:
    gates = _gates(smoke={}, throughput={"min": 50})
    assert gates.smoke == SmokeGate(limit=2.0, malformed=True)
    assert gates.throughput == ThroughputGate(least=50, seconds=5.0, concurrency=4)
    assert (gates.path, gates.body, gates.wants.example) == ("/invocations", None, True)
    assert _gates(smoke={"malformed": False}).smoke == SmokeGate(limit=2.0, malformed=False)


def test_a_request_of_ones_own_is_sent_as_it_was_written() -> None:
    gates = _gates(smoke={}, request={"path": "/predict", "body": {"b": [1, 2.5, None], "a": "ü"}})
    assert (gates.path, gates.body) == ("/predict", '{"b": [1, 2.5, null], "a": "\\u00fc"}')
    assert not gates.wants.example
    assert _gates(smoke={}, request={"path": "/predict"}).wants.example


@pytest.mark.parametrize(
    ("request_", "asked"),
    [(None, False), ({"path": "/invocations"}, False), ({"path": "/v2/models/m/infer", "body": {"inputs": []}}, True)],
)
def test_mlserver_is_asked_for_a_4xx_only_where_it_gives_one(request_: Any, asked: bool) -> None:
    gates = _gates("mlserver", smoke={}, **({} if request_ is None else {"request": request_}))
    assert gates.smoke == SmokeGate(limit=2.0, malformed=asked)


@pytest.mark.parametrize(("said", "asked"), [({}, False), ({"malformed": True}, True)])
def test_triton_is_asked_for_a_4xx_only_by_who_says_so(said: Any, asked: bool) -> None:
    gates = _gates("triton", smoke=said, request={"path": "/v2/models/m/infer", "body": {"inputs": []}})
    assert gates.smoke == SmokeGate(limit=2.0, malformed=asked)
