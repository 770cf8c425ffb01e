import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tidegate.core.evidence import (
    FORGET_AFTER_LOOKS,
    Count,
    Durations,
    Edges,
    EvidenceConfig,
    EvidenceState,
    Look,
    Pair,
    Reading,
    Readings,
    Unreadable,
    observe,
)
from tidegate.core.guards import Absolute, Guard, Kind, Mode, Ratio

EDGES = (0.1, 0.5, 0.6, 30.0)
SLOW = Guard(
    name="latency.p95.max", kind=Kind.LATENCY, test=Absolute(limit=0.05), percentile=0.95, threshold_seconds=0.5
)
SLOWER = Guard(name="latency.p95.maxRatio", kind=Kind.LATENCY, test=Ratio(factor=1.2), percentile=0.95)
CONFIG = EvidenceConfig(guards=(SLOW,), timeout=30.0)
GONE = Unreadable(reason="connection refused")

Pods = Mapping[str, Reading | Unreadable]


def pod(ok: int = 0, failed: int = 0, refused: int = 0, *, born: float | None = 1.0) -> Reading:
    """A pod whose source tells codes only."""
    return Reading(finished={"2xx": ok, "5xx": failed, "4xx": refused}, process_started=born)


def timed(
    counts: Mapping[str, tuple[int, ...]], in_flight: tuple[int, ...] | None = None, born: float | None = 1.0
) -> Reading:
    """A pod with a histogram; `counts` are cumulative at EDGES and in all."""
    return Reading(
        finished={code or "2xx": ladder[-1] for code, ladder in counts.items()},
        durations=Durations(edges=EDGES, counts=counts),
        in_flight=in_flight,
        process_started=born,
    )


def looks(
    *steps: tuple[Pods, Pods], config: EvidenceConfig = CONFIG, state: EvidenceState | None = None
) -> tuple[EvidenceState, list[Look]]:
    """One look a second at (canary, stable)."""
    state, seen = state or EvidenceState(), []
    for at, (canary, stable) in enumerate(steps):
        state, one = observe(state, Readings(at=float(at), canary=canary, stable=stable), config)
        seen.append(one)
    return state, seen


def errors(look: Look) -> Pair:
    return look.counts["errorRate"]


def test_a_canary_pod_counts_from_its_first_request_and_stable_from_the_first_look() -> None:
    _, (first, second) = looks(
        ({"c": pod(5, 1)}, {"s": pod(1000, 10)}),
        ({"c": pod(8, 3)}, {"s": pod(1090, 11)}),
    )
    assert errors(first) == Pair(Count(6, 1), Count(0, 0))
    assert errors(second) == Pair(Count(5, 2), Count(91, 1))


def test_a_new_pod_of_stable_counts_from_zero() -> None:
    _, (_, second) = looks(({"c": pod()}, {"s": pod(1000)}), ({"c": pod()}, {"s": pod(1000), "t": pod(7, 1)}))
    assert errors(second).stable == Count(8, 1)


def test_a_pod_of_stable_that_could_not_be_read_at_first_does_not_bring_its_past() -> None:
    state, (_, second, third) = looks(
        ({"c": pod()}, {"s": pod(10), "t": GONE}),
        ({"c": pod()}, {"s": pod(10), "t": pod(5000, 50)}),
        ({"c": pod()}, {"s": pod(10), "t": pod(5003, 51)}),
    )
    assert errors(second).stable == Count(0, 0)
    assert errors(third).stable == Count(4, 1)
    assert not state.unread


def test_a_process_that_started_anew_counts_from_zero() -> None:
    _, (_, by_start, by_count) = looks(
        ({"c": pod(50)}, {"s": pod(100)}),
        ({"c": pod(60, born=2.0)}, {"s": pod(100)}),
        ({"c": pod(4, 1, born=2.0)}, {"s": pod(100)}),
    )
    assert errors(by_start).canary == Count(60, 0)
    assert errors(by_count).canary == Count(5, 1)


def test_a_counter_that_went_down_tells_of_a_restart_where_the_source_does_not() -> None:
    _, (_, second) = looks(({"c": pod(50, born=None)}, {"s": pod()}), ({"c": pod(3, 2, born=None)}, {"s": pod()}))
    assert errors(second).canary == Count(5, 2)


