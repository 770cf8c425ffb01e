import pytest

from tidegate.core.guards import Absolute, Guard, Increase, Kind, Mode, Ratio


def guard(test: Absolute | Ratio | Increase, kind: Kind = Kind.ERROR_RATE, **more: object) -> Guard:
    return Guard(name="g", kind=kind, test=test, **more)  # type: ignore[arg-type]  # values of parametrised cases


@pytest.mark.parametrize(
    ("case", "needed"),
    [
        (guard(Absolute(limit=0.01)), 300),
        (guard(Absolute(limit=0.5)), 50),
        (guard(Absolute(limit=0.0)), 300),
        (guard(Increase(points=0.02)), 150),
        (guard(Ratio(factor=1.5)), 50),
        (guard(Ratio(factor=1.2), Kind.LATENCY, percentile=0.99), 300),
        (guard(Absolute(limit=0.05), Kind.LATENCY, percentile=0.95, threshold_seconds=0.5), 60),
        (guard(Absolute(limit=0.01), min_requests=7), 7),
    ],
)
def test_requests_needed_follow_the_rule_of_three_unless_the_user_says_otherwise(case: Guard, needed: int) -> None:
    assert case.requests_needed == needed


@pytest.mark.parametrize(
    "wrong",
    [
        {"test": Absolute(limit=0.05), "kind": Kind.LATENCY, "threshold_seconds": 0.5},
        {"test": Absolute(limit=0.05), "kind": Kind.LATENCY, "percentile": 0.95},
        {"test": Absolute(limit=0.05), "percentile": 0.95},
        {"test": Absolute(limit=0.05), "threshold_seconds": 0.5},
        {"test": Ratio(factor=1.2), "kind": Kind.LATENCY, "percentile": 0.95, "threshold_seconds": 0.5},
        {"test": Increase(points=0.02), "kind": Kind.LATENCY, "percentile": 0.95},
    ],
)
def test_a_guard_that_means_nothing_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^g: "):
        guard(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_guards_on_equal_counts_share_a_metric_and_others_do_not() -> None:
    limit = guard(Absolute(limit=0.05), Kind.LATENCY, percentile=0.95, threshold_seconds=0.5)
    stricter = guard(Absolute(limit=0.01), Kind.LATENCY, percentile=0.99, threshold_seconds=0.5)
    relative = guard(Ratio(factor=1.2), Kind.LATENCY, percentile=0.95)
    looser = guard(Ratio(factor=1.5), Kind.LATENCY, percentile=0.95)
    assert limit.metric == stricter.metric
    assert len({limit.metric, relative.metric, looser.metric, guard(Ratio(factor=1.2)).metric}) == 4
    assert guard(Ratio(factor=1.2)).metric == guard(Absolute(limit=0.1)).metric


def test_an_edited_limit_makes_another_guard() -> None:
    one, other = guard(Absolute(limit=0.01)), guard(Absolute(limit=0.02))
    assert one.identity != other.identity
    assert guard(Absolute(limit=0.01), min_requests=9, mode=Mode.OBSERVE).identity == one.identity


def test_a_latency_ratio_moves_the_threshold_and_not_the_share() -> None:
    relative = guard(Ratio(factor=1.2), Kind.LATENCY, percentile=0.95)
    assert (relative.factor, relative.share_factor) == (1.2, 1.0)
    assert guard(Ratio(factor=1.5)).share_factor == 1.5
    assert guard(Absolute(limit=0.1)).factor == 1.0


def test_a_relative_guard_yields_to_a_plain_limit_of_its_kind_that_is_no_weaker() -> None:
    ratio, limit = guard(Ratio(factor=1.5)), guard(Absolute(limit=0.01))
    observed = guard(Absolute(limit=0.01), mode=Mode.OBSERVE)
    assert ratio.yields_to(limit)
    assert not ratio.yields_to(observed)
    assert not ratio.yields_to(guard(Absolute(limit=0.01), Kind.CLIENT_ERRORS))
    assert not limit.yields_to(limit)
    assert not ratio.yields_to(ratio)
    assert guard(Ratio(factor=1.5), mode=Mode.OBSERVE).yields_to(observed)
