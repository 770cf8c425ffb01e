"""A real Envoy, a real Prometheus that scrapes it, and the watch: the gateway's word alone decides, or nobody does."""

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import aiohttp
import pytest
from tests.cluster import build
from tests.cluster.progress import Progress
from tests.driver.monitoring import Monitoring
from tests.driver.platform import wait_for
from tests.fakes.evidence import FakeEvidence
from tests.fixtures.mlflow import free_port
from tests.fixtures.until import until

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.prometheus import HttpPrometheus
from tidegate.core.guards import Absolute, Guard, Kind
from tidegate.core.observed import Judgement
from tidegate.core.plan import Runtime
from tidegate.core.queries import QueryGuard
from tidegate.core.values import Unavailable
from tidegate.loop.evidence import EvidenceWatch, Side, Spec

KEY = "ml/fraud"
CANARY, STABLE = "fraud-v7-bbbbbbbb", "fraud-v6-aaaaaaaa"
ERRORS = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01), min_requests=50)
SHARE = QueryGuard(
    name="failed",
    promql='sum(increase(envoy_cluster_upstream_rq_xx{envoy_cluster_name="${namespace}_${revision}_80",'
    'envoy_response_code_class="5"}[${window}])) or vector(0)',
    most=1e6,
)
_CONNECTION_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    failing: ClassVar[set[int]] = set()

    def do_GET(self) -> None:
        self.send_response(500 if self.server.server_port in self.failing else 200)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def configuration(listen: int, admin: int, backends: dict[str, int]) -> dict[str, Any]:
    """One route that splits, and clusters named as Contour names them."""

    def at(port: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    weights = {CANARY: 25, STABLE: 75}
    split = {"weighted_clusters": {"clusters": [{"name": name, "weight": weights[name]} for name in backends]}}
    manager = typed(
        _CONNECTION_MANAGER,
        stat_prefix="http",
        http_filters=[{"name": "router", "typed_config": typed(_ROUTER)}],
        route_config={
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": split}]}]
        },
    )
    clusters = [
        {
            "name": name,
            "alt_stat_name": f"ml_{name}_80",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(port)}}]}],
            },
        }
        for name, port in backends.items()
    ]
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "http", "address": at(listen), "filter_chains": [chain]}
    return {"admin": {"address": at(admin)}, "static_resources": {"listeners": [listener], "clusters": clusters}}


class Gateway:
    """The processes, and traffic through them."""

    def __init__(self, directory: Path) -> None:
        self._servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), Backend) for name in (STABLE, CANARY)}
        for server in self._servers.values():
            Thread(target=server.serve_forever, daemon=True).start()
        self._listen, admin = free_port(), free_port()
        config = configuration(self._listen, admin, {name: s.server_port for name, s in self._servers.items()})
        (directory / "envoy.json").write_text(json.dumps(config))
        options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
        self._envoy = subprocess.Popen([str(build.envoy(Progress())), "-c", f"{directory}/envoy.json", *options])
        self.monitoring = Monitoring(directory)
        self.monitoring.scrape("envoy", [f"127.0.0.1:{admin}"], path="/stats/prometheus")
        self.monitoring.start()
        wait_for(lambda: self.monitoring.prometheus.query("up == 1"), seconds=30, what="Envoy is scraped")
        wait_for(self._listens, seconds=30, what="Envoy listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._listen)) == 0

    def fail(self, *names: str) -> None:
        Backend.failing = {self._servers[name].server_port for name in names}

    async def send(self, number: int) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(number):
                async with session.get(f"http://127.0.0.1:{self._listen}/") as answer:
                    await answer.read()

    def close(self) -> None:
        self.monitoring.stop()
        self._envoy.kill()
        self._envoy.wait()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(Path(tmp_path_factory.mktemp("gateway")))
    yield made
    made.close()


class Watched:
    """The watch over one rollout; its pods can't be read by anybody."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.breaches: list[str] = []
        self.clock = SteadyClock()
        self.prometheus = HttpPrometheus(gateway.monitoring.prometheus.url)
        self.watch = EvidenceWatch(
            FakeEvidence(), self.prometheus, self.clock, on_breach=self.breaches.append, on_look=str
        )

    def start(self, attempt: int) -> None:
        def side(revision: str) -> Side:
            return Side(revision=revision, runtime=Runtime.TIDEGATE, targets=list)

        spec = Spec(
            canary=side(CANARY),
            stable=side(STABLE),
            attempt=attempt,
            weight=25,
            guards=(ERRORS,),
            timeout=30.0,
            interval=0.25,
            namespace="ml",
            name="fraud",
            sources=("contour",),
            queries=(SHARE,),
            since=self.clock.now() - 60,
        )
        self.watch.ensure(KEY, spec)

    async def read(self) -> None:
        await until(lambda: not self.missing)

    async def traffic_until(self, holds: Any) -> None:
        try:
            async with asyncio.timeout(30):
                while not holds():
                    await self.gateway.send(40)
        except TimeoutError:
            raise AssertionError(f"not within 30 s: {self.judged}") from None

    @property
    def judged(self) -> Judgement | Unavailable:
        return self.watch.judgement(KEY)

    @property
    def missing(self) -> str:
        return (self.judged.message if isinstance(self.judged, Unavailable) else self.judged.missing) or ""

    @property
    def healthy(self) -> bool:
        return isinstance(self.judged, Judgement) and self.judged.healthy


@pytest.fixture
async def watched(gateway: Gateway) -> AsyncIterator[Watched]:
    gateway.fail()
    subject = Watched(gateway)
    yield subject
    await subject.watch.close()
    await subject.prometheus.close()


async def test_what_envoy_counted_speaks_for_a_canary_and_its_errors_revert_it(watched: Watched) -> None:
    await watched.gateway.send(20)
    watched.start(attempt=1)
    await watched.traffic_until(lambda: watched.healthy)
    assert watched.breaches == []
    watched.gateway.fail(CANARY)
    await watched.traffic_until(lambda: bool(watched.breaches))
    assert isinstance(watched.judged, Judgement)
    assert watched.judged.breach is not None
    message = watched.judged.breach.message
    assert message.startswith("contour: ")
    assert message.endswith("over the limit of 1%")


async def test_what_envoy_counted_of_an_earlier_attempt_is_nothing_to_the_next(watched: Watched) -> None:
    watched.gateway.fail(CANARY)
    await watched.gateway.send(200)
    watched.gateway.fail()
    await watched.gateway.send(1)
    found = watched.gateway.monitoring.prometheus
    counted = f'envoy_cluster_upstream_rq_xx{{envoy_cluster_name="ml_{CANARY}_80",envoy_response_code_class="5"}} > 30'
    await asyncio.to_thread(wait_for, lambda: found.query(counted), seconds=20, what="the failures are scraped")
    watched.start(attempt=2)
    await watched.traffic_until(lambda: watched.healthy)
    assert watched.breaches == []


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_prometheus_that_is_gone_holds_is_said_and_is_taken_up_again(watched: Watched, how: str) -> None:
    server = watched.gateway.monitoring.prometheus
    watched.start(attempt=3)
    await watched.traffic_until(lambda: watched.healthy)
    if how == "killed":
        server.kill()
    else:
        server.send(signal.SIGSTOP)
    await until(lambda: "contour: " in watched.missing)
    assert not watched.healthy
    watched.gateway.fail(CANARY)
    await watched.gateway.send(60)
    assert watched.breaches == []
    if how == "killed":
        await asyncio.to_thread(server.start)
    else:
        server.send(signal.SIGCONT)
    await watched.traffic_until(lambda: bool(watched.breaches))
