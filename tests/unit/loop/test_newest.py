import gc
import weakref

import pytest
from tests.unit.loop.test_world_weight import body

from tidegate.loop.newest import Newest
from tidegate.loop.world import World


class Value:
    def __init__(self, state: str) -> None:
        self.state = state


def test_a_value_is_made_once_for_a_state_and_anew_for_another_one() -> None:
    newest: Newest[str, Value] = Newest(3)
    first = newest.of("a", "1", Value)
    assert newest.of("a", "1", Value) is first
    assert newest.of("a", "2", Value).state == "2"


def test_nothing_is_kept_of_a_state_that_is_over_or_of_a_thing_that_is_gone() -> None:
    newest: Newest[str, Value] = Newest(3)
    over = weakref.ref(newest.of("a", "1", Value))
    gone = weakref.ref(newest.of("b", "1", Value))
    newest.of("a", "2", Value)
    newest.forget("b")
    newest.forget("c")
    assert (over(), gone()) == (None, None)


def test_the_values_that_were_asked_for_last_are_kept() -> None:
    newest: Newest[str, Value] = Newest(2)
    first, second = (newest.of(name, "1", Value) for name in "ab")
    newest.of("a", "1", Value)
    newest.of("c", "1", Value)
    assert newest.of("a", "1", Value) is first
    assert newest.of("b", "1", Value) is not second


def test_what_cannot_be_made_is_not_remembered() -> None:
    newest: Newest[str, int] = Newest(2)
    assert newest.of("a", "1", int) == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            newest.of("a", "x", int)
    assert newest.of("a", "2", int) == 2


def test_of_an_object_that_changes_often_only_the_last_state_stays_unpacked() -> None:
    world = World()
    for version in range(20):
        told = body("Deployment", "often")
        told["metadata"]["resourceVersion"] = f"{version}"
        world.put(told)
        assert world.get("Deployment", "ml/often") is world.get("Deployment", "ml/often")
    unpacked = [
        found
        for found in gc.get_objects()
        if type(found) is dict and isinstance(found.get("metadata"), dict) and found["metadata"].get("name") == "often"
    ]
    assert [found["metadata"]["resourceVersion"] for found in unpacked if found is not told] == ["19"]
    world.drop(told)
    assert world.get("Deployment", "ml/often") is None
