"""With autoscalers that do what they like, stable keeps what a revert needs, and no weight meets too few pods."""

from random import Random

import pytest
from tests.property.driver import walk
from tests.property.scaling import MUTANTS, ScaledWorld

WALKS = 20
LENGTH = 12


def test_long_walks_beside_autoscalers_break_no_invariant_and_end_with_what_is_asked_for() -> None:
    for seed in range(6):
        walk(ScaledWorld(seed=seed), Random(seed), LENGTH)


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_machine_with_one_thing_wrong_about_sizes_is_found(name: str) -> None:
    said: list[str] = []
    for seed in range(WALKS):
        try:
            walk(ScaledWorld(MUTANTS[name], seed=seed), Random(seed), LENGTH)
        except AssertionError as error:
            said.append(str(error))
            break
    assert said, f"a machine that {name} survived {WALKS} walks"
    assert "stable" in said[0]
