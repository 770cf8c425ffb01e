"""The object as it changes: `kubectl get --watch`, read in a thread."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One state of the object and when it came (seconds since the epoch)."""

    at: float
    body: dict[str, Any]

    @property
    def status(self) -> dict[str, Any]:
        """Its status, empty before the operator has looked."""
        found: dict[str, Any] = self.body.get("status") or {}
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition by type, empty where there is none."""
        return next((c for c in self.status.get("conditions", []) if c["type"] == kind), {})


@dataclass(slots=True)
class Watch:
    """All states of one `ModelDeployment` since `start`."""

    access: Access
    namespace: str
    name: str
    states: list[Seen] = field(default_factory=list)
    _process: "subprocess.Popen[str] | None" = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Begin to watch."""
        command = [self.access.kubectl_program, "get", "mdep", self.name, "-n", self.namespace, "-o", "json", "--watch"]
        self._process = subprocess.Popen(
            self.access.command(*command), env=self.access.environment(), stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _read(self) -> None:
        assert self._process is not None  # noqa: S101 (start made it)
        assert self._process.stdout is not None  # noqa: S101
        decoder, text = json.JSONDecoder(), ""
        for line in self._process.stdout:
            text += line
            if line.rstrip() != "}":  # an object ends with a brace in the first column
                continue
            body, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
            with self._changed:
                self.states.append(Seen(at=time.time(), body=body))
                self._changed.notify_all()

    @property
    def last(self) -> Seen:
        """The newest state."""
        return self.states[-1] if self.states else Seen(at=0.0, body={})

    def wait(self, holds: Callable[[Seen], bool], *, seconds: float, beat: Callable[[], None]) -> Seen | None:
        """The first newest state for which something holds, None after `seconds`. `beat` is called now and then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.states and holds(self.last):
                return self.last
            with self._changed:
                self._changed.wait(0.25)
            beat()
        return None

    def weights(self, version: str, since: float) -> list[int]:
        """The weights that a version had as a canary since a moment, in order, each once."""
        found: list[int] = []
        for seen in self.states:
            rollout = seen.status.get("rollout") or {}
            weight = rollout.get("weight", 0)
            going = rollout.get("version") == version and not rollout.get("verdict")
            if seen.at >= since and going and weight and (not found or found[-1] != weight):
                found.append(weight)
        return found
