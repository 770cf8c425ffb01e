"""The same stories on a real API server, with kopf's watches: kubelet, gateway and traffic are still the test's own."""

import asyncio
import copy
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from tests.cluster.light import LightCluster
from tests.fakes.cluster import crash_at
from tests.fixtures.loopclock import EPOCH
from tests.fixtures.until import until
from tests.integration.loop import test_approvals as approvals
from tests.integration.loop import test_autoscaled as autoscaled
from tests.integration.loop import test_autoscaling as autoscaling
from tests.integration.loop import test_memory as memory
from tests.integration.loop import test_promotions as promotions
from tests.integration.loop import test_way_back as way_back
from tests.integration.loop.hands import RealHands, void
from tests.integration.loop.stage import Stage

from tidegate.adapters.access import Access, Identity
from tidegate.adapters.kube import KubeCluster
from tidegate.core.labels import AUTOSCALER_KIND, KIND, ROUTE_KIND
from tidegate.intake.handlers import Intake
from tidegate.intake.informer import run_informer
from tidegate.ports import Manifest

pytestmark = [pytest.mark.apiserver, pytest.mark.long]
#: Seconds of the operator's clock in one of the machine's: what waits for the clock alone need not be waited for.
FAST = 5.0
Tell = Callable[[str, Any], None]
Since = Callable[[str, str | None], Coroutine[Any, Any, str | None]]


class FastClock:
    """`ports.Clock` that runs ahead."""

    def now(self) -> float:
        return EPOCH + FAST * asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return FAST * asyncio.get_running_loop().time()


