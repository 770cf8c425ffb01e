"""One object of a soak: its traffic, and its rollouts one after another, each to its end."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.cluster.access import Access
from tests.driver.registry import Mlflow
from tests.driver.shop import Shop
from tests.driver.traffic import Traffic
from tests.e2e.site import SITES, Look, Site
from tests.e2e.trail import Trail, number
from tests.soak import plan
from tests.soak.judge import DUE, Episode, Outage, due
from tests.soak.patience import Patient, patiently
from tests.soak.plan import BEHAVES, DESERVED, End, Flavour, Kind, Rollout

#: Requests a second. The model server takes ten times as much for each as the small one.
RATES = {Flavour.SMALL: 20.0, Flavour.GATEWAY: 20.0, Flavour.ALERT: 20.0, Flavour.RUNTIME: 5.0}
TIMEOUTS = {Flavour.SMALL: 10.0, Flavour.GATEWAY: 10.0, Flavour.ALERT: 10.0, Flavour.RUNTIME: 30.0}
SHARE = {"requests": {"cpu": "200m", "memory": "256Mi"}}
GUARDS = {
    "errorRate": {"max": "1%"},
    "clientErrors": {"maxRatio": "2"},
    "latency": [{"percentile": "95", "max": "800ms"}],
    "minRequests": 40,
}
EVERY = 0.5  # seconds between two looks
SEEN = 10.0  # seconds after a rollout's end within which its trail has it, too
#: Seconds within which an alert that is over is said to be. A Prometheus that begins anew as it ends never tells of the
#: end; Alertmanager finds it after four minutes without a word of it.
FORGOTTEN = 300.0


class Subject:
    """Made with all versions that it will ever be pointed at, while nothing befalls the cluster."""

    def __init__(self, access: Access, mlflow: Mlflow, planned: plan.Subject) -> None:
        self.name = planned.name
        self.flavour = planned.flavour
        self.site = Site(access, mlflow, f"{SITES}soak-{planned.name}-{os.urandom(2).hex()}")
        self.site.objects = Patient(access)
        self.episodes: list[Episode] = []
        self.troubles: list[str] = []
        self.under_way = ""
        self.shop: Shop | None = None
        self._planned = planned
        self._serves = "1"
        self._bodies: Path | None = None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return RATES[self.flavour]

    def prepare(self, folder: Path) -> None:
        """Register every version, and serve the first one."""
        kinds = [rollout.kind for rollout in self._planned.rollouts]
        if self.flavour is Flavour.RUNTIME:
            self._bodies = self.site.register("tests.soak.models", folder, "--order", ",".join(kinds))
        else:
            for _ in range(len(kinds) + 1):
                self.site.mlflow.version(self.site.model)
        self.site.serve(self._manifest(kinds), version="1")

    def traffic(self, seconds: float) -> Traffic:
        """Its clients, for at most so long."""
        return self.site.traffic(self.rate, bodies=self._bodies, timeout=TIMEOUTS[self.flavour], seconds=seconds)

    def run(self, outages: Callable[[], Sequence[Outage]], over: threading.Event, note: Callable[[str], None]) -> None:
        """One rollout after another until it is over; the last one has its end."""
        for version, rollout in enumerate(self._planned.rollouts, start=2):
            if over.wait(rollout.rest):
                return
            self.under_way = f"{version} {rollout.kind}"
            try:
                episode = self._roll(str(version), rollout, outages)
            except Exception as error:  # noqa: BLE001 (told at the end; the rest goes on)
                self.troubles.append(f"{self.name} version {version} ({rollout.kind}): {error!r}")
                note(self.troubles[-1])
            else:
                self.episodes.append(episode)
                note(_line(episode))
            self.under_way = ""

    def _manifest(self, kinds: Sequence[Kind]) -> dict[str, Any]:
        behave = {str(v): dict(BEHAVES[kind]) for v, kind in enumerate(kinds, start=2) if kind in BEHAVES}
        fields: dict[str, Any] = {"rollout": {"weights": [25, 50, 100], "hold": "2s"}, "guards": GUARDS}
        if self.flavour is Flavour.GATEWAY:
            fields["evidence"] = {"prometheus": ["contour"]}
        if self.flavour is Flavour.ALERT:
            # A Prometheus that starts anew may tell of an alert over a minute late.
            fields["rollout"] = {"steps": [{"weight": 25, "hold": "90s"}, {"weight": 100, "hold": "2s"}]}
        if self.flavour is Flavour.RUNTIME:
            fields |= {
                "serving": {"replicas": 1, "runtime": "tidegate", "resources": SHARE},
                "rollout": {"weights": [50, 100], "hold": "2s", "progressDeadline": "120s"},
                "guards": {"errorRate": {"max": "5%"}, "minRequests": 40},
            }
            behave = {}
        return self.site.manifest(behave, **fields)

    def _roll(self, version: str, rollout: Rollout, outages: Callable[[], Sequence[Outage]]) -> Episode:
        with patiently(lambda: self.site.trail(lasting=True)) as trail:
            began = time.time()
            patiently(lambda: self.site.point(version))
            end, ended, look = self._to_its_end(version, rollout.kind, began, outages)
            self._settle(version, end, trail)
            ways = {name for _, form in trail.forms() for name in form if number(name) == version}
            spans = tuple(trail.spans(version))
        if rollout.kind is Kind.ALERT:
            self._calm()
        if end is End.PROMOTED:
            self._serves = version
        return Episode(
            site=self.name, version=version, kind=rollout.kind, revisions=frozenset(ways), began=began,
            spans=spans, ended=ended, end=end, reason=_reason(version, look),
        )  # fmt: skip

    def _to_its_end(
        self, version: str, kind: Kind, began: float, outages: Callable[[], Sequence[Outage]]
    ) -> tuple[End | None, float | None, Look]:
        acted: set[int] = set()
        while True:
            look = self.site.look()
            now = time.time()
            attempt = (look.status.get("rollout") or {}).get("attempt", 0)
            # An attempt that was parked for the gateway's sake is followed by one with new pods, which are well again.
            again = kind is Kind.TURNS and attempt not in acted
            if (again or not acted) and look.status.get("canary") == version and (look.weight or 0) > 0:
                acted.add(attempt)
                self._act(version, kind)
            if (end := end_of(version, kind, look, self._serves, acted=bool(acted))) is not None:
                return end, now, look
            if now > due(began, DUE, outages()):
                return None, None, look
            time.sleep(EVERY)  # other processes work towards it: there is nothing to wait on

    def _act(self, version: str, kind: Kind) -> None:
        """What happens to a version once it has traffic."""
        match kind:
            case Kind.TURNS:
                revision = self.site.revision(version)
                patiently(lambda: self.site.behave(revision, error_rate=1))
            case Kind.WITHDRAWN:
                patiently(lambda: self.site.point(self._serves))
            case Kind.ALERT:
                assert self.shop is not None
                self.shop.badly()
            case _:
                pass

    def _settle(self, version: str, end: End | None, trail: Trail) -> None:
        """A watch that began anew may be behind."""
        until = time.monotonic() + SEEN
        while end is End.REJECTED and trail.weights(version)[-1:] not in ([0], []) and time.monotonic() < until:
            time.sleep(EVERY)  # the watch is another thread

    def _calm(self) -> None:
        """The next version may not be held by the last one's alert."""
        assert self.shop is not None
        self.shop.well()
        calm = "the alert is over"
        patiently(lambda: self.site.wait(lambda look: not look.status.get("alerts"), what=calm, seconds=FORGOTTEN))


def end_of(version: str, kind: Kind, look: Look, serves: str, *, acted: bool) -> End | None:
    """The end of a version's rollout as one look shows it; None where it goes on.

    What parks a version other than a corrupt one is no end: it is tried again. `acted` says whether a version that is
    to be withdrawn has been.
    """
    if version in look.rejected:
        return End.REJECTED
    if DESERVED[kind] is End.PARKED and version in look.parked:
        return End.PARKED
    if acted and kind is Kind.WITHDRAWN:
        back = look.ready and look.version == serves and look.weight is None and look.weights.get(serves) == 100
        return End.BACK if back else None
    return End.PROMOTED if look.ready and look.version == version else None


def _reason(version: str, look: Look) -> str:
    entry = look.rejected.get(version) or look.parked.get(version) or {}
    condition = look.condition("Ready")
    return str(entry.get("reason") or condition.get("reason", ""))


def _line(episode: Episode) -> str:
    seconds = (episode.ended or time.time()) - episode.began
    end = episode.end or "no end"
    return f"{episode.site} version {episode.version} ({episode.kind}): {end} after {seconds:.1f} s, {episode.reason}"
