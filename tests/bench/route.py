"""A route is written: how long until the last answer of the backend that lost its weight; beside the bare floor."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.bench.figures import Figure, Limit
from tests.bench.moments import last_end, longest_pause, stray
from tests.bench.stage import Stage
from tests.bench.subject import Attempt, Subject
from tests.bench.wire import Editor
from tests.cluster.access import Access
from tests.driver.load import Answer
from tests.driver.traffic import Traffic, tally
from tidegate.api.record import decode

WEIGHT = 50
RATE = 240.0  # half of it on the backend that goes: an answer every 8 ms
SEED = 20261122
#: Seconds that a backend keeps its weight before it loses it, and that answers are watched afterwards.
KEPT, WATCHED = 0.7, 1.0
#: Seconds without any request after which the load driver, not the gateway, decides who answered last.
STALL = 0.04
MEDIAN, RATIO = 60.0, 2.0  # milliseconds; times the floor
Sample = TypeVar("Sample")


def measure(stage: Stage, *, trials: int) -> list[Figure]:
    """Milliseconds from the operator's write, and from a person's abort, to the canary's last answer.

    The floor's trials stand before and after the operator's, so that a machine that gets busier meets both.
    """
    stage.progress.expect(3)
    floor = Floor(stage, "bench-route-floor")
    with stage.progress.step(f"route_write: {trials - trials // 2} lone writes"):
        bare = floor.trials(trials - trials // 2)
    with stage.progress.step(f"route_write: {trials} aborts"):
        written, asked = _aborts(stage, trials)
    with stage.progress.step(f"route_write: {trials // 2} lone writes"):
        bare += floor.trials(trials // 2)
    floor.remove()
    limit = Limit(value="p50", most=MEDIAN, ratio=RATIO)
    return [
        Figure(name="route_write", unit="ms", samples=written, floor=bare, limits=(limit,)),
        Figure(name="abort", unit="ms", samples=asked, floor=bare),
    ]


class StalledError(Exception):
    """The load driver sent nothing for a while, so that nobody knows who would have answered."""


def gone(answers: list[Answer], backend: str, since: float) -> float:
    """Milliseconds from `since` to the last answer of a backend.

    Raises:
        StalledError: the driver paused about that time.
    """
    try:
        seconds = last_end(answers, backend, since=since, until=since + WATCHED)
    except ValueError as error:
        raise StalledError from error
    if longest_pause(answers, since=since - STALL, until=since + seconds + STALL) > STALL:
        raise StalledError
    return 1000 * seconds


def repeated(count: int, trial: Callable[[], Sample], note: Callable[[str], None]) -> list[Sample]:
    """That many samples; a trial in which the driver stalled is made again, at most as many more times."""
    samples: list[Sample] = []
    for _ in range(2 * count):
        try:
            samples.append(trial())
        except StalledError:
            note("the load driver stalled: this trial is made again")
            continue
        if len(samples) == count:
            return samples
    raise AssertionError(
        f"the load driver stalled in more than half of the trials: the machine is too busy for {RATE:g}/s"
    )


def _aborts(stage: Stage, trials: int) -> tuple[list[float], list[float]]:
    chance = random.Random(SEED)
    subject = Subject(stage, "bench-route", weight=WEIGHT, interval="1s")
    last: Attempt | None = None
    with subject.site.traffic(rate=RATE) as traffic:

        def trial() -> tuple[float, float]:
            nonlocal last
            attempt = last = subject.begun(after=last)
            time.sleep(KEPT + chance.random())
            told = subject.abort(attempt)
            subject.rejected(attempt)
            time.sleep(WATCHED + STALL)
            answers, moment = traffic.answers(), _decided(subject, attempt)
            subject.retry(attempt)
            return gone(answers, attempt.revision, moment), gone(answers, attempt.revision, told)

        samples = repeated(trials, trial, stage.progress.note)
        traffic.stop()
        answers = traffic.answers()
    if spoilt := stray(answers, "", bad=()):
        raise AssertionError(f"abort: {len(spoilt)} answers are not clean, first {spoilt[0]}; all: {tally(answers)}")
    subject.remove()
    return [written for written, _ in samples], [asked for _, asked in samples]


def _decided(subject: Subject, attempt: Attempt) -> float:
    """When the operator made up the write: the verdict's time in the record that this very write put on the route.

    Taken by the operator's clock, which is this machine's; what the write itself takes is part of the figure, as it is
    of the floor's.
    """
    entries = decode(subject.record()).rejected
    return next(e.at for e in entries if (e.revision.name, e.attempt) == (attempt.revision, attempt.number))


class Floor:
    """Two backends and a route that nobody but this program writes, in a namespace that nobody used before."""

    def __init__(self, stage: Stage, name: str) -> None:
        access = stage.access
        self._name = name
        self._access = access
        self._note = stage.progress.note
        self._editor = Editor(access)
        self._path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{name}/httproutes/{name}"
        self._chance = random.Random(SEED)
        access.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
        access.apply([*_backend("stays", name), *_backend("goes", name), _route(access, name)])
        for backend in ("stays", "goes"):
            access.kubectl("rollout", "status", f"deployment/{backend}", "-n", name, "--timeout=60s")

    def trials(self, count: int) -> list[float]:
        """Milliseconds from just before a lone write to the last answer of the backend that lost its weight."""
        with Traffic(self._access, f"{self._name}.example.com", rate=RATE) as traffic:
            return repeated(count, lambda: self._trial(traffic), self._note)

    def remove(self) -> None:
        """Take everything away, not waiting for it."""
        self._editor.close()
        self._access.kubectl("delete", "namespace", self._name, "--wait=false")

    def _trial(self, traffic: Traffic) -> float:
        self._editor.patch(self._path, {"spec": {"rules": _rules(WEIGHT)}})
        begun = time.time()
        traffic.wait(lambda found: any(a.started > begun and a.revision == "goes" for a in found), what="both answer")
        time.sleep(KEPT + self._chance.random())
        moment = time.time()
        self._editor.patch(self._path, {"spec": {"rules": _rules(0)}})
        time.sleep(WATCHED + STALL)
        return gone(traffic.answers(), "goes", moment)


def _rules(weight: int) -> list[dict[str, Any]]:
    shares = {"stays": 100 - weight, "goes": weight}
    return [{"backendRefs": [{"name": name, "port": 80, "weight": share} for name, share in shares.items()]}]


def _route(access: Access, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": name},
        "spec": {
            "parentRefs": [{"name": access.gateway_name, "namespace": access.gateway_namespace}],
            "hostnames": [f"{name}.example.com"],
            "rules": _rules(0),
        },
    }


def _backend(name: str, namespace: str) -> list[dict[str, Any]]:
    """A Deployment of one test server, and its Service."""
    labels = {"app": name}
    container = {
        "name": "model",
        "image": "localhost/tidegate-testserver:dev",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "TIDEGATE_REVISION", "value": name}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "16Mi"}},
    }
    metadata = {"name": name, "namespace": namespace}
    template = {"metadata": {"labels": labels}, "spec": {"enableServiceLinks": False, "containers": [container]}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    ]
