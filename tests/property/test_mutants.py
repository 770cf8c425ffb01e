"""The walks and checkers are worth something: they find every machine that has one thing wrong."""

from random import Random

import pytest
from tests.property.driver import walk
from tests.property.mutants import MUTANTS
from tests.property.people import PeopledWorld

pytestmark = pytest.mark.long

#: Walks that a mutant may survive at most.
WALKS = 120
LENGTH = 12


def killed_by(name: str) -> str | None:
    """What a seeded walk has to say against a mutant, None where it survives all of them."""
    for seed in range(WALKS):
        world = PeopledWorld(MUTANTS[name])
        if seed % 4 == 3:
            world.approval_asked(revert=False)
        try:
            walk(world, Random(seed), LENGTH)
        except AssertionError as error:
            return str(error)
    return None


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_is_killed_by_the_walks_that_the_machine_survives(name: str) -> None:
    assert killed_by(name) is not None, f"a machine that {name} survived {WALKS} walks"
