"""Growth is told by medians of thirds, of one process in one role, and never of nothing."""

from dataclasses import replace
from itertools import chain

import pytest
from tests.soak.growth import LEAST, MIB, TOLERANCES, WARM_UP, grown, trends
from tests.unit.soak.builders import T0, vitals

COLD = int(WARM_UP / 2)  # readings that are left out
STEADY = [130 * MIB] * (COLD + 60)


def test_a_process_that_stays_as_it_is_does_not_grow() -> None:
    found = list(trends(vitals(*STEADY)))
    assert [each.measure for each in found] == ["rss", "fds", "tasks"]
    assert list(grown(found)) == []


def test_a_slow_leak_is_growth() -> None:
    leak = [(130 + n * 0.2) * MIB for n in range(COLD + 60)]
    (said,) = grown(trends(vitals(*leak)))
    assert said.startswith("one: rss grew from ")


@pytest.mark.parametrize("measure", ["fds", "tasks"])
def test_a_descriptor_or_a_task_that_is_lost_again_and_again_is_growth(measure: str) -> None:
    readings = vitals(*STEADY)
    leak = [
        type(each)(at=each.at, process="one", leads=True, values={**each.values, measure: 40 + n // 2})
        for n, each in enumerate(readings)
    ]
    (said,) = grown(trends(leak))
    assert said.startswith(f"one: {measure} grew")


def test_what_is_within_the_tolerance_is_none_and_a_byte_more_is_growth() -> None:
    first = 130 * MIB
    most = TOLERANCES["rss"].most(first)
    within = [first] * (COLD + 30) + [most] * 30
    assert list(grown(trends(vitals(*within)))) == []
    over = [first] * (COLD + 30) + [most + 1] * 30
    assert len(list(grown(trends(vitals(*over))))) == 1


def test_a_start_is_left_out_and_a_single_peak_is_no_growth() -> None:
    warming = [80 * MIB] * COLD + [130 * MIB] * 60
    assert list(grown(trends(vitals(*warming)))) == []
    peak = [*STEADY]
    peak[-3] = 900 * MIB
    assert list(grown(trends(vitals(*peak)))) == []


def test_the_longer_a_process_lives_the_longer_it_may_take_to_settle_but_not_to_grow() -> None:
    settling = [(110 + min(n, 60) / 6) * MIB for n in range(300)]
    assert list(grown(trends(vitals(*settling)))) == []
    growing = [(110 + n / 20) * MIB for n in range(300)]
    assert len(list(grown(trends(vitals(*growing))))) == 1


def test_a_standby_that_has_led_is_not_compared_with_what_it_was_before_and_may_not_grow_either() -> None:
    before, led = vitals(*[76 * MIB] * 100, leads=False), vitals(*[125 * MIB] * 10)
    after = vitals(*[124 * MIB] * 100, leads=False)
    life = [replace(each, at=T0 + 2 * n) for n, each in enumerate(chain(before, led, after))]
    assert not any(each.grew for each in trends(life))
    leak = vitals(*[(124 + n / 5) * MIB for n in range(100)], leads=False)
    life = [replace(each, at=T0 + 2 * n) for n, each in enumerate(chain(before, led, leak))]
    assert [each.measure for each in trends(life) if each.grew] == ["rss"]


def test_a_standby_that_begins_to_lead_is_compared_with_itself_in_that_role() -> None:
    before = vitals(*[90 * MIB] * (COLD + 45), leads=False)
    after = [type(each)(at=each.at + 1000, process="one", leads=True, values=each.values) for each in vitals(*STEADY)]
    found = list(trends(chain(after, before)))
    assert {(each.leads, each.measure) for each in found} == {(led, m) for led in (True, False) for m in TOLERANCES}
    assert list(grown(found)) == []


def test_two_processes_are_not_taken_for_one() -> None:
    low = vitals(*[90 * MIB] * (COLD + 45), process="one")
    high = vitals(*STEADY, process="two")
    assert list(grown(trends([*low, *high]))) == []


def test_where_no_leader_lived_long_enough_nothing_is_passed() -> None:
    short = vitals(*[130 * MIB] * (COLD + LEAST - 1))
    (said,) = grown(trends(short))
    assert "growth is not judged" in said
    standby = vitals(*STEADY, leads=False)
    assert len(list(grown(trends(standby)))) == 1
    assert len(list(grown([]))) == 1
