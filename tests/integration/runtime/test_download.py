"""The init container against a real MLflow server: what it brings, and how each failure is named."""

import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from mlflow import MlflowClient
from tests.fixtures.mlflow import mlflow_server
from tests.integration.runtime.modeldirs import copied, save_wine
from tests.integration.runtime.processes import Ended, model_server, run_download

from tidegate_runtime.digest import digest_tree
from tidegate_runtime.download import download
from tidegate_runtime.faults import ArtifactMissing, DownloadFault, RegistryUnauthorized, RegistryUnreachable
from tidegate_runtime.settings import DownloadSettings

pytestmark = pytest.mark.long

NAME = "fraud detector, größe"
STORE = "/api/2.0/mlflow-artifacts/artifacts"
IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A real registry with one model, and the directory behind its artifact proxy."""

    url: str
    artifacts: Path
    source: Path
    client: MlflowClient

    def register(self, model: Path, name: str = NAME) -> str:
        """Log and register a model directory; return the version's number."""
        run = self.client.create_run("0")
        self.client.log_artifacts(run.info.run_id, str(model), "model")
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        source = f"{run.info.artifact_uri}/model"
        return str(self.client.create_model_version(name, source, run.info.run_id).version)

    def files(self, version: str) -> Path:
        """The version's files where the server keeps them."""
        run_id = self.client.get_model_version(NAME, version).run_id
        return next(self.artifacts.glob(f"**/{run_id}/artifacts/model"))

    def environment(self, version: str, models: Path) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": self.url,
            "TIDEGATE_MODEL_NAME": NAME,
            "TIDEGATE_MODEL_VERSION": version,
            "TIDEGATE_MODEL_DIR": str(models / "model"),
        }


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    directory = tmp_path_factory.mktemp("mlflow")
    source = save_wine(tmp_path_factory.mktemp("models") / "wine")
    with mlflow_server(directory) as server:
        yield Registry(
            url=server.url,
            artifacts=directory / "artifacts",
            source=source,
            client=MlflowClient(tracking_uri=server.url),
        )


@pytest.fixture
def version(registry: Registry) -> str:
    return registry.register(registry.source)


