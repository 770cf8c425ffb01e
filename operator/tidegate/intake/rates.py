"""How often each sender may ask: a token bucket for each, and no more buckets than there is memory for."""

from collections import OrderedDict

#: Senders remembered; whoever was silent longest is forgotten first.
MOST_SENDERS = 1024


class Rates:
    """`rate` requests a second for each sender, `burst` at once after a silence."""

    def __init__(self, *, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, sender: str, now: float, *, cost: float = 1.0) -> float:
        """Take `cost` requests of a sender at a moment (seconds of any steady clock); how long to wait first.

        0 where it may go on; nothing is taken otherwise.
        """
        left, since = self._left.pop(sender, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - since) * self._rate)
        short = cost - left
        self._left[sender] = (left if short > 0 else left - cost, now)
        if len(self._left) > MOST_SENDERS:
            self._left.popitem(last=False)
        return max(0.0, short / self._rate)

    def charge(self, sender: str, now: float, cost: float) -> None:
        """Take from a sender what it may not have left: it waits the longer."""
        left, since = self._left.get(sender, (self._burst, now))
        self._left[sender] = (max(-self._burst, left - cost), since)
