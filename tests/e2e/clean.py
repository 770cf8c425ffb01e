"""Whether what clients saw is what they had to see."""

from collections.abc import Iterable

from tests.driver.load import Answer
from tests.driver.traffic import unclean

#: Seconds that an answer may start after the write which took its version off: a busy machine's, far over a gateway's.
SLACK = 1.0


def stained(answers: Iterable[Answer], *, version: str, revision: str, left: float) -> list[Answer]:
    """Failures that are not a bad version's own.

    Its own are those that its pods gave, and those that started before it had `left` the route and which the gateway
    answered in its place, or nobody: a process that ended or hangs puts no name to anything.
    """
    early = left + SLACK
    return [
        answer
        for answer in unclean(answers, bad=[revision])
        if answer.started > early or (answer.version not in {version, ""})
    ]


def starts_on(answers: Iterable[Answer], revision: str) -> list[float]:
    """When requests began that a revision's own pods answered."""
    return sorted(answer.started for answer in answers if answer.revision == revision)
