"""What the whole cluster needs of registered models, listed from the API server itself: a cache may lag behind.

For decisions that nobody can take back. Whatever can't be read needs everything.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.api.record import decode
from tidegate.api.scalars import seconds
from tidegate.core.labels import KIND, MODEL, PROMOTION_KIND, RECORD, ROUTE_KIND, VERSION
from tidegate.core.promotion import Standing
from tidegate.core.retention import Claim, claims_of
from tidegate.core.values import ObjectRef
from tidegate.errors import NotServed, UnreadableRecord
from tidegate.ports import Cluster, Manifest

#: Kinds that may not be served: where there is no such CRD, there is no such object.
_MAYBE = frozenset({PROMOTION_KIND})
_FINAL = frozenset(standing.value for standing in Standing if standing.final)
#: Objects that are read before others get a turn.
AT_ONCE = 20
_EVERYTHING = "its record can't be read, so that it may need anything"


@dataclass(slots=True, kw_only=True)
class Census:
    """Who needs what. `readers`: by ModelRegistry (None: the operator's own), by model, who asks for it."""

    claims: dict[str | None, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    readers: dict[str | None, dict[str, list[ObjectRef]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def of(self, model: str) -> Sequence[Claim]:
        """What is said of a model's versions."""
        return (*self.claims.get(None, ()), *self.claims.get(model, ()))

    def models(self, where: str | None) -> Mapping[str, list[ObjectRef]]:
        """The models that a registry is asked for."""
        return self.readers.get(where, {})

    def add(self, claims: Iterator[Claim]) -> None:
        """Take what an object says."""
        for claim in claims:
            self.claims[claim.model].append(claim)


async def take(cluster: Cluster, namespaces: Sequence[str], now: float) -> Census:
    """List everything that may need a version.

    Raises:
        ClusterError: a list failed. Nothing may be concluded from the others.
    """
    found = Census()
    windows: dict[str, float] = {}
    for namespace in namespaces or (None,):
        # Objects first: what a record means depends on its object's rollback window.
        async for body in _all(cluster, KIND, namespace):
            windows[_key(body)] = _window(body)
            found.add(_wishes(body))
            found.add(_remembered(body, (body.get("status") or {}).get("record"), windows, now))
            model, where = _asks(body)
            meta = body["metadata"]
            ref = ObjectRef(namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])
            found.readers[where][model].append(ref)
        async for body in _all(cluster, ROUTE_KIND, namespace):
            notes = body["metadata"].get("annotations") or {}
            found.add(_remembered(body, notes.get(RECORD), windows, now))
        async for body in _all(cluster, "Deployment", namespace):
            found.add(_run(body))
        async for body in _all(cluster, PROMOTION_KIND, namespace):
            found.add(_promoted(body))
    return found


async def _all(cluster: Cluster, kind: str, namespace: str | None) -> AsyncIterator[Manifest]:
    try:
        async for page in cluster.pages(kind, namespace):
            for number, body in enumerate(page.items):
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
                yield body
    except NotServed:
        if kind not in _MAYBE:
            raise


def _asks(body: Manifest) -> tuple[str, str | None]:
    model = body["spec"]["model"]
    name = (model.get("registry") or {}).get("name")
    return str(model["name"]), f"{body['metadata']['namespace']}/{name}" if name else None


def _wishes(body: Manifest) -> Iterator[Claim]:
    """What a spec names by its number. Aliases and stages are the registry's to tell."""
    model = body["spec"]["model"]
    if model.get("version") is not None:
        yield Claim(model=model["name"], number=str(model["version"]), words=f"{_name(body)} asks for it")


def _remembered(body: Manifest, text: str | None, windows: Mapping[str, float], now: float) -> Iterator[Claim]:
    """What a record needs, on the route or kept in status."""
    if text is None:
        return
    owner = f"{KIND} {_key(body)}"
    try:
        record = decode(text)
    except UnreadableRecord:
        yield Claim(model=None, number=None, words=f"{owner} is there: {_EVERYTHING}")
        return
    yield from claims_of(owner, record, window=windows.get(_key(body), 0.0), now=now)


def _run(body: Manifest) -> Iterator[Claim]:
    """What pods get when they start next: those of an object that is gone may be left."""
    notes = body["spec"]["template"].get("metadata", {}).get("annotations") or {}
    if MODEL in notes and VERSION in notes:
        yield Claim(model=notes[MODEL], number=notes[VERSION], words=f"{_name(body)} runs it")


def _promoted(body: Manifest) -> Iterator[Claim]:
    if (body.get("status") or {}).get("phase") not in _FINAL:
        spec = body["spec"]
        yield Claim(model=spec["model"], number=str(spec["version"]), words=f"{_name(body)} is about it")


def _window(body: Manifest) -> float:
    window = (body["spec"].get("rollout") or {}).get("rollbackWindow", "24h")
    return seconds(str(window))


def _key(body: Mapping[str, Any]) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"


def _name(body: Manifest) -> str:
    return f"{body['kind']} {_key(body)}"
