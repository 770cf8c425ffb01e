"""Whose requests an attempt counts, where pods have lived through an earlier one."""

import json

import pytest
from tests.unit.core.test_evidence import EDGES, GONE, SLOWER, Pods, looks, pod, timed

from tidegate.core.evidence import Count, EvidenceConfig, EvidenceState, Look

UNTOUCHED = EvidenceState(untouched=True)
STABLE: Pods = {"s": pod(1000)}


def errors(look: Look) -> Count:
    return look.counts["errorRate"].canary


def test_what_surviving_pods_counted_before_the_attempt_is_not_its_own() -> None:
    _, (first, second) = looks(
        ({"c": pod(100, 80)}, STABLE), ({"c": pod(110, 81)}, STABLE), state=UNTOUCHED
    )  # fmt: skip
    assert errors(first) == Count(0, 0)
    assert first.canary_arrived is None
    assert errors(second) == Count(11, 1)
    assert second.canary_arrived == 11


def test_a_pod_that_came_later_counts_from_its_first_request() -> None:
    _, (_, second) = looks(({}, STABLE), ({"new": pod(7, 3)}, STABLE), state=UNTOUCHED)
    assert errors(second) == Count(10, 3)


def test_a_surviving_pod_that_could_not_be_read_at_first_starts_with_its_first_reading() -> None:
    state, (_, second) = looks(({"c": GONE}, STABLE), ({"c": pod(100, 80)}, STABLE), state=UNTOUCHED)
    assert errors(second) == Count(0, 0)
    assert state.unread_canary == frozenset()


def test_a_surviving_pod_that_restarted_counts_from_its_new_start() -> None:
    _, (_, second) = looks(
        ({"c": pod(100, 80)}, STABLE), ({"c": pod(5, 4, born=2.0)}, STABLE), state=UNTOUCHED
    )  # fmt: skip
    assert errors(second) == Count(9, 4)


def test_a_take_over_in_mid_attempt_counts_everything() -> None:
    _, (first,) = looks(({"c": pod(100, 80)}, STABLE))
    assert errors(first) == Count(180, 80)


@pytest.mark.parametrize("after", [1, 2])
def test_a_saved_state_keeps_whose_past_is_not_the_attempts(after: int) -> None:
    steps: list[tuple[Pods, Pods]] = [
        ({"c": pod(100, 80), "late": GONE}, STABLE),
        ({"c": pod(110, 80), "late": GONE}, STABLE),
        ({"c": pod(120, 80), "late": pod(500, 500)}, STABLE),
    ]
    state, _ = looks(*steps[:after], state=UNTOUCHED)
    thawed = EvidenceState.from_wire(json.loads(json.dumps(state.to_wire())))
    _, seen = looks(*steps[after:], state=thawed)
    assert sum((errors(look) for look in seen), Count(0, 0)) == Count(30 - 10 * after, 0)


def test_the_past_of_surviving_pods_freezes_no_percentile_of_stables() -> None:
    config = EvidenceConfig(guards=(SLOWER,), timeout=30.0)
    old = timed({"2xx": (1000,) * (len(EDGES) + 1)})
    new = timed({"2xx": (1001,) * (len(EDGES) + 1)})
    state, _ = looks(({"c": old}, {"s": old}), config=config, state=UNTOUCHED)
    assert not state.edges
    state, _ = looks(({"c": new}, {"s": new}), config=config, state=state)
    assert state.edges
