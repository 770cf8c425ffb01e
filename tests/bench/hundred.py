"""A hundred reverts at once, told by one webhook of Alertmanager's or by one for each, until all routes are written."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.bench.figures import Figure, Limit
from tests.bench.handover import Crew, crew
from tests.driver.replicas import Cell, Replica, until

OBJECTS = 100
ROUNDS = 3
#: Requests of the floor that are under way at a time: as many as the operator has of one webhook.
HANDS = 32


def at_once() -> list[Figure]:
    """Seconds until 100 reverts are written, and until as many bare patches of the same routes are."""
    ways: dict[str, Callable[[Replica, Sequence[str]], None]] = {"at_once": _in_one, "apart": _apart}
    samples: dict[str, list[float]] = {way: [] for way in ways}
    floor: dict[str, list[float]] = {way: [] for way in ways}
    with crew() as found:
        for number in range(ROUNDS):
            for way, tell in ways.items():
                names = _rolling(found.cell, f"{way.replace('_', '-')}-{number}")
                floor[way].append(_patched(found.cell, names))
                samples[way].append(_reverted(found, names, tell))
    limits = (Limit(value="max", most=2.0),)
    return [
        Figure(name=f"reverts_100_{way}", unit="s", samples=samples[way], floor=floor[way], limits=limits)
        for way in ways
    ]


def _rolling(cell: Cell, prefix: str) -> list[str]:
    names = [f"{prefix}-{each}" for each in range(OBJECTS)]
    _all(cell.rolling, names)
    for name in names:
        until(lambda: len(cell.deployments(name)) == 2, seconds=120, what=f"Deployments of {name}")  # noqa: B023
    return names


def _patched(cell: Cell, names: Sequence[str]) -> float:
    change = {"metadata": {"annotations": {"example.com/touched": "true"}}}
    begun = time.monotonic()
    _all(lambda name: cell.merge("HTTPRoute", name, change), names)
    return time.monotonic() - begun


def _reverted(crew: Crew, names: Sequence[str], tell: Callable[[Replica, Sequence[str]], None]) -> float:
    """The answers come once every effect is on its route; that is looked at as well."""
    leader = crew.leader()
    begun = time.monotonic()
    tell(leader, names)
    took = time.monotonic() - begun
    missing = [name for name in names if not crew.cell.reverted(name)]
    assert not missing, f"not reverted, though the answer said so: {missing[:5]}"
    return took


def _in_one(replica: Replica, names: Sequence[str]) -> None:
    status = replica.alerts(names)
    assert status == 200, f"the webhook was answered {status}"


def _apart(replica: Replica, names: Sequence[str]) -> None:
    """As the receiver that the chart has makes Alertmanager do it: a request for each model."""
    limits = httpx.Limits(max_connections=OBJECTS)
    # To make a client takes tens of milliseconds, which are none of the operator's.
    with httpx.Client(limits=limits) as client, ThreadPoolExecutor(OBJECTS) as hands:
        answers = list(hands.map(lambda name: replica.alert(name, client), names))
    assert set(answers) == {200}, f"the requests were answered {sorted(set(answers))}"


def _all(act: Callable[[str], None], names: Sequence[str]) -> None:
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(act, names))
