"""Semantic versions (semver.org 2.0.0) and ranges of them: precedence, and nothing that packagers added since.

A leading `v` and missing parts are let pass, since people write tags: `v1.2` is 1.2.0.
"""

import re
from dataclasses import dataclass
from functools import total_ordering

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_WORDS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
#: A version; also what the wire format's pattern is made of.
PATTERN = rf"v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-({_WORDS}))?(?:\+{_WORDS})?"
#: A range: comparators that must all hold, such as `>=1.2 <2`.
RANGE = rf"(?:>=|<=|>|<|=)?{PATTERN}(?: (?:>=|<=|>|<|=)?{PATTERN}){{0,3}}"
_LONGEST = 64


@total_ordering
@dataclass(frozen=True, slots=True)
class SemVer:
    """A version. `words` are the dot-separated identifiers of a pre-release, empty for a release."""

    core: tuple[int, int, int]
    words: tuple[str, ...] = ()

    def __lt__(self, other: "SemVer") -> bool:
        return self._precedence() < other._precedence()

    def _precedence(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        # Rule 11: a pre-release is below its release; numbers are below words, and a longer list above its beginning.
        ranked = tuple((not w.isdecimal(), int(w) if w.isdecimal() else 0, w) for w in self.words)
        return self.core, not self.words, ranked


def read(text: str) -> SemVer | None:
    """Read a version; None for what is none."""
    found = re.fullmatch(PATTERN, text, re.ASCII) if len(text) <= _LONGEST else None
    if found is None:
        return None
    major, minor, patch = (int(part or 0) for part in found.group(1, 2, 3))
    return SemVer((major, minor, patch), tuple(found[4].split(".")) if found[4] else ())


def within(version: SemVer, wanted: str) -> bool:
    """Whether a version is in a range that matches `RANGE`."""
    return all(_holds(version, comparator) for comparator in wanted.split(" "))


def _holds(version: SemVer, comparator: str) -> bool:
    limit = read(comparator.lstrip("<>="))
    if limit is None:
        return False
    match comparator[: len(comparator) - len(comparator.lstrip("<>="))]:
        case ">=":
            return version >= limit
        case ">":
            return version > limit
        case "<=":
            return version <= limit
        case "<":
            return version < limit
        case _:
            return version == limit
