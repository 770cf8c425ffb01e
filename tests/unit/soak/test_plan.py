"""The plan: the same for a seed, another for another one, and with everything in it."""

from itertools import pairwise

import pytest
from tests.soak.plan import BEHAVES, DESERVED, FASTEST, KINDS, LETHAL, LETHAL_SHARE, End, Fault, Flavour, Kind, plan

MINUTES = 60.0


def test_a_seed_has_one_plan_and_another_seed_another_one() -> None:
    assert plan(1, 30 * MINUTES) == plan(1, 30 * MINUTES)
    assert plan(1, 30 * MINUTES) != plan(2, 30 * MINUTES)


def test_the_plan_of_a_seed_is_this_one_on_every_machine_and_in_every_release() -> None:
    """A seed that was noted down is worth nothing if the plan behind it changes unseen."""
    made = plan(7, 60, [Flavour.ALERT])
    assert list(made.lines()) == [
        "seed 7, 60 s",
        "  at   18.1 s  leader SIGKILL (9.2 s)",
        "  at   35.2 s  MLflow (4.2 s)",
        "  at   55.2 s  API server (11.7 s)",
        "  alert-0: good +4.5, alert +4.0, good +2.7, alert +4.6",
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("minutes", [3, 30])
def test_every_fault_comes_those_that_end_a_process_come_first_and_one_at_a_time(seed: int, minutes: int) -> None:
    misfortunes = plan(seed, minutes * MINUTES).misfortunes
    late = {each.fault for each in misfortunes if each.at >= LETHAL_SHARE * minutes * MINUTES}
    assert not late & set(LETHAL)
    assert set(LETHAL) <= {each.fault for each in misfortunes}
    if minutes >= 30:
        assert {each.fault for each in misfortunes} == set(Fault) - {Fault.STARVED}
    assert all(later.at > earlier.at for earlier, later in pairwise(misfortunes))
    assert misfortunes[-1].at < minutes * MINUTES


@pytest.mark.parametrize("seed", range(20))
def test_half_of_the_versions_are_good_every_bad_kind_comes_and_a_plan_does_not_run_out(seed: int) -> None:
    for subject in plan(seed, 30 * MINUTES).subjects:
        kinds = [rollout.kind for rollout in subject.rollouts]
        assert set(kinds) == {Kind.GOOD, *KINDS[subject.flavour]}
        assert 0.4 < kinds.count(Kind.GOOD) / len(kinds) < 0.6
        assert len(kinds) * FASTEST[subject.flavour] >= 30 * MINUTES


def test_every_kind_deserves_an_end_and_only_a_good_one_deserves_to_serve() -> None:
    assert set(DESERVED) == set(Kind)
    assert [kind for kind, end in DESERVED.items() if end is End.PROMOTED] == [Kind.GOOD]
    assert all(DESERVED[kind] is End.REJECTED for kind in BEHAVES)


def test_every_rollout_and_fault_is_printed() -> None:
    made = plan(3, 10 * MINUTES)
    text = "\n".join(made.lines())
    assert len(text.splitlines()) == 1 + len(made.misfortunes) + len(made.subjects)
    assert text.count(" +") == sum(len(subject.rollouts) for subject in made.subjects)