class StubRegistry(BaseHTTPRequestHandler):
    """Answers every path that it was not told about with one status and text, and remembers who asked."""

    status: ClassVar[int]
    text: ClassVar[str]
    answers: ClassVar[dict[str, str]]
    asked: ClassVar[list[tuple[str, str | None]]]
    withheld: ClassVar[int] = 0

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append((path, self.headers["authorization"]))
        body = self.answers.get(path, self.text).encode()
        self.send_response(200 if path in self.answers else self.status)
        self.send_header("content-length", str(len(body) + self.withheld * self.path.endswith("/MLmodel")))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing on stderr."""


class Stub:
    """A registry whose answers a test chooses, for states that a real one can't be brought into."""

    def __init__(self, handler: type[StubRegistry], url: str) -> None:
        self.handler = handler
        self.url = url

    def environment(self, models: Path) -> dict[str, str]:
        return IMPATIENT | {
            "MLFLOW_TRACKING_URI": self.url,
            "TIDEGATE_MODEL_NAME": NAME,
            "TIDEGATE_MODEL_VERSION": "1",
            "TIDEGATE_MODEL_DIR": str(models / "model"),
        }

    def fault(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> DownloadFault:
        """Download in this process, which is much faster, and return how it failed."""
        environment = self.environment(models)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(DownloadFault) as caught:
            download(DownloadSettings.from_environment(environment))
        return caught.value


@pytest.fixture
def stub() -> Iterator[Stub]:
    handler = type("Handler", (StubRegistry,), {"status": 500, "text": "", "answers": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Stub(handler, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


def located(stub: Stub, location: str) -> None:
    """Have the stub's registry say that the version's files are at `location`."""
    stub.handler.answers = {
        "/api/2.0/mlflow/registered-models/get": json.dumps({"registered_model": {"name": NAME}}),
        "/api/2.0/mlflow/model-versions/get-download-uri": json.dumps({"artifact_uri": location}),
    }


def assert_failed(ended: Ended, reason: str, models: Path) -> str:
    assert ended.code == 1, ended.log
    assert ended.message["error"] == reason, ended.log
    assert not (models / "model").exists()
    assert [path.name for path in models.glob(".*")] == []
    return str(ended.message["message"])


def test_it_brings_the_version_and_tells_digest_and_bytes(registry: Registry, version: str, tmp_path: Path) -> None:
    ended = run_download(tmp_path, registry.environment(version, tmp_path))
    assert ended.code == 0, ended.log
    digest = digest_tree(registry.source)
    assert ended.message == {"digest": digest.value, "bytes": digest.size}
    assert digest_tree(tmp_path / "model") == digest


def test_what_it_brought_is_served(registry: Registry, version: str, tmp_path: Path) -> None:
    run_download(tmp_path, registry.environment(version, tmp_path))
    with model_server(tmp_path, tmp_path / "model") as server:
        server.wait_ready()


def test_a_model_logged_the_way_of_mlflow_3_is_brought_too(registry: Registry, tmp_path: Path) -> None:
    logged = registry.client.create_logged_model("0", name="wine")
    registry.client.log_model_artifacts(logged.model_id, str(registry.source))
    registry.client.finalize_logged_model(logged.model_id, "READY")
    registry.register(registry.source)
    version = registry.client.create_model_version(NAME, f"models:/{logged.model_id}", model_id=logged.model_id).version
    ended = run_download(tmp_path, registry.environment(str(version), tmp_path))
    assert ended.code == 0, ended.log
    assert digest_tree(tmp_path / "model") == digest_tree(registry.source)


def test_a_restart_keeps_what_is_there_without_asking_the_registry(
    registry: Registry, version: str, tmp_path: Path
) -> None:
    first = run_download(tmp_path, registry.environment(version, tmp_path))
    unreachable = registry.environment(version, tmp_path) | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    second = run_download(tmp_path, unreachable)
    assert (second.code, second.message) == (0, first.message)


def test_a_restart_after_an_interrupted_download_replaces_it(registry: Registry, version: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("half")
    (tmp_path / ".model.partial-killed").mkdir()
    ended = run_download(tmp_path, registry.environment(version, tmp_path))
    assert ended.code == 0, ended.log
    assert digest_tree(tmp_path / "model") == digest_tree(registry.source)
    assert not (tmp_path / ".model.partial-killed").exists()


def test_the_recorded_digest_is_held_to(registry: Registry, version: str, tmp_path: Path) -> None:
    recorded = {"TIDEGATE_MODEL_DIGEST": digest_tree(registry.source).value}
    assert run_download(tmp_path, registry.environment(version, tmp_path) | recorded).code == 0


def test_an_artifact_changed_in_place_is_a_mismatch(registry: Registry, version: str, tmp_path: Path) -> None:
    (registry.files(version) / "model.skops").write_bytes(b"something else")
    recorded = {"TIDEGATE_MODEL_DIGEST": digest_tree(registry.source).value}
    ended = run_download(tmp_path, registry.environment(version, tmp_path) | recorded)
    assert "register a new version" in assert_failed(ended, "DigestMismatch", tmp_path)


def test_a_leftover_that_is_not_the_recorded_one_is_a_mismatch(
    registry: Registry, version: str, tmp_path: Path
) -> None:
    environment = registry.environment(version, tmp_path)
    run_download(tmp_path, environment)
    ended = run_download(tmp_path, environment | {"TIDEGATE_MODEL_DIGEST": f"sha256:{'0' * 64}"})
    assert (ended.code, ended.message["error"]) == (1, "DigestMismatch")


def test_a_version_that_is_not_there_is_named(registry: Registry, version: str, tmp_path: Path) -> None:
    ended = run_download(tmp_path, registry.environment("4711", tmp_path))
    assert "4711" in assert_failed(ended, "ModelVersionNotFound", tmp_path)


def test_a_model_that_is_not_there_is_named(registry: Registry, tmp_path: Path) -> None:
    environment = registry.environment("1", tmp_path) | {"TIDEGATE_MODEL_NAME": "nobody"}
    assert "nobody" in assert_failed(run_download(tmp_path, environment), "ModelVersionNotFound", tmp_path)


def test_a_ready_version_whose_files_are_gone_is_missing(registry: Registry, version: str, tmp_path: Path) -> None:
    shutil.rmtree(registry.files(version))
    assert registry.client.get_model_version(NAME, version).status == "READY"
    assert_failed(run_download(tmp_path, registry.environment(version, tmp_path)), "ArtifactMissing", tmp_path)


def test_a_version_without_mlmodel_is_missing(registry: Registry, version: str, tmp_path: Path) -> None:
    (registry.files(version) / "MLmodel").unlink()
    ended = run_download(tmp_path, registry.environment(version, tmp_path))
    assert "no MLmodel file" in assert_failed(ended, "ArtifactMissing", tmp_path)


def test_a_logged_model_that_was_deleted_is_a_missing_artifact(registry: Registry, tmp_path: Path) -> None:
    logged = registry.client.create_logged_model("0", name="wine")
    registry.register(registry.source)
    version = registry.client.create_model_version(NAME, f"models:/{logged.model_id}", model_id=logged.model_id).version
    registry.client.delete_logged_model(logged.model_id)
    environment = registry.environment(str(version), tmp_path)
    assert_failed(run_download(tmp_path, environment), "ArtifactMissing", tmp_path)


@pytest.mark.parametrize(
    ("mlmodel", "said"),
    [("flavors: [", "no YAML"), ("flavors: {spark: {}}", "no python_function flavor")],
)
def test_a_directory_that_mlflow_could_not_serve_is_corrupt(
    registry: Registry, tmp_path: Path, mlmodel: str, said: str
) -> None:
    broken = copied(registry.source, tmp_path / "source")
    (broken / "MLmodel").write_text(mlmodel)
    models = tmp_path / "models"
    ended = run_download(tmp_path, registry.environment(registry.register(broken), models))
    assert said in assert_failed(ended, "ArtifactCorrupt", models)


def test_a_version_that_is_a_single_file_is_corrupt(registry: Registry, version: str, tmp_path: Path) -> None:
    whole = registry.client.get_model_version(NAME, version)
    single = registry.client.create_model_version(NAME, f"{whole.source}/MLmodel", whole.run_id).version
    ended = run_download(tmp_path, registry.environment(str(single), tmp_path))
    assert "a single file" in assert_failed(ended, "ArtifactCorrupt", tmp_path)


def test_a_file_that_mlmodel_names_and_is_gone_is_corrupt(registry: Registry, version: str, tmp_path: Path) -> None:
    (registry.files(version) / "model.skops").unlink()
    ended = run_download(tmp_path, registry.environment(version, tmp_path))
    assert "model.skops" in assert_failed(ended, "ArtifactCorrupt", tmp_path)


def test_a_registry_that_is_down_is_unreachable_and_no_password_gets_out(registry: Registry, tmp_path: Path) -> None:
    address = "http://bob:hunter22@127.0.0.1:1"
    ended = run_download(tmp_path, registry.environment("1", tmp_path) | {"MLFLOW_TRACKING_URI": address} | IMPATIENT)
    assert "hunter22" not in json.dumps(ended.message) + ended.log
    assert_failed(ended, "RegistryUnreachable", tmp_path)


def test_a_registry_that_accepts_and_never_answers_is_unreachable_in_bounded_time(
    registry: Registry, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = registry.environment("1", tmp_path) | {"MLFLOW_TRACKING_URI": address} | IMPATIENT
        ended = run_download(tmp_path, environment, patience=30)
    assert_failed(ended, "RegistryUnreachable", tmp_path)


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        ((401, "You are not authenticated."), RegistryUnauthorized, "not authenticated"),
        ((403, '{"error_code": "PERMISSION_DENIED", "message": "no READ"}'), RegistryUnauthorized, "no READ"),
        ((403, "Invalid Host header - possible DNS rebinding attack"), RegistryUnauthorized, "--allowed-hosts"),
        ((404, "<html>not found</html>"), RegistryUnreachable, "404"),
        ((503, "database is down"), RegistryUnreachable, "503"),
        ((200, "<html>a login page</html>"), RegistryUnreachable, "login page"),
    ],
    ids=["401", "403", "403 for the host name", "404 of something else", "503", "a page instead of JSON"],
)
def test_what_the_registry_answers_is_told_apart(
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: tuple[int, str],
    reason: type[DownloadFault],
    said: str,
) -> None:
    stub.handler.status, stub.handler.text = answer
    fault = stub.fault(tmp_path, monkeypatch)
    assert type(fault) is reason
    assert said in str(fault)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, RegistryUnauthorized), (403, RegistryUnauthorized), (404, ArtifactMissing), (500, RegistryUnreachable)],
)
@pytest.mark.parametrize("listed", [True, False], ids=["a file's download", "the listing"])
def test_what_the_artifact_store_answers_is_told_apart(
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: int,
    reason: type[DownloadFault],
    listed: bool,
) -> None:
    stub.handler.status = status
    located(stub, f"{stub.url}{STORE}/1/model")
    if listed:
        listing = {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 3}]}
        stub.handler.answers[STORE] = json.dumps(listing)
    fault = stub.fault(tmp_path, monkeypatch)
    assert type(fault) is reason
    assert stub.handler.asked[-1][0].startswith(STORE)


