"""The runtime's two programs as real processes, as a pod runs them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

OPERATOR = Path(__file__).parents[3] / "operator"
REVISION = "fraud-v7-5c9d8f2k"
LISTENING = re.compile(r"listening on port (\d+)")


def until(condition: Callable[[], object], *, patience: float = 60.0, why: Callable[[], str] = lambda: "") -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s: {why()}"
        time.sleep(0.02)


def environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """What a pod would get: nothing of ours but the interpreter's own."""
    passed_on = ("PATH", "HOME", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    kept = {name: os.environ[name] for name in passed_on if name in os.environ}
    return kept | {"PYTHONPATH": str(OPERATOR)} | dict(overrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended."""

    code: int
    message: dict[str, Any]
    log: str


def run_download(directory: Path, overrides: Mapping[str, str], *, patience: float = 120.0) -> Ended:
    """Run the init container's program to its end."""
    termination = directory / "termination-log"
    termination.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tidegate_runtime", "download"],
        env=environment({"TIDEGATE_TERMINATION_LOG": str(termination)} | dict(overrides)),
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
    message = json.loads(termination.read_text()) if termination.exists() else {}
    return Ended(code=done.returncode, message=message, log=done.stderr)


@dataclass(slots=True)
class ModelServer:
    """A running model server."""

    process: "subprocess.Popen[bytes]"
    pid: int
    directory: Path
    url: str = ""

    def log(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=10)

    def ready(self) -> bool:
        return self.get("/ready").status_code == 200

    def wait_ready(self) -> "ModelServer":
        until(lambda: self.process.poll() is not None or self.ready(), why=self.log)
        assert self.process.poll() is None, self.log()
        return self

    def predict(self, x: int, *, client: httpx.Client | None = None) -> httpx.Response:
        body = {"dataframe_split": {"columns": ["x"], "data": [[x]]}}
        post = client.post if client is not None else httpx.post
        return post(f"{self.url}/invocations", json=body, timeout=60)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def ended(self, patience: float = 60.0) -> Ended:
        code = self.process.wait(patience)
        termination = self.directory / "termination-log"
        message = json.loads(termination.read_text()) if termination.exists() else {}
        return Ended(code=code, message=message, log=self.log())


@contextlib.contextmanager
def model_server(
    directory: Path,
    model: Path,
    *,
    overrides: Mapping[str, str] | None = None,
    wrapper: Sequence[str] = (),
) -> Iterator[ModelServer]:
    """Start the server on a free port; it listens when the block begins, unless it ended before."""
    settings = {
        "TIDEGATE_MODEL_DIR": str(model),
        "TIDEGATE_REVISION": REVISION,
        "TIDEGATE_MODEL_VERSION": "7",
        "TIDEGATE_PORT": "0",
        "TIDEGATE_DRAIN_SECONDS": "20",
        "TIDEGATE_TERMINATION_LOG": str(directory / "termination-log"),
    }
    with (directory / "server.log").open("wb") as sink:
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "tidegate_runtime", "serve"],
            env=environment(settings | dict(overrides or {})),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = ModelServer(process=process, pid=process.pid, directory=directory)
    try:
        until(lambda: process.poll() is not None or LISTENING.search(server.log()), why=server.log)
        if found := LISTENING.search(server.log()):
            server.url = f"http://127.0.0.1:{found.group(1)}"
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
