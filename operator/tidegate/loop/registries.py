"""Every registry that is asked: the operator's own, and those of ModelRegistry objects with one poll for equal logins.

Each has a task, threads and deadlines of its own, so that one which hangs delays nobody. Only the leader asks.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from tidegate.api.modelregistry import parse_registry, render_registry_status
from tidegate.core.gates import VersionDetails, Wants
from tidegate.core.labels import API_VERSION, REGISTRY_KIND
from tidegate.core.modelregistry import RegistryPlan
from tidegate.core.reasons import Reason
from tidegate.core.retention import Retained
from tidegate.core.standing import standing
from tidegate.core.values import Unavailable, VersionId
from tidegate.errors import ClusterError, Conflict, InvalidSpec
from tidegate.loop.logins import Logins
from tidegate.loop.pause import pause
from tidegate.loop.registry import NOT_ASKED, RegistryPoll
from tidegate.loop.world import World
from tidegate.ports import Clock, Cluster, Login, Registry, RegistryWriter

_log = structlog.get_logger("tidegate")
#: Seconds after which Secrets and certificates are read again: a changed one is in use that much later at the most.
#: One that the registry does not accept is read again with each poll.
REREAD = 60.0
#: Seconds between two looks for ModelRegistries whose end no watch told of, and after a status that was not written.
AGAIN = 10.0
#: Told to all who asked a registry whose object is not there.
MISSING = (
    "spec.model.registry.name: namespace {namespace} has no ModelRegistry {name!r}: create it, correct the name, or "
    "leave it out to ask the operator's own registry"
)


@dataclass(slots=True, kw_only=True)
class _Share:
    """One poll, for all ModelRegistries with the same login and interval."""

    registry: Registry
    writer: RegistryWriter
    poll: RegistryPoll
    task: asyncio.Task[None]
    users: set[str]


class _Line:
    """What is known of one ModelRegistry: its spec, its way in, and why there is none."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.news = asyncio.Event()
        self.seen: tuple[str, int] | None = None
        self.plan: RegistryPlan | None = None
        self.identity: str | None = None
        self.login: Login | None = None
        self.share: _Share | None = None
        self.fault: Unavailable | None = NOT_ASKED
        self.retained: Retained | None = None


