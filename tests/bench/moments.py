"""What a stream of answers says about the moment in which a backend stopped to get requests. Pure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.driver.load import Answer

#: Seconds within which a backend under load must have answered, or the load was not there.
BUSY = 0.2


def last_start(answers: Iterable[Answer], revision: str, *, since: float, until: float) -> float:
    """Seconds from `since` to the start of the last request that a revision's own pods answered before `until`.

    Raises:
        ValueError: they answered none that started in that time: there is nothing to measure.
    """
    return _last((a.started for a in answers if a.revision == revision), since, until)


def last_end(answers: Iterable[Answer], revision: str, *, since: float, until: float) -> float:
    """Seconds from `since` to the last answer that a revision's own pods gave before `until`; 0 if the last one was
    earlier, by up to `BUSY`.

    Raises:
        ValueError: they gave none just before `since` either: nobody asked.
    """
    last = _last((a.ended for a in answers if a.revision == revision), since - BUSY, until)
    return max(0.0, last - BUSY)


def looks_with_requests(answers: Iterable[Answer], revision: str, *, since: float, until: float, every: float) -> int:
    """How many of the intervals of a time had good answers of a revision: looks that found it well."""
    inside = (a.ended for a in answers if a.revision == revision and a.good and since <= a.ended < until)
    return len({int((ended - since) // every) for ended in inside})


def longest_pause(answers: Iterable[Answer], *, since: float, until: float) -> float:
    """The longest time (seconds) in which no request at all was started: the load driver's own stalls."""
    starts = sorted(a.started for a in answers if since <= a.started <= until)
    return max((later - earlier for earlier, later in pairwise([since, *starts, until])), default=0.0)


def stray(answers: Iterable[Answer], revision: str, *, bad: Sequence[tuple[float, float]]) -> list[Answer]:
    """Failures that are not the bad revision's own while it was bad (from and to, in seconds since the epoch)."""
    return [
        answer
        for answer in answers
        if not answer.good
        and not (answer.revision == revision and any(begin <= answer.ended <= end for begin, end in bad))
    ]


def _last(moments: Iterable[float], since: float, until: float) -> float:
    inside = [moment - since for moment in moments if since <= moment <= until]
    if not inside:
        raise ValueError(f"no request between {since:.3f} and {until:.3f}")
    return max(inside)
