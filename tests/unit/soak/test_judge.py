"""Each check of a soak has here an input that must fail it, beside the nearest one that must not."""

import math

import pytest
from tests.soak.judge import (
    DUE,
    EXPOSED,
    PAUSE,
    RECOVERY,
    REJOINING,
    Outage,
    due,
    exposed,
    idle_drivers,
    idle_plan,
    stains,
    starved,
    strays,
    torn,
    wrong_ends,
)  # fmt: skip
from tests.soak.plan import End, Fault, Kind
from tests.unit.soak.builders import T0, answer, bad, good, nobodys, outage

OWN = "m-v2-a"


def test_the_clock_stands_during_an_outage_and_its_recovery_and_for_none_that_was_over_or_comes_later() -> None:
    assert due(T0, 20, []) == T0 + 20
    assert due(T0, 20, [outage(5, 9)]) == T0 + 20 + 4 + RECOVERY
    assert due(T0, 20, [outage(-60, -50), outage(21, 40)]) == T0 + 20
    assert due(T0, 20, [outage(-10, -5)]) == T0 + 20 + RECOVERY - 5


@pytest.mark.parametrize("fault", [Fault.API_SERVER, Fault.GATEWAY])
def test_what_comes_back_stream_by_stream_takes_longer(fault: Fault) -> None:
    assert due(T0, 20, [outage(5, 9, fault)]) == T0 + 20 + 4 + REJOINING[fault]


def test_outages_that_overlap_are_not_counted_twice_and_one_that_comes_in_the_time_won_counts() -> None:
    assert due(T0, 20, [outage(8, 12), outage(5, 9)]) == T0 + 20 + 7 + RECOVERY
    assert due(T0, 20, [outage(5, 6), outage(30, 31)]) == T0 + 20 + 2 * (1 + RECOVERY)


def test_nothing_is_due_while_an_outage_lasts() -> None:
    assert due(T0, 20, [outage(5, math.inf)]) == math.inf


@pytest.mark.parametrize(
    "episode",
    [
        good(end=End.REJECTED, reason="GuardBreached"),
        good(end=None, ended=None),
        good(ended=T0 + DUE + 1),
        bad(end=End.PROMOTED, left=None),
        bad(left=None),
        bad(Kind.ALERT, reason="GuardBreached"),
        bad(Kind.CORRUPT),
        bad(Kind.WITHDRAWN),
    ],
    ids=lambda e: f"{e.kind}-{e.end}",
)
def test_a_wrong_end_or_a_late_one_is_told(episode: object) -> None:
    assert len(list(wrong_ends([episode], []))) == 1  # type: ignore[list-item]  # all are


def test_a_deserved_end_in_time_is_not_told() -> None:
    ends = [
        good(),
        bad(),
        bad(Kind.ALERT, reason="AlertFiring"),
        bad(Kind.CORRUPT, reached=None, left=None, end=End.PARKED),
        bad(Kind.WITHDRAWN, end=End.BACK),
    ]
    assert list(wrong_ends(ends, [])) == []
    late = good(ended=T0 + DUE + 1)
    assert list(wrong_ends([late], [outage(10, 12)])) == []


@pytest.mark.parametrize("status", [500, 503, 404, 301])
def test_a_failure_of_stable_or_of_a_good_version_is_a_stain_whatever_else_goes_on(status: int) -> None:
    own = answer(T0 + 7, status=status)
    of_good = answer(T0 + 7, revision=OWN, version="2", status=status)
    assert stains([own], [bad()], [outage(5, 9)]) == [own]
    assert stains([of_good], [good()], [outage(5, 9)]) == [of_good]
    assert stains([of_good], [bad(Kind.SLOW)], []) == [of_good]


def test_a_bad_versions_own_failures_while_it_had_traffic_are_none() -> None:
    assert stains([answer(T0 + 7, revision=OWN, version="2", status=500)], [bad()], []) == []


@pytest.mark.parametrize("moment", [2.0, 11.5])
def test_a_bad_versions_failure_before_or_after_it_had_traffic_is_a_stain(moment: float) -> None:
    failure = answer(T0 + moment, revision=OWN, version="2", status=500)
    assert stains([failure], [bad()], []) == [failure]


def test_a_failure_that_nobody_put_a_name_to_is_a_stain_but_while_a_silent_version_had_traffic() -> None:
    failure = nobodys(T0 + 7)
    assert stains([failure], [bad()], []) == [failure]
    assert stains([failure], [bad(Kind.HANGS)], []) == []
    assert stains([nobodys(T0 + 7, version="2")], [bad(Kind.CRASHES)], []) == []
    of_stable = nobodys(T0 + 7, version="1")
    assert stains([of_stable], [bad(Kind.CRASHES)], []) == [of_stable]
    after = nobodys(T0 + 11.5)
    assert stains([after], [bad(Kind.HANGS)], []) == [after]


def test_a_version_that_was_never_reached_excuses_nothing() -> None:
    failure = answer(T0 + 7, revision=OWN, version="2", status=500)
    assert stains([failure], [bad(reached=None, left=None)], []) == [failure]


def test_an_answer_of_a_version_that_was_off_is_a_stray_even_a_good_one() -> None:
    late = answer(T0 + 11.5, revision=OWN, version="2")
    assert strays([late], [bad()], []) == [late]
    assert strays([answer(T0 + 10.5, revision=OWN, version="2")], [bad()], []) == []
    assert strays([late], [good()], []) == []


