"""All parts of the loop, put together: `process.py` gives it the outside."""

import asyncio
import socket
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.adapters.models import HttpModelClient
from tidegate.adapters.prometheus import NoPrometheus
from tidegate.core.election import Terms
from tidegate.core.labels import KIND, REGISTRY_KIND
from tidegate.core.presets import PresetConfig
from tidegate.loop.alerts import AlertInbox, Matching
from tidegate.loop.announce import Announcer
from tidegate.loop.asking import Asking, Ledger
from tidegate.loop.children import Children
from tidegate.loop.diversion import SecondPlane
from tidegate.loop.events import EventRecorder
from tidegate.loop.evidence import EvidenceWatch
from tidegate.loop.fence import Fence, Fenced
from tidegate.loop.follow import Follower
from tidegate.loop.gates import GateWatch
from tidegate.loop.lease import Elector
from tidegate.loop.metered import MeteredEvidence, MeteredPrometheus, MeteredRegistry
from tidegate.loop.notices import Notices
from tidegate.loop.observe import Observer
from tidegate.loop.pointers import PointerSaga
from tidegate.loop.polled import PolledAlerts
from tidegate.loop.queue import WorkQueue
from tidegate.loop.reconcile import Reconciler
from tidegate.loop.registries import Registries
from tidegate.loop.registry import RegistryPoll
from tidegate.loop.relist import Relister
from tidegate.loop.retention import Retention
from tidegate.loop.reverts import RevertLane
from tidegate.loop.routes import Routes
from tidegate.loop.standby import Standby
from tidegate.loop.statuses import Statuses
from tidegate.loop.supervise import Supervisor
from tidegate.loop.tags import Recollections, TagWriter
from tidegate.loop.telling import AlertLane
from tidegate.loop.trials import TrialWatch
from tidegate.loop.watchdog import Watchdog
from tidegate.loop.words import LastWords
from tidegate.loop.workers import Workers
from tidegate.loop.world import World
from tidegate.ports import (
    AuditReceiver,
    AuditTrail,
    Clock,
    Cluster,
    Evidence,
    Leases,
    Login,
    Logs,
    ModelClient,
    Notifier,
    Prometheus,
    Registry,
    RegistryWriter,
    Trainer,
)
from tidegate.settings import RetrainSettings, Settings
from tidegate.telemetry import Metrics

#: Seconds that reverts under way get to end before the lease is left to another replica, which does what is left.
REVERTS_END = 2.0


