"""A hundred reverts at once: one webhook of Alertmanager's, and how long until all routes are written."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.bench.figures import Figure, Limit
from tests.bench.handover import Crew, crew
from tests.driver.replicas import Cell, until

OBJECTS = 100
ROUNDS = 5
#: Requests of the floor that are under way at a time: as many as the operator has of one webhook.
HANDS = 32


def at_once() -> list[Figure]:
    """Seconds until 100 reverts are written, and until as many bare patches of the same routes are."""
    samples, floor = [], []
    with crew() as found:
        for number in range(ROUNDS):
            names = _rolling(found.cell, number)
            floor.append(_patched(found.cell, names))
            samples.append(_reverted(found, names))
    limit = Limit(value="max", most=2.0)
    return [Figure(name="reverts_100_at_once", unit="s", samples=samples, floor=floor, limits=(limit,))]


def _rolling(cell: Cell, number: int) -> list[str]:
    names = [f"r{number}-{each}" for each in range(OBJECTS)]
    _all(cell.rolling, names)
    for name in names:
        until(lambda: len(cell.deployments(name)) == 2, seconds=120, what=f"Deployments of {name}")  # noqa: B023
    return names


def _patched(cell: Cell, names: Sequence[str]) -> float:
    change = {"metadata": {"annotations": {"example.com/touched": "true"}}}
    begun = time.monotonic()
    _all(lambda name: cell.merge("HTTPRoute", name, change), names)
    return time.monotonic() - begun


def _reverted(crew: Crew, names: Sequence[str]) -> float:
    """The answer comes once every effect is on its route; that is looked at as well."""
    leader = crew.leader()
    begun = time.monotonic()
    status = leader.alerts(names)
    took = time.monotonic() - begun
    missing = [name for name in names if not crew.cell.reverted(name)]
    assert status == 200, f"the webhook was answered {status}"
    assert not missing, f"not reverted, though the answer said so: {missing[:5]}"
    return took


def _all(act: Callable[[str], None], names: Sequence[str]) -> None:
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(act, names))
