"""A canary has to go while its route is denied: how long until nobody reaches it, beside the same with a route."""

import random
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

from tests.bench.figures import Figure, Limit
from tests.bench.moments import last_end, last_start, stray
from tests.bench.stage import Stage
from tests.bench.subject import Attempt, Subject
from tests.driver.denial import denied, kubectl_of
from tests.driver.platform import wait_for
from tests.driver.traffic import Traffic, tally

WEIGHT = 50
RATE = 160.0
KEPT = 3.0  # good seconds before the canary has to go
WATCHED = 1.5
SEED = 20261123
#: Seconds that the second plane may take longer than the route.
MORE = 0.2


def measure(stage: Stage, *, trials: int) -> list[Figure]:
    """Seconds from the bad turn, and from a person's abort, to the end of the canary's traffic by the second plane.

    Each trial has a twin with a route that can be written, made just before it: the floor of the same minute.
    """
    stage.progress.expect(1)
    with stage.progress.step(f"revert_route_denied: {trials} trials, each with its twin"):
        subject = Subject(stage, "bench-denied", weight=WEIGHT, interval="250ms")
        with subject.site.traffic(rate=RATE) as traffic:
            trial = Trial(subject, traffic, stage)
            pairs = {
                "revert_route_denied": [(trial.turns_bad(False), trial.turns_bad(True)) for _ in range(trials)],
                "abort_route_denied": [(trial.aborted(False), trial.aborted(True)) for _ in range(trials)],
            }
            traffic.stop()
            answers = traffic.answers()
        if spoilt := stray(answers, trial.revision, bad=subject.bad):
            raise AssertionError(f"{len(spoilt)} answers are not clean, first {spoilt[0]}; all: {tally(answers)}")
        subject.remove()
    return [_figure(name, each) for name, each in pairs.items()]


def _figure(name: str, pairs: list[tuple[float, float]]) -> Figure:
    floor, samples = [each for each, _ in pairs], [each for _, each in pairs]
    limit = Limit(value="p50", most=statistics.median(floor) + MORE)
    return Figure(name=name, unit="s", samples=samples, floor=floor, limits=(limit,))


class Trial:
    """One object's attempts, one after another."""

    def __init__(self, subject: Subject, traffic: Traffic, stage: Stage) -> None:
        self.revision = ""
        self._subject = subject
        self._traffic = traffic
        self._stage = stage
        self._chance = random.Random(SEED)
        self._last: Attempt | None = None

    def turns_bad(self, deny: bool) -> float:
        """Seconds from the bad turn to the start of the last request on the canary."""
        return self._made(deny, "bad", self._subject.turn_bad, last_start)

    def aborted(self, deny: bool) -> float:
        """Seconds from the moment that the API server took the abort to the canary's last answer."""
        return self._made(deny, "abort", self._subject.abort, last_end)

    def _made(self, deny: bool, word: str, cause: Callable[[Attempt], float], last: Callable[..., float]) -> float:
        site = self._subject.site
        attempt = self._last = self._subject.begun(after=self._last)
        self.revision = attempt.revision
        frozen = denied(kubectl_of(site.access.kubectl), site.namespace, site.name) if deny else nullcontext()
        with frozen:
            time.sleep(KEPT + self._chance.random())
            moment = cause(attempt)
            if deny:
                wait_for(self._diverted, seconds=30, what="the second plane is used")
            else:
                self._subject.rejected(attempt)
            time.sleep(WATCHED)
            answers = self._traffic.answers()
        self._subject.rejected(attempt)
        self._subject.retry(attempt)
        seconds = last(answers, attempt.revision, since=moment, until=moment + 30)
        self._stage.progress.note(f"{word}, {'denied' if deny else 'written'}: {seconds:.3f} s")
        return seconds

    def _diverted(self) -> bool:
        return self._subject.site.look().condition("Ready").get("reason") == "RouteDiverted"