def test_a_file_that_ends_early_is_no_download(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    located(stub, f"{stub.url}{STORE}/1/model")
    stub.handler.answers[STORE] = json.dumps({"files": [{"path": "MLmodel", "is_dir": False, "file_size": 99}]})
    stub.handler.answers[f"{STORE}/1/model/MLmodel"] = "flavors:"
    stub.handler.withheld = 91
    assert type(stub.fault(tmp_path, monkeypatch)) is RegistryUnreachable
    assert list(tmp_path.iterdir()) == []


def test_a_listing_that_is_no_json_is_not_an_artifact_store(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located(stub, f"{stub.url}{STORE}/1/model")
    stub.handler.answers[STORE] = "<html>a login page</html>"
    assert type(stub.fault(tmp_path, monkeypatch)) is RegistryUnreachable


def test_files_on_the_servers_own_disk_are_missing_here(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located(stub, f"file://{tmp_path}/elsewhere/model")
    fault = stub.fault(tmp_path / "models", monkeypatch)
    assert type(fault) is ArtifactMissing
    assert "elsewhere" in str(fault)


def test_a_store_whose_client_is_not_in_the_image_is_named(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located(stub, "s3://bucket/model")
    monkeypatch.setitem(sys.modules, "botocore", None)
    fault = stub.fault(tmp_path, monkeypatch)
    assert type(fault) is ArtifactMissing
    assert "needs the Python module botocore" in str(fault)


def test_the_environments_token_is_sent_and_gets_out_nowhere(stub: Stub, tmp_path: Path) -> None:
    stub.handler.status = 401
    stub.handler.text = "tok3n-value is not a token that this server knows"
    ended = run_download(tmp_path, stub.environment(tmp_path) | {"MLFLOW_TRACKING_TOKEN": "tok3n-value"})
    assert stub.handler.asked[0][1] == "Bearer tok3n-value"
    assert "not a token that this server knows" in assert_failed(ended, "RegistryUnauthorized", tmp_path)
    assert "tok3n-value" not in json.dumps(ended.message) + ended.log


def test_a_volume_that_can_not_be_written_is_said(registry: Registry, version: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    ended = run_download(tmp_path, registry.environment(version, tmp_path / "file"))
    assert (ended.code, ended.message["error"]) == (1, "StorageUnavailable")


def test_an_alias_instead_of_a_number_is_refused(registry: Registry, tmp_path: Path) -> None:
    ended = run_download(tmp_path, registry.environment("champion", tmp_path))
    assert "TIDEGATE_MODEL_VERSION" in assert_failed(ended, "ConfigurationInvalid", tmp_path)
