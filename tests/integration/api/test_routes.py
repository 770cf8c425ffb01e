"""A traffic section that is taken makes a route that is taken: nothing starts for one that never can be."""

from http import HTTPStatus
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.api.strategies import gateways
from tests.unit.api.case import EXAMPLES, LEAST, merge

from tidegate.api.parse import parse
from tidegate.core.httproute import route
from tidegate.errors import InvalidSpec

pytestmark = pytest.mark.apiserver

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"


def _asked(api: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    weights = {"fraud-v6-bcdfghjk": 95, "fraud-v7-lmnpqrst": 5}
    versions = {"fraud-v6-bcdfghjk": "6", "fraud-v7-lmnpqrst": "7"}
    manifest = route(parse(body), weights, versions, '{"v":2}')
    return api.post(ROUTES, params={"dryRun": "All", "fieldValidation": "Strict"}, json=manifest)


def _seen(spec: dict[str, Any]) -> dict[str, Any]:
    return merge(LEAST, {"metadata": {"uid": "4b1d", "generation": 1}, "spec": spec})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(gateway=gateways)
def test_whatever_traffic_is_taken_its_route_is_taken(api: httpx.Client, gateway: dict[str, Any]) -> None:
    try:
        answer = _asked(api, _seen({"traffic": {"gateway": gateway}}))
    except InvalidSpec:
        return

    assert answer.status_code == HTTPStatus.CREATED, answer.text


@settings(max_examples=100, deadline=None)
@given(
    path=st.text(st.sampled_from("/.a%2Ff#?;~ \\é\t{}"), max_size=5).map("/".__add__),
    header=st.text(st.sampled_from("aX-_.:/ é!"), min_size=1, max_size=4),
    host=st.text(st.sampled_from("a-.*9"), min_size=1, max_size=5),
)
def test_odd_paths_headers_and_hosts_are_refused_before_a_route_is_made(
    api: httpx.Client, path: str, header: str, host: str
) -> None:
    parts: list[dict[str, Any]] = [
        {"matches": [{"path": {"type": "Exact", "value": path}}]},
        {"matches": [{"headers": [{"name": header, "value": "1"}]}]},
        {"matches": [{"queryParams": [{"name": header, "value": "1"}]}]},
        {"hostnames": [host]},
        {
            "filters": [
                {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": path}}}
            ]
        },
    ]
    for part in parts:
        try:
            answer = _asked(api, _seen({"traffic": {"gateway": part}}))
        except InvalidSpec:
            continue
        assert answer.status_code == HTTPStatus.CREATED, answer.text


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_makes_a_route(api: httpx.Client, name: str) -> None:
    seen = {"metadata": {"uid": "4b1d", "generation": 1, "namespace": "default"}}

    answer = _asked(api, merge(EXAMPLES[name], seen))

    assert answer.status_code == HTTPStatus.CREATED, answer.text
