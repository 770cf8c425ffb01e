"""Hands off: how long until an edit of an object of ours by somebody else is put back, on a real API server."""

import time
from collections.abc import Callable
from typing import Any

from tests.bench.figures import Figure, Limit
from tests.bench.handover import crew
from tests.driver.replicas import WEIGHT, Cell, until
from tidegate.core.labels import REVISION

Edit = Callable[[Cell, str], Callable[[], bool]]
MOST, WORST = 1.0, 2.0


def put_back(trials: int) -> list[Figure]:
    """Seconds from an edit until the object is as it was, for each kind that people edit."""
    samples: dict[str, list[float]] = {name: [] for name in EDITS}
    with crew() as found:
        cell = found.cell
        found.leader()
        cell.rolling("anvil")
        until(lambda: len(cell.deployments("anvil")) == 2, seconds=120, what="Deployments")
        for _ in range(trials):
            for name, edit in EDITS.items():
                begun = time.time()
                as_it_was = edit(cell, "anvil")
                samples[name].append(until(as_it_was, seconds=30, what=f"{name} is put back") - begun)
    limits = (Limit(value="p99", most=MOST), Limit(value="max", most=WORST))
    return [Figure(name=f"put_back_{name}", unit="s", samples=taken, limits=limits) for name, taken in samples.items()]


def _weights(cell: Cell, name: str) -> Callable[[], bool]:
    rules = cell.get("HTTPRoute", name)["spec"]["rules"]

    def now() -> list[int]:
        refs: list[dict[str, Any]] = cell.get("HTTPRoute", name)["spec"]["rules"][0]["backendRefs"]
        return [ref["weight"] for ref in refs]

    for ref in rules[0]["backendRefs"]:
        ref["weight"] = 50
    cell.merge("HTTPRoute", name, {"spec": {"rules": rules}})
    return lambda: now() == [100 - WEIGHT, WEIGHT]


def _selector(cell: Cell, name: str) -> Callable[[], bool]:
    service = cell.deployments(name)[0]
    cell.merge("Service", service, {"spec": {"selector": {REVISION: "somebody-elses"}}})
    return lambda: bool(cell.get("Service", service)["spec"]["selector"][REVISION] == service)


def _size(cell: Cell, name: str) -> Callable[[], bool]:
    deployment = cell.deployments(name)[0]
    cell.merge("Deployment", deployment, {"spec": {"replicas": 7}})
    return lambda: cell.size(deployment) == 1


EDITS: dict[str, Edit] = {"httproute": _weights, "service": _selector, "deployment": _size}
