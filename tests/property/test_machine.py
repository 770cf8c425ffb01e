"""The machine in a world that does what it likes: every decision holds every invariant, what is good comes through."""

from random import Random

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.property.driver import DANGERS, EVENTS, calm, comes_through, happen, walk
from tests.property.people import PeopledWorld

from tidegate.api.record import decode, encode
from tidegate.core.record import Record


class Machine(RuleBasedStateMachine):
    """Events in any order, with things going well in between: pure random walks hardly ever get to 100 %."""

    @initialize()
    def first_version(self) -> None:
        self.world = PeopledWorld()
        calm(self.world, 4)

    @rule(moments=st.integers(1, 6))
    def goes_well(self, moments: int) -> None:
        calm(self.world, moments)

    @rule(moments=st.integers(1, 6))
    def new_version(self, moments: int) -> None:
        happen(self.world, "new version", Random(0))
        calm(self.world, moments)

    @rule(name=st.sampled_from(sorted(EVENTS)), seed=st.integers(0, 3))
    def happens(self, name: str, seed: int) -> None:
        happen(self.world, name, Random(seed))

    @rule(name=st.sampled_from(sorted(DANGERS)), seed=st.integers(0, 3))
    def goes_wrong(self, name: str, seed: int) -> None:
        happen(self.world, name, Random(seed))

    @rule()
    def is_mended(self) -> None:
        self.world.mended()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            comes_through(self.world)


def test_no_sequence_of_events_breaks_an_invariant() -> None:
    quick = settings(
        max_examples=40,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Machine, settings=quick)


def test_long_walks_break_no_invariant_and_end_with_what_is_asked_for() -> None:
    for seed in range(10):
        walk(PeopledWorld(), Random(seed), 20)


def test_a_good_version_takes_every_step_and_no_other() -> None:
    world = PeopledWorld()
    calm(world, 4)
    world.points_at(2)
    comes_through(world)
    reached = [rollout.weight for rollout in world.ledger.course if rollout.canary.version.number == "2"]
    assert reached == [0, 5, 50, 100]


class Written(PeopledWorld):
    """A world whose route carries the record as text."""

    def _write(self, record: Record) -> None:
        read = decode(encode(record))
        assert read == record
        super()._write(read)


def test_every_record_of_a_walk_survives_its_annotation() -> None:
    for seed in range(3):
        walk(Written(), Random(seed), 12)
