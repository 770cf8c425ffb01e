"""When the operator asks for another version by itself."""

import pytest

from tidegate.core.retraining import Earlier, Handing, Rejected, Terms, due

NOW = 1_000_000.0
TERMS = Terms(rejections=2, cool_down=3600.0)


def rejected(version: str, ago: float = 10.0, attempt: int = 1, *, drifted: bool = False) -> Rejected:
    return Rejected(version=version, attempt=attempt, message="8% errors", at=NOW - ago, drifted=drifted)


BOTH = (rejected("7", 100), rejected("8", 10))
DRIFTED = (rejected("7", drifted=True),)


@pytest.mark.parametrize(
    ("entries", "earlier", "terms", "expected"),
    [
        (BOTH, (), TERMS, BOTH[1]),
        (BOTH[:1], (), TERMS, None),
        (DRIFTED, (), TERMS, DRIFTED[0]),
        ((*DRIFTED, rejected("7", 5, 2)), (), TERMS, None),
        (DRIFTED, (), Terms(rejections=0, cool_down=0), None),
        (DRIFTED, (Earlier(at=NOW - 3599, open=False),), TERMS, None),
        ((rejected("7", 100), rejected("7", 10, 2)), (), TERMS, None),
        ((), (), TERMS, None),
        ((), (), Terms(rejections=0, cool_down=0), None),
        (BOTH, (), Terms(rejections=0, cool_down=0), None),
        (BOTH, (Earlier(at=NOW - 90_000, open=True),), TERMS, None),
        (BOTH, (Earlier(at=NOW - 3599, open=False),), TERMS, None),
        (BOTH, (Earlier(at=NOW - 3600, open=False),), TERMS, BOTH[1]),
        ((rejected("7", 9000), rejected("8", 8000)), (Earlier(at=NOW - 7000, open=False),), TERMS, None),
    ],
    ids=[
        "two in a row",
        "one",
        "one that predicts something else",
        "one that did, and then failed",
        "one that predicts something else, and never",
        "one that does within the cool-down",
        "one, twice",
        "none",
        "none, and never",
        "never",
        "one is on its way",
        "in the cool-down",
        "after the cool-down",
        "asked for these already",
    ],
)
def test_it_asks_after_so_many_versions_and_not_too_often(
    entries: tuple[Rejected, ...], earlier: tuple[Earlier, ...], terms: Terms, expected: Rejected | None
) -> None:
    assert due(entries, earlier, terms, NOW) == expected


def test_what_is_pending_is_not_final() -> None:
    assert [handing for handing in Handing if not handing.final] == [Handing.PENDING]
