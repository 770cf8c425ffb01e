"""A person at the command line and the operator, on a real API server: what is asked for is done, once."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.light import LightCluster
from tests.integration.loop.test_api_server import RealStage, real
from tests.plugin import bundle

__all__ = ["real"]
pytestmark = pytest.mark.apiserver


class CommandLine:
    """`kubectl tidegate` with the plugin on the PATH."""

    def __init__(self, cluster: LightCluster, directory: Path, namespace: str) -> None:
        self._flags = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={namespace}", "-o", "json"]
        self._kubectl = directory / "kubectl"
        self._kubectl.symlink_to(cluster.kubectl_program)
        (directory / "kubectl-tidegate").write_bytes(bundle())
        (directory / "kubectl-tidegate").chmod(0o755)
        path = os.pathsep.join([str(directory), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        self._environment = {"PATH": path, "HOME": str(directory)}

    async def __call__(self, verb: str) -> Any:
        """What a verb on the object prints."""
        return json.loads(await asyncio.to_thread(self._run, verb))

    def _run(self, verb: str) -> str:
        command = [str(self._kubectl), "tidegate", verb, "fraud", *self._flags]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


async def test_a_person_pauses_resumes_ends_retries_and_hastens_a_rollout(
    real: RealStage,
    apiserver: LightCluster,
    tmp_path: Path,
) -> None:
    real.books.by_hand = True
    tidegate = CommandLine(apiserver, tmp_path, real.hands.namespace)
    # A step would take twelve minutes here; whoever comes further was hastened.
    first = await real.serve(real.manifest(rollout={"weights": [5, 100], "hold": "3600s"}))
    second = await real.rolling(5)
    assert (await tidegate("pause"))["value"] == f"{second}/1"
    await real.until(lambda look: look.status.get("phase") == "Paused", "paused")
    assert (await tidegate("status"))["pausedBy"] == ["annotation"]
    assert (await tidegate("resume"))["changed"]
    await real.until(lambda look: look.status.get("phase") == "Progressing", "going on")
    assert (await tidegate("abort"))["value"] == f"{second}/1"
    look = await real.reverted(second)
    assert look.rejected[second]["reason"] == "Aborted"
    assert look.weights == {first: 100}
    assert (await tidegate("retry"))["value"] == f"{second}/1"
    await real.rolling_of(second)
    # What is left of the first attempt's annotations says nothing of the second.
    assert (await tidegate("promote"))["value"] == f"{second}/2"
    await real.serves(second)
    assert [(entry["attempt"], entry["reason"]) for entry in await tidegate("history")] == [
        (2, "Promoted"),
        (1, "Aborted"),
        (1, "Promoted"),
    ]