def test_a_gateway_that_could_not_be_told_goes_on_sending_but_no_other_fault_is_an_excuse() -> None:
    late = answer(T0 + 11.5, revision=OWN, version="2")
    assert strays([late], [bad()], [outage(9, 12, Fault.GATEWAY)]) == []
    assert strays([late], [bad()], [outage(9, 12, Fault.MLFLOW)]) == [late]
    very_late = answer(T0 + 12 + REJOINING[Fault.GATEWAY] + 2, revision=OWN, version="2")
    assert strays([very_late], [bad()], [outage(9, 12, Fault.GATEWAY)]) == [very_late]


def test_a_corrupt_version_may_never_answer() -> None:
    corrupt = bad(Kind.CORRUPT, reached=None, left=None, end=End.PARKED, revisions=frozenset())
    found = answer(T0 + 7, revision="m-v2-x", version="2")
    assert strays([found], [corrupt], []) == [found]


def test_a_version_that_fails_for_long_is_told_unless_nobody_could_take_it_off() -> None:
    failure = answer(T0 + 5, revision=OWN, version="2", status=500)
    slow = bad(left=T0 + 5.2 + EXPOSED)
    assert len(list(exposed([failure], [slow], []))) == 1
    assert list(exposed([failure], [slow], [outage(7, 9, Fault.LEADER_KILLED)])) == []
    assert len(list(exposed([failure], [slow], [outage(7, 9, Fault.MLFLOW)]))) == 1
    assert list(exposed([failure], [bad()], [])) == []


def test_each_attempt_of_a_version_has_its_own_time() -> None:
    twice = bad(Kind.HANGS, spans=((T0, T0 + 20), (T0 + 90, T0 + 110)))
    assert list(exposed([], [twice], [])) == []
    second = bad(Kind.HANGS, spans=((T0, T0 + 20), (T0 + 90, T0 + 91 + EXPOSED)))
    assert len(list(exposed([], [second], []))) == 1
    failures = [answer(T0 + at, revision=OWN, version="2", status=500) for at in (5, 95)]
    assert list(exposed(failures, [bad(spans=twice.spans)], [])) == []
    assert len(list(exposed(failures, [bad(spans=((T0, T0 + 20), (T0 + 90, T0 + 96 + EXPOSED)))], []))) == 1


@pytest.mark.parametrize("fault", [Fault.API_SERVER, Fault.GATEWAY])
def test_what_a_gateway_says_of_its_own_just_after_it_was_cut_off_is_no_stain(fault: Fault) -> None:
    own = answer(T0 + 7, revision="", version="2", status=503)
    cut = outage(5, 9, fault)
    assert stains([own], [good()], [cut]) == []
    assert torn(own, [cut])


@pytest.mark.parametrize(
    ("fields", "of"),
    [
        ({}, outage(5, 9, Fault.PROMETHEUS)),
        ({}, outage(8, 9, Fault.GATEWAY)),
        ({}, outage(-40, -24, Fault.GATEWAY)),
        ({"status": 500}, outage(5, 9, Fault.GATEWAY)),
        ({"status": 0}, outage(5, 9, Fault.GATEWAY)),
        ({"revision": "m-v1-a"}, outage(5, 9, Fault.GATEWAY)),
    ],
    ids=["another fault", "before", "long after", "another status", "no answer", "a pod's"],
)
def test_nothing_else_is_excused_by_it(fields: dict[str, object], of: Outage) -> None:
    given: dict[str, object] = {"revision": "", "version": "2", "status": 503, **fields}
    found = answer(T0 + 7, **given)  # type: ignore[arg-type]  # fields of its own
    assert stains([found], [good()], [of]) == [found]
    assert not torn(found, [of])


def test_a_version_that_answers_nothing_is_exposed_from_its_first_weight_on() -> None:
    assert len(list(exposed([], [bad(Kind.HANGS, left=T0 + 5.2 + EXPOSED)], []))) == 1
    assert list(exposed([], [bad(left=T0 + 5.2 + EXPOSED)], [])) == []


def test_clients_that_ask_too_little_or_pause_prove_nothing() -> None:
    steady = [answer(T0 + n / 10) for n in range(600)]
    assert list(idle_drivers("a", steady, rate=10, begin=T0, end=T0 + 60)) == []
    assert len(list(idle_drivers("a", steady[::2], rate=10, begin=T0, end=T0 + 60))) == 1
    gap = [each for each in steady if not 20 < each.started - T0 < 20 + PAUSE + 1]
    assert any("no request for" in said for said in idle_drivers("a", gap, rate=10, begin=T0, end=T0 + 60))
    assert len(list(idle_drivers("a", [], rate=10, begin=T0, end=T0 + 60))) == 2


def test_a_soak_in_which_nothing_happens_is_told() -> None:
    assert list(idle_plan([good(), bad()], list(Fault), list(Fault))) == []
    assert list(idle_plan([], [Fault.MLFLOW], [Fault.MLFLOW, Fault.GATEWAY])) == [
        "no version was promoted",
        "no version was rejected",
        "never befell: gateway's control plane",
    ]


def test_a_machine_that_is_too_busy_shows_nothing_and_only_its_own_time_counts() -> None:
    assert list(starved([outage(0, 15, Fault.STARVED), outage(20, 60)], 60)) == []
    assert len(list(starved([outage(0, 8, Fault.STARVED), outage(20, 28, Fault.STARVED)], 60))) == 1
