"""CEL and Python say the same of specs that nobody thought of."""

from http import HTTPStatus
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.integration.api import strategies
from tests.unit.api.case import LEAST, merge

from tidegate.api.parse import parse
from tidegate.errors import InvalidSpec

pytestmark = pytest.mark.apiserver

OBJECTS = "/apis/tidegate.dev/v1alpha1/namespaces/default/modeldeployments"


def _faults(body: dict[str, Any]) -> str:
    try:
        parse(body)
    except InvalidSpec as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("part", "strategy"),
    [
        pytest.param("model", strategies.models, id="model"),
        pytest.param("serving", strategies.servings, id="serving"),
        pytest.param("gateway", strategies.gateways, id="gateway"),
        pytest.param("rollout", strategies.rollouts, id="rollout"),
        pytest.param("guards", strategies.guards, id="guards"),
        pytest.param("evidence", strategies.evidences, id="evidence"),
        pytest.param("gates", strategies.gates, id="gates"),
    ],
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_one_refuses_the_other_refuses(
    api: httpx.Client, part: str, strategy: st.SearchStrategy[dict[str, Any]], data: st.DataObject
) -> None:
    value = data.draw(strategy)
    body = merge(LEAST, {"metadata": {"uid": "4b1d", "generation": 1}})
    if part == "gateway":
        body["spec"]["traffic"]["gateway"] |= value
    else:
        body["spec"][part] = value

    answer = api.post(OBJECTS, params={"dryRun": "All", "fieldValidation": "Strict"}, json=body)

    event("right" if answer.status_code == HTTPStatus.CREATED else "wrong")
    assert (answer.status_code == HTTPStatus.CREATED) == (_faults(body) == ""), (_faults(body), answer.text)