def test_what_a_pod_counted_stays_counted_when_it_vanishes_or_its_listing_flickers() -> None:
    _, (_, second, third) = looks(
        ({"c": pod(10), "d": pod(20)}, {"s": pod()}), ({"c": pod(11)}, {"s": pod()}), ({"c": pod(11), "d": pod(21)}, {})
    )
    assert errors(second).canary == Count(1, 0)
    assert errors(third).canary == Count(1, 0)


def test_a_pod_gone_for_long_is_forgotten() -> None:
    gone: tuple[Pods, Pods] = ({"c": pod()}, {"s": pod()})
    state, _ = looks(({"c": pod(), "d": pod(1)}, {"s": pod()}), *[gone] * FORGET_AFTER_LOOKS)
    assert "d" in state.canary
    state, _ = looks(gone, state=state)
    assert "d" not in state.canary


def test_an_unreadable_pod_changes_nothing_until_it_tells_again() -> None:
    _, (_, blind, late) = looks(
        ({"c": pod(10)}, {"s": pod()}), ({"c": GONE}, {"s": pod()}), ({"c": pod(30, 2)}, {"s": pod()})
    )
    assert blind.counts == {}
    assert blind.canary_arrived is None
    assert errors(late).canary == Count(22, 2)


def test_looks_in_a_row_without_a_readable_canary_are_counted_while_stable_is_read() -> None:
    dark: tuple[Pods, Pods] = ({"c": GONE, "d": GONE}, {"s": pod()})
    _, seen = looks(
        dark, dark, ({"c": GONE, "d": pod()}, {"s": pod()}), dark, ({"c": GONE}, {"s": GONE}), ({}, {"s": pod()})
    )
    assert [one.unreadable for one in seen] == [1, 2, 0, 1, 0, 0]


def test_silence_is_known_only_if_every_canary_pod_was_read() -> None:
    _, (both, one) = looks(({"c": pod(3), "d": pod(4)}, {"s": pod(9)}), ({"c": pod(3), "d": GONE}, {"s": pod(29)}))
    assert (both.canary_arrived, both.stable_arrived) == (7, 0)
    assert (one.canary_arrived, one.stable_arrived) == (None, 20)


def answers(*seconds: float, config: EvidenceConfig) -> list[int | None]:
    """What is known of the canary's requests in looks at these times, where it answers none and only answers count."""
    state, known = EvidenceState(), []
    for at in seconds:
        readings = Readings(at=at, canary={"c": timed({"2xx": (0, 0, 0, 0, 0)})}, stable={"s": SWIFT})
        state, look = observe(state, readings, config)
        known.append(look.canary_arrived)
    return known


#: A pod of stable whose answers take up to 0.5 s, p95.
SWIFT = timed({"2xx": (900, 1000, 1000, 1000, 1000)})


def test_where_only_answers_are_counted_a_canary_is_silent_once_its_first_ones_are_due() -> None:
    """By the shortest limit that is asked of it: the timeout, or a latency that a guard enforces."""
    assert answers(0, 29, 30, 31, config=EvidenceConfig(guards=(), timeout=30.0)) == [None, None, None, 0]
    assert answers(0, 0.5, 0.6, config=CONFIG) == [None, None, 0]
    observed = EvidenceConfig(guards=(replace(SLOW, mode=Mode.OBSERVE),), timeout=30.0)
    assert answers(0, 0.4, 0.6, 31, config=observed) == [None, None, None, 0]
    # 1.2 times stable's 0.5 s, which is known before the canary has answered anything; and beyond the last edge.
    assert answers(0, 0.5, 0.6, 0.7, config=EvidenceConfig(guards=(SLOWER,), timeout=30.0)) == [None, None, None, 0]
    far = replace(SLOW, threshold_seconds=99.0)
    assert answers(0, 30, 31, config=EvidenceConfig(guards=(far,), timeout=30.0)) == [None, None, 0]


def test_a_canary_is_not_waited_for_before_it_has_weight_and_anew_after_each_answer() -> None:
    config = EvidenceConfig(guards=(), timeout=30.0)
    state, known = EvidenceState(), []
    for at, answered, receiving in ((0, 0, False), (40, 0, True), (60, 1, True), (80, 1, True), (91, 1, True)):
        readings = Readings(at=at, canary={"c": pod(answered)}, stable={"s": pod(9)})
        state, look = observe(state, readings, replace(config, receiving=receiving))
        known.append(look.canary_arrived)
    assert known == [0, None, 1, None, 0]


