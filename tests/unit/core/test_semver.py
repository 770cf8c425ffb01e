"""Semantic versions, by the examples of semver.org."""

import re
from itertools import pairwise

import pytest

from tidegate.core.semver import RANGE, SemVer, read, within

#: semver.org, rule 11, from the lowest to the highest.
ORDERED = (
    *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"),
    *("1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0", "10.0.0"),
)


def test_precedence_is_that_of_the_standard() -> None:
    for low, high in pairwise(ORDERED):
        a, b = read(low), read(high)
        assert a is not None
        assert b is not None
        assert a < b
        assert b > a
        assert a != b


def test_builds_have_no_precedence_and_missing_parts_are_nought() -> None:
    assert read("1.2.3+build.5") == SemVer((1, 2, 3))
    assert read("v1.2") == read("1.2.0") == SemVer((1, 2, 0))
    assert read("3") == SemVer((3, 0, 0))
    assert read("1-rc.1") == SemVer((1, 0, 0), ("rc", "1"))


@pytest.mark.parametrize("text", ["", "one", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3-", "1.2.3 ", "1" * 65, "²", "-1"])
def test_what_is_no_version_is_none(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "wanted", "inside"),
    [
        ("1.2.0", ">=1.2 <2", True),
        ("1.9.9", ">=1.2 <2", True),
        ("2.0.0", ">=1.2 <2", False),
        ("1.1.9", ">=1.2 <2", False),
        ("1.2.0", ">1.2", False),
        ("1.2.1", ">1.2 <=1.2.1", True),
        ("1.2.2", "<=1.2.1", False),
        ("1.2.0", "1.2", True),
        ("1.2.0", "=v1.2.0", True),
        ("1.2.1", "=1.2", False),
        ("1.2.1", "latest", False),
    ],
)
def test_a_range_is_all_of_its_comparators(text: str, wanted: str, inside: bool) -> None:
    version = read(text)
    assert version is not None
    assert within(version, wanted) is inside
    assert (re.fullmatch(RANGE, wanted) is not None) == (wanted != "latest")
