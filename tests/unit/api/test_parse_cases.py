from collections import Counter

import pytest
from tests.unit.api.case import Case
from tests.unit.api.cases import RIGHT, WRONG

from tidegate.api.parse import parse
from tidegate.core.plan import Plan
from tidegate.errors import InvalidSpec


def _seen(case: Case) -> dict[str, object]:
    body = case.body()
    body["metadata"] |= {"uid": "4b1d", "generation": 3}
    return body


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.says)
def test_what_is_right_becomes_a_plan(case: Case) -> None:
    assert isinstance(parse(_seen(case)), Plan)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.says)
def test_what_is_wrong_is_blamed_on_its_field_with_a_remedy(case: Case) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse(_seen(case))

    findings = dict(error.value.findings)
    assert list(findings) == [case.blames]
    assert not findings[case.blames].startswith(("Input", "Value", "String", "List"))


def test_each_case_says_something_else() -> None:
    assert max(Counter(case.says for case in (*RIGHT, *WRONG)).values()) == 1
