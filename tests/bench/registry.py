"""What it costs to watch a thousand models of a registry that has ten thousand: real MLflow, the operator's poll."""

import asyncio
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.figures import Figure, Limit
from tests.fixtures.mlflow import MlflowServer, RegistryEditor, mlflow_server
from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.values import VersionId
from tidegate.loop.registry import RegistryPoll
from tidegate.ports import Login

MODELS, OTHERS, INTERVAL = 1000, 9000, 30.0
#: Seconds that are watched: a few intervals.
WATCHED = 120.0
MOST_CPU = 2.0
CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")
NAMES = tuple(f"team-{number % 20:02}-model-{number:04}" for number in range(MODELS))


def registry_1000() -> list[Figure]:
    """Register the models, let the poll read all of them once, and watch it for some intervals."""
    with tempfile.TemporaryDirectory() as directory, mlflow_server(Path(directory)) as server:
        _fill(server)
        share, late = asyncio.run(_watch(server))
    return [
        Figure(
            name="registry_1000_cpu", unit="% of a core", samples=[share], limits=(Limit(value="max", most=MOST_CPU),)
        ),
        Figure(name="registry_1000_moved", unit="s", samples=[late], limits=(Limit(value="max", most=INTERVAL + 5.0),)),
    ]


def _fill(server: MlflowServer) -> None:
    edit = RegistryEditor(server)

    def add(name: str) -> None:
        edit.register(name)
        edit.add_version(name)
        edit.add_version(name)
        edit.set_alias(name, "champion", "1")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, NAMES))
    edit.crowd(OTHERS)


async def _watch(server: MlflowServer) -> tuple[float, float]:
    """The share of a core (per cent) that the process uses, and the seconds until a moved alias is seen."""
    registry = MlflowRegistry(Login(uri=server.url))
    changed = asyncio.Event()
    known: set[str] = set()

    def heard(keys: Iterable[str]) -> None:
        known.update(keys)
        if len(known) == MODELS:
            changed.set()

    poll = RegistryPoll(registry, SteadyClock(), INTERVAL, on_change=heard)
    for name in NAMES:
        poll.want(f"bench/{name}", name, CHAMPION)
    task = asyncio.create_task(poll.run())
    await asyncio.wait_for(changed.wait(), 120)
    unread = [name for name in NAMES if not isinstance((poll.value(name, CHAMPION) or (None,))[0], VersionId)]
    if unread:
        raise ValueError(f"{len(unread)} models are not known, {unread[0]} among them")
    used, began = time.process_time(), time.monotonic()
    await asyncio.sleep(WATCHED)
    share = 100.0 * (time.process_time() - used) / (time.monotonic() - began)
    late = await _moved(server, poll)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await registry.close()
    return share, late


async def _moved(server: MlflowServer, poll: RegistryPoll) -> float:
    await asyncio.to_thread(RegistryEditor(server).set_alias, NAMES[-1], "champion", "2")
    began = time.monotonic()
    while True:
        read = poll.value(NAMES[-1], CHAMPION)
        if read is not None and isinstance(read[0], VersionId) and read[0].number == "2":
            return time.monotonic() - began
        if time.monotonic() - began > 4 * INTERVAL:
            raise ValueError("a moved alias was never seen")
        await asyncio.sleep(0.05)
