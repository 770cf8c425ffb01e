"""The same cases as in the unit tests, against a real API server."""

import re
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from tests.unit.api.case import Case
from tests.unit.api.cases import RIGHT, WRONG

pytestmark = pytest.mark.apiserver

OBJECTS = "/apis/tidegate.dev/v1alpha1/namespaces/default/modeldeployments"


def _ask(api: httpx.Client, case: Case) -> httpx.Response:
    return api.post(OBJECTS, params={"dryRun": "All", "fieldValidation": "Strict"}, json=case.body())


def _blamed(refusal: dict[str, Any]) -> set[str]:
    """The field paths of a refusal; unknown fields are told in the message alone."""
    unknown = re.findall(r'unknown field "([^"]+)"', refusal["message"])
    causes = refusal.get("details", {}).get("causes", [])
    return {*unknown, *(cause["field"] for cause in causes if cause.get("field") != "<nil>")}


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.says)
def test_the_api_server_takes_what_is_right(api: httpx.Client, case: Case) -> None:
    answer = _ask(api, case)

    assert answer.status_code == HTTPStatus.CREATED, answer.text


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.says)
def test_the_api_server_refuses_what_is_wrong_and_names_the_field(api: httpx.Client, case: Case) -> None:
    answer = _ask(api, case)

    assert answer.status_code in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST}, answer.text
    assert _blamed(answer.json()) == {case.blames}, answer.text
