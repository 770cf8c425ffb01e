"""kopf as an informer and life-cycle shell: settings under which it watches, writes nothing and never gives up."""

import asyncio
import itertools
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory  # what `kopf.operator(memories=)` takes

from tidegate.adapters.access import Access
from tidegate.core.labels import MANAGED_BY, MANAGER
from tidegate.intake.handlers import WATCHED, Intake, register

#: Objects in one page of a list. kopf lists all kinds at once and keeps each one's last page for ever.
CHUNK = 25
LOGIN_AGAIN = 1.0  # seconds between two logins
IDLE = 0.2  # seconds that a per-object worker of kopf lives on without events


class Endless:
    """Back-offs without an end: kopf exits when they run out, and an API server may be away for long."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0, 2.0)
        while True:
            yield 3.0


class _NoStorage(kopf.ProgressStorage, kopf.DiffBaseStorage):
    """Keeps nothing: there are no change handlers, so nothing would be read back."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any, **_: Any) -> Any:
        return essence

    def build(self, **_: Any) -> Any:
        return {}


def informer_settings() -> kopf.OperatorSettings:
    """Settings of the library: no events, no peering, no scanning, nothing stored."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = CHUNK
    settings.queueing.idle_timeout = IDLE
    settings.networking.error_backoffs = Endless()
    storage = _NoStorage()
    settings.persistence.progress_storage = storage
    settings.persistence.diffbase_storage = storage
    for group, version, plural, _, labelled in WATCHED:
        if labelled:
            settings.watching.label_selectors[group, version, plural] = f"{MANAGED_BY}={MANAGER}"
    return settings


class _NoMemories(ResourceMemories):
    """Remembers no object: what kopf would keep of each is for handlers of changes, timers and daemons."""

    async def recall(self, raw_body: Any, **options: Any) -> ResourceMemory:
        return await super().recall(raw_body, **{**options, "ephemeral": True})


async def run_informer(
    intake: Intake,
    access: Access,
    *,
    namespaces: Collection[str],
    stop: asyncio.Event,
    on_signal: Callable[[], None] | None = None,
) -> None:
    """Watch until `stop` is set. `on_signal` is called at SIGTERM and SIGINT; without it they end the watches."""
    registry = kopf.OperatorRegistry()
    register(registry, intake)

    logins = itertools.count()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        # After a 401 kopf closes the session, asks for another at once, and takes none that it had before.
        await asyncio.sleep(LOGIN_AGAIN if next(logins) else 0.0)
        return kopf.AiohttpSession(server=access.server, aiohttp_session=access.share(patient=True))

    others = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=informer_settings(),
        memories=_NoMemories(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    if on_signal is not None and threading.current_thread() is threading.main_thread():
        # In the place of kopf's own handlers, which would end everything in this loop in no order.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await kopf.run_tasks(tasks, ignored=others)
