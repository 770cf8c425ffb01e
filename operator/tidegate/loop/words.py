"""The last words of processes that ended well, and should not have.

The kubelet shows the last line of a container's log where it ended with an error, and nothing where its code was 0. A
person wants that line all the same: it says why a model server ended. It is read once for each end, beside the passes.
A container that ends again and again says the same; until the newest end's line is read, or where the kubelet has
removed that container already, the one before it stands.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.ports import Logs, Manifest

#: Containers that are remembered.
KEPT = 256
_Key = tuple[str, str]


@dataclass(slots=True)
class _Said:
    """What a container of a pod said. `end` is the ID of the one that ended, and that was asked for, last."""

    end: str | None = None
    line: str = ""


class LastWords:
    """Asks for the log's last line of what ended silently, and puts it where the kubelet would have.

    Args:
        logs: Whom to ask, None for nobody. One who may not tell, or can't, costs nothing.
        on_read: Called with an object's key when there is a line to show.
    """

    def __init__(self, logs: Logs | None, on_read: Callable[[str], None]) -> None:
        self._logs = logs
        self._on_read = on_read
        self._said: OrderedDict[_Key, _Said] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, key: str, pods: Iterable[Manifest]) -> None:
        """Read what is not known yet of these pods of an object. Returns at once."""
        if self._logs is None:
            return
        for pod in pods:
            for container in _silent(pod):
                said = self._said.setdefault(_key(pod, container), _Said())
                if said.end == _end(container):
                    continue
                said.end = _end(container)
                if len(self._said) > KEPT:
                    self._said.popitem(last=False)
                reading = self._read(self._logs, key, pod, container, said)
                task = asyncio.create_task(reading, name=f"last words {pod['metadata']['name']}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def told(self, pods: Iterable[Manifest]) -> list[Manifest]:
        """The pods, with the lines that are known by now as the termination messages of what ended silently."""
        return [self._filled(pod) if any(True for _ in _silent(pod)) else pod for pod in pods]

    async def close(self) -> None:
        """Wait for nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, logs: Logs, key: str, pod: Manifest, container: Mapping[str, Any], said: _Said) -> None:
        meta = pod["metadata"]
        again = "running" in (container.get("state") or {})
        line = await logs.last_line(meta["namespace"], meta["name"], container["name"], previous=again)
        if line and said.line != line:
            said.line = line
            self._on_read(key)

    def _filled(self, pod: Manifest) -> Manifest:
        containers = [
            _with_message(container, self._said.get(_key(pod, container), _Said()).line)
            for container in pod["status"]["containerStatuses"]
        ]
        return {**pod, "status": {**pod["status"], "containerStatuses": containers}}


def _silent(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    """The containers whose last end had code 0 and left no message."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = _ended(container)
        if ended is not None and ended[1].get("exitCode") == 0 and not ended[1].get("message"):
            yield container


def _ended(container: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    for field in ("state", "lastState"):
        terminated = (container.get(field) or {}).get("terminated")
        if terminated:
            return field, terminated
    return None


def _key(pod: Manifest, container: Mapping[str, Any]) -> _Key:
    return pod["metadata"]["uid"], container["name"]


def _end(container: Mapping[str, Any]) -> str:
    """Which end it is. The count of restarts does not tell: it stays while what it counts runs and ends."""
    ended = _ended(container)
    return str(ended[1].get("containerID", "")) if ended is not None else ""


def _with_message(container: dict[str, Any], line: str) -> dict[str, Any]:
    ended = _ended(container)
    if not line or ended is None or ended[1].get("message"):
        return container
    field, terminated = ended
    return {**container, field: {**container[field], "terminated": {**terminated, "message": line}}}
