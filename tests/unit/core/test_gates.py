"""What each gate finds, in words and numbers."""

from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.gates import AtGates, GateFinding, Gates, Outcome, VersionDetails, first_of, judge_registered, span


def judged(gates: Gates, *, serves: bool = False, **details: Any) -> tuple[GateFinding, ...]:
    told = VersionDetails(**{"created": make.NOW - 86400, **details})
    return judge_registered(gates, AtGates(version=make.version(7), details=told, now=make.NOW, serves=serves))


def test_no_gates_find_nothing() -> None:
    assert judged(Gates()) == ()


def test_a_long_word_in_a_tag_is_cut_in_the_message() -> None:
    (found,) = judged(Gates(tags=(("a", "b"),)), tags={"a": "x" * 5000})
    assert found.outcome is Outcome.WAITING
    assert len(found.message) < 300
    assert len(found.value or "") < 300


@pytest.mark.parametrize(
    ("limit", "serves", "outcome"),
    [
        (86400.0, False, Outcome.PASSED),
        (86399.0, False, Outcome.FAILED),
        (60.0, True, Outcome.PASSED),
    ],
)
def test_an_age_is_held_against_its_limit(limit: float, serves: bool, outcome: Outcome) -> None:
    (found,) = judged(Gates(max_age=limit), serves=serves)
    assert (found.outcome, found.value) == (outcome, "24 h")


def test_a_version_from_the_future_is_young() -> None:
    (found,) = judged(Gates(max_age=60.0), created=make.NOW + 1000)
    assert (found.outcome, found.value) == (Outcome.PASSED, "0 s")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59.0, "59 s"), (119.9, "119 s"), (5400.0, "90 min"), (129600.0, "36 h"), (2592000.0, "30 days")],
)
def test_spans_are_as_coarse_as_they_may_be(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_the_first_of_an_outcome_is_found() -> None:
    found = judged(Gates(tags=(("a", None), ("b", None)), max_age=60.0))
    assert [finding.gate for finding in found] == ["tags.a", "tags.b", "maxAge"]
    assert first_of(found, Outcome.WAITING) == found[0]
    assert first_of(found, Outcome.FAILED) == found[2]
    assert first_of(found, Outcome.PASSED) is None
