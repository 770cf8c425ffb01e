"""An alert is told: how long until the last answer of the canary; beside the bare floor of the same run."""

import http.client
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from tests.bench.figures import Figure, Limit, percentile
from tests.bench.moments import stray
from tests.bench.route import KEPT, STALL, WATCHED, WEIGHT, Floor, gone, repeated
from tests.bench.stage import Stage
from tests.bench.subject import Attempt, Subject
from tests.driver.platform import ALERT_TOKEN, alerts_url, install_operator
from tests.driver.traffic import tally

#: Objects that are tried, and how many of them are made at a time. One is tried after the other: what changes within
#: half a second of another change is collected for a tenth of a second by Contour (holdoff, in its `serve` command).
OBJECTS, TOGETHER = 20, 4
#: How often the guards look at each canary, of which none is bad.
INTERVAL = "10s"
#: Seconds between two polls of the registry, as the chart has them.
POLLED = 30
#: Reverts of each object for one trial that is asked for: twenty trials are two hundred reverts.
EACH = 0.5
RATE = 160.0  # half of it on the canary: an answer every 12 ms
SEED = 20261123
MEDIAN, WORST, RATIO = 40.0, 100.0, 2.0  # milliseconds; times the floor's own p99
_OK = 200


def measure(stage: Stage, *, trials: int) -> list[Figure]:
    """Milliseconds from just before an alert is sent to the canary's last answer.

    Each object's trials are followed by as many of the floor, so that both meet the same machine, gateway and objects.
    """
    each = max(1, round(trials * EACH))
    stage.progress.expect(2)
    floor = Floor(stage, "bench-alert-floor")
    with stage.progress.step(f"alert: {OBJECTS} objects"), ThreadPoolExecutor(TOGETHER) as pool:
        subjects = list(pool.map(lambda number: _subject(stage, number), range(OBJECTS)))
        install_operator(stage.access, f"registry.interval={POLLED}")
    samples, bare = [], []
    with stage.progress.step(f"alert: {OBJECTS * each} alerts, and as many lone writes"):
        for number, subject in enumerate(subjects):
            samples += _series(stage, number, subject, each)
            bare += floor.trials(each)
    for subject in subjects:
        subject.remove()
    floor.remove()
    worst = max(WORST, RATIO * percentile(bare, 99))
    limits = (Limit(value="p50", most=MEDIAN), Limit(value="p99", most=worst))
    return [Figure(name="alert", unit="ms", samples=samples, floor=bare, limits=limits)]


def _subject(stage: Stage, number: int) -> Subject:
    subject = Subject(stage, f"bench-alert-{number}", weight=WEIGHT, interval=INTERVAL)
    subject.begun()
    return subject


def _series(stage: Stage, number: int, subject: Subject, trials: int) -> list[float]:
    chance = random.Random(f"{SEED} {number}")
    sender = Sender(stage, subject)
    last: Attempt | None = None
    with subject.site.traffic(rate=RATE) as traffic:

        def trial() -> float:
            nonlocal last
            attempt = last = subject.begun(after=last)
            time.sleep(KEPT + chance.random())
            moment = time.time()
            sender.tell("firing")
            answered = time.time()
            subject.rejected(attempt)
            time.sleep(WATCHED + STALL)
            sender.tell("resolved")
            subject.retry(attempt)
            sample = gone(traffic.answers(), attempt.revision, moment)
            if sample > WORST:
                stage.progress.note(f"{sample:.0f} ms; the alert was answered after {1000 * (answered - moment):.0f}")
            return sample

        samples = repeated(trials, trial, stage.progress.note)
        traffic.stop()
        answers = traffic.answers()
    if spoilt := stray(answers, "", bad=()):
        raise AssertionError(f"alert: {len(spoilt)} answers are not clean, first {spoilt[0]}; all: {tally(answers)}")
    sender.close()
    return samples


class Sender:
    """Tells of one object's alert on a kept connection, as Alertmanager does."""

    def __init__(self, stage: Stage, subject: Subject) -> None:
        self._access = stage.access
        self._url = urlsplit(alerts_url(stage.access))
        self._labels = {"namespace": subject.site.namespace, "modeldeployment": subject.site.name}
        self._connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=15)

    def tell(self, status: str) -> None:
        """Firing since now, or resolved; returns once it is on the route."""
        body = json.dumps({"name": "Bench", "status": status, "labels": self._labels})
        headers = {"Authorization": f"Bearer {ALERT_TOKEN}"}
        with self._access.inside():
            self._connection.request("POST", self._url.path, body=body, headers=headers)
            answer = self._connection.getresponse()
            said = answer.read().decode()
        if answer.status != _OK:
            raise AssertionError(f"{status}: {answer.status} {said}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
