"""Operator processes on an API server alone: how long until another one acts, and whether a revert gets lost."""

import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from tests.bench.figures import Figure, Limit
from tests.cluster.light import LightCluster
from tests.driver.pages import Pages
from tests.driver.relay import Asked
from tests.driver.replicas import Cell, Replica, leader_of, until

CRDS = Path(__file__).parents[2] / "crds"
REPLICAS = 3
SEED = 20261121
#: Of `killed_in_mid_revert`, whatever `--trials` says: it counts what got lost.
REPETITIONS = 50
#: Seconds after which a revert counts as lost.
LOST = 15.0
#: Seconds after an abort or an alert within which a leader is killed that is not killed at its own write, and after a
#: canary began to fail: it is read every second.
SOON, LOOKS = 0.06, 3.0
#: Seconds after which an alert is told again that nobody took.
AGAIN = 0.5
OK = 200


class Crew:
    """Replicas, and a new one for each that ends."""

    def __init__(self, cell: Cell, directory: Path) -> None:
        self.cell = cell
        self._directory = directory
        self._replicas = [Replica(cell, directory) for _ in range(REPLICAS)]

    def leader_first(self) -> Sequence[Replica]:
        """All of them, the one that leads before the others."""
        return sorted(self._replicas, key=lambda replica: not replica.leads)

    def leader(self) -> Replica:
        """The one that leads, once all are ready."""
        until(
            lambda: all(replica.ready for replica in self._replicas), seconds=120, what="replicas are ready", every=0.1
        )
        return leader_of(self._replicas)

    def replace(self, gone: Replica) -> None:
        """Bury one, and start another in its place."""
        gone.kill()
        self._replicas.remove(gone)
        self._replicas.append(Replica(self.cell, self._directory))

    def stop(self) -> None:
        for replica in self._replicas:
            replica.kill()


@contextmanager
def namespaced(name: str) -> Iterator[Cell]:
    """A namespace on an API server of its own, where objects can be made."""
    with LightCluster.start() as cluster:
        cluster.apply_gateway_crds()
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        cluster.kubectl("create", "namespace", name)
        with closing(Cell(cluster, name)) as cell:
            yield cell


@contextmanager
def crew() -> Iterator[Crew]:
    """Three replicas on an API server of their own."""
    with namespaced("handover") as cell, tempfile.TemporaryDirectory() as directory:
        found = Crew(cell, Path(directory))
        try:
            yield found
        finally:
            found.stop()


def sigkill(trials: int) -> list[Figure]:
    """Seconds from SIGKILL of the leader until an object that was edited in that moment is put back by another."""
    chance, samples = random.Random(SEED), []
    with crew() as found:
        cell = found.cell
        cell.rolling("anvil")
        until(lambda: len(cell.deployments("anvil")) == 2, seconds=120, what="Deployments")
        deployment = cell.deployments("anvil")[0]
        for _ in range(trials):
            leader = found.leader()
            # Renewals come every second: the moment is drawn anew, or trials would lock to them.
            time.sleep(1 + chance.random())
            leader.process.kill()
            killed = time.time()
            cell.merge("Deployment", deployment, {"spec": {"replicas": 3}})
            samples.append(until(lambda: cell.size(deployment) == 1, seconds=60, what="put back") - killed)
            found.replace(leader)
    limits = (Limit(value="p95", most=5.0),)
    return [Figure(name="handover_sigkill", unit="s", samples=samples, limits=limits)]


def sigterm(trials: int) -> list[Figure]:
    """Seconds from SIGTERM to the leader until another one holds the lease."""
    chance, samples = random.Random(SEED), []
    with crew() as found:
        for _ in range(trials):
            leader, before = found.leader(), found.cell.holder()
            time.sleep(1 + chance.random())
            told = time.time()
            leader.tell(signal.SIGTERM)
            taken = until(lambda: found.cell.holder() not in {"", before}, seconds=60, what="another one leads")  # noqa: B023
            samples.append(taken - told)
            leader.process.wait(30)
            found.replace(leader)
    return [Figure(name="handover_sigterm", unit="s", samples=samples, limits=(Limit(value="p95", most=1.0),))]


def killed_in_mid_revert() -> list[Figure]:
    """The leader is killed before, after or around its write of a revert: seconds until the route is right.

    What it reverts for is in turns a person's abort, an alert that is told again until somebody takes it, and a
    canary that fails every request.
    """
    chance, samples, lost, pages = random.Random(SEED), [], 0, Pages()
    with crew() as found:
        for number in range(REPETITIONS):
            name, leader = f"m{number}", found.leader()
            with closing(Repetition(found, name, pages)) as repetition:
                moment = chance.choice(["before", "after", "around"])
                cause, soon = repetition.causes[number % len(repetition.causes)]
                _arm(leader, name, moment)
                if moment == "around":
                    threading.Timer(soon * chance.random(), leader.process.kill).start()
                begun = time.time()
                cause()
                try:
                    right = until(lambda: found.cell.reverted(name), seconds=LOST, what=name)  # noqa: B023
                except AssertionError:
                    lost += 1
                else:
                    samples.append(right - begun)
            found.replace(leader)
    none = (Limit(value="max", most=0),)
    return [
        Figure(name="killed_in_mid_revert", unit="s", samples=samples),
        Figure(name="killed_in_mid_revert_lost", unit="reverts", samples=[lost], limits=none),
    ]


class Repetition:
    """One object in mid-rollout, as all replicas would have seen it for an hour, and what may go wrong with it."""

    def __init__(self, crew: Crew, name: str, pages: Pages) -> None:
        self._crew, self._name = crew, name
        self._pages = pages.pair()
        crew.cell.rolling(name, pages.serving, [page.address for page in self._pages])
        until(lambda: len(crew.cell.deployments(name)) == 2, seconds=60, what="Deployments")
        #: Each with the seconds within which a leader is killed that is not killed at its own write.
        self.causes: tuple[tuple[Callable[[], object], float], ...] = (
            (lambda: crew.cell.abort(name), SOON),
            (self._alert, SOON),
            (self._pages[1].turn, LOOKS),
        )

    def close(self) -> None:
        for page in self._pages:
            page.stop()

    def _alert(self) -> None:
        """As Alertmanager does it by way of a Service: to one replica after another, until one says that it is done."""
        end = time.monotonic() + LOST
        while not any(self._took(replica) for replica in self._crew.leader_first()):
            assert time.monotonic() < end, "nobody took the alert"
            time.sleep(AGAIN)

    def _took(self, replica: Replica) -> bool:
        try:
            return replica.alert(self._name) == OK
        except httpx.HTTPError:
            return False


def _arm(leader: Replica, name: str, moment: str) -> None:
    """Kill the leader at its own write of that revert."""

    def die(at: str) -> Callable[[Asked], bool]:
        def look(asked: Asked) -> bool:
            if moment != at or not (asked.writes and asked.path.endswith(f"/httproutes/{name}")):
                return True
            leader.process.kill()
            # Before: it never arrives. After: it arrived, and nobody is there for the answer.
            return False

        return look

    leader.relay.before, leader.relay.after = die("before"), die("after")
