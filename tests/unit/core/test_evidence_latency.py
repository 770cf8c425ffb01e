import pytest

from tidegate.core.latency import WINDOW_SECONDS, Before, Durations, added, grown, percentile_edge, snap

EDGES = (0.1, 0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("seconds", "index"), [(0.01, 0), (0.1, 0), (0.1 + 1e-12, 0), (0.26, 2), (1.0, 3), (1.01, None)]
)
def test_a_limit_snaps_upwards_to_an_edge_and_to_none_beyond_the_last(seconds: float, index: int | None) -> None:
    assert snap(EDGES, seconds) == index


def test_a_percentile_is_the_first_edge_that_enough_requests_stayed_within() -> None:
    assert percentile_edge(EDGES, (100, 180, 190, 200, 200), 0.95) == 0.5
    assert percentile_edge(EDGES, (190, 195, 199, 200, 200), 0.95) == 0.1


def test_a_percentile_is_not_told_from_too_few_requests() -> None:
    assert percentile_edge(EDGES, (100, 180, 190, 199, 199), 0.95) is None
    assert percentile_edge(EDGES, (), 0.95) is None


def test_a_percentile_beyond_the_ladder_is_not_told() -> None:
    assert percentile_edge(EDGES, (0, 0, 0, 100, 300), 0.95) is None


def test_durations_merge_their_codes() -> None:
    labelled = Durations(edges=(0.1, 1.0), counts={"2xx": (1, 5, 6), "5xx": (0, 0, 2)})
    assert labelled.merged == (1, 5, 8)
    assert labelled.labelled
    assert not Durations(edges=(0.1,), counts={"": (1, 2)}).labelled
    assert Durations(edges=(0.1, 1.0), counts={}).merged == (0, 0, 0)


def test_the_time_before_is_the_last_one_to_two_windows() -> None:
    before = Before(since=0.0).after(1.0, (1, 1)).after(2.0, (1, 2))
    assert before.counts == (2, 3)
    before = before.after(WINDOW_SECONDS, (5, 5))
    assert before.counts == (7, 8)
    before = before.after(2 * WINDOW_SECONDS, (7, 7))
    assert before.counts == (12, 12)


def test_ladders_of_other_lengths_are_not_mixed() -> None:
    assert added((), (1, 2)) == (1, 2)
    assert added((1, 2), ()) == (1, 2)
    assert added((1, 2), (1, 2, 3)) == (1, 2)
    assert grown((3, 4), (1, 5)) == (2, 0)
    assert grown((3, 4), ()) == ()
