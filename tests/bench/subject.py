"""A canary at a held weight, taken off and tried again as often as a benchmark needs it."""

import json
import os
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.bench.stage import Stage
from tests.bench.wire import Editor
from tests.driver.platform import wait_for
from tests.e2e.site import MODEL_PORT, Site

ANSWER = 5.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of the canary: who it is, and since when it is known to have its weight."""

    number: int
    revision: str
    since: float


class Subject:
    """A `ModelDeployment` with one pod of each revision, whose candidate stays at `weight`."""

    def __init__(self, stage: Stage, name: str, *, weight: int, interval: str) -> None:
        # A registered model of this name may be there from an earlier run.
        self.site = Site(stage.access, stage.mlflow, f"{name}-{os.urandom(2).hex()}")
        self.weight = weight
        self.bad: list[tuple[float, float]] = []
        self._editor = Editor(stage.access)
        manifest = self.site.manifest(
            rollout={"weights": [weight, 100], "hold": "6h"},
            guards={"errorRate": {"max": "1%"}, "minRequests": 50, "interval": interval},
        )
        manifest["spec"]["serving"]["replicas"] = 1
        self.stable = self.site.serve(manifest)
        self.version = self.site.candidate()
        self._path = f"{self.site.path('modeldeployments')}/{self.site.name}"

    def begun(self, after: Attempt | None = None) -> Attempt:
        """The next attempt, once it has its weight."""
        least = after.number + 1 if after is not None else 1

        def reached() -> dict[str, Any] | None:
            rollout: dict[str, Any] = self._status().get("rollout") or {}
            there = rollout.get("attempt", 0) >= least and rollout.get("weight") == self.weight
            return rollout if there and "verdict" not in rollout else None

        rollout = wait_for(reached, seconds=90, what=f"attempt {least} at {self.weight}%", tell=self._tell)
        return Attempt(number=rollout["attempt"], revision=rollout["revision"], since=time.time())

    def turn_bad(self, attempt: Attempt) -> float:
        """Let the canary fail every request from now on; the moment before it was told."""
        urls = self._urls(attempt)
        with self.site.access.inside():
            moment = time.time()
            for url in urls:
                _tell_pod(url, {"error_rate": 1.0})
        self.bad.append((moment, float("inf")))
        return moment

    def abort(self, attempt: Attempt) -> float:
        """Ask for the end as a person does; the moment in which the API server has taken it."""
        self._annotate("abort", attempt)
        return time.time()

    def rejected(self, attempt: Attempt) -> dict[str, Any]:
        """The rejection of an attempt, once it is filed."""

        def filed() -> dict[str, Any] | None:
            entries: list[dict[str, Any]] = self._status().get("rejected", [])
            return next((e for e in entries if (e["version"], e["attempt"]) == (self.version, attempt.number)), None)

        return wait_for(filed, seconds=60, what=f"attempt {attempt.number} is rejected", tell=self._tell)

    def retry(self, attempt: Attempt) -> None:
        """Make the pod well and ask for another attempt."""
        for url in self._urls(attempt):
            # A pod that is gone by now is followed by one that begins well.
            with self.site.access.inside(), suppress(urllib.error.URLError, OSError):
                _tell_pod(url, {})
        if self.bad:
            self.bad[-1] = (self.bad[-1][0], time.time())
        self._annotate("retry", attempt)

    def record(self) -> str:
        """The record that the route carries."""
        route = self._editor.get(f"{self.site.path('httproutes')}/{self.site.name}")
        return str(route["metadata"]["annotations"]["tidegate.dev/record"])

    def remove(self) -> None:
        """Take everything away, not waiting for it."""
        self._editor.close()
        self.site.remove()

    def _urls(self, attempt: Attempt) -> list[str]:
        pods = self.site.pods(attempt.revision)
        return [f"http://{pod['status']['podIP']}:{MODEL_PORT}/behave" for pod in pods if pod["status"].get("podIP")]

    def _annotate(self, action: str, attempt: Attempt) -> None:
        value = f"{self.version}/{attempt.number}"
        self._editor.patch(self._path, {"metadata": {"annotations": {f"tidegate.dev/{action}": value}}})

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._editor.get(self._path).get("status") or {}
        return status

    def _tell(self) -> str:
        return json.dumps({k: v for k, v in self._status().items() if k not in {"record", "judge"}}, indent=1)[:4000]


def _tell_pod(url: str, how: dict[str, Any]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(url, data=json.dumps(how).encode()), timeout=ANSWER).close()
