"""Whatever a model server's page, an answer of Prometheus or a webhook says: no crash, and nothing unjustified."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.damage import JUNK, bent, broken, fuzzed
from tests.property.test_fuzz_evidence import CONFIG, GUARDS, failed, garbled, reading
from tests.unit.adapters.test_pods_formats import CUSTOM, FORMAT, MLSERVER

from tidegate.adapters.prometheus import _Fault, _read
from tidegate.core.evidence import EvidenceState, observe
from tidegate.core.guards import Verdict
from tidegate.core.judge import JudgeState, judge
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading, Readings
from tidegate.intake.bounds import Answer
from tidegate.intake.webhooks import _model

_PAGES = Path(__file__).parents[1] / "integration" / "prometheus" / "pages"
#: A real page of each model server that is read by itself, and how it is read.
SERVERS: dict[Runtime, tuple[str, MetricsFormat | None]] = {
    Runtime.MLSERVER: (MLSERVER, None),
    Runtime.CUSTOM: (CUSTOM, FORMAT),
    **{
        runtime: ((_PAGES / f"{runtime.value}.txt").read_text(), None)
        for runtime in (Runtime.KSERVE, Runtime.TRITON, Runtime.VLLM)
    },
}
ANSWER: dict[str, Any] = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [{"metric": {"code": "500"}, "value": [1_700_000_000.5, "3"]}, {"metric": {}, "value": [1, "NaN"]}],
    },
}
TOLD: dict[str, Any] = {
    "entity": "model_version_alias",
    "action": "created",
    "timestamp": "2026-01-01T00:00:00Z",
    "data": {"name": "fraud", "alias": "champion", "version": "7"},
}


@pytest.mark.parametrize("runtime", list(SERVERS))
def test_the_pages_are_real_ones(runtime: Runtime) -> None:
    page, metrics = SERVERS[runtime]
    assert isinstance(reading(page, runtime, metrics), Reading)


@pytest.mark.parametrize("runtime", list(SERVERS))
@given(data=st.data())
@fuzzed(15)
def test_a_garbled_page_of_any_server_reverts_nothing_unless_it_says_itself_that_requests_failed(
    runtime: Runtime, data: st.DataObject
) -> None:
    page, metrics = SERVERS[runtime]
    whole, read = reading(page, runtime, metrics), reading(data.draw(garbled(page)), runtime, metrics)
    seen, judged = EvidenceState(untouched=True), JudgeState()
    verdicts = []
    for at, canary in enumerate((whole, read, whole)):
        readings = Readings(at=float(at), canary={"c": canary}, stable={"s": whole})
        seen, look = observe(seen, readings, CONFIG)
        ruling = judge(judged, GUARDS, look, weight=50, at_full=False)
        judged = ruling.state
        verdicts.append(ruling.verdict)
    if isinstance(read, Reading):
        assert all(0 <= count < math.inf for count in read.finished.values())
    if Verdict.BREACH in verdicts:
        assert failed(read) >= 3 or failed(whole) >= 3


@given(st.data())
@fuzzed(60)
def test_an_answer_that_is_none_of_prometheus_is_no_sample(data: st.DataObject) -> None:
    document = data.draw(bent(ANSWER) | broken(ANSWER) | JUNK)
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text)) | st.just(len(text)))
    status = data.draw(st.sampled_from([200, 200, 204, 302, 400, 401, 404, 422, 500, 503]))
    try:
        samples = _read(status, "application/json", text[:cut].encode())
    except _Fault:
        return
    assert status == 200
    for sample in samples:
        assert math.isfinite(sample.at)
        assert isinstance(sample.value, float)


@given(st.data())
@fuzzed(60)
def test_a_webhook_names_a_model_of_its_body_or_is_refused(data: st.DataObject) -> None:
    document = data.draw(bent(TOLD) | broken(TOLD) | JUNK)
    body = data.draw(st.just(json.dumps(document).encode()) | st.binary(max_size=60))
    try:
        name = _model(body)
    except Answer:
        return
    assert json.loads(body)["data"]["name"] == name
