from tidegate.intake.rates import MOST_SENDERS, Rates


def test_after_a_burst_a_sender_waits_for_its_rate_and_others_do_not() -> None:
    rates = Rates(rate=2.0, burst=3.0)

    assert [rates.wait("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert rates.wait("b", 0.0) == 0.0
    assert rates.wait("a", 0.5) == 0.0
    assert rates.wait("a", 0.5) == 0.5
    assert [rates.wait("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_a_failure_costs_what_is_said_and_no_more_than_a_burst() -> None:
    rates = Rates(rate=1.0, burst=2.0)

    rates.charge("a", 0.0, 3.0)
    assert rates.wait("a", 0.0) == 2.0
    rates.charge("a", 0.0, 1000.0)
    assert rates.wait("a", 0.0) == 3.0


def test_no_more_senders_than_there_is_room_for_are_remembered() -> None:
    rates = Rates(rate=1.0, burst=1.0)

    assert rates.wait("first", 0.0) == 0.0
    assert rates.wait("first", 0.0) == 1.0
    assert [rates.wait(str(n), 0.0) for n in range(MOST_SENDERS)] == [0.0] * MOST_SENDERS
    assert rates.wait("first", 0.0) == 0.0