def test_a_request_that_only_began_is_no_silence() -> None:
    begun = Reading(finished={"2xx": 0}, started=2)
    waiting = timed({"2xx": (0, 0, 0, 0, 0)}, in_flight=(3, 3, 3, 3, 3))
    _, (one,) = looks(({"c": begun, "d": waiting}, {}))
    assert one.canary_arrived == 5


def test_a_slow_request_is_slow_while_it_waits_and_counts_once() -> None:
    """Three answers in time; then two requests pass 0.5 s unanswered; then both end, and a third is slow."""
    _, seen = looks(
        ({"c": timed({"2xx": (3, 3, 3, 3, 3)}, in_flight=(2, 2, 2, 2, 2))}, {}),
        ({"c": timed({"2xx": (3, 3, 3, 3, 3)}, in_flight=(0, 0, 2, 2, 2))}, {}),
        ({"c": timed({"2xx": (3, 3, 3, 6, 6)}, in_flight=(0, 0, 0, 0, 0))}, {}),
    )
    assert [one.counts[SLOW.metric].canary for one in seen] == [Count(3, 0), Count(2, 2), Count(1, 1)]


def test_a_request_older_than_the_timeout_is_bad_at_once_and_stays_one_bad_request_when_it_fails_later() -> None:
    _, seen = looks(
        ({"c": timed({"2xx": (4, 4, 4, 4, 4)}, in_flight=(0, 0, 0, 0, 1))}, {}),
        ({"c": timed({"2xx": (4, 4, 4, 4, 4), "5xx": (0, 0, 0, 0, 1)}, in_flight=(0, 0, 0, 0, 0))}, {}),
        ({"c": timed({"2xx": (4, 4, 4, 4, 5), "5xx": (1, 1, 1, 1, 2)}, in_flight=(0, 0, 0, 0, 0))}, {}),
    )
    assert [errors(one).canary for one in seen] == [Count(5, 1), Count(0, 0), Count(2, 2)]


def test_an_overdue_request_that_vanishes_without_an_end_never_takes_anything_back() -> None:
    _, (_, second) = looks(
        ({"c": timed({"2xx": (4, 4, 4, 4, 4)}, in_flight=(0, 0, 0, 0, 1))}, {}),
        ({"c": timed({"2xx": (4, 4, 4, 4, 4)}, in_flight=(0, 0, 0, 0, 0))}, {}),
    )
    assert errors(second).canary == Count(0, 0)


def test_without_codes_in_the_histogram_only_what_is_certainly_bad_counts() -> None:
    """Two 5xx and three late answers: they may be the same ones."""
    source = Reading(
        finished={"200": 8, "500": 2}, durations=Durations(edges=EDGES, counts={"": (7, 7, 7, 7, 10)}), in_flight=None
    )
    _, (one,) = looks(({"c": source}, {}))
    assert errors(one).canary == Count(10, 3)


def test_a_timeout_beyond_the_ladder_leaves_late_answers_out() -> None:
    _, (one,) = looks(({"c": timed({"2xx": (1, 1, 1, 1, 9)})}, {}), config=EvidenceConfig(guards=(), timeout=60.0))
    assert errors(one).canary == Count(9, 0)


def test_faults_that_a_preset_answers_with_400_are_errors_and_no_client_errors() -> None:
    source = Reading(finished={"200": 5, "400": 3, "422": 2, "503": 1})
    mlserver = EvidenceConfig(guards=(), timeout=30.0, faults=frozenset({"400"}))
    _, (plain,) = looks(({"c": source}, {}))
    _, (preset,) = looks(({"c": source}, {}), config=mlserver)
    assert (errors(plain).canary, plain.counts["clientErrors"].canary) == (Count(11, 1), Count(11, 5))
    assert (errors(preset).canary, preset.counts["clientErrors"].canary) == (Count(11, 4), Count(11, 2))


def test_a_metric_that_no_canary_pod_can_tell_is_missing() -> None:
    _, (one,) = looks(({"c": pod(1)}, {"s": timed({"2xx": (1, 1, 1, 1, 1)})}))
    assert SLOW.metric not in one.counts
    assert one.edges == {SLOW.metric: Edges(None, 0.5)}


