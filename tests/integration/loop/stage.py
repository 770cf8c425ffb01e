"""One ModelDeployment, an operator, and everybody else around it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.fakes.audit import FakeAuditor, FakeTrail
from tests.fakes.cluster import FakeCluster, Fault, Write
from tests.fakes.evidence import FakeEvidence
from tests.fakes.leases import FakeLeases
from tests.fakes.models import FakeModels, FakeServer
from tests.fakes.notifier import FakeNotifier
from tests.fakes.prometheus import FakePrometheus
from tests.fakes.registry import FakeRegistry
from tests.fixtures.loopclock import LoopClock
from tests.integration.loop.actors import Gateway, Kubelet, Traffic, version_of
from tests.integration.loop.books import Books
from tests.integration.loop.hands import FakeHands, Hands
from tests.integration.loop.line import LeaseLine, Line
from tests.integration.loop.look import Look
from tests.integration.loop.writer_line import RegistryFault, WriterLine

from tidegate.core.labels import KIND, REVISION, ROUTE_KIND
from tidegate.core.manifests import CHILD_KINDS
from tidegate.ports import Cluster, Leases, Login, Logs, Manifest, Registry, RegistryWriter, Trainer
from tidegate.settings import RetrainSettings, Settings
from tidegate.wiring import Operator

MODEL = "fraud-detector"
NAME = "fraud"
HOLD = 30.0


class Stage:
    """`look` and `until` see the API server, never the operator's insides."""

    #: Seconds between two looks of `until`, and those after which it gives up if it isn't told otherwise.
    PATIENCE = 0.1
    LONG = 900.0

    def __init__(self, cluster: Cluster, hands: Hands, *, latency: float = 0.0, logs: Logs | None = None) -> None:
        self.cluster = cluster
        self.hands = hands
        self.logs = logs
        self.registry = FakeRegistry()
        #: How a ModelRegistry's registry is reached: none, where a test says nothing of any.
        self.open_registry: Callable[[Login], Registry] = lambda login: FakeRegistry(login.uri)
        self.open_writer: Callable[[Login], RegistryWriter] = lambda login: FakeRegistry(login.uri).writer
        self.evidence = FakeEvidence()
        self.models = FakeModels()
        #: What is done to the model server of each pod that is made, by version.
        self.servers: dict[str, Callable[[FakeServer], None]] = {}
        self.kubelet = Kubelet(hands)
        self.gateway = Gateway(hands)
        self.traffic = Traffic(self.gateway, self.kubelet, self.evidence)
        self.books = Books()
        self.clock = LoopClock()
        self.settings = Settings(
            namespaces=hands.namespace, runtime_image="example.invalid/runtime:1", registry_interval=5.0
        )
        self.latency = latency
        self.faults: list[Fault] = []
        self.operator: Operator | None = None
        self.line: Line | None = None
        self.lives = 0
        self.prometheus: FakePrometheus | None = None
        self.notifiers: list[FakeNotifier] = []
        self.trainer: Trainer | None = None
        self.retraining = RetrainSettings(after=2, cool_down=3600.0, user="tidegate")
        self.trail: FakeTrail | None = None
        self.auditor: FakeAuditor | None = None
        self.writes: list[Write] = []
        self.registry_writes: list[str] = []
        self.registry_faults: list[RegistryFault] = []
        self.blind = False
        self.changes = 0
        self.asked = 0
        self._work: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._restart_after: float | None = None
        self.registry.register(MODEL)

    # the operator's life

    def start(self) -> None:
        """A new operator process."""
        self.lives += 1
        line = Line(self.cluster, on_death=self._died, latency=self.latency)
        line.faults, line.writes = self.faults, self.writes
        self.line = line
        self.operator = Operator(
            settings=self.settings,
            cluster=line,
            registry=self.registry,
            writer=WriterLine(self.registry.writer, line, self.registry_writes, self.registry_faults),
            evidence=self.evidence,
            clock=self.clock,
            logs=self.logs,
            notifiers=self.notifiers,
            trainer=self.trainer,
            retraining=self.retraining,
            open_registry=self.open_registry,
            open_writer=self.open_writer,
            prometheus=self.prometheus,
            trail=self.trail,
            models=self.models,
            audit_receiver=self.auditor,
            # There is one replica here, so that the lease is free at once.
            leases=LeaseLine(line, FakeLeases()),
        )
        self._work = asyncio.create_task(self.operator.run(), name=f"operator {self.lives}")

    def another(self, cluster: Cluster, leases: Leases) -> Operator:
        """One more operator in these surroundings, with nothing that it can do without."""
        return Operator(
            settings=self.settings,
            cluster=cluster,
            registry=self.registry,
            writer=self.registry.writer,
            evidence=self.evidence,
            clock=self.clock,
            leases=leases,
        )

    async def watcher(self, cluster: Cluster) -> Operator:
        """One more that leads nothing, and that a watch has told of everything."""
        made = self.another(cluster, FakeLeases())
        for kind in (KIND, ROUTE_KIND, *CHILD_KINDS, "Pod", "EndpointSlice"):
            for body in await self.hands.all(kind):
                made.seen(kind, body)
        return made

    def restarting(self, seconds: float) -> None:
        """From now on an operator that dies is started again after so many seconds."""
        self._restart_after = seconds

    def _died(self) -> None:
        self.spawn(self._buried())

    async def _buried(self) -> None:
        await self.kill()
        if self._restart_after is not None:
            await asyncio.sleep(self._restart_after)
            self.start()

    async def kill(self) -> None:
        """SIGKILL: nothing is written or told any more."""
        operator, work = self.operator, self._work
        self.operator = self._work = None
        if operator is None or work is None:
            return
        if self.line is not None:
            self.line.kill()
        lane = list(operator.reverts._tasks.values())
        for task in (work, *lane):
            task.cancel()
        await operator.gates.close()
        await operator.trials.close()
        await operator.evidence.close()
        await operator.standby.close()
        for result in await asyncio.gather(work, *lane, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def reborn(self) -> None:
        """Killed, and started again."""
        await self.kill()
        self.start()

    # the others

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something run until the end of the test; if it fails the test does."""
        self._tasks.append(asyncio.create_task(work))

    def told(self, event: str, body: Manifest) -> None:
        """An object was written."""
        self.changes += 1
        self.books.told(event, body, asyncio.get_running_loop().time())
        self.hear(event, body)

    def hear(self, event: str, body: Manifest) -> None:
        """Everybody who watches is told."""
        if body["kind"] == "Pod" and event != "DELETED":
            self._listens(body)
        self.kubelet.look(body["kind"])
        self.gateway.look(body["kind"])
        if self.operator is not None and not self.blind:
            tell = self.operator.gone if event == "DELETED" else self.operator.seen
            tell(body["kind"], body)

    def _listens(self, pod: Manifest) -> None:
        counted = self.evidence.pod(pod["metadata"]["uid"])
        address = f"{self.kubelet.address(pod)}:8080"
        if address not in self.models.servers:
            server = self.models.servers[address] = FakeServer(counted)
            self.servers.get(version_of(pod["metadata"]["labels"][REVISION]), _as_it_is)(server)

    async def sent_to(self, version: str) -> list[list[tuple[str, str]]]:
        """What each pod of a version was asked by the operator, those that were."""
        servers = [self.models.servers[f"{self.kubelet.address(pod)}:8080"] for pod in await self.kubelet.pods(version)]
        return [server.asked for server in servers if server.asked]

    async def open(self) -> None:
        for actor in (self.kubelet, self.gateway, self.traffic):
            self.spawn(actor.run())

    async def close(self) -> None:
        await self.kill()
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.registry.close()
        # Only now: what is left open would fail a test that comes later.
        for task in ended:
            task.result()

    # what people do

    def manifest(self, **spec: Any) -> Manifest:
        """The object; `spec` replaces fields of it."""
        base: dict[str, Any] = {
            "model": {"name": MODEL, "alias": "champion"},
            "serving": {"replicas": 2},
            "traffic": {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": ["fraud.example.com"]}},
            "rollout": {"weights": [5, 25, 50, 100], "hold": f"{HOLD:g}s"},
            "guards": {"errorRate": {"max": "1%"}, "minRequests": 30, "interval": "5s"},
        }
        meta = {"name": NAME, "namespace": self.hands.namespace}
        wanted = base | spec
        self.books.hold = _seconds(wanted["rollout"].get("hold", "0s"))
        self.books.replicas = wanted["serving"]["replicas"]
        return {"apiVersion": "tidegate.dev/v1alpha1", "kind": KIND, "metadata": meta, "spec": wanted}

    async def apply(self, manifest: Manifest) -> None:
        """As `kubectl apply`: spec and annotations are the person's, the rest stays."""

        def change(body: Manifest) -> None:
            body["spec"] = json.loads(json.dumps(manifest["spec"]))
            body["metadata"]["annotations"] = dict(manifest["metadata"].get("annotations") or {})

        if await self.hands.read(KIND, manifest["metadata"]["name"]) is None:
            await self.hands.put(json.loads(json.dumps(manifest)))
        else:
            await self.hands.edit(KIND, manifest["metadata"]["name"], change)

    async def respec(self, **fields: Any) -> None:
        """Replace fields of the spec."""
        await self.hands.edit(KIND, NAME, lambda body: body["spec"].update(fields))

    async def annotate(self, action: str, value: str | None) -> None:
        def change(body: Manifest) -> None:
            notes = body["metadata"].setdefault("annotations", {})
            notes.pop(f"tidegate.dev/{action}", None)
            if value is not None:
                notes[f"tidegate.dev/{action}"] = value

        await self.hands.edit(KIND, NAME, change)

    async def hand(self, work: Awaitable[Any]) -> None:
        """Somebody changes an object of ours."""
        self.books.by_hand = True
        try:
            await work
        finally:
            self.books.by_hand = False

    def point(self, version: str | None = None) -> str:
        """Move the alias: to a new version, or to a known one."""
        number = version or self.registry.add_version(MODEL)
        self.registry.set_alias(MODEL, "champion", number)
        return number

    async def serve(self, manifest: Manifest | None = None) -> str:
        """A first version serves."""
        first = self.point()
        await self.apply(manifest or self.manifest())
        if self.operator is None:
            self.start()
        await self.until(lambda look: look.ready and look.version == first, f"version {first} serves")
        return first

    async def rolling(self, weight: int = 5) -> str:
        """A new version has at least this weight, confirmed."""
        second = self.point()

        def there(look: Look) -> bool:
            return look.confirmed.get(second, 0) >= weight

        await self.until(there, f"version {second} has {weight}%")
        return second

    async def rolling_of(self, version: str, weight: int = 5) -> Look:
        """A version that is pointed at has at least this weight."""
        return await self.until(lambda look: look.weights.get(version, 0) >= weight, f"{version} has {weight}%")

    async def named(self, version: str) -> str:
        """The revision of a version that has a Deployment."""
        names = [body["metadata"]["name"] for body in await self.hands.all("Deployment")]
        return next(name for name in names if version_of(name) == version)

    async def vanish(self) -> None:
        """The object is deleted, and the garbage collector follows; pods and endpoints go with the rest."""
        await self.hands.remove(KIND, NAME)
        for kind in (*CHILD_KINDS, ROUTE_KIND):
            for body in await self.hands.all(kind):
                await self.hands.remove(kind, body["metadata"]["name"])

    async def until_kind(self, kind: str, number: int) -> None:
        """So many objects of a kind are there."""
        end = asyncio.get_running_loop().time() + self.LONG
        while len(await self.hands.all(kind)) != number:
            assert asyncio.get_running_loop().time() < end, kind
            await asyncio.sleep(self.PATIENCE)

    # what is seen

    async def look(self) -> Look:
        return Look(await self.hands.read(KIND, NAME), await self.hands.read(ROUTE_KIND, NAME))

    async def until(self, holds: Callable[[Look], bool], what: str, seconds: float | None = None) -> Look:
        """Look until something holds."""
        end = asyncio.get_running_loop().time() + (seconds or self.LONG)
        while True:
            seen, look = self.changes, await self.look()
            if holds(look):
                return look
            while self.changes == seen and asyncio.get_running_loop().time() <= end:  # noqa: ASYNC110 (many change it)
                await asyncio.sleep(self.PATIENCE)
            if asyncio.get_running_loop().time() > end:
                told = json.dumps({k: v for k, v in look.status.items() if k not in {"record", "judge", "history"}})
                raise AssertionError(f"never: {what}; {self.books.changes[-8:]}; {told}")

    async def serves(self, version: str, seconds: float | None = None) -> Look:
        """A version has everything, alone, and the object is ready."""

        def alone(look: Look) -> bool:
            return look.ready and look.version == version and look.named == {version}

        look = await self.until(alone, f"version {version} serves alone", seconds)
        await self.alone(version)
        return look

    async def alone(self, version: str) -> None:
        """Everything of other versions goes."""
        end = asyncio.get_running_loop().time() + self.LONG
        while True:
            left = [body for kind in CHILD_KINDS for body in await self.hands.all(kind) if _ours(body)]
            if {version_of(body["metadata"]["name"]) for body in left} == {version}:
                return
            assert asyncio.get_running_loop().time() < end, [body["metadata"]["name"] for body in left]
            await asyncio.sleep(self.PATIENCE)

    async def reverted(self, version: str, seconds: float | None = None) -> Look:
        """A version is gone from the route; the object says something settled."""
        return await self.until(lambda look: version not in look.named and not look.rollout, f"{version} left", seconds)

    async def events(self) -> list[Manifest]:
        return await self.hands.all("Event")

    async def quiet(self) -> None:
        """Nothing that the books know of was wrong, and no request was lost."""
        assert self.books.wrong == [], "\n".join(self.books.wrong)
        assert not self.traffic.lost, self.traffic.lost


def _ours(body: Manifest) -> bool:
    return bool(body["metadata"].get("ownerReferences"))


def _as_it_is(_server: FakeServer) -> None:
    pass


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


class FakeStage(Stage):
    """On the cluster in memory. The operator hears of things `lag` seconds after they happened."""

    def __init__(self, lag: float = 0.01) -> None:
        self.memory = FakeCluster()
        super().__init__(self.memory, FakeHands(self.memory, "ml"), latency=0.004, logs=self.memory)
        self.lag = lag
        self.memory.watchers.append(self._happened)
        self._heard: list[tuple[str, Manifest]] = []

    def _happened(self, event: str, body: Manifest) -> None:
        self.changes += 1
        self.books.told(event, body, asyncio.get_running_loop().time())
        self._heard.append((event, body))
        asyncio.get_running_loop().call_later(self.lag, self._tell)

    def _tell(self) -> None:
        self.hear(*self._heard.pop(0))
