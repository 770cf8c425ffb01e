"""Alerts that are not on a route yet: whom they concern, and where they wait.

What was told waits in the inbox, where every snapshot of the object shows it as it shows every other cause; it leaves
when the route carries it. So an alert whose route can't be written now is not lost with the answer that its sender got.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.core.alerts import MOST, missing, outdated, over
from tidegate.core.labels import KIND
from tidegate.core.observed import Alerts
from tidegate.core.record import Record
from tidegate.loop.world import World
from tidegate.ports import Manifest

#: The labels that name an object, where it does not choose others by `guards.alerts.matchLabels`.
NAMESPACE, NAME = "namespace", "modeldeployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """Which objects alerts concern, as the specs are at one moment."""

    known: frozenset[str]
    chosen: tuple[tuple[str, Mapping[str, str]], ...]

    def keys(self, labels: Mapping[str, str]) -> list[str]:
        """`namespace/name` of every object that an alert with these labels concerns."""
        named = f"{labels.get(NAMESPACE)}/{labels.get(NAME)}"
        own = [key for key, match in self.chosen if match.items() <= labels.items()]
        others = {key for key, _ in self.chosen}
        return [*([named] if named in self.known and named not in others else []), *own]


class Matching:
    """Knows whom alerts concern without reading every object anew: packed ones take a while to unpack."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chosen: dict[str, tuple[object, Mapping[str, str]]] = {}

    def now(self) -> Matcher:
        """Whom alerts concern by the objects as they are."""
        keys = self._world.names(KIND)
        self._chosen = {key: self._choice(key) for key in keys}
        chosen = tuple((key, match) for key, (_, match) in self._chosen.items() if match)
        return Matcher(known=frozenset(keys), chosen=chosen)

    def _choice(self, key: str) -> tuple[object, Mapping[str, str]]:
        state, known = self._world.state(KIND, key), self._chosen.get(key)
        if known is not None and known[0] is state:
            return known
        return state, _labels(self._world.get(KIND, key) or {})


def _labels(body: Manifest) -> dict[str, str]:
    """The labels that an object chose; none where they are no map of texts, as an outdated CRD may let pass."""
    place = body.get("spec")
    for field in ("guards", "alerts", "matchLabels"):
        place = place.get(field) if isinstance(place, dict) else None
    return {str(name): str(value) for name, value in place.items()} if isinstance(place, dict) else {}


class AlertInbox:
    """What was told of alerts and is not on a route yet."""

    def __init__(self) -> None:
        self._told: dict[str, Alerts] = {}

    def put(self, key: str, told: Alerts) -> None:
        """Add what was told of an object; the newest word on an alert counts, and that it fires before all others.

        What began last is kept if there is too much of it: of an older one nobody would revert.
        """
        before = self._told.get(key, Alerts())
        new = {alert.fingerprint for alert in (*told.firing, *told.resolved)}
        firing = {alert.fingerprint for alert in told.firing}
        merged = sorted((*(a for a in before.firing if a.fingerprint not in new), *told.firing), key=lambda a: a.since)
        resolved = (*(a for a in before.resolved if a.fingerprint not in new), *told.resolved)
        self._told[key] = Alerts(
            firing=tuple(merged[-MOST:]),
            resolved=tuple(a for a in resolved if a.fingerprint not in firing)[-MOST:],
        )

    def waiting(self, key: str, record: Record, now: float) -> Alerts:
        """What of it the record does not show yet; the rest is forgotten."""
        told = self._told.get(key)
        if told is None:
            return Alerts()
        left = unshown(told, record, now)
        if left == Alerts():
            del self._told[key]
        else:
            self._told[key] = left
        return left

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._told.pop(key, None)


def unshown(told: Alerts, record: Record, now: float) -> Alerts:
    """What was told and a record does not show."""
    return Alerts(
        firing=tuple(a for a in told.firing if not outdated(a, now) and missing(record, a)),
        resolved=tuple(a for a in told.resolved if over(record, a)),
    )