class Operator:
    """The loop and everything around it but the watches. Tests build it on fakes, `run` on the real parts."""

    def __init__(
        self,
        *,
        settings: Settings,
        cluster: Cluster,
        registry: Registry,
        writer: RegistryWriter,
        evidence: Evidence,
        clock: Clock,
        leases: Leases,
        prometheus: Prometheus | None = None,
        logs: Logs | None = None,
        notifiers: Sequence[Notifier] = (),
        trainer: Trainer | None = None,
        retraining: RetrainSettings | None = None,
        trail: AuditTrail | None = None,
        models: ModelClient | None = None,
        audit_receiver: AuditReceiver | None = None,
        open_registry: Callable[[Login], Registry] = MlflowRegistry,
        open_writer: Callable[[Login], RegistryWriter] = MlflowWriter,
    ) -> None:
        self.prometheus = prometheus or NoPrometheus()
        self.models = models or HttpModelClient()
        self.clock = clock
        self.metrics = Metrics()
        self.supervisor = Supervisor(self.metrics, self._look_at_all)
        self.fence = Fence()
        leading = Fenced(cluster, self.fence)
        self.world = World()
        self.metrics.objects.set_function(lambda: len(self.world.names(KIND)))
        self.queue = WorkQueue(clock.monotonic)
        self.queue.shut()
        self.metrics.queue.set_function(lambda: len(self.queue))
        self.watchdog = Watchdog(queue=self.queue, clock=clock, metrics=self.metrics)
        registry = MeteredRegistry(registry, self.metrics)
        presets = PresetConfig(
            runtime_image=settings.runtime_image,
            mlserver_image=settings.mlserver_image,
            tracking_uri=settings.pods_tracking_uri or registry.url,
            image_pull_policy=settings.image_pull_policy,
        )
        self.poll = RegistryPoll(
            registry=registry, clock=clock, interval=settings.registry_interval, on_change=self._changed
        )
        self.registries = Registries(
            own=self.poll,
            own_writer=writer,
            open=lambda login: MeteredRegistry(open_registry(login), self.metrics),
            open_writer=open_writer,
            cluster=leading,
            world=self.world,
            clock=clock,
            on_change=self._changed,
        )
        self.ledger = Ledger(
            trail, audit_receiver, world=self.world, queue=self.queue, clock=clock, metrics=self.metrics
        )
        self.pointers = PointerSaga(self.registries, fence=self.fence, clock=clock, changed=self.queue.add)
        self.asking = Asking(
            world=self.world,
            leading=leading,
            writers=self.registries.holder,
            trainer=trainer,
            retraining=retraining or RetrainSettings(),
            ledger=self.ledger,
            fence=self.fence,
            clock=clock,
            governed=settings.governance,
        )
        self.tags = TagWriter(
            self.registries, cluster=settings.cluster_name, fence=self.fence, clock=clock, metrics=self.metrics,
            audit=self.ledger.audit,
        )  # fmt: skip
        self.recollections = Recollections(self.registries, cluster=settings.cluster_name, changed=self.queue.add)
        self.evidence = EvidenceWatch(
            MeteredEvidence(evidence, self.metrics, source="pods"),
            MeteredPrometheus(self.prometheus, self.metrics),
            clock,
            on_breach=self.look,
            on_look=self.queue.add,
        )
        self.gates = GateWatch(self.registries.describe, settings.registry_interval, on_change=self.look)
        self.trials = TrialWatch(self.models, clock, on_change=self.look)
        inbox = AlertInbox()
        self.matching = Matching(self.world)
        self.words = LastWords(logs, on_read=self.queue.add)
        observer = Observer(
            world=self.world,
            clock=clock,
            registries=self.registries,
            evidence=self.evidence,
            presets=presets,
            alerts=inbox,
            words=self.words,
            pointers=self.pointers,
            recollections=self.recollections,
            governed=settings.governance,
            gates=self.gates,
            trials=self.trials,
        )
        self.events = EventRecorder(cluster=cluster, clock=clock, metrics=self.metrics, instance=socket.gethostname())
        self.notices = Notices(notifiers, clock=clock, metrics=self.metrics)
        announcer = Announcer(events=self.events, notices=self.notices, metrics=self.metrics)
        self.retention = Retention(
            own=settings.own_retention,
            every=settings.retention_interval,
            registries=self.registries,
            cluster=cluster,
            namespaces=settings.watched_namespaces,
            world=self.world,
            fence=self.fence,
            clock=clock,
            audit=self.ledger.audit,
            metrics=self.metrics,
        )
        routes = Routes(cluster=cluster, leading=leading, world=self.world)
        statuses = Statuses(
            cluster=cluster,
            leading=leading,
            world=self.world,
            clock=clock,
            evidence=self.evidence,
            queue=self.queue,
        )
        plane = SecondPlane(
            cluster=cluster,
            world=self.world,
            routes=routes,
            statuses=statuses,
            announcer=announcer,
            metrics=self.metrics,
        )
        self.reverts = RevertLane(
            observer=observer, plane=plane, queue=self.queue, announcer=announcer, metrics=self.metrics
        )
        self.alerts = AlertLane(
            inbox=inbox, observer=observer, reverts=self.reverts, metrics=self.metrics, look=self._told
        )
        self.polled = (
            PolledAlerts(
                prometheus=MeteredPrometheus(self.prometheus, self.metrics),
                lane=self.alerts,
                matching=self.matching,
                observer=observer,
                world=self.world,
                clock=clock,
            )
            if settings.alerts_from_prometheus
            else None
        )
        self.children = Children(cluster=leading, world=self.world)
        self.reconciler = Reconciler(
            observer=observer,
            children=self.children,
            routes=routes,
            plane=plane,
            statuses=statuses,
            follower=Follower(
                evidence=self.evidence,
                registries=self.registries,
                world=self.world,
                words=self.words,
                gates=self.gates,
                trials=self.trials,
            ),
            reverts=self.reverts,
            announcer=announcer,
            audit=self.ledger.audit,
            queue=self.queue,
            metrics=self.metrics,
            pointers=self.pointers,
            tags=self.tags,
        )
        self.workers = Workers(
            queue=self.queue, reconciler=self.reconciler, metrics=self.metrics, count=settings.workers
        )
        self.relister = Relister(
            cluster=cluster, world=self.world, namespaces=settings.watched_namespaces, changed=self.queue.add
        )
        self.standby = Standby(cluster=cluster, world=self.world, observer=observer, reverts=self.reverts)
        self.elector = Elector(
            leases=leases,
            clock=clock,
            identity=identity(settings.webhook_url),
            terms=Terms.of(settings.lease_seconds),
            fence=self.fence,
            lead=self._lead,
            rest=self._rest,
        )
        self.metrics.leader.set_function(lambda: float(self.elector.leads))

    def listed(self) -> str | None:
        """What is missing until decisions are made on facts; None where nothing is."""
        return None if self.relister.complete.is_set() else "not everything was listed yet"

    def ready(self) -> str | None:
        """What keeps this replica from doing its work; None where nothing does.

        Whoever leads or wants to asks for the Lease all the time, so that its silence is that of the API server. An
        alert that comes all the same is tried: the API server may be back before its sender gives up.
        """
        silent = self.elector.silence > self.elector.terms.lasts
        return self.listed() or ("no answer of the API server about the Lease" if silent else None)

    def look(self, key: str) -> None:
        """Something was told of an object: a cause to revert goes at once, everything else in turn."""
        self.reverts.look(key)
        self.queue.add(key)

    def seen(self, kind: str, body: Mapping[str, Any]) -> None:
        """A watch told of an object."""
        if kind == REGISTRY_KIND:
            self.world.put({**body, "kind": kind})
            self.registries.told(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
            self.asking.told(kind, body)
            return
        self._told(self.world.put({**body, "kind": kind}))
        self.asking.told(kind, body)

    def gone(self, kind: str, body: Mapping[str, Any]) -> None:
        """A watch told that an object was deleted."""
        if kind == REGISTRY_KIND:
            self.world.drop({**body, "kind": kind})
            self.registries.told(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
            return
        self.ledger.gone(kind, body, leads=self.fence.open)
        self._told(self.world.drop({**body, "kind": kind}))
        self.asking.gone(kind)

    def _told(self, key: str | None) -> None:
        # Before everything was listed a missing object means nothing.
        if key is None or not self.relister.complete.is_set():
            return
        if self.fence.open:
            self.reverts.look(key)
        else:
            self.standby.told(key)
        self.queue.add(key)

    def _changed(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.look(key)

    async def run(self) -> None:
        """List, then stand by and lead in turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.relister.run())
            group.create_task(self.watchdog.run())
            group.create_task(self.supervisor.keep("notices", self.notices.run))
            group.create_task(self.supervisor.keep("events", self.events.run))
            await self.relister.complete.wait()
            self.matching.now()  # the first time takes a while, and an alert shall not
            self._rest()
            await self.elector.run()

    async def _lead(self) -> None:
        """What only the leader does: ask the registry, read evidence, and decide. Begins with everything there is."""
        self.children.begin()
        self.queue.open()
        self._look_at_all()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.workers.run())
                for name, run in self._parts().items():
                    group.create_task(self.supervisor.keep(name, run), name=name)
        finally:
            # What broke a limit is kept: the API server may be away, and with it the lease and the route.
            self.queue.shut()
            await self.gates.close()
            await self.trials.close()
            await self.evidence.close()

    def _look_at_all(self) -> None:
        if self.fence.open:
            # Of thousands those come first that may have to go back.
            self._changed(sorted(self.world.names(KIND), key=lambda key: not self.world.rolling(key)))

    def _parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What else the leader does, by name: none of it is needed to decide on what is known, or to revert."""
        polled = {} if self.polled is None else {"alerts": self.polled.run}
        return (
            polled
            | self.asking.parts()
            | {
                "registries": self.registries.run,
                "pointers": self.pointers.run,
                "retention": self.retention.run,
                "audit": self.ledger.posting.run,
                "tags": self.tags.run,
                "recollections": self.recollections.run,
            }
        )

    def _rest(self) -> None:
        """Another replica leads: it shows how objects stand, and what it does not see to this one does."""
        for key in self.world.names(KIND):
            self.metrics.forget(key)
            self.standby.told(key)

    async def stop(self) -> None:
        """After `run` ended: let reverts under way end, then leave the lease to another replica."""
        await self.reverts.stop(REVERTS_END)
        await self.elector.release()
        await self.standby.close()
        await self.gates.close()
        await self.trials.close()
        await self.models.close()
        await self.evidence.close()
        await self.words.close()
        await self.events.stop()
        await self.notices.stop()


def identity(url: str) -> str:
    """A name of this process and of no other, with the URL at which other replicas reach it, if they do."""
    return f"{socket.gethostname()}_{uuid.uuid4()}" + (f"@{url}" if url else "")