class Informer:
    """The product's informer in a thread of its own: at its end kopf cancels whatever else runs in its loop.

    `since` is asked besides where a watch that begins anew goes on from.
    """

    def __init__(self, identity: Identity, namespace: str, seen: Tell, gone: Tell, since: Since | None = None) -> None:
        self._home = asyncio.get_running_loop()
        self._identity = identity
        self._namespace = namespace
        self._since = since
        self._intake = Intake(seen=self._at_home(seen), gone=self._at_home(gone), listed=self._listed)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), name="informer")
        self._thread.start()
        self._started.wait(10)

    async def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, 30)
        assert not self._thread.is_alive()

    def _at_home(self, tell: Tell) -> Tell:
        # A copy: kopf goes on to change what it handed out once the handler has returned.
        return lambda kind, body: void(self._home.call_soon_threadsafe(tell, kind, copy.deepcopy(body)))

    async def _listed(self, kind: str, namespace: str | None) -> str | None:
        since: str | None = None
        if self._since is not None:
            asked = asyncio.run_coroutine_threadsafe(self._since(kind, namespace), self._home)
            since = await asyncio.wrap_future(asked)
        # Listed after that version, not before it: what is written in between would be told to nobody.
        listed: str | None = None
        async for page in KubeCluster(self._access).pages(kind, namespace):
            listed = page.version
            for body in page.items:
                self._intake.seen(kind, body)
        return since or listed

    async def _watch(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        access = self._access = Access(self._identity)
        await run_informer(self._intake, access, namespaces=[self._namespace], stop=self._stop)
        await access.close()
        # Connections that are given up are closed in later rounds of the loop; its own pipe to itself stays.
        await until(lambda: len(self._loop._selector.get_map()) <= 1, 10)  # type: ignore[attr-defined]  # asyncio's own


class RealStage(Stage):
    """On the API server. One informer watches through all lives of the operator."""

    PATIENCE = 0.02
    LONG = 40.0

    def __init__(self, access: Access, namespace: str) -> None:
        super().__init__(KubeCluster(access), RealHands(access, namespace))
        self.watched = access.identity
        self.since: Since | None = None
        self.clock = FastClock()
        self.settings = self.settings.model_copy(update={"registry_interval": 0.2})
        self.kubelet.boot = 0.05
        self.gateway.delay = 0.01
        self.traffic.rate = 400.0
        self._informer: Informer | None = None

    async def open(self) -> None:
        await super().open()
        self._informer = Informer(self.watched, self.hands.namespace, self._seen, self._gone, self.since)

    async def close(self) -> None:
        if self._informer is not None:
            await self._informer.stop()
        await super().close()

    def manifest(self, **spec: Any) -> Manifest:
        short = {
            "rollout": {"weights": [5, 25, 50, 100], "hold": "2s"},
            "guards": {"errorRate": {"max": "1%"}, "minRequests": 10, "interval": "250ms"},
        }
        return super().manifest(**(short | spec))

    def _seen(self, kind: str, body: Any) -> None:
        self.told("MODIFIED", {**body, "kind": kind})

    def _gone(self, kind: str, body: Any) -> None:
        self.told("DELETED", {**body, "kind": kind})


@pytest.fixture
async def real(apiserver: LightCluster, kube_access: Access, namespace: str) -> AsyncIterator[RealStage]:
    made = RealStage(kube_access, namespace)
    await made.open()
    yield made
    await made.close()


STORIES: list[Callable[[Stage], Awaitable[None]]] = [
    way_back.test_a_third_version_waits_until_everything_is_back_and_starts_at_the_first_step,
    way_back.test_a_container_that_restarts_with_weight_rejects_and_says_how,
    memory.test_a_superseded_version_is_not_rejected_and_works_when_it_comes_back,
    autoscaled.test_a_rollout_beside_an_autoscaled_version_starts_from_what_that_took,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.removeprefix("test_"))
async def test_told_in_memory_and_true(story: Callable[[Stage], Awaitable[None]], real: RealStage) -> None:
    # Watches of several kinds tell of things in no common order, so what holds between kinds is judged in memory.
    real.books.by_hand = True
    await story(real)


async def test_people_approve_take_it_back_and_promote(real: RealStage) -> None:
    """Words and promotions as the API server keeps them, with its own watches, statuses and times."""
    real.books.by_hand = True
    real.settings = real.settings.model_copy(update={"governance": True})
    first, second = await approvals.at_the_step(real, hold="3s", onRevoke="Revert")
    await real.hands.put(approvals.word(real, second, "Grant"))
    await real.rolling_of(second, 25)
    await real.hands.put(approvals.word(real, second, "Refuse", approver="bob"))
    await real.until(lambda look: look.weights == {first: 100}, "everything back", 10)
    look = await real.reverted(second)
    assert look.rejected[second]["reason"] == "ApprovalRefused"
    asked = await promotions.asks(real, "p", second, "None", "Staging")
    await promotions.until(real, "p", "Done")
    waits = await promotions.asks(real, "q", second)
    await promotions.until(real, "q", "Pending")
    await promotions.votes(real, asked, "bob")
    await promotions.votes(real, waits, "bob")
    await promotions.until(real, "q", "Done")
    moves = [write for write in real.registry_writes if write == "move"]
    assert len(moves) == 2, "one for each promotion; tags are written besides"


async def revisions_of(real: RealStage) -> dict[str, str]:
    kinds = (KIND, ROUTE_KIND, "Deployment", "Service", "ConfigMap", "ControllerRevision")
    bodies = [(kind, body) for kind in kinds for body in await real.hands.all(kind)]
    return {f"{kind}/{body['metadata']['name']}": body["metadata"]["resourceVersion"] for kind, body in bodies}


async def test_a_good_version_is_promoted_and_then_nobody_writes_a_thing_not_even_at_a_restart(
    real: RealStage, apiserver: LightCluster
) -> None:
    real.books.by_hand = True
    await real.serve()
    second = real.point()
    look = await real.serves(second)
    assert real.books.raises(second) == [5, 25, 50, 100]
    assert not real.traffic.lost
    await asyncio.sleep(1.0)  # what was under way comes to rest
    before, writes = await revisions_of(real), len(real.writes)
    for _ in range(3):
        assert real.operator is not None
        real.operator.queue.add(f"{real.hands.namespace}/fraud")
        await real.operator.relister.once()
        await asyncio.sleep(0.2)
        await real.reborn()
        await asyncio.sleep(0.6)
    assert real.writes[writes:] == []
    assert await revisions_of(real) == before
    # kopf writes neither finalizers nor annotations.
    words = apiserver.kubectl("get", "mdep", "fraud", "-n", real.hands.namespace, "-o=json", "--show-managed-fields")
    fields = json.loads(words)["metadata"]["managedFields"]
    assert [entry["manager"] for entry in fields if entry.get("subresource")] == ["tidegate"]
    assert "kopf" not in {entry["manager"] for entry in fields}
    assert not look.body["metadata"].get("finalizers")
    assert not look.body["metadata"].get("annotations")


#: As people may write quantities, and as the API server gives none back.
ODD = [
    {"type": "Pods", "pods": {"metric": {"name": "a"}, "target": {"type": "AverageValue", "averageValue": 4}}},
    {"type": "External", "external": {"metric": {"name": "b"}, "target": {"type": "Value", "value": "10000m"}}},
]


async def test_an_autoscaler_of_ours_is_put_back_and_costs_nothing_at_rest_whatever_its_controller_says(
    real: RealStage,
) -> None:
    real.books.by_hand = True
    first = await real.serve(autoscaling.manifest(real, autoscaling={**autoscaling.SCALING, "metrics": ODD}))
    name = await real.named(first)
    await real.hands.scale(name, 5)
    await real.until_kind("Pod", 5)
    await asyncio.sleep(1.0)  # what was under way comes to rest
    writes, meant = len(real.writes), (await autoscaling.scaler(real, first))["spec"]
    for number in range(3):
        status = {"currentReplicas": 5, "desiredReplicas": 5 + number, "currentMetrics": []}
        await real.hands.set_status(AUTOSCALER_KIND, name, status)
        assert real.operator is not None
        await real.operator.relister.once()
        real.operator.queue.add(f"{real.hands.namespace}/fraud")
        await asyncio.sleep(0.2)
        await real.reborn()
        await asyncio.sleep(0.6)
    assert real.writes[writes:] == []
    await real.hands.edit(AUTOSCALER_KIND, name, lambda body: body["spec"].update(minReplicas=1, maxReplicas=99))
    end = asyncio.get_running_loop().time() + real.LONG
    while (await autoscaling.scaler(real, first))["spec"] != meant:
        assert asyncio.get_running_loop().time() < end, "never put back"
        await asyncio.sleep(real.PATIENCE)
    assert await autoscaling.size(real, first) == 5


async def test_killed_every_few_writes_it_gets_there_all_the_same(real: RealStage) -> None:
    real.books.by_hand = True
    real.restarting(0.0)
    killed = [crash_at(number, "after" if number % 2 else "before") for number in range(4, 120, 9)]
    real.faults += killed
    first = real.point()
    await real.apply(real.manifest())
    real.start()
    await real.until(lambda look: look.weights == {first: 100}, "the first serves", 60)
    second = real.point()
    await real.until(lambda look: look.weights == {second: 100} and look.named == {second}, "the second serves", 120)
    assert real.books.raises(second) == [5, 25, 50, 100]
    assert real.lives > 5
    assert not real.traffic.lost
    await real.alone(second)


async def test_an_api_server_that_hangs_in_mid_step_delays_a_revert_and_no_more(
    real: RealStage, apiserver: LightCluster
) -> None:
    real.books.by_hand = True
    first = await real.serve()
    second = await real.rolling(25)
    with apiserver.paused():
        real.traffic.errors[second] = 1.0
        await asyncio.sleep(1.5)  # the guards have seen enough by then
    await real.until(lambda look: look.weights == {first: 100}, "everything back", 10)
    look = await real.reverted(second, 30)
    assert second in look.rejected


async def test_an_api_server_that_is_restarted_in_mid_step_changes_nothing_of_a_rollout_and_keeps_no_revert_back(
    real: RealStage, apiserver: LightCluster
) -> None:
    """Its watches begin anew: what they went on from has expired (410) with the old server's memory."""
    real.books.by_hand = True
    await real.serve(real.manifest(rollout={"weights": [25, 100], "hold": "10s"}))
    second = await real.rolling(25)
    await asyncio.to_thread(apiserver.restart)
    await real.serves(second, 60)
    assert real.books.raises(second) == [25, 100]
    assert not real.traffic.lost
    third = await real.rolling(25)
    real.traffic.errors[third] = 1.0
    await real.until(lambda look: look.weights == {second: 100}, "everything back", 15)
    look = await real.reverted(third)
    assert third in look.rejected