class Registries:
    """Hands out the poll that answers for an object.

    Args:
        own, own_writer: The poll of the operator's own registry, and who writes there.
        open, open_writer: Make the clients of a registry for reading and for writing. None is made elsewhere.
        cluster: Secrets, ConfigMaps and status, as the leader.
        on_change: Called with the keys of the objects whose registry, or whose answer, has changed.
    """

    def __init__(
        self,
        *,
        own: RegistryPoll,
        own_writer: RegistryWriter,
        open: Callable[[Login], Registry],  # noqa: A002 (what it does)
        open_writer: Callable[[Login], RegistryWriter],
        cluster: Cluster,
        world: World,
        clock: Clock,
        on_change: Callable[[Iterable[str]], None],
    ) -> None:
        self._own = own
        self._own_writer = own_writer
        self._open = open
        self._open_writer = open_writer
        self._cluster = cluster
        self._logins = Logins(cluster)
        self._world = world
        self._clock = clock
        self._on_change = on_change
        self._lines: dict[str, _Line] = defaultdict(_Line)
        self._shares: dict[tuple[Login, float], _Share] = {}
        self._asking: dict[str, str | None] = {}
        self._group: asyncio.TaskGroup | None = None

    def of(self, key: str, where: str | None) -> RegistryPoll | Unavailable:
        """The poll for one object that asks the ModelRegistry `where` (None: the operator's own), or why there is none.

        What the object asked another registry for is forgotten there.
        """
        if self._asking.get(key, where) != where:
            self.forget(key)
        self._asking[key] = where
        if where is None:
            return self._own
        if self._world.state(REGISTRY_KIND, where) is None:
            namespace, _, name = where.partition("/")
            message = MISSING.format(namespace=namespace, name=name)
            return Unavailable(reason=Reason.REGISTRY_NOT_FOUND, message=message)
        line = self._lines[where]
        if line.share is not None:
            return line.share.poll
        return line.fault or NOT_ASKED

    def identity(self, where: str | None) -> str | None:
        """A registry's part of the identity of versions; None where it is not known."""
        return self._own.url or None if where is None else self._lines[where].identity

    def plan(self, where: str) -> RegistryPlan | None:
        """What a ModelRegistry asks for, for the pods that read it; None where that is not known."""
        return self._lines[where].plan

    def writer(self, key: str, registry: str) -> RegistryWriter | Unavailable:
        """Who writes to the registry that an object asks, provided that it is the one with this identity."""
        where = self._asking.get(key)
        share = self._lines[where].share if where is not None else None
        writer = self._own_writer if where is None else share.writer if share is not None else None
        if writer is None:
            return self._lines[where or ""].fault or NOT_ASKED
        if writer.url != registry:
            message = (
                f"the object asks registry {writer.url} by now: what is to be written to {registry} is left to people"
            )
            return Unavailable(reason=Reason.REGISTRY_NOT_FOUND, message=message)
        return writer

    def holder(self, where: str | None) -> RegistryWriter | Unavailable:
        """Who writes to the ModelRegistry `where` (None: the operator's own registry), or why nobody can."""
        if where is None:
            return self._own_writer
        line = self._lines.get(where)
        if line is None or line.share is None:
            return (line.fault if line is not None else None) or NOT_ASKED
        return line.share.writer

    def retained(self, where: str, found: Retained) -> None:
        """Show in a ModelRegistry's status what a look at its archived versions came to."""
        line = self._lines.get(where)
        if line is not None and line.retained != found:
            line.retained = found
            line.news.set()

    async def describe(self, key: str, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """What an object's registry tells of a version, now."""
        poll = self.of(key, self._asking.get(key))
        return poll if isinstance(poll, Unavailable) else await poll.describe(version, wants)

    async def refresh(self, key: str) -> None:
        """Read what one object asks for, now."""
        poll = self.of(key, self._asking.get(key))
        if not isinstance(poll, Unavailable):
            await poll.refresh(key)

    def hint(self, model: str) -> bool:
        """Somebody says that there is news of a model: it is read at once, in every registry that is asked for it."""
        asked = [poll.hint(model) for poll in (self._own, *(share.poll for share in self._shares.values()))]
        return any(asked)

    def forget(self, key: str) -> None:
        """The object is gone, or asks nobody any more."""
        self._asking.pop(key, None)
        for poll in (self._own, *(share.poll for share in self._shares.values())):
            poll.forget(key)

    def told(self, where: str) -> None:
        """A watch told of a ModelRegistry, or of its end."""
        if self._group is None or self._lines[where].seen == self._state(where):
            return
        self._look(where)

    async def run(self) -> None:
        """Ask all registries until cancelled. Nothing that an earlier run was told is taken for known."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._own.run())
                while True:
                    for where in {*self._world.names(REGISTRY_KIND), *self._lines}:
                        self.told(where)
                    await asyncio.sleep(AGAIN)
        finally:
            self._group = None
            self._lines.clear()
            for share in self._shares.values():
                await _closed(share)
            self._shares.clear()

    def _state(self, where: str) -> tuple[str, int] | None:
        body = self._world.get(REGISTRY_KIND, where)
        return (body["metadata"]["uid"], body["metadata"]["generation"]) if body is not None else None

    def _look(self, where: str) -> None:
        line = self._lines[where]
        line.news.set()
        if self._group is not None and (line.task is None or line.task.done()):
            line.task = self._group.create_task(self._keep(where, line), name=f"registry {where}")

    async def _keep(self, where: str, line: _Line) -> None:
        """Follow one ModelRegistry until it is gone."""
        while (body := self._world.get(REGISTRY_KIND, where)) is not None:
            line.news.clear()
            line.seen = self._state(where)
            await self._refresh(where, line, body)
            wait = await self._show(where, line)
            await pause(line.news, wait)
        self._leave(where, line)
        del self._lines[where]
        self._tell(where)

    async def _refresh(self, where: str, line: _Line, body: Mapping[str, Any]) -> None:
        plan: RegistryPlan | None = None
        way: Login | Unavailable
        try:
            plan = parse_registry(body)
            way = await self._logins.read(plan)
        except InvalidSpec as error:
            way = Unavailable(reason=Reason.INVALID_SPEC, message=str(error))
        except ClusterError as error:
            # Nothing is known to have changed: what was read before goes on.
            if line.login is not None and plan == line.plan:
                return
            way = Unavailable(reason=Reason.NOT_POLLED_YET, message=f"the API server does not answer: {error}")
        if plan == line.plan and way == (line.login or line.fault):
            return
        line.plan = plan
        line.identity = self._identity(plan) if plan is not None else None
        self._leave(where, line)
        if plan is None or isinstance(way, Unavailable):
            line.login, line.fault = None, way if isinstance(way, Unavailable) else None
        else:
            line.login, line.fault = way, None
            line.share = self._join(where, way, plan.interval)
        self._tell(where)

    def _identity(self, plan: RegistryPlan) -> str | None:
        return self._open(Login(uri=plan.url, workspace=plan.workspace, declared=True)).url or None

    def _join(self, where: str, login: Login, interval: float) -> _Share:
        share = self._shares.get((login, interval))
        if share is None:
            assert self._group is not None  # noqa: S101 (only its tasks come here)
            registry = self._open(login)
            poll = RegistryPoll(
                registry,
                self._clock,
                interval,
                on_change=self._on_change,
                on_fault=lambda: self._faulted(login, interval),
            )
            task = self._group.create_task(poll.run(), name=f"poll {registry.url}")
            share = self._shares[login, interval] = _Share(
                registry=registry, writer=self._open_writer(login), poll=poll, task=task, users=set()
            )
        share.users.add(where)
        return share

    def _leave(self, where: str, line: _Line) -> None:
        share, line.share = line.share, None
        if share is None:
            return
        share.users.discard(where)
        for key in self._users(where):
            share.poll.forget(key)
        if not share.users:
            share.task.cancel()
            self._shares = {login: other for login, other in self._shares.items() if other is not share}
            if self._group is not None:
                self._group.create_task(_closed(share))

    def _faulted(self, login: Login, interval: float) -> None:
        for where in self._shares[login, interval].users:
            self._lines[where].news.set()

    def _users(self, where: str) -> list[str]:
        return sorted(key for key, asked in self._asking.items() if asked == where)

    def _tell(self, where: str) -> None:
        self._on_change(self._users(where))

    async def _show(self, where: str, line: _Line) -> float:
        """Write what the registry answers; the seconds until its Secret is to be read again."""
        fault = line.share.poll.fault if line.share is not None else line.fault
        again = REREAD
        if fault is not None and fault.reason in {Reason.REGISTRY_UNAUTHORIZED, Reason.REGISTRY_CREDENTIALS_MISSING}:
            again = min(REREAD, line.plan.interval if line.plan is not None else REREAD)
        body = self._world.get(REGISTRY_KIND, where)
        if body is None or (fault is not None and fault.reason == Reason.NOT_POLLED_YET):
            return min(again, AGAIN)
        status = render_registry_status(
            standing(fault),
            generation=body["metadata"]["generation"],
            previous=body.get("status"),
            now=self._clock.now(),
            retains=line.plan is None or line.plan.retention is not None,
            retained=line.retained,
        )
        if status == body.get("status"):
            return again
        meta = {key: body["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
        manifest = {"apiVersion": API_VERSION, "kind": REGISTRY_KIND, "metadata": meta, "status": status}
        try:
            self._world.put(await self._cluster.apply_status(manifest))
        except Conflict:
            return AGAIN  # it is another by now, of which a watch tells
        except ClusterError as error:
            _log.warning("status not written", registry=where, error=str(error))
            return AGAIN
        return again


async def _closed(share: _Share) -> None:
    await share.registry.close()
    await share.writer.close()
