"""Each preset, asked of a real Prometheus that scrapes a page of that software.

Which pages the software produced itself is in `pages/README.md`.
"""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.driver.monitoring import Monitoring
from tests.driver.platform import wait_for

from tidegate.adapters.prometheus import HttpPrometheus
from tidegate.core.evidence import EvidenceConfig, EvidenceState, observe
from tidegate.core.guards import Absolute, Guard, Kind
from tidegate.core.promql import CANARY, PRESETS, STABLE, answered, question
from tidegate.core.readings import Reading, Readings
from tidegate.core.sequential import Count
from tidegate.core.values import Unavailable
from tidegate_runtime.metrics import Metrics

PAGES = Path(__file__).parent / "pages"
REVISIONS = {CANARY: "fraud-v7-bbbbbbbb", STABLE: "fraud-v6-aaaaaaaa"}
PODS = {side: f"{revision}-5d9c7b8f6-x2x4z" for side, revision in REVISIONS.items()}
#: What each page counts of the canary: by code, and how many took longer than the limit (seconds).
EXPECTED: dict[str, tuple[dict[str, int], float, int | None]] = {
    "contour": ({"2xx": 35, "4xx": 6, "5xx": 13}, 0.025, 54),
    "envoyGateway": ({"2xx": 19, "4xx": 3, "5xx": 7}, 0.025, 29),
    "istio": ({"200": 35, "422": 6, "503": 13}, 0.025, 54),
    "traefik": ({"200": 49, "422": 6, "503": 10}, 0.1, 4),
    "tidegate": ({"2xx": 35, "4xx": 6, "5xx": 13}, 0.025, 54),
    "mlserver": ({"200": 30, "500": 4, "422": 6}, 0.005, 7),
    "kserve": ({"": 34}, 0.005, 0),
    "triton": ({"2xx": 46, "5xx": 13}, 1.0, None),
    "vllm": ({"2xx": 35, "4xx": 6, "5xx": 13}, 0.5, 41),
}


def runtime_page() -> str:
    now = [0.0]
    metrics = Metrics(revision="r", version="7", started_at=1.79e9, clock=lambda: now[0])
    for code, number in ((200, 35), (422, 6), (503, 13)):
        tickets = [metrics.start() for _ in range(number)]
        now[0] += 0.05
        for ticket in tickets:
            metrics.finish(ticket, code)
    return metrics.render().decode()


def page(path: str) -> str:
    name = path.strip("/")
    return runtime_page() if name == "tidegate" else (PAGES / f"{name}.txt").read_text()


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = page(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    Thread(target=server.serve_forever, daemon=True).start()
    monitoring = Monitoring(Path(tmp_path_factory.mktemp("prometheus")))
    for name, preset in PRESETS.items():
        pods = [{}] if preset.shared else [{"namespace": "ml", "pod": pod, "instance": pod} for pod in PODS.values()]
        address = f"127.0.0.1:{server.server_port}"
        monitoring.targets(name, [{"targets": [address], "labels": labels} for labels in pods], path=f"/{name}")
    monitoring.start()
    jobs = len(PRESETS) + sum(not preset.shared for preset in PRESETS.values())
    wait_for(lambda: len(monitoring.prometheus.query("up == 1")) == jobs, seconds=30, what="everything is scraped")
    yield monitoring
    monitoring.stop()
    server.shutdown()
    server.server_close()


@pytest.fixture
async def source(monitoring: Monitoring) -> HttpPrometheus:
    return HttpPrometheus(monitoring.prometheus.url)


async def read(source: HttpPrometheus, name: str) -> Readings:
    answer = await source.query(question(PRESETS[name], "ml", "fraud", REVISIONS), timeout=10)
    await source.close()
    assert not isinstance(answer, Unavailable), answer
    return answered(PRESETS[name], answer, at=0.0).readings


@pytest.mark.parametrize("name", PRESETS)
async def test_a_page_of_that_software_is_counted(source: HttpPrometheus, name: str) -> None:
    codes, limit, slow = EXPECTED[name]
    readings = await read(source, name)
    (reading,) = readings.canary.values()
    assert isinstance(reading, Reading), reading
    assert reading.finished == codes
    if slow is not None:
        assert reading.durations is not None
        edge = reading.edge(limit)
        assert edge is not None
        assert edge == pytest.approx(limit, rel=0.1)
        index = reading.durations.edges.index(edge)
        assert reading.durations.merged[-1] - reading.durations.merged[index] == slow
    assert PRESETS[name].top is None or (
        reading.durations is not None and reading.durations.edges[-1] == pytest.approx(PRESETS[name].top)
    )


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.shared])
async def test_a_gateway_tells_both_revisions_apart(source: HttpPrometheus, name: str) -> None:
    readings = await read(source, name)
    (stable,) = readings.stable.values()
    assert isinstance(stable, Reading)
    assert not any(code.startswith("5") for code in stable.finished)
    assert sum(stable.finished.values()) > sum(EXPECTED[name][0].values())
    assert readings.canary.keys() == readings.stable.keys()


@pytest.mark.parametrize("name", PRESETS)
async def test_a_preset_feeds_the_guards_that_it_says(source: HttpPrometheus, name: str) -> None:
    preset, limit = PRESETS[name], EXPECTED[name][1]
    slow = Guard(name="l", kind=Kind.LATENCY, test=Absolute(limit=0.05), percentile=0.95, threshold_seconds=limit)
    config = EvidenceConfig(guards=(slow,), timeout=30.0, lasting=True, shared=preset.shared, faults=preset.faults)
    readings = await read(source, name)
    _, look = observe(EvidenceState(), Readings(at=0.0, canary=readings.canary, stable={}), config)
    if preset.shared:
        # What a gateway has counted before this rollout is not its canary's.
        assert all(pair.canary == Count() for pair in look.counts.values())
        return
    fed = {kind for kind in (Kind.ERROR_RATE, Kind.CLIENT_ERRORS) if kind in preset.feeds}
    expected = bad_of(EXPECTED[name][0], preset.faults)
    assert {kind: look.counts[kind.value].canary.bad for kind in fed} == {kind: expected[kind] for kind in fed}
    assert (slow.metric in look.counts) == (Kind.LATENCY in preset.feeds)


def bad_of(codes: dict[str, int], faults: frozenset[str]) -> dict[Kind, int]:
    failed = sum(number for code, number in codes.items() if code.startswith("5") or code in faults)
    refused = sum(number for code, number in codes.items() if code.startswith("4") and code not in faults)
    return {Kind.ERROR_RATE: failed, Kind.CLIENT_ERRORS: refused}


async def test_revisions_that_nobody_counts_are_no_data(source: HttpPrometheus) -> None:
    for name, preset in PRESETS.items():
        answer = await source.query(question(preset, "elsewhere", "fraud", {CANARY: "x", STABLE: "y"}), timeout=10)
        assert answer == (), name
    await source.close()
