"""An operator of a cluster of its own that promotes a version: two of them are rivals for one model."""

from tests.fakes.cluster import FakeCluster

from tidegate.adapters.clock import SteadyClock
from tidegate.core.labels import API_VERSION, PROMOTION_KIND
from tidegate.loop.audit import Audit
from tidegate.loop.fence import Fence
from tidegate.loop.journals import StatusJournals
from tidegate.loop.posting import Posting
from tidegate.loop.promotions import Promotions
from tidegate.loop.world import World
from tidegate.ports import RegistryWriter
from tidegate.telemetry import Metrics


class Rival:
    """A cluster with one promotion from Staging to Production, approved by bob, and its operator's worker."""

    def __init__(self, writer: RegistryWriter, model: str, version: str) -> None:
        self.memory, self.writer, self._world = FakeCluster(), writer, World()
        fence, clock, metrics = Fence(), SteadyClock(), Metrics()
        fence.hold(float("inf"))
        posting = Posting(None, read=lambda *_: None, noted=lambda *_: None, clock=clock, metrics=metrics)
        audit = Audit(None, posting, metrics)
        self.worker = Promotions(
            world=self._world,
            leading=self.memory,
            writers=lambda _: self.writer,
            fence=fence,
            clock=clock,
            journals=StatusJournals(PROMOTION_KIND, world=self._world, leading=self.memory, audit=audit),
            governed=True,
        )
        asked = self._put(
            PROMOTION_KIND,
            {"requestedBy": "ann", "model": model, "version": version, "from": "Staging", "to": "Production"},
        )
        self._put("ModelApproval", {"approver": "bob", "decision": "Grant", "promotion": {"name": "o", "uid": asked}})

    def _put(self, kind: str, spec: dict[str, object]) -> str:
        meta = {"name": "o", "namespace": "ml"}
        body = self.memory.put({"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec})
        self._world.put(body)
        uid: str = body["metadata"]["uid"]
        return uid

    @property
    def phase(self) -> str:
        body = self.memory.read(PROMOTION_KIND, "ml", "o")
        return str((body or {}).get("status", {}).get("phase"))
