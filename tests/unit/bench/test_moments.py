import pytest
from tests.bench.moments import last_end, last_start, longest_pause, looks_with_requests, stray
from tests.driver.load import Answer


def answer(started: float, revision: str = "new", status: int = 200, took: float = 0.01) -> Answer:
    return Answer(
        started=started, ended=started + took, status=status, revision=revision, version="", error="", body=""
    )


def test_the_last_request_is_the_revisions_own_that_started_last_whatever_the_order_of_answers() -> None:
    answers = [answer(10.7), answer(10.2, took=2.0), answer(10.9, "old"), answer(9.0)]
    assert last_start(answers, "new", since=10.0, until=20.0) == pytest.approx(0.7)


def test_requests_of_the_next_trial_do_not_count() -> None:
    assert last_start([answer(10.1), answer(15.0)], "new", since=10.0, until=12.0) == pytest.approx(0.1)


def test_without_a_request_there_is_no_last_one() -> None:
    with pytest.raises(ValueError, match="no request"):
        last_start([answer(9.9), answer(10.1, "old")], "new", since=10.0, until=12.0)


def test_the_last_answer_counts_by_its_end() -> None:
    assert last_end([answer(9.99, took=0.05)], "new", since=10.0, until=12.0) == pytest.approx(0.04)


def test_a_backend_whose_last_answer_came_before_the_write_was_gone_at_once() -> None:
    assert last_end([answer(9.95)], "new", since=10.0, until=12.0) == 0.0


def test_a_backend_that_nobody_asked_before_the_write_measures_nothing() -> None:
    with pytest.raises(ValueError, match="no request"):
        last_end([answer(9.7)], "new", since=10.0, until=12.0)


def test_looks_are_counted_where_the_revision_answered_well() -> None:
    answers = [answer(10.1), answer(10.2), answer(11.5), answer(12.5, status=500), answer(13.5, "old"), answer(20.0)]
    assert looks_with_requests(answers, "new", since=10.0, until=15.0, every=1.0) == 2


def test_only_the_bad_revisions_own_failures_while_it_was_bad_are_forgiven() -> None:
    good = answer(1.0)
    own = answer(10.5, status=500)
    early = answer(9.0, status=500)
    others = answer(10.5, "old", status=500)
    nobody = answer(10.5, "", status=0)
    found = stray([good, own, early, others, nobody], "new", bad=[(10.0, 12.0)])
    assert found == [early, others, nobody]


def test_a_driver_that_stalls_is_seen_by_the_longest_time_without_a_request() -> None:
    answers = [answer(10.2), answer(10.0, "old"), answer(10.7), answer(9.0), answer(30.0)]
    assert longest_pause(answers, since=9.9, until=10.8) == pytest.approx(0.5)
    assert longest_pause([], since=1.0, until=3.0) == 2.0