def test_a_limit_beyond_the_ladder_is_missing_as_well() -> None:
    far = Guard(
        name="latency.p95.max", kind=Kind.LATENCY, test=Absolute(limit=0.05), percentile=0.95, threshold_seconds=99.0
    )
    config = EvidenceConfig(guards=(far,), timeout=30.0)
    _, (one,) = looks(({"c": timed({"2xx": (1, 1, 1, 1, 1)})}, {}), config=config)
    assert far.metric not in one.counts
    assert one.edges == {far.metric: Edges(None, None)}


RELATIVE = EvidenceConfig(guards=(SLOWER,), timeout=30.0)


def test_stables_percentile_of_the_last_minutes_is_frozen_when_the_canary_gets_its_first_request() -> None:
    """Stable was slow once, long ago; lately it is fast: its p95 is 0.1 s, and the canary's limit 0.12 s -> 0.5 s."""
    lately = {"2xx": (400, 5400, 5400, 5400, 5400)}
    state, (_, _, third) = looks(
        ({"c": timed({"2xx": (0, 0, 0, 0, 0)})}, {"s": timed({"2xx": (0, 5000, 5000, 5000, 5000)})}),
        ({"c": timed({"2xx": (0, 0, 0, 0, 0)})}, {"s": timed(lately)}),
        ({"c": timed({"2xx": (1, 2, 3, 3, 3)})}, {"s": timed(lately)}),
        config=RELATIVE,
    )
    assert state.edges == {SLOWER.metric: 0.1}
    assert third.edges == {SLOWER.metric: Edges(0.5, 0.1)}
    assert third.counts[SLOWER.metric] == Pair(Count(3, 1), Count(0, 0))
    assert state.before is None
    assert state.stable["s"].ladder == ()


def test_a_frozen_percentile_stays_and_stable_is_measured_at_it() -> None:
    slow_now = {"2xx": (1000, 1100, 1100, 1100, 1100)}
    state, (_, second) = looks(
        ({"c": timed({"2xx": (1, 1, 1, 1, 1)})}, {"s": timed({"2xx": (1000, 1000, 1000, 1000, 1000)})}),
        ({"c": timed({"2xx": (1, 1, 2, 2, 2)})}, {"s": timed(slow_now)}),
        config=RELATIVE,
    )
    assert state.edges == {SLOWER.metric: 0.1}
    assert second.counts[SLOWER.metric] == Pair(Count(1, 1), Count(100, 100))


def test_too_few_requests_of_stable_leave_the_percentile_open_until_there_are_enough() -> None:
    state, (first, second) = looks(
        ({"c": timed({"2xx": (1, 1, 1, 1, 1)})}, {"s": timed({"2xx": (50, 50, 50, 50, 50)})}),
        ({"c": timed({"2xx": (2, 2, 2, 2, 2)})}, {"s": timed({"2xx": (250, 250, 250, 250, 250)})}),
        config=RELATIVE,
    )
    assert SLOWER.metric not in first.counts
    assert state.edges == {SLOWER.metric: 0.1}
    assert second.counts[SLOWER.metric].canary == Count(2, 0)


def test_no_percentile_is_frozen_while_nobody_tells_durations_or_the_canary_has_no_request() -> None:
    without, _ = looks(({"c": pod(1)}, {"s": pod(1000)}), config=RELATIVE)
    idle, _ = looks(({"c": pod(0)}, {"s": timed({"2xx": (1000, 1000, 1000, 1000, 1000)})}), config=RELATIVE)
    assert without.edges == idle.edges == {}


def test_saved_evidence_goes_on_where_it_stopped() -> None:
    state, _ = looks(
        ({"c": pod(5, 1), "d": GONE}, {"s": timed({"2xx": (9, 9, 9, 9, 9)}), "t": GONE}),
        ({"c": pod(6, 1)}, {"s": GONE}),
    )
    restored = EvidenceState.from_wire(json.loads(json.dumps(state.to_wire())))
    assert restored == replace(state, quiet_since=None)
    _, (after,) = looks(({"c": pod(7, 2)}, {"t": pod(99, 9)}), state=restored)
    assert errors(after) == Pair(Count(2, 1), Count(0, 0))


@pytest.mark.parametrize("wrong", [{}, {"metrics": 1}, {"metrics": [], "opened": True, "canary": [], "stable": {}}])
def test_what_was_saved_by_something_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no saved evidence"):
        EvidenceState.from_wire(wrong)
