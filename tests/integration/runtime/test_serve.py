"""The model server as a process: when it is ready, what it counts, and how it gives up."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from tests.integration.runtime.modeldirs import copied, save_script, save_wine, wine_rows
from tests.integration.runtime.processes import REVISION, ModelServer, model_server, until
from tests.unit.runtime.scrape import Scrape

from tidegate.adapters.model_file import parsed

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wine(tmp_path_factory.mktemp("models") / "wine")


@pytest.fixture(scope="module")
def gated_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_script("gated", tmp_path_factory.mktemp("models") / "gated", example=0)


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[ModelServer]:
    with model_server(tmp_path, save_script("fragile", tmp_path / "m", example=1)) as server:
        yield server.wait_ready()


def scrape(server: ModelServer) -> Scrape:
    return Scrape(server.get("/metrics").content)


def counts(server: ModelServer) -> dict[str, float]:
    found = scrape(server)
    name = "tidegate_runtime_request_duration_seconds_count"
    finished = {code: found.value(name, code=code) for code in ("2xx", "4xx", "5xx")}
    return {"started": found.value("tidegate_runtime_requests_started_total"), **finished}


def test_a_real_classifier_answers_as_mlflow_does(wine_dir: Path, tmp_path: Path) -> None:
    with model_server(tmp_path, wine_dir) as server:
        server.wait_ready()
        saved = parsed(yaml.safe_load((wine_dir / "MLmodel").read_text())).example
        assert saved is not None
        body = (wine_dir / saved).read_bytes()
        reply = httpx.post(f"{server.url}/invocations", content=body, headers={"content-type": "application/json"})
        assert (reply.status_code, reply.json()) == (200, {"predictions": [0, 0, 0]})
        assert reply.headers["x-tidegate-revision"] == REVISION
        assert scrape(server).value("tidegate_runtime_info", revision=REVISION, version="7") == 1
        assert scrape(server).value("tidegate_runtime_prediction_count") == len(wine_rows(3))


def test_it_listens_and_lives_before_the_model_is_loaded(gated_dir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with model_server(tmp_path, gated_dir, overrides={"TEST_LOAD_GATE": str(gate)}) as server:
        assert server.get("/livez").status_code == 200
        assert server.get("/ping").status_code == 200
        assert server.get("/ready").json() == {"ready": False, "reason": "Loading"}
        assert server.get("/metrics").status_code == 200
        assert server.predict(1).status_code == 503
        gate.touch()
        server.wait_ready()
        assert server.predict(1).status_code == 200


def test_it_is_not_ready_before_its_input_example_is_answered(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    model = save_script("gated", tmp_path / "m", example=-1)
    with model_server(tmp_path, model, overrides={"TEST_GATE": str(gate)}) as server:
        until(lambda: server.get("/ready").json()["reason"] == "WarmingUp", why=server.log)
        assert server.get("/ready").status_code == 503
        gate.touch()
        server.wait_ready()
        assert counts(server)["started"] == 0


def test_faults_of_model_and_input_are_counted_apart_and_every_answer_names_the_revision(fragile: ModelServer) -> None:
    replies = [fragile.predict(x) for x in (1, 2, -1, -2, -3)]
    replies.append(fragile.get("/nowhere"))
    replies.append(httpx.post(f"{fragile.url}/invocations", json={"inputs": {"y": [1]}}))
    assert [reply.status_code for reply in replies] == [200, 200, 500, 500, 500, 404, 400]
    assert {reply.headers["x-tidegate-revision"] for reply in replies} == {REVISION}
    assert counts(fragile) == {"started": 6, "2xx": 2, "4xx": 1, "5xx": 3}


def test_a_hanging_model_leaves_probes_and_metrics_answering_and_shows_its_age(gated_dir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    overrides = {"TEST_GATE": str(gate), "TIDEGATE_THREADS": "2"}
    with model_server(tmp_path, gated_dir, overrides=overrides) as server, ThreadPoolExecutor(3) as clients:
        server.wait_ready()
        hanging = [clients.submit(server.predict, -1) for _ in range(3)]
        until(lambda: scrape(server).ages()[-1] == 3)
        assert server.ready()
        # Old enough that none is below the first edge any more: they age although nothing moves.
        until(lambda: scrape(server).ages()[0] == 0)
        assert counts(server) == {"started": 3, "2xx": 0, "4xx": 0, "5xx": 0}
        gate.touch()
        assert [reply.result().status_code for reply in hanging] == [200, 200, 200]
        assert counts(server) == {"started": 3, "2xx": 3, "4xx": 0, "5xx": 0}


def test_a_client_that_hangs_up_counts_by_what_it_would_have_got(gated_dir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with model_server(tmp_path, gated_dir, overrides={"TEST_GATE": str(gate)}) as server:
        server.wait_ready()
        body = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[-1]]}})
        head = f"POST /invocations HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as client:
            client.sendall(f"{head}\r\n\r\n{body}".encode())
            until(lambda: scrape(server).ages()[-1] == 1)
        assert counts(server) == {"started": 1, "2xx": 0, "4xx": 0, "5xx": 0}
        gate.touch()
        until(lambda: counts(server) == {"started": 1, "2xx": 1, "4xx": 0, "5xx": 0})


def test_every_scrape_adds_up_under_load(fragile: ModelServer) -> None:
    done = threading.Event()

    def load(x: int) -> None:
        while not done.is_set():
            fragile.predict(x)

    with ThreadPoolExecutor(4) as clients:
        for x in (1, 2, -1, -2):
            clients.submit(load, x)
        try:
            scrapes = [scrape(fragile) for _ in range(15)]
        finally:
            done.set()
    for found in scrapes:
        assert found.value("tidegate_runtime_requests_started_total") == found.finished() + found.ages()[-1]
    assert scrapes[-1].finished() > scrapes[0].finished()


def test_a_corrupt_artifact_ends_the_process_with_reason_and_last_line(wine_dir: Path, tmp_path: Path) -> None:
    broken = copied(wine_dir, tmp_path / "m")
    (broken / "model.skops").write_bytes(b"not a model")
    with model_server(tmp_path, broken) as server:
        ended = server.ended()
    assert ended.code == 1
    assert ended.message["error"] == "LoadFailed"
    assert ended.message["message"].endswith("File is not a zip file")


def test_a_missing_artifact_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    with model_server(tmp_path, tmp_path / "nothing") as server:
        ended = server.ended()
    assert (ended.code, ended.message["error"]) == (1, "LoadFailed")
    assert "no MLmodel file" in ended.message["message"]


def test_a_loader_that_exits_0_does_not_end_the_process_with_0(tmp_path: Path) -> None:
    with model_server(tmp_path, save_script("unloadable", tmp_path / "m")) as server:
        ended = server.ended()
    assert (ended.code, ended.message["error"]) == (1, "LoadFailed")


def test_a_model_that_fails_on_its_own_example_ends_the_process(tmp_path: Path) -> None:
    with model_server(tmp_path, save_script("fragile", tmp_path / "m", example=-1)) as server:
        ended = server.ended()
    assert (ended.code, ended.message["error"]) == (1, "WarmUpFailed")
    assert "negative amounts are not supported" in ended.message["message"]


def test_a_wrong_setting_ends_the_process_with_the_variables_name(wine_dir: Path, tmp_path: Path) -> None:
    with model_server(tmp_path, wine_dir, overrides={"TIDEGATE_MODEL_VERSION": "champion"}) as server:
        ended = server.ended()
    assert (ended.code, ended.message["error"]) == (1, "ConfigurationInvalid")
    assert "TIDEGATE_MODEL_VERSION" in ended.message["message"]


def test_a_port_that_is_taken_ends_the_process_with_its_number(wine_dir: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with model_server(tmp_path, wine_dir, overrides={"TIDEGATE_PORT": port}) as server:
            ended = server.ended()
    assert (ended.code, ended.message["error"]) == (1, "ListenFailed")
    assert f"port {port}" in ended.message["message"]


def test_it_runs_on_a_read_only_root_without_a_home(wine_dir: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = f'mount -o remount,bind,ro / && mount -t tmpfs tmpfs {scratch} && ! touch {tmp_path}/x && exec "$@"'
    wrapper = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
    overrides = {"HOME": "/nonexistent", "TMPDIR": str(scratch), "TIDEGATE_TERMINATION_LOG": str(scratch / "log")}
    with model_server(tmp_path, wine_dir, overrides=overrides, wrapper=wrapper) as server:
        server.wait_ready()
        server.terminate()
        assert server.ended().code == 0
