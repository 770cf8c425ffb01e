"""What people ask for with objects of their own, promotions and requests for training, and the trail of all acts."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tidegate.core.audit import Journal
from tidegate.core.labels import KIND, PROMOTION_KIND, RETRAINING_KIND
from tidegate.core.retraining import Terms
from tidegate.loop.audit import Audit, marks_of
from tidegate.loop.fence import Fence
from tidegate.loop.journals import ASKING, StatusJournals, ended, read_journal
from tidegate.loop.posting import Posting
from tidegate.loop.promotions import Promotions, Writers
from tidegate.loop.queue import WorkQueue
from tidegate.loop.retraining import Retrainings
from tidegate.loop.world import World
from tidegate.ports import AuditReceiver, AuditTrail, Clock, Cluster, Trainer
from tidegate.settings import RetrainSettings
from tidegate.telemetry import Metrics

#: Seconds in which acts of one object that the audit trail's webhook takes are noted together.
NOTED_AFTER = 1.0


class Ledger:
    """The audit trail, and whose status is to say how far it was told."""

    def __init__(
        self,
        trail: AuditTrail | None,
        receiver: AuditReceiver | None,
        *,
        world: World,
        queue: WorkQueue,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._world = world
        self._queue = queue
        self._clock = clock
        self.posting = Posting(receiver, read=self._read, noted=self._noted, clock=clock, metrics=metrics)
        self.audit = Audit(trail, self.posting, metrics)
        #: Called with the kind of an object, other than a `ModelDeployment`, whose status is to say more.
        self.on_noted: Callable[[str], None] = lambda _: None

    def gone(self, kind: str, body: Mapping[str, Any], *, leads: bool) -> None:
        """An object is deleted: by the leader, what was still to be told of it is, and that it is gone."""
        if kind not in {KIND, *ASKING}:
            return
        meta = body["metadata"]
        journal = self._read(kind, f"{meta['namespace']}/{meta['name']}", meta["uid"])
        if journal is None:
            return
        if leads:
            journal = ended(self._world, journal, body, now=self._clock.now())
            self.audit.end(journal, marks_of(body.get("status")))
        self.posting.leave(journal)

    def _read(self, kind: str, key: str, uid: str) -> Journal | None:
        return read_journal(self._world, kind, key, uid)

    def _noted(self, kind: str, key: str) -> None:
        if kind == KIND:
            self._queue.add_after(key, NOTED_AFTER)
        else:
            self.on_noted(kind)


class Asking:
    """The workers for promotions and for requests for training. Without governance nobody vouches for who asks."""

    def __init__(
        self,
        *,
        world: World,
        leading: Cluster,
        writers: Writers,
        trainer: Trainer | None,
        retraining: RetrainSettings,
        ledger: Ledger,
        fence: Fence,
        clock: Clock,
        governed: bool,
    ) -> None:
        self._promotions = Promotions(
            world=world,
            leading=leading,
            writers=writers,
            fence=fence,
            clock=clock,
            journals=StatusJournals(PROMOTION_KIND, world=world, leading=leading, audit=ledger.audit),
            governed=governed,
        )
        self._retrainings = Retrainings(
            world=world,
            leading=leading,
            trainer=trainer,
            clock=clock,
            terms=Terms(rejections=retraining.after, cool_down=retraining.cool_down),
            user=retraining.user,
            journals=StatusJournals(RETRAINING_KIND, world=world, leading=leading, audit=ledger.audit),
            governed=governed,
        )
        ledger.on_noted = self._wake

    def told(self, kind: str, body: Mapping[str, Any]) -> None:
        """A watch told of an object. Returns at once."""
        self._promotions.told(kind)
        self._retrainings.told(kind, body)

    def gone(self, kind: str) -> None:
        """A watch told that an object was deleted. Returns at once."""
        self._promotions.told(kind)

    def parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What only the leader does, by name."""
        return {"promotions": self._promotions.run, "retrainings": self._retrainings.run}

    def _wake(self, kind: str) -> None:
        self._promotions.told(kind)
        if kind == RETRAINING_KIND:
            self._retrainings.wake()
