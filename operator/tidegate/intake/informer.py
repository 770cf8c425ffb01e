"""kopf as an informer and life-cycle shell: settings under which it watches, writes nothing and never gives up."""

import asyncio
import itertools
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory  # what `kopf.operator(memories=)` takes

from tidegate.adapters.access import Access, Handler, Lean, Middleware
from tidegate.adapters.kube import RESOURCES
from tidegate.core.labels import MANAGED_BY, MANAGER
from tidegate.intake.handlers import WATCHED, Intake, register

#: Objects in one page of kopf's lists, which see to it that the kind can be read and are answered by ours.
CHUNK = 1
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


def _answering(intake: Intake, server: str, namespaces: Collection[str]) -> Middleware:
    """Answers kopf's lists with no object, and the version of the list that was taken in for it (ADR 15)."""
    places = {
        f"{urlsplit(server).path}{RESOURCES[kind].path(namespace)}": (kind, namespace)
        for _, _, _, kind, _ in WATCHED
        for namespace in namespaces or (None,)
    }

    async def answer(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        answered = await handler(request)
        place = places.get(request.url.path)
        if place is None or "watch" in request.url.query or answered.status != HTTPStatus.OK:
            return answered
        version = await intake.listed(*place)
        if version is None:
            answered.status = HTTPStatus.SERVICE_UNAVAILABLE
        if isinstance(answered, Lean):
            answered.instead = {"metadata": {"resourceVersion": version}, "items": []}
        return answered

    return answer


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

    logins, lists = itertools.count(), _answering(intake, access.server, namespaces)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        # After a 401 kopf closes the session, asks for another at once, and takes none that it had before.
        await asyncio.sleep(LOGIN_AGAIN if next(logins) else 0.0)
        return kopf.AiohttpSession(server=access.server, aiohttp_session=access.share(patient=True, within=lists))

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
