"""The guard on predictions: gathered from the looks at the pods, per step, and put to the other guards' word."""

from collections.abc import AsyncIterator

import pytest
from tests.fixtures.until import until
from tests.unit.loop.watched import KEY, Watched

from tidegate.core.guards import Finding, Mode, Verdict
from tidegate.core.observed import Judgement
from tidegate.core.predictions import DriftGuard

GUARD = DriftGuard(most=0.25, needed=500)


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched()
    yield made
    await made.watch.close()


async def predicted(watched: Watched, canary: float, stable: float) -> None:
    """A thousand good answers of either side, with these numbers in them."""
    await watched.seen()
    for pods, value in ((watched.canary, canary), (watched.stable, stable)):
        for pod in pods:
            pod.serve(500)
            pod.predict(value, 500)
    await watched.seen(2)


async def found(watched: Watched) -> tuple[Finding, Judgement]:
    judgement = await watched.ruled()
    return next(finding for finding in judgement.findings if finding.guard == "drift.maxPsi"), judgement


async def test_predictions_like_stables_are_healthy(watched: Watched) -> None:
    watched.start(drift=GUARD)
    await predicted(watched, 0.35, 0.35)
    finding, judgement = await found(watched)
    assert (finding.verdict, judgement.drifted, judgement.healthy) == (Verdict.HEALTHY, None, True)


async def test_others_keep_it_from_being_healthy_and_are_no_breach(watched: Watched) -> None:
    watched.start(drift=GUARD)
    await predicted(watched, 0.95, 0.35)
    finding, judgement = await found(watched)
    assert finding.verdict is Verdict.BREACH
    assert (judgement.drifted, judgement.healthy, judgement.breach) == (finding.message, False, None)
    assert watched.breaches == []


async def test_one_that_only_observes_tells_and_holds_nothing(watched: Watched) -> None:
    watched.start(drift=DriftGuard(most=0.25, needed=500, mode=Mode.OBSERVE))
    await predicted(watched, 0.95, 0.35)
    finding, judgement = await found(watched)
    assert finding.verdict is Verdict.BREACH
    assert (judgement.drifted, judgement.healthy) == (None, True)


async def test_without_numbers_enough_nothing_is_healthy(watched: Watched) -> None:
    watched.start(drift=GUARD)
    await watched.served(400)
    await watched.served(400, canary=False)
    finding, judgement = await found(watched)
    assert finding.verdict is Verdict.UNDECIDED
    assert (judgement.drifted, judgement.healthy) == (None, False)


async def test_another_weight_begins_anew(watched: Watched) -> None:
    watched.start(drift=GUARD)
    await predicted(watched, 0.95, 0.35)
    assert (await found(watched))[1].drifted is not None
    watched.start(drift=GUARD, weight=50)
    await predicted(watched, 0.35, 0.35)
    finding, judgement = await found(watched)
    assert (finding.verdict, finding.samples, judgement.drifted) == (Verdict.HEALTHY, 1000, None)


async def test_at_100_percent_nothing_is_compared(watched: Watched) -> None:
    watched.start(drift=GUARD, weight=100)
    await predicted(watched, 0.95, 0.35)
    assert (await found(watched))[1].drifted is None


async def test_a_guard_that_is_taken_out_holds_nothing_any_more(watched: Watched) -> None:
    watched.start(drift=GUARD)
    await predicted(watched, 0.95, 0.35)
    watched.start()
    await watched.seen(2)
    await until(lambda: isinstance(said := watched.watch.judgement(KEY), Judgement) and said.drifted is None)
    assert watched.healthy


async def test_who_waits_for_the_verdict_is_woken_by_it(watched: Watched) -> None:
    watched.start(drift=GUARD)
    await predicted(watched, 0.35, 0.35)
    before = watched.looks[KEY]
    for pod in watched.canary:
        pod.predict(0.95, 5000)
    await until(lambda: watched.looks[KEY] > before)
    assert (await found(watched))[1].drifted is not None
