"""What each gate finds, in words and numbers."""

import math
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.gates import (
    AtGates,
    GateFinding,
    Gates,
    MetricGate,
    ModelFile,
    Outcome,
    SemVerGate,
    VersionDetails,
    Wants,
    first_of,
)
from tidegate.core.inspection import judge_registered, span
from tidegate.core.signatures import Signature, SignaturePolicy


def judged(
    gates: Gates, *, serves: bool = False, stable: dict[str, Any] | None = None, **details: Any
) -> tuple[GateFinding, ...]:
    told = VersionDetails(**{"created": make.NOW - 86400, **details})
    other = None if stable is None else VersionDetails(**{"created": make.NOW - 90000, **stable})
    at = AtGates(version=make.version(7), details=told, now=make.NOW, serves=serves, stable=other)
    return judge_registered(gates, at)


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


def _one(gates: Gates, **fields: Any) -> tuple[Outcome, str]:
    (found,) = judged(gates, **fields)
    return found.outcome, found.message


@pytest.mark.parametrize(
    ("metrics", "outcome", "words"),
    [
        ({"f1": 0.85, "auc": 0.1}, Outcome.PASSED, "f1 of version 7 is 0.85, asked for is at least 0.85 and at most 1"),
        ({"f1": 0.8499}, Outcome.FAILED, "f1 of version 7 is 0.8499, asked for is at least 0.85"),
        ({"f1": 1.5}, Outcome.FAILED, "f1 of version 7 is 1.5"),
        ({"f1": math.nan}, Outcome.FAILED, "f1 of version 7 is nan"),
        ({"auc": 0.9}, Outcome.WAITING, "the run of version 7 has no metric f1: log it"),
        (None, Outcome.FAILED, "version 7 has no run, and so no metrics"),
    ],
)
def test_a_metric_is_held_against_its_limits(metrics: dict[str, float] | None, outcome: Outcome, words: str) -> None:
    said, message = _one(Gates(metrics=(MetricGate(name="f1", least=0.85, most=1.0),)), metrics=metrics)
    assert said is outcome
    assert message.startswith(words)


RANGE = SemVerGate(tag="schema", range=">=1.2 <2")
BESIDE = SemVerGate(tag="schema", not_below_stable=True)


@pytest.mark.parametrize(
    ("gate", "mine", "stable", "outcome", "words"),
    [
        (RANGE, "1.4.0", None, Outcome.PASSED, "version 7 is 1.4.0 by tag schema"),
        (RANGE, "2.0.0", None, Outcome.FAILED, "version 7 is 2.0.0 by tag schema, asked for is >=1.2 <2"),
        (RANGE, None, None, Outcome.WAITING, "version 7 has no tag schema: set it to one such as 1.4.0"),
        (RANGE, "new", None, Outcome.WAITING, "version 7 says 'new', which is no semantic version, in tag schema"),
        (BESIDE, "1.4.0", "1.4.0", Outcome.PASSED, "version 7 is 1.4.0 by tag schema"),
        (BESIDE, "1.4.0", "1.5.0", Outcome.FAILED, "version 7 is 1.4.0 by tag schema, below stable's 1.5.0"),
        (BESIDE, "1.4.0", "none", Outcome.PASSED, "version 7 is 1.4.0 by tag schema"),
        (BESIDE, "1.4.0", None, Outcome.PASSED, "version 7 is 1.4.0 by tag schema"),
    ],
)
def test_a_semantic_version_is_held_against_range_and_stable(
    gate: SemVerGate, mine: str | None, stable: str | None, outcome: Outcome, words: str
) -> None:
    tags = {} if mine is None else {"schema": mine}
    said, message = _one(Gates(semver=gate), tags=tags, stable={} if stable is None else {"tags": {"schema": stable}})
    assert said is outcome
    assert message.startswith(words)


LONG, INTEGER = ({"type": "long", "name": "x"},), ({"type": "integer", "name": "x"},)
ASKED = Gates(signature=SignaturePolicy.COMPATIBLE)


def _file(columns: Any) -> ModelFile:
    return ModelFile(signature=Signature(inputs=columns) if columns else None)


@pytest.mark.parametrize(
    ("mine", "stable", "outcome", "words"),
    [
        (LONG, INTEGER, Outcome.PASSED, "the signature suits those who use stable"),
        (INTEGER, LONG, Outcome.FAILED, "input x was long and is integer"),
        (None, LONG, Outcome.FAILED, "version 7 has no signature and stable has one"),
        (LONG, None, Outcome.PASSED, "there is no signature of another version to compare with"),
    ],
)
def test_a_signature_is_held_against_stables(mine: Any, stable: Any, outcome: Outcome, words: str) -> None:
    said, message = _one(ASKED, model=_file(mine), stable={"model": _file(stable)})
    assert said is outcome
    assert message.startswith(words)


def test_a_first_version_and_one_that_serves_already_are_compared_with_nobody() -> None:
    assert _one(ASKED, model=_file(INTEGER))[0] is Outcome.PASSED
    assert _one(ASKED, model=_file(INTEGER), stable={"model": _file(LONG)}, serves=True)[0] is Outcome.PASSED


@pytest.mark.parametrize(
    ("size", "outcome", "words"),
    [
        (1024, Outcome.PASSED, "version 7 has 1 KiB, 1 KiB are allowed"),
        (1_610_612_736, Outcome.FAILED, "version 7 has 1.5 GiB, 1 KiB are allowed"),
        (0, Outcome.PASSED, "version 7 has 0 B, 1 KiB are allowed"),
        (None, Outcome.FAILED, "version 7 does not say how large it is"),
    ],
)
def test_a_size_is_held_against_its_limit(size: int | None, outcome: Outcome, words: str) -> None:
    said, message = _one(Gates(max_size=1024), model=ModelFile(size=size))
    assert said is outcome
    assert message.startswith(words)


def test_what_is_read_is_what_is_asked_for() -> None:
    assert (Gates().registered, Gates().wants, Gates().compares) == (False, Wants(), False)
    assert Gates(metrics=(MetricGate(name="f1"),)).wants == Wants(run=True)
    assert Gates(max_size=1).wants == ASKED.wants == Wants(model=True)
    assert [gates.registered for gates in (ASKED, Gates(max_size=1), Gates(semver=RANGE))] == [True, True, True]
    assert [Gates(semver=gate).compares for gate in (RANGE, BESIDE)] == [False, True]
