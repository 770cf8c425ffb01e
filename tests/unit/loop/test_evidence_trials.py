"""What pods counted for requests of our own is no evidence, whoever leads and whatever was saved."""

import pytest
from tests.fixtures.until import until
from tests.unit.loop.watched import KEY, Watched

OURS = {"untouched": True, "tried": True, "weight": 0}


async def test_a_watch_is_open_once_it_knows_what_was_counted_before(watched: Watched) -> None:
    assert not watched.watch.opened(KEY)
    for pod in watched.canary:
        pod.mood = "hanging"
    watched.start(**OURS)
    assert not watched.watch.opened(KEY)
    for pod in watched.canary:
        pod.release()
    await until(lambda: watched.watch.opened(KEY))
    watched.watch.stop(KEY)
    assert not watched.watch.opened(KEY)


async def test_a_gateway_does_not_see_them_and_is_not_waited_for(watched: Watched) -> None:
    watched.start(**OURS, sources=("contour",))
    assert watched.watch.opened(KEY)
    watched.start(**OURS, sources=("contour", "tidegate"))
    assert not watched.watch.opened(KEY)


@pytest.mark.parametrize(("tried", "breaches"), [(True, []), (False, [KEY])])
async def test_after_a_take_over_with_nothing_saved_they_are_not_held_against_it(
    watched: Watched, tried: bool, breaches: list[str]
) -> None:
    """Without requests of our own all that a canary's pods counted is its traffic, and counts."""
    for pod in watched.canary:
        pod.serve(40, "5xx")
    watched.start(untouched=False, tried=tried, takeovers=1)
    await until(lambda: watched.watch.opened(KEY))
    await watched.seen()
    assert watched.breaches == breaches
    for pod in watched.canary:
        pod.serve(40, "5xx")
    await until(lambda: watched.breaches == [KEY])
