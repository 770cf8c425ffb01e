"""SIGTERM: nobody's request fails, readiness goes first, and the process ends in time with 0."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.integration.runtime.modeldirs import save_script
from tests.integration.runtime.processes import REVISION, ModelServer, model_server, until
from tests.unit.runtime.scrape import Scrape

AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.fixture(scope="module")
def gated_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_script("gated", tmp_path_factory.mktemp("models") / "gated", example=0)


@pytest.fixture
def gated(gated_dir: Path, tmp_path: Path) -> Iterator[ModelServer]:
    overrides = {"TEST_GATE": str(tmp_path / "gate")}
    with model_server(tmp_path, gated_dir, overrides=overrides) as server:
        yield server.wait_ready()


def in_flight(server: ModelServer) -> float:
    return Scrape(server.get("/metrics").content).ages()[-1]


class Gateway:
    """Clients over kept connections that go on until they see that the server isn't ready, as a gateway does."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.outcomes: Counter[str] = Counter()
        self.away = threading.Event()

    def send(self) -> None:
        with httpx.Client() as client:
            while not self.away.is_set():
                try:
                    reply = self.server.predict(20, client=client)
                except httpx.HTTPError as error:
                    self.outcomes[repr(error)] += 1
                else:
                    self.outcomes[str(reply.status_code)] += 1

    def probe(self) -> None:
        until(lambda: not self.server.ready())
        self.away.set()


def test_under_load_no_request_fails_and_it_ends_in_time(gated: ModelServer) -> None:
    gateway = Gateway(gated)
    with ThreadPoolExecutor(9) as clients:
        for _ in range(8):
            clients.submit(gateway.send)
        until(lambda: gateway.outcomes["200"] > 50)
        clients.submit(gateway.probe)
        began = time.monotonic()
        gated.terminate()
        ended = gated.ended()
    assert set(gateway.outcomes) == {"200"}
    assert ended.code == 0
    assert time.monotonic() - began < 20


def test_what_is_in_flight_is_finished_while_readiness_is_gone_at_once(gated: ModelServer, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as clients:
        waiting = clients.submit(gated.predict, -1)
        until(lambda: in_flight(gated) == 1)
        gated.terminate()
        until(lambda: gated.get("/ready").json() == {"ready": False, "reason": "Draining"})
        late = gated.predict(1)
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        (tmp_path / "gate").touch()
        assert waiting.result().status_code == 200
    assert gated.ended().code == 0


def test_a_model_that_hangs_for_good_does_not_outlive_the_drain(gated_dir: Path, tmp_path: Path) -> None:
    overrides = {"TEST_GATE": str(tmp_path / "never"), "TIDEGATE_DRAIN_SECONDS": "4"}
    with model_server(tmp_path, gated_dir, overrides=overrides) as server, ThreadPoolExecutor(1) as clients:
        server.wait_ready()
        waiting = clients.submit(server.predict, -1)
        until(lambda: in_flight(server) == 1)
        began = time.monotonic()
        server.terminate()
        assert server.ended().code == 0
        assert time.monotonic() - began < 4
        told = waiting.result()
        assert (told.status_code, told.headers["x-tidegate-revision"]) == (503, REVISION)


def test_an_idle_server_ends_soon(gated: ModelServer) -> None:
    began = time.monotonic()
    gated.terminate()
    assert gated.ended().code == 0
    assert time.monotonic() - began < 5


def test_sigterm_while_loading_ends_it_with_0(gated_dir: Path, tmp_path: Path) -> None:
    with model_server(tmp_path, gated_dir, overrides={"TEST_LOAD_GATE": str(tmp_path / "never")}) as server:
        assert not server.ready()
        server.terminate()
        ended = server.ended()
    assert ended.code == 0
    assert ended.message == {}


def test_as_pid_1_it_heeds_sigterm_all_the_same(gated_dir: Path, tmp_path: Path) -> None:
    with model_server(tmp_path, gated_dir, wrapper=AS_PID_1) as server:
        server.wait_ready()
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        server.pid = int(children[0])
        assert "NSpid:\t" + children[0] + "\t1\n" in Path(f"/proc/{children[0]}/status").read_text()
        server.terminate()
        assert server.ended().code == 0
