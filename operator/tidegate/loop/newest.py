"""What was made of the newest state of each thing: one value for each, and nothing of states that are over."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

State = TypeVar("State")
Value = TypeVar("Value")


class Newest(Generic[State, Value]):
    """Remembers one value for each of the keys that were asked for last, `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, tuple[State, Value]] = OrderedDict()

    def of(self, key: Hashable, state: State, make: Callable[[State], Value]) -> Value:
        """The value of a key's state; it is made where another state was the last one."""
        known = self._known.get(key)
        if known is None or known[0] != state:
            known = self._known[key] = (state, make(state))
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return known[1]

    def forget(self, key: Hashable) -> None:
        """The thing is gone."""
        self._known.pop(key, None)
