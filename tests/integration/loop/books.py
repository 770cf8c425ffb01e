"""What must hold after every single write, whoever wrote, and whatever died in between."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.integration.loop.actors import backends, version_of

from tidegate.api.record import decode
from tidegate.core.labels import KIND, RECORD, ROUTE_KIND
from tidegate.core.record import Record
from tidegate.core.values import Revision
from tidegate.ports import Manifest

_OWNED = ("Deployment", "Service", "ConfigMap", "ControllerRevision", ROUTE_KIND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The shares by version number that a write of the route gave, and when."""

    at: float
    weights: dict[str, int]


class Books:
    """Sees each object after each write, in order. `wrong` is what broke an invariant."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.changes: list[Change] = []
        self.by_hand = False
        self.hold = 0.0
        self.replicas = 0
        self._objects: dict[str, dict[str, Manifest]] = defaultdict(dict)
        self._verdicts: set[tuple[str, int]] = set()
        self._confirmed: dict[str, tuple[float, dict[str, int]]] = {}
        self._bred: dict[str, set[str]] = defaultdict(set)

    def told(self, event: str, body: Manifest, now: float) -> None:
        """An object was written."""
        kind, name = body["kind"], body["metadata"]["name"]
        before = self._objects[kind].get(name)
        if event == "DELETED":
            self._objects[kind].pop(name, None)
            self._deleted(body)
            return
        self._objects[kind][name] = body
        if kind in _OWNED and not self.by_hand:
            self._owners(body)
        if kind == "Deployment":
            self._deployment(before, body)
        if kind == ROUTE_KIND:
            self._route(before, body, now)

    def raises(self, version: str) -> list[int]:
        """The weights that a version got, one after the other."""
        seen: list[int] = []
        for change in self.changes:
            weight = change.weights.get(version, 0)
            if weight and (not seen or seen[-1] != weight):
                seen.append(weight)
        return seen

    def when(self, version: str, weight: int) -> float:
        """When a version got a weight for the first time."""
        return next(change.at for change in self.changes if change.weights.get(version) == weight)

    def _say(self, words: str) -> None:
        self.wrong.append(words)

    def _owners(self, body: Manifest) -> None:
        owners = body["metadata"].get("ownerReferences") or ()
        uids = {owner["metadata"]["uid"] for owner in self._objects[KIND].values()}
        if not any(owner["kind"] == KIND and owner["uid"] in uids and owner["controller"] for owner in owners):
            self._say(f"{body['kind']} {body['metadata']['name']} belongs to no ModelDeployment")

    def _deployment(self, before: Manifest | None, body: Manifest) -> None:
        name = body["metadata"]["name"]
        if before is not None and before["spec"]["template"] != body["spec"]["template"] and not self.by_hand:
            self._say(f"Deployment {name}: the template changed, pods restart")
        twins = [n for n in self._objects["Deployment"] if version_of(n) == version_of(name) and n != name]
        same = [n for n in twins if self._objects["Deployment"][n]["spec"]["template"] == body["spec"]["template"]]
        if same:
            self._say(f"Deployments {name} and {same[0]} serve the same")

    def _deleted(self, body: Manifest) -> None:
        name = body["metadata"]["name"]
        routes = [route for route in self._objects[ROUTE_KIND].values() if name in backends(route)]
        if self.by_hand or not self._objects[KIND]:
            return
        if body["kind"] in {"Deployment", "Service"} and routes:
            self._say(f"{body['kind']} {name} was deleted while a route names it")

    def _route(self, before: Manifest | None, body: Manifest, now: float) -> None:
        name = body["metadata"]["name"]
        weights = backends(body)
        shares = {backend: weight for backend, weight in weights.items() if weight}
        if _confirmed(body) and self._confirmed.get(name, (0.0, {}))[1] != shares:
            self._confirmed[name] = (now, shares)
        if before is not None and before["metadata"]["generation"] == body["metadata"]["generation"]:
            return
        share = {version_of(n): w for n, w in weights.items() if w}
        if share and (not self.changes or self.changes[-1].weights != share):
            self.changes.append(Change(at=now, weights=share))
        if self.by_hand or body["metadata"].get("deletionTimestamp"):
            return
        record = decode(body["metadata"]["annotations"][RECORD])
        self._shares(name, weights, record)
        self._raised(before, body, record, now)

    def _shares(self, name: str, weights: dict[str, int], record: Record) -> None:
        busy = {n for n, weight in weights.items() if weight}
        roles = {r.name for r in (record.stable, record.rollout and record.rollout.canary) if r}
        if busy and (sum(weights.values()) != 100 or not busy <= roles):
            self._say(f"route {name}: weights {weights} are not 100 over stable and one canary")
        if weights != record.weights():
            self._say(f"route {name}: weights {weights}, record {record.weights()}")
        for missing in weights.keys() - self._objects["Service"].keys():
            self._say(f"route {name} names the Service {missing}, which does not exist")

    def _raised(self, before: Manifest | None, body: Manifest, record: Record, now: float) -> None:
        name, weights, old = body["metadata"]["name"], backends(body), backends(before) if before else {}
        rollout = record.rollout
        if rollout is None:
            return
        attempt = (rollout.canary.name, rollout.attempt)
        raised = weights.get(rollout.canary.name, 0) > old.get(rollout.canary.name, 0)
        if raised and attempt in self._verdicts:
            self._say(f"route {name}: {attempt} was raised after its verdict")
        if rollout.verdict is not None:
            self._verdicts.add(attempt)
        if raised:
            self._fit(rollout.canary, weights[rollout.canary.name])
        if raised and old.get(rollout.canary.name) and not rollout.unheld:
            if before is None or not _confirmed(before):
                self._say(f"route {name}: raised to {weights} before the gateway confirmed {old}")
            elif now - self._confirmed[name][0] < self.hold - 1e-3:
                self._say(f"route {name}: raised to {weights} {now - self._confirmed[name][0]:g}s after confirmation")

    def _fit(self, canary: Revision, weight: int) -> None:
        ready = self._ready(canary.name)
        needed = max(1, -(-self.replicas * weight // 100))
        if ready < needed:
            self._say(f"{canary.name} got {weight}% with {ready} of {needed} pods ready")

    def _ready(self, revision: str) -> int:
        slices = [s for n, s in self._objects["EndpointSlice"].items() if n == revision]
        return sum(e["conditions"]["ready"] for s in slices for e in s["endpoints"] or ())


def _confirmed(route: dict[str, Any]) -> bool:
    generation = route["metadata"]["generation"]
    parents = (route.get("status") or {}).get("parents") or ()
    return bool(parents) and all(
        c["status"] == "True" and c["observedGeneration"] == generation for p in parents for c in p["conditions"]
    )
