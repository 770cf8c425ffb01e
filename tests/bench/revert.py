"""A canary turns bad: how long until the last request started on it."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.bench.figures import Figure, Limit
from tests.bench.moments import last_start, looks_with_requests, stray
from tests.bench.stage import Stage
from tests.bench.subject import Attempt, Subject
from tests.driver.traffic import Traffic, tally

WEIGHT = 25
RATE = 100.0  # of which the canary gets WEIGHT per cent: 25 requests a second
LOOKS = 30
#: Objects that are tried side by side. Each trial waits most of its time.
TOGETHER = 2
#: Seconds to go on watching after the rejection was filed: a straggler must be seen.
WATCHED = 1.5
#: Trials of one series that may be lost: the figure has its number of samples all the same, and the log says why.
LOST = 1
SEED = 20261121


def measure(stage: Stage, *, name: str, interval: str, limits: tuple[float, float], trials: int) -> Figure:
    """Seconds from the bad turn to the start of the last request on the canary.

    Args:
        stage: where.
        name: the figure's.
        interval: `guards.interval`, such as `250ms`.
        limits: of the median and of the worst trial, in seconds.
        trials: how many, spread over `TOGETHER` objects.
    """
    shares = [trials // TOGETHER + (number < trials % TOGETHER) for number in range(TOGETHER)]
    stage.progress.expect(1)
    with stage.progress.step(f"{name}: {trials} trials"), ThreadPoolExecutor(TOGETHER) as pool:
        series = [
            pool.submit(_series, stage, f"bench-{interval}-{number}", interval, share, stage.progress.note)
            for number, share in enumerate(shares)
            if share
        ]
        samples = [sample for one in series for sample in one.result()]
    median, worst = limits
    return Figure(
        name=name,
        unit="s",
        samples=samples,
        limits=(Limit(value="p50", most=median), Limit(value="max", most=worst)),
    )


def _series(stage: Stage, name: str, interval: str, trials: int, note: Callable[[str], None]) -> list[float]:
    """One object's trials, one after another; where one is lost, the rest is made on a new object.

    Raises:
        AssertionError: More than `LOST` trials were lost, or an answer was not clean.
    """
    samples: list[float] = []
    for _ in range(LOST + 1):
        samples += _on_one_object(stage, name, interval, trials - len(samples), note)
        if len(samples) == trials:
            return samples
    raise AssertionError(f"{name}: {LOST + 1} trials were lost; see what was said of each")


def _on_one_object(stage: Stage, name: str, interval: str, trials: int, note: Callable[[str], None]) -> list[float]:
    """So many trials, or those before the one that was lost; its answers have to be clean all the same."""
    chance = random.Random(f"{SEED} {name} {trials}")
    seconds = (
        float(interval.removesuffix("ms")) / 1000 if interval.endswith("ms") else float(interval.removesuffix("s"))
    )
    subject = Subject(stage, name, weight=WEIGHT, interval=interval)
    samples: list[float] = []
    attempt: Attempt | None = None
    with subject.site.traffic(rate=RATE) as traffic:
        for number in range(1, trials + 1):
            # The phase is drawn anew each time: repeated trials would lock to the looks.
            wait = (LOOKS + 2 + 2 * chance.random()) * seconds
            try:
                attempt = subject.begun(after=attempt)
                sample = _trial(subject, attempt, traffic, wait=wait, every=seconds)
            except AssertionError as error:
                note(f"{name}: a trial was lost, {trials - len(samples)} are left: {error}")
                break
            note(f"{name}: {sample:.3f} s ({number} of {trials})")
            samples.append(sample)
        traffic.stop()
        answers = traffic.answers()
    spoilt = stray(answers, attempt.revision if attempt else "", bad=subject.bad)
    if spoilt:
        raise AssertionError(f"{name}: {len(spoilt)} answers are not clean, first {spoilt[0]}; all: {tally(answers)}")
    subject.remove()
    return samples


def _trial(subject: Subject, attempt: Attempt, traffic: Traffic, *, wait: float, every: float) -> float:
    time.sleep(wait)  # the good looks
    turned = subject.turn_bad(attempt)
    subject.rejected(attempt)
    time.sleep(WATCHED)
    until = time.time()
    answers = traffic.answers()
    looks = looks_with_requests(answers, attempt.revision, since=attempt.since, until=turned, every=every)
    if looks < LOOKS:
        raise AssertionError(f"only {looks} good looks before the bad turn")
    subject.retry(attempt)
    return last_start(answers, attempt.revision, since=turned, until=until)
