"""The ladders: fine enough, exact where people write limits, and the same after a trip through text."""

from itertools import pairwise

import pytest

from tidegate_runtime.ladder import edges, prediction_edges

LIMITS_PEOPLE_WRITE = [
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    *(0.6, 0.75, 0.8, 0.9, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 150, 300, 600),
]


def test_neighbouring_edges_are_at_most_a_tenth_apart() -> None:
    assert max(high / low for low, high in pairwise(edges())) <= 1.1


def test_edges_ascend_from_a_millisecond_to_ten_minutes() -> None:
    assert (edges()[0], edges()[-1]) == (0.001, 600.0)
    assert all(low < high for low, high in pairwise(edges()))


@pytest.mark.parametrize("limit", LIMITS_PEOPLE_WRITE)
def test_a_round_limit_is_an_edge_exactly(limit: float) -> None:
    assert limit in edges()


def test_edges_have_four_significant_digits_and_survive_their_text() -> None:
    assert [float(f"{edge:.4g}") for edge in edges()] == list(edges())
    assert [float(repr(edge)) for edge in edges()] == list(edges())


def test_the_ladder_is_short_enough_for_a_scrape_a_second() -> None:
    assert len(edges()) < 200


def test_prediction_edges_are_symmetric_about_zero_and_ascend() -> None:
    ladder = prediction_edges()
    assert tuple(-edge for edge in reversed(ladder)) == ladder
    assert 0.0 in ladder
    assert all(low < high for low, high in pairwise(ladder))


@pytest.mark.parametrize("label", [0, 1, 2, 3, 4, 5])
def test_small_class_labels_fall_into_buckets_of_their_own(label: int) -> None:
    ladder = [float("-inf"), *prediction_edges()]
    inside = [low for low, high in pairwise(ladder) if low < label <= high]
    neighbours = [low for low, high in pairwise(ladder) if low < label + 1 <= high]
    assert inside != neighbours
