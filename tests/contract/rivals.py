"""An operator of a cluster of its own that promotes a version: two of them are rivals for one model."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.fakes.cluster import Crash, FakeCluster, Phase

from tidegate.adapters.clock import SteadyClock
from tidegate.core.labels import API_VERSION, PROMOTION_KIND
from tidegate.core.values import Unavailable
from tidegate.loop.audit import Audit
from tidegate.loop.fence import Fence
from tidegate.loop.journals import StatusJournals
from tidegate.loop.posting import Posting
from tidegate.loop.promotions import Promotions
from tidegate.loop.world import World
from tidegate.ports import RegistryWriter
from tidegate.telemetry import Metrics


class Mortal:
    """A registry's writer whose process dies just before, or just after, it has written for the `number`th time.

    `written` is how often it was to write.
    """

    def __init__(self, writer: RegistryWriter, number: int, when: Phase) -> None:
        self._writer, self._number, self._when = writer, number, when
        self.written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def move(self, model: str, number: str, stage: str, *, archive: bool) -> Unavailable | None:
        return await self._dying(lambda: self._writer.move(model, number, stage, archive=archive))

    async def set_alias(self, model: str, alias: str, number: str) -> Unavailable | None:
        return await self._dying(lambda: self._writer.set_alias(model, alias, number))

    async def delete_alias(self, model: str, alias: str) -> Unavailable | None:
        return await self._dying(lambda: self._writer.delete_alias(model, alias))

    async def _dying(self, write: Callable[[], Awaitable[Unavailable | None]]) -> Unavailable | None:
        self.written += 1
        if (self.written, self._when) == (self._number, "before"):
            raise Crash
        done = await write()
        if (self.written, self._when) == (self._number, "after"):
            raise Crash
        return done


class Rival:
    """A cluster with one promotion from Staging to Production, approved by bob, and its operator's worker."""

    def __init__(self, writer: RegistryWriter, model: str, version: str) -> None:
        self.memory, self.writer = FakeCluster(), writer
        asked = self._put(
            PROMOTION_KIND,
            {"requestedBy": "ann", "model": model, "version": version, "from": "Staging", "to": "Production"},
        )
        self._put("ModelApproval", {"approver": "bob", "decision": "Grant", "promotion": {"name": "o", "uid": asked}})
        self.begin()

    def begin(self) -> None:
        """A process of its own, which knows what the cluster has."""
        world, fence, clock, metrics = World(), Fence(), SteadyClock(), Metrics()
        for kind in (PROMOTION_KIND, "ModelApproval"):
            body = self.memory.read(kind, "ml", "o")
            assert body is not None
            world.put(body)
        fence.hold(float("inf"))
        posting = Posting(None, read=lambda *_: None, noted=lambda *_: None, clock=clock, metrics=metrics)
        audit = Audit(None, posting, metrics)
        self.worker = Promotions(
            world=world,
            leading=self.memory,
            writers=lambda _: self.writer,
            fence=fence,
            clock=clock,
            journals=StatusJournals(PROMOTION_KIND, world=world, leading=self.memory, audit=audit),
            governed=True,
        )

    def _put(self, kind: str, spec: dict[str, object]) -> str:
        meta = {"name": "o", "namespace": "ml"}
        body = self.memory.put({"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec})
        uid: str = body["metadata"]["uid"]
        return uid

    @property
    def phase(self) -> str:
        body = self.memory.read(PROMOTION_KIND, "ml", "o")
        return str((body or {}).get("status", {}).get("phase"))
