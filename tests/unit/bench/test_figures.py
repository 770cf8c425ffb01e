import pytest
from tests.bench.figures import Figure, Limit, percentile, table


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5


@pytest.mark.parametrize(("share", "expected"), [(95, 19.0), (96, 20.0), (99, 20.0), (100, 20.0), (1, 1.0)])
def test_a_tail_is_a_sample_that_was_seen(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(20, 0, -1)], share) == expected


def test_one_sample_is_every_percentile() -> None:
    assert [percentile([7.0], share) for share in (1, 50, 99)] == [7.0, 7.0, 7.0]


def test_a_figure_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing: no samples"):
        Figure(name="nothing", unit="s", samples=[])


def test_an_entry_has_exactly_the_fields_that_readers_expect() -> None:
    figure = Figure(name="route_write", unit="ms", samples=[1.0, 2.0, 6.0], floor=[3.0, 5.0])
    assert figure.entry() == {
        "name": "route_write", "unit": "ms", "n": 3, "p50": 2.0, "p95": 6.0, "p99": 6.0, "max": 6.0, "floor_p50": 4.0,
    }  # fmt: skip
    assert Figure(name="x", unit="s", samples=[1.0]).entry()["floor_p50"] is None


def test_a_limit_is_missed_only_above_it() -> None:
    limits = (Limit(value="p50", most=2.0), Limit(value="max", most=5.0))
    assert Figure(name="x", unit="s", samples=[1.0, 2.0, 5.0], limits=limits).missed() == []
    assert Figure(name="x", unit="s", samples=[1.0, 2.0, 5.1], limits=limits).missed() == ["x: max is 5.1 s, over 5"]
    assert len(Figure(name="x", unit="s", samples=[9.0], limits=limits).missed()) == 2


@pytest.mark.parametrize(("floor", "bound"), [([20.0], 60.0), ([40.0], 80.0), ([], 60.0)])
def test_a_ratio_lets_a_slow_machines_floor_raise_the_limit_and_never_lowers_it(
    floor: list[float], bound: float
) -> None:
    limit = Limit(value="p50", most=60.0, ratio=2.0)
    assert Figure(name="x", unit="ms", samples=[bound], floor=floor, limits=(limit,)).missed() == []
    assert len(Figure(name="x", unit="ms", samples=[bound + 1], floor=floor, limits=(limit,)).missed()) == 1


def test_the_table_says_of_each_figure_whether_its_budget_was_met() -> None:
    met = Figure(name="fast", unit="s", samples=[1.0], limits=(Limit(value="p50", most=2.0),))
    missed = Figure(name="slow", unit="s", samples=[3.0], limits=(Limit(value="p50", most=2.0),))
    free = Figure(name="free", unit="s", samples=[3.0])
    _, first, second, third = table([met, missed, free]).splitlines()
    assert first.startswith("fast")
    assert first.endswith("p50 <= 2  met")
    assert second.endswith("missed")
    assert third.endswith("-")
