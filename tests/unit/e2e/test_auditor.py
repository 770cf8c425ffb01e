"""The auditor of the end-to-end tests misses nothing that is missing, and takes nothing twice."""

from typing import Any

import pytest
from tests.driver.outside import Heard
from tests.e2e.auditor import Act, Auditor, complaints, lines, once


def act(number: int | None, *, uid: str = "u-1", what: str = "step", **fields: Any) -> Act:
    place = {"namespace": "ml", "name": "fraud", "uid": uid}
    return {"id": f"{uid}/{number}/{what}", "sequence": number, "object": place, "act": what, **fields}


def test_acts_in_their_order_are_nothing_to_complain_of_also_where_they_come_twice_and_between_others() -> None:
    told = [act(1), act(1, uid="u-2"), act(2), act(1), act(2), act(None, what="deleted"), act(2, uid="u-2"), act(3)]
    assert complaints(told) == []


@pytest.mark.parametrize(
    "told",
    [
        [act(2)],
        [act(1), act(3)],
        [act(1), act(3), act(2)],
        [act(1), act(2), act(2, what="reverted")],
        [act(1), act(2, what="gap")],
    ],
    ids=["no first", "none in between", "late", "two of one number", "a gap that was told"],
)
def test_what_is_missing_out_of_place_or_there_by_two_names_is_said(told: list[Act]) -> None:
    assert "fraud: after number" in complaints(told)[0]


def test_an_act_that_is_told_again_in_other_words_fails() -> None:
    with pytest.raises(AssertionError, match="differently"):
        once([act(1), act(1, reason="Promoted")])


def test_what_was_posted_and_what_was_logged_are_the_same_acts() -> None:
    heard, data = Heard(), {key: value for key, value in act(1).items() if key != "id"}
    heard.take({"id": "u-1/1/step", "time": "2026-11-22T20:00:00.000Z", "data": data})
    said = (
        '{"event": "decided", "object": "ml/fraud"}\n'
        '{"stream":"tidegate.audit","time":"2026-11-22T20:00:00.000Z","id":"u-1/1/step","sequence":1,"act":"step",'
        '"object":{"namespace":"ml","name":"fraud","uid":"u-1"}}\n'
    )
    assert Auditor(heard).of("ml", "u-1") == lines(said) != []
    assert Auditor(heard).acts("other") == []
