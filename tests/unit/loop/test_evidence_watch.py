"""The watch: it tells of a breach at once and once, and of nothing that it did not see."""

from dataclasses import replace

from tests.fixtures.until import until
from tests.unit.loop.watched import KEY, Watched

from tidegate.core.guards import Guard, Kind, Ratio, Verdict
from tidegate.core.observed import Judgement
from tidegate.core.plan import Runtime
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable


async def test_where_nothing_rolls_no_evidence_is_needed(watched: Watched) -> None:
    judgement = watched.watch.judgement(KEY)
    assert isinstance(judgement, Unavailable)
    assert judgement.reason == Reason.EVIDENCE_NOT_NEEDED
    assert watched.watch.state(KEY) is None
    watched.watch.stop(KEY)
    watched.watch.restart_step(KEY)


async def test_before_the_first_look_evidence_is_missing(watched: Watched) -> None:
    watched.start()
    judgement = watched.watch.judgement(KEY)
    assert isinstance(judgement, Unavailable)
    assert judgement.reason == Reason.EVIDENCE_MISSING


async def test_a_good_canary_is_healthy_once_it_had_requests_enough(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    assert not (await watched.ruled()).healthy
    await watched.served(400)
    await until(lambda: watched.healthy)
    said = await watched.ruled()
    assert (said.canary, said.attempt, said.weight, said.fresh) == ("fraud-v7", 1, 25, True)
    assert [finding.verdict for finding in said.findings] == [Verdict.HEALTHY]
    assert said.findings[0].samples == 400
    assert watched.looks[KEY] >= 2
    assert watched.breaches == []


async def test_a_bad_canary_is_told_at_once_and_once(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for pod in watched.canary:
        pod.serve(20, "5xx")
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.GUARD_BREACHED
    assert "40 of 40" in breach.message
    await watched.served(80, "5xx")
    assert watched.breaches == [KEY]


async def test_a_breach_stays_one_whatever_the_pods_say_later(watched: Watched) -> None:
    watched.start()
    await watched.served(80, "5xx")
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    await watched.served(800)
    for pod in (*watched.canary, *watched.stable):
        pod.mood = "down"
    await watched.seen(3)
    watched.start(weight=50)
    assert (await watched.ruled()).breach == breach


async def test_a_canary_without_requests_while_stable_has_many_is_unreachable(watched: Watched) -> None:
    watched.start()
    await watched.seen(2)
    for _ in range(20):
        for pod in watched.stable:
            pod.serve(10)
        await watched.seen()
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.UNREACHABLE


async def test_silence_means_nothing_before_the_weight_is_confirmed(watched: Watched) -> None:
    watched.start(weight=0)
    for _ in range(20):
        for pod in watched.stable:
            pod.serve(10)
        await watched.seen()
    assert watched.breaches == []
    assert (await watched.ruled()).weight == 0


async def test_a_canary_whose_pods_cannot_be_read_while_stables_are_is_unreachable(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for pod in watched.canary:
        pod.mood = "down"
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.UNREACHABLE


async def test_a_canary_whose_pods_hang_while_stables_are_read_is_unreachable(watched: Watched) -> None:
    watched.start()
    await watched.seen()
    for pod in watched.canary:
        pod.mood = "hanging"
    await until(lambda: bool(watched.breaches))
    breach = (await watched.ruled()).breach
    assert breach is not None
    assert breach.reason == Reason.UNREACHABLE


async def test_no_readable_pod_at_all_is_missing_evidence_and_no_breach(watched: Watched) -> None:
    watched.start()
    await watched.served(400)
    for pod in (*watched.canary, *watched.stable):
        pod.mood = "down"
    await watched.seen(8)
    assert watched.missing is not None
    assert "2 canary and 2 stable pods" in watched.missing
    assert watched.breaches == []
    for pod in (*watched.canary, *watched.stable):
        pod.mood = "up"
    await until(lambda: watched.missing is None)
    assert (await watched.ruled()).healthy


async def test_no_pods_are_missing_evidence(watched: Watched) -> None:
    watched.canary.clear()
    watched.stable.clear()
    watched.start()
    await until(lambda: watched.missing == "there are no pods whose metrics could be read")


async def test_what_speaks_in_favour_starts_anew_with_each_confirmed_weight(watched: Watched) -> None:
    watched.start()
    await watched.served(400)
    await until(lambda: watched.healthy)
    watched.start(weight=0)
    await watched.seen()
    assert (await watched.ruled()).weight == 25
    watched.start(weight=50)
    assert watched.missing is not None
    await until(lambda: watched.missing is None)
    assert (
        (await watched.ruled()).weight,
        (await watched.ruled()).healthy,
        (await watched.ruled()).findings[0].samples,
    ) == (50, False, 0)
    await watched.served(400)
    await until(lambda: watched.healthy)
    watched.start(weight=50)
    await watched.seen()
    assert (await watched.ruled()).healthy


async def test_a_step_can_be_started_anew_by_hand(watched: Watched) -> None:
    watched.start()
    await watched.served(400)
    await until(lambda: watched.healthy)
    watched.watch.restart_step(KEY)
    await until(lambda: watched.missing is None)
    assert not (await watched.ruled()).healthy


async def test_mlservers_400_is_the_models_fault_and_nobody_elses(watched: Watched) -> None:
    def runtimes(canary: Runtime, stable: Runtime) -> frozenset[str]:
        spec = watched.spec()
        assert spec.stable is not None
        return (
            replace(spec, canary=replace(spec.canary, runtime=canary), stable=replace(spec.stable, runtime=stable))
            .config()
            .faults
        )

    assert runtimes(Runtime.MLSERVER, Runtime.MLSERVER) == {"400"}
    assert runtimes(Runtime.TIDEGATE, Runtime.TIDEGATE) == frozenset()
    assert watched.spec(stable=None).config().faults == frozenset()


async def test_relative_guards_compare_with_stable(watched: Watched) -> None:
    watched.start(guards=(Guard(name="errorRate.maxRatio", kind=Kind.ERROR_RATE, test=Ratio(factor=1.5)),))
    await watched.seen()
    for _ in range(12):
        for pod in (*watched.canary, *watched.stable):
            pod.serve(20, "5xx")
            pod.serve(20)
        await watched.seen()
    assert watched.breaches == []
    for _ in range(12):
        for pod in watched.stable:
            pod.serve(20)
        for pod in watched.canary:
            pod.serve(20, "5xx")
        await watched.seen()
    await until(lambda: bool(watched.breaches))


async def test_a_breach_is_told_after_its_watch_until_the_attempt_has_a_verdict_and_of_no_other(
    watched: Watched,
) -> None:
    watched.start()
    await watched.seen()
    await watched.served(400, "5xx")
    await until(lambda: bool(watched.breaches))
    watched.watch.stop(KEY)
    mine = (watched.spec().canary.revision, 1)

    def told(under_way: tuple[str, int] | None) -> bool:
        found = watched.watch.judgement(KEY, under_way)
        return isinstance(found, Judgement) and found.breach is not None

    assert told(mine)
    assert not told(None)
    assert not told((mine[0], 2))
    assert not told(("fraud-v8", 1))
    for pod in (*watched.canary, *watched.stable):
        pod.restart()
    watched.start()  # the same attempt again, of which nothing speaks against it any more
    await watched.seen()
    assert told(mine)
    watched.start(attempt=2)
    await watched.seen()
    assert not told(mine)
    watched.watch.forget(KEY)
    assert not told(mine)


async def test_silence_that_a_watch_ended_with_is_not_held_against_anybody(watched: Watched) -> None:
    watched.start(timeout=0.05)
    await watched.seen()
    for pod in watched.canary:
        pod.accept(5, age=1.0)
        pod.mood = "down"
    await until(lambda: bool(watched.breaches))
    found = watched.watch.judgement(KEY)
    assert isinstance(found, Judgement)
    assert found.breach is not None
    assert found.breach.reason is Reason.UNREACHABLE
    watched.watch.stop(KEY)
    assert not isinstance(watched.watch.judgement(KEY, (watched.spec().canary.revision, 1)), Judgement)
