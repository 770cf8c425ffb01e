"""The cases of right and wrong specs that operator and API server agree on: the plugin says the same of each."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.api import strategies
from tests.unit.api.case import EXAMPLES, LEAST, Case, merge
from tests.unit.api.cases import RIGHT, WRONG

from tidegate.api.parse import parse
from tidegate.errors import InvalidSpec
from tidegate.plugin.lint import findings


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.says)
def test_what_is_right_passes(case: Case) -> None:
    assert findings(case.body()) == ()


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.says)
def test_what_is_wrong_is_blamed_on_the_same_field(case: Case) -> None:
    assert {finding.path for finding in findings(case.body())} == {case.blames}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_pass(name: str) -> None:
    assert findings(EXAMPLES[name]) == ()


def _operator(body: dict[str, Any]) -> dict[str, str]:
    seen = deepcopy(body)
    seen["metadata"] |= {"uid": "4b1d", "generation": 3}
    try:
        parse(seen)
    except InvalidSpec as error:
        return dict(error.findings)
    return {}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.says)
def test_texts_and_rules_are_refused_in_the_operators_words(case: Case) -> None:
    ours = {finding.path: finding.message for finding in findings(case.body())}
    said = _operator(case.body())[case.blames]
    generic = ("must ", "is required")
    assert ours[case.blames] == said or (ours[case.blames].startswith(generic) and said.startswith(generic))


@pytest.mark.parametrize(
    ("part", "strategy"),
    [
        pytest.param("model", strategies.models, id="model"),
        pytest.param("serving", strategies.servings, id="serving"),
        pytest.param("gateway", strategies.gateways, id="gateway"),
        pytest.param("rollout", strategies.rollouts, id="rollout"),
        pytest.param("guards", strategies.guards, id="guards"),
    ],
)
@given(data=st.data())
def test_what_the_operator_refuses_the_plugin_refuses_and_nothing_else(
    part: str, strategy: st.SearchStrategy[dict[str, Any]], data: st.DataObject
) -> None:
    value = data.draw(strategy)
    body = merge(LEAST, {})
    if part == "gateway":
        body["spec"]["traffic"]["gateway"] |= value
    else:
        body["spec"][part] = value
    ours = {finding.path for finding in findings(body)}
    assert bool(ours) == bool(_operator(body)), (ours, _operator(body))
