"""The last words of processes that ended well, and should not have.

The kubelet shows the last line of a container's log where it ended with an error, and nothing where its code was 0. A
person wants that line all the same: it says why a model server ended. It is read once for each end, beside the passes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tidegate.ports import Logs, Manifest

#: Ends that are remembered.
KEPT = 256
_End = tuple[str, str, int]


class LastWords:
    """Asks for the log's last line of what ended silently, and puts it where the kubelet would have.

    Args:
        logs: Whom to ask, None for nobody. One who may not tell, or can't, costs nothing.
        on_read: Called with an object's key when there is a line to show.
    """

    def __init__(self, logs: Logs | None, on_read: Callable[[str], None]) -> None:
        self._logs = logs
        self._on_read = on_read
        self._lines: OrderedDict[_End, str] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, key: str, pods: Iterable[Manifest]) -> None:
        """Read what is not known yet of these pods of an object. Returns at once."""
        if self._logs is None:
            return
        for pod in pods:
            for container in _silent(pod):
                end = _end(pod, container)
                if end in self._lines:
                    continue
                self._lines[end] = ""
                if len(self._lines) > KEPT:
                    self._lines.popitem(last=False)
                task = asyncio.create_task(self._read(self._logs, key, pod, container), name=f"last words {end[0]}")
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

    async def _read(self, logs: Logs, key: str, pod: Manifest, container: Mapping[str, Any]) -> None:
        meta = pod["metadata"]
        again = "running" in (container.get("state") or {})
        line = await logs.last_line(meta["namespace"], meta["name"], container["name"], previous=again)
        if line:
            self._lines[_end(pod, container)] = line
            self._on_read(key)

    def _filled(self, pod: Manifest) -> Manifest:
        containers = [
            _with_message(container, self._lines.get(_end(pod, container), ""))
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


def _end(pod: Manifest, container: Mapping[str, Any]) -> _End:
    return pod["metadata"]["uid"], container["name"], int(container.get("restartCount", 0))


def _with_message(container: dict[str, Any], line: str) -> dict[str, Any]:
    ended = _ended(container)
    if not line or ended is None or ended[1].get("message"):
        return container
    field, terminated = ended
    return {**container, field: {**container[field], "terminated": {**terminated, "message": line}}}
