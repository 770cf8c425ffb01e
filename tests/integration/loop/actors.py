"""The rest of a cluster: what makes pods of Deployments, what routes requests, and the requests themselves."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tests.fakes.evidence import FakeEvidence
from tests.integration.loop.hands import Hands

from tidegate.core.labels import OWNER, REVISION, ROUTE_KIND
from tidegate.ports import Manifest

#: Seconds until somebody notices what changed.
NOTICES = 0.05
#: Seconds until a pod that was made is ready.
BOOT = 2.0


def version_of(revision: str) -> str:
    """The version number in a revision's name."""
    return revision.rsplit("-", 2)[1].removeprefix("v")


class Kubelet:
    """Deployment controller, scheduler, kubelet and endpoint controller in one.

    `moods` says by version how its pods do: ready, never, unschedulable, image, artifact, exits or silent (exits and
    says nothing).
    """

    def __init__(self, hands: Hands, boot: float = BOOT) -> None:
        self.moods: dict[str, str] = {}
        self.boot = boot
        #: Seconds until the garbage collector finds the pods of a Deployment that is gone.
        self.collects_after = 0.0
        self.ready: dict[str, list[str]] = {}
        self.versions: dict[str, str] = {}
        self.made: Counter[str] = Counter()
        self._addresses: dict[str, int] = {}
        self._hands = hands
        self._dirty = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._doomed: set[str] = set()
        self._listing = asyncio.Lock()
        self._unlisted = False

    def look(self, kind: str) -> None:
        """Something of that kind has changed."""
        if kind in {"Deployment", "Service"}:
            self._dirty.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(NOTICES)
            self._dirty.clear()
            await self.sync()

    async def sync(self) -> None:
        """Make the pods and endpoints be as the Deployments and Services say."""
        pods = defaultdict(list)
        for pod in await self._hands.all("Pod"):
            pods[pod["metadata"]["labels"][REVISION]].append(pod)
        deployments = {body["metadata"]["name"]: body for body in await self._hands.all("Deployment")}
        for name in {*pods, *deployments}:
            await self._scale(name, deployments.get(name), pods[name])
        await self._list_endpoints()

    async def mood(self, version: str, mood: str) -> None:
        """From now on the pods of a version do so; those that are there too."""
        self.moods[version] = mood
        for pod in await self.pods(version):
            await self._hands.set_status("Pod", pod["metadata"]["name"], self._status(pod))
        await self._list_endpoints()

    async def pods(self, version: str) -> list[Manifest]:
        """The pods of a version."""
        return [p for p in await self._hands.all("Pod") if version_of(p["metadata"]["labels"][REVISION]) == version]

    async def lose(self, version: str) -> None:
        """All pods of a version are deleted at once; others are made."""
        for pod in await self.pods(version):
            await self._hands.remove("Pod", pod["metadata"]["name"])
        await self._list_endpoints()
        self._dirty.set()

    def address(self, pod: Manifest) -> str:
        """The address of a pod, its own."""
        number = self._addresses.setdefault(pod["metadata"]["uid"], len(self._addresses))
        return f"10.0.{number // 250}.{number % 250 + 1}"

    async def restart(self, version: str, *, code: int = 137) -> None:
        """One container of a version ends and is started again."""
        pod = (await self.pods(version))[0]
        status = self._status(pod)
        container = status["containerStatuses"][0]
        container["restartCount"] = 1
        container["lastState"] = {"terminated": {"exitCode": code, "reason": "OOMKilled"}}
        await self._hands.set_status("Pod", pod["metadata"]["name"], status)

    async def _scale(self, name: str, deployment: Manifest | None, pods: list[Manifest]) -> None:
        wanted = deployment["spec"]["replicas"] if deployment else 0
        uid = deployment["metadata"]["uid"] if deployment else None
        orphans = [pod for pod in pods if pod["metadata"]["ownerReferences"][0]["uid"] != uid]
        own = [pod for pod in pods if pod not in orphans]
        own.sort(key=lambda pod: int(pod["metadata"]["name"].rsplit("-", 1)[1]))
        for pod in own[wanted:]:
            await self._hands.remove("Pod", pod["metadata"]["name"])
        for pod in orphans:
            await self._collect(pod)
        if deployment is not None:
            for _ in range(wanted - len(own)):
                await self._make(name, deployment)

    async def _collect(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        if not self.collects_after:
            await self._hands.remove("Pod", name)
        elif name not in self._doomed:
            self._doomed.add(name)
            self._later(self.collects_after, lambda: self._collected(name))

    async def _collected(self, name: str) -> None:
        await self._hands.remove("Pod", name)
        await self._list_endpoints()

    def _later(self, delay: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            await asyncio.sleep(delay)
            await work()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, name: str, deployment: Manifest) -> None:
        self.made[name] += 1
        template = deployment["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **template["metadata"],
                # As if a ReplicaSet stood between them.
                "ownerReferences": [_owner(deployment)],
                "namespace": deployment["metadata"]["namespace"],
                "name": f"{name}-{self.made[name]}",
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        await self._hands.put(pod)
        self._later(self.boot, lambda: self._booted(pod["metadata"]["name"]))

    async def _booted(self, name: str) -> None:
        pod = await self._hands.read("Pod", name)
        if pod is not None:
            await self._hands.set_status("Pod", name, self._status(pod))
            await self._list_endpoints()

    def _status(self, pod: Manifest) -> dict[str, Any]:
        mood = self.moods.get(version_of(pod["metadata"]["labels"][REVISION]), "ready")
        image = pod["spec"]["containers"][0]["image"]
        container: dict[str, Any] = {
            "name": "model", "image": image, "imageID": "", "restartCount": 0, "ready": mood == "ready",
        }  # fmt: skip
        scheduled = {"type": "PodScheduled", "status": "True"}
        if mood in {"ready", "never"}:
            container |= {"started": True, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        elif mood == "image":
            container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        elif mood in {"exits", "silent"}:
            words = {"message": "nothing to serve"} if mood == "exits" else {}
            ended = {"exitCode": 0, "reason": "Completed", **words}
            container |= {"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            container["lastState"] = {"terminated": ended}
        elif mood == "unschedulable":
            words = "0/1 nodes are available: 1 Insufficient cpu."
            scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
        running = mood in {"ready", "never", "exits", "silent"}
        status: dict[str, Any] = {
            "phase": "Running" if running else "Pending",
            "conditions": [{"type": "Ready", "status": "True" if mood == "ready" else "False"}, scheduled],
            "containerStatuses": [] if mood == "unschedulable" else [container],
        }
        if running:
            address = self.address(pod)
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        if mood == "artifact":
            words = '{"error": "ArtifactIncomplete", "message": "no MLmodel"}'
            ended = {"exitCode": 1, "reason": "Error", "message": words}
            init = {"name": "download", "image": image, "imageID": "", "restartCount": 2, "ready": False}
            waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
            status["initContainerStatuses"] = [{**init, "state": waiting, "lastState": {"terminated": ended}}]
            status["containerStatuses"] = []
        return status

    async def _count(self, pods: list[Manifest]) -> None:
        """What Deployments say of their pods."""
        for deployment in await self._hands.all("Deployment"):
            own = [p for p in pods if p["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]]
            ready = sum(_endpoint(p)["conditions"]["ready"] for p in own if p.get("status", {}).get("podIP"))
            if ((deployment.get("status") or {}).get("readyReplicas") or 0) != ready:
                status = {"replicas": len(own), "readyReplicas": ready}
                await self._hands.set_status("Deployment", deployment["metadata"]["name"], status)

    async def _list_endpoints(self) -> None:
        # One after the other: of two at once the one that saw less may end last. Those who wait together need one.
        self._unlisted = True
        async with self._listing:
            if self._unlisted:
                self._unlisted = False
                await self._listed()

    async def _listed(self) -> None:
        services = {body["metadata"]["name"]: body for body in await self._hands.all("Service")}
        pods = await self._hands.all("Pod")
        # Those that are gone stay known: they are asked until what is ready below says otherwise.
        self.versions |= {p["metadata"]["uid"]: version_of(p["metadata"]["labels"][REVISION]) for p in pods}
        there = {body["metadata"]["name"]: body for body in await self._hands.all("EndpointSlice")}
        ready: dict[str, list[str]] = {}
        for name, service in services.items():
            if OWNER not in (service["metadata"].get("labels") or {}):
                continue
            chosen = [pod for pod in pods if _selected(pod, service["spec"].get("selector") or {})]
            endpoints = [_endpoint(pod) for pod in chosen if pod.get("status", {}).get("podIP")]
            ready[name] = [e["targetRef"]["uid"] for e in endpoints if e["conditions"]["ready"]]
            # What is told of is there: a weight may come back before the other Services are done.
            self.ready[name] = ready[name]
            if name not in there or (there[name].get("endpoints") or []) != endpoints:
                await self._hands.put(_slice(service, endpoints))
        self.ready = ready
        await self._count(pods)
        for name in there.keys() - services.keys():
            await self._hands.remove("EndpointSlice", name)


def _owner(deployment: Manifest) -> dict[str, str]:
    meta = deployment["metadata"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}


def _selected(pod: Manifest, selector: Mapping[str, str]) -> bool:
    labels = pod["metadata"]["labels"]
    return all(labels.get(key) == value for key, value in selector.items())


def _endpoint(pod: Manifest) -> dict[str, Any]:
    conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
    meta = pod["metadata"]
    return {
        "addresses": ["10.0.0.1"],
        "conditions": {"ready": conditions["Ready"] == "True"},
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    }


def _slice(service: Manifest, endpoints: list[dict[str, Any]]) -> Manifest:
    meta = service["metadata"]
    labels = {**meta["labels"], "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": meta["namespace"], "name": meta["name"], "labels": labels},
        "addressType": "IPv4",
        "endpoints": endpoints,
    }


class Gateway:
    """Takes routes up and says so.

    `mood`: quick, silent (takes them up and says nothing), refusing, or deaf (goes on by what it knew).
    """

    def __init__(self, hands: Hands, delay: float = 0.05) -> None:
        self.mood = "quick"
        self.delay = delay
        self.weights: dict[str, dict[str, int]] = {}
        self._hands = hands
        self._dirty = asyncio.Event()

    def look(self, kind: str) -> None:
        if kind == ROUTE_KIND:
            self._dirty.set()

    def say(self, mood: str) -> None:
        """Be in another mood from now on."""
        self.mood = mood
        self._dirty.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(self.delay)
            self._dirty.clear()
            if self.mood == "deaf":
                continue
            routes = await self._hands.all(ROUTE_KIND)
            self.weights = {route["metadata"]["name"]: backends(route) for route in routes}
            for route in routes:
                await self._answer(route)

    async def _answer(self, route: Manifest) -> None:
        if self.mood == "silent":
            return
        accepted = self.mood == "quick"
        answer = {
            "observedGeneration": route["metadata"]["generation"],
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        accept = {"type": "Accepted", "status": str(accepted), "reason": "Accepted" if accepted else "NoMatchingParent"}
        words = "" if accepted else "no listener has this host"
        conditions = [
            {**answer, **accept, "message": words},
            {**answer, "type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": ""},
        ]
        parents = [
            {"parentRef": ref, "controllerName": "example.com/gateway", "conditions": conditions}
            for ref in route["spec"]["parentRefs"]
        ]
        if (route.get("status") or {}).get("parents") != parents:
            await self._hands.set_status(ROUTE_KIND, route["metadata"]["name"], {"parents": parents})


def backends(route: Manifest) -> dict[str, int]:
    """The weights of a route by revision."""
    return {ref["name"]: ref.get("weight", 1) for ref in route["spec"]["rules"][0].get("backendRefs") or ()}


class Traffic:
    """Steady requests by the weights that the gateway goes by.

    `errors` and `refusals` are shares of 5xx and 4xx by version, `seconds` how long an answer takes, `predicts` the
    numbers in its good answers, in turn; a version that is not in it answers with `SCORES`. `hangs` names
    versions that accept and never answer. `lost` counts requests that met a backend without an endpoint.
    """

    TICK = 0.5
    SCORES = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55)

    def __init__(self, gateway: Gateway, kubelet: Kubelet, evidence: FakeEvidence, rate: float = 40.0) -> None:
        self.rate = rate
        self.errors: dict[str, float] = {}
        self.refusals: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.predicts: dict[str, tuple[float, ...]] = {}
        self.hangs: set[str] = set()
        self.lost: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self._gateway = gateway
        self._kubelet = kubelet
        self._evidence = evidence
        self._owed: dict[tuple[str, str], float] = defaultdict(float)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.TICK)
            for weights in self._gateway.weights.values():
                self._spread(weights)

    def _spread(self, weights: Mapping[str, int]) -> None:
        whole = sum(weights.values())
        for revision, weight in weights.items():
            number = self._due(revision, "requests", self.rate * self.TICK * weight / whole) if whole else 0
            if number:
                self._serve(revision, number)

    def _due(self, revision: str, what: str, amount: float) -> int:
        self._owed[revision, what] += amount
        number = int(self._owed[revision, what])
        self._owed[revision, what] -= number
        return number

    def _serve(self, revision: str, number: int) -> None:
        ready = self._kubelet.ready.get(revision, [])
        if not ready:
            self.lost[version_of(revision)] += number
            return
        # Who answers is decided by the Service's selector; its name says nothing about that.
        version = self._kubelet.versions[ready[0]]
        self.served[version] += number
        bad = self._due(revision, "errors", number * self.errors.get(version, 0.0))
        refused = self._due(revision, "refusals", number * self.refusals.get(version, 0.0))
        seconds = self.seconds.get(version, 0.02)
        pod = self._evidence.pod(ready[self.served[version] % len(ready)])
        if version in self.hangs:
            pod.accept(number)
            return
        pod.serve(number - bad - refused, "2xx", seconds)
        pod.serve(bad, "5xx", seconds)
        pod.serve(refused, "4xx", seconds)
        scores = self.predicts.get(version, self.SCORES)
        for turn in range(number - bad - refused):
            pod.predict(scores[(self.served[version] + turn) % len(scores)])


Told = Callable[[str, Manifest], None]
