"""What the demo concludes from what clients saw."""

from dataclasses import replace

import pytest
from examples.demo.__main__ import table, went_well
from examples.demo.story import LIMIT, Told, bad_to_last, failed
from examples.demo.view import picture, summary
from examples.demo.watch import Seen
from tests.driver.load import Answer

BASE = Answer(started=10.0, ended=10.1, status=200, revision="m-v3-abc", version="3", error="", body="")


def answer(started: float, status: int = 200, version: str = "3", took: float = 0.01) -> Answer:
    """An answer of a version's own pod."""
    return replace(
        BASE, started=started, ended=started + took, status=status, version=version, revision=f"m-v{version}-abc"
    )


def told(number: int, outcome: str, **fields: object) -> Told:
    """A story that went as it should, but for `fields`."""
    base = Told(
        name=f"version {number}",
        version=str(number),
        outcome=outcome,
        reason={3: "GuardBreached: 9% errors", 4: "GuardBreached: 100% slower than 500 ms"}.get(number, "Promoted"),
        weights=[5, 25, 50, 100] if number == 2 else [],
        answers={str(number): {"200": 10}},
        failed=0,
        bad_to_last_seconds=0.5 if number > 2 else None,
        seconds=1.0,
    )
    return replace(base, **fields)  # type: ignore[arg-type]  # names of fields


GOOD = [told(1, "promoted"), told(2, "promoted"), told(3, "reverted"), told(4, "reverted")]


def test_the_time_runs_from_the_end_of_the_first_bad_answer_to_the_start_of_the_last_request_of_that_version() -> None:
    answers = [answer(1.0), answer(2.0, status=500), answer(3.5), answer(9.0, version="2")]
    assert bad_to_last(answers, "3") == pytest.approx(1.49)


def test_a_slow_answer_is_a_bad_one() -> None:
    assert bad_to_last([answer(1.0, took=LIMIT + 0.1), answer(2.0)], "3") == pytest.approx(0.4)


def test_a_version_that_was_never_bad_has_no_such_time() -> None:
    assert bad_to_last([answer(1.0), answer(2.0)], "3") is None


def test_only_answers_that_the_bad_version_itself_gave_are_no_failures() -> None:
    answers = [answer(1.0, status=500), answer(2.0, status=500, version="2"), replace(BASE, status=503, revision="")]
    assert failed(answers, "3") == 2
    assert failed(answers, None) == 3


def test_a_demo_that_went_as_told_has_nothing_wrong() -> None:
    assert went_well(GOOD) == []


@pytest.mark.parametrize(
    ("number", "fields", "word"),
    [
        (2, {"outcome": "reverted"}, "reverted instead of promoted"),
        (2, {"weights": [5, 100]}, "instead of 5, 25, 50, 100"),
        (3, {"outcome": "promoted"}, "promoted instead of reverted"),
        (4, {"reason": "GuardBreached: 9% errors"}, "does not name"),
        (1, {"failed": 1}, "1 requests failed"),
    ],
)
def test_whatever_went_otherwise_is_said(number: int, fields: dict[str, object], word: str) -> None:
    stories = [replace(s, **fields) if s.version == str(number) else s for s in GOOD]  # type: ignore[arg-type]
    assert any(word in line for line in went_well(stories))


def test_a_demo_that_broke_off_did_not_go_well() -> None:
    assert went_well(GOOD[:2])[0] == "only 2 of 4 stories were told"


def test_the_table_has_a_line_for_each_story_with_what_clients_saw() -> None:
    lines = table(GOOD).splitlines()
    assert len(lines) == 1 + len(GOOD)
    assert "v3: 10 x 200" in lines[3]
    assert "5 25 50 100" in lines[2]


STATUS = {
    "phase": "Progressing",
    "version": "1",
    "rollout": {
        "version": "2",
        "weight": 5,
        "findings": [{"guard": "errorRate.max", "verdict": "Healthy", "message": "0% errors (0 of 60)"}],
    },
    "conditions": [{"type": "Ready", "status": "False", "reason": "Holding", "message": "5% is held for 5s"}],
}


def test_a_line_tells_phase_versions_weight_and_reason() -> None:
    assert summary(Seen(at=0.0, body={"status": STATUS})) == (
        "Progressing version 1 serves, version 2 at 5% [Holding] 5% is held for 5s"
    )


def test_an_object_that_nobody_has_looked_at_yet_makes_no_line() -> None:
    assert summary(Seen(at=0.0, body={})) == ""


def test_the_picture_shows_each_versions_share_of_the_answers_and_each_finding() -> None:
    recent = [replace(answer(0.0, version="1"), ended=4e9) for _ in range(3)]
    lines = picture(Seen(at=0.0, body={"status": STATUS}), [*recent, replace(answer(0.0, 500, "2"), ended=4e9)])
    assert any("version 1" in line and "75.0%" in line for line in lines)
    assert any("version 2" in line and "25.0%" in line and "1 failed" in line for line in lines)
    assert any("errorRate.max" in line and "0 of 60" in line for line in lines)
