"""The light form is a real API server, alone on loopback, gone with its block."""

import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.cluster import traces
from tests.cluster.access import Access
from tests.cluster.errors import StartError
from tests.cluster.light import LightCluster
from tests.driver.platform import wait_for
from tests.e2e.objects import Objects, Watch

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def cluster() -> Iterator[LightCluster]:
    with LightCluster.start() as running:
        yield running


def read(cluster: LightCluster, path: str, *, token: str | None = None, seconds: float = 10.0) -> object:
    """GETs a path with the cluster's own authority and a token."""
    request = urllib.request.Request(
        f"{cluster.server}{path}", headers={"Authorization": f"Bearer {token or cluster.token}"}
    )
    trust = ssl.create_default_context(cafile=str(cluster.ca_file))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    with opener.open(request, timeout=seconds) as answer:
        return json.load(answer)


def test_it_has_the_version_that_the_full_form_has_and_says_so(cluster: LightCluster) -> None:
    version = read(cluster, "/version")
    assert isinstance(version, dict)
    assert version["gitVersion"] == "v1.36.3"
    assert (version["major"], version["minor"]) == ("1", "36")


def test_only_who_has_a_token_is_let_in(cluster: LightCluster) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        read(cluster, "/api/v1/namespaces", token="made-up")
    with refused.value:
        assert refused.value.code == 401


def test_the_gateway_kinds_are_served_once_their_crds_are_applied(cluster: LightCluster) -> None:
    cluster.apply_gateway_crds()
    assert cluster.kubectl("get", "httproutes,gateways", "-A") == ""
    with pytest.raises(StartError, match=r"spec\.(parentRefs|rules)"):
        cluster.kubectl("apply", "-f", "-", text=json.dumps(bad_route()))


def bad_route() -> dict[str, object]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "bad", "namespace": "default"},
        "spec": {"parentRefs": "none", "rules": 1},
    }


def test_a_paused_server_takes_connections_and_answers_none_until_it_goes_on(cluster: LightCluster) -> None:
    with cluster.paused():
        host, port = cluster.server.removeprefix("https://").split(":")
        with socket.create_connection((host, int(port)), timeout=2):
            pass
        with pytest.raises((TimeoutError, urllib.error.URLError)):
            read(cluster, "/readyz", seconds=0.5)
    assert isinstance(read(cluster, "/version"), dict)


def test_a_lasting_watch_outlives_the_api_server_and_another_one_says_that_it_ended(cluster: LightCluster) -> None:
    access = Access(
        kubeconfig=str(cluster.kubeconfig), kubectl_program=cluster.kubectl_program, helm_program="",
        gateway_namespace="", gateway_name="", gateway_url="",
    )  # fmt: skip
    objects, path = Objects(access), "/api/v1/namespaces/default/configmaps"
    with Watch(objects, path, lasting=True) as lasting, Watch(objects, path) as other:
        cluster.kubectl("create", "configmap", "before")
        wait_for(lambda: "before" in names(lasting) and "before" in names(other), seconds=10, what="told by both")
        cluster.restart()
        cluster.kubectl("create", "configmap", "after")
        wait_for(lambda: "after" in names(lasting), seconds=30, what="told after the restart")
        with pytest.raises(AssertionError, match="the watch ended by itself"):
            names(other)
    assert objects.get(f"{path}/after")["metadata"]["name"] == "after"
    objects.close()


def names(watch: Watch) -> list[str]:
    return [body["metadata"]["name"] for _, _, body in watch]


def test_two_at_once_keep_their_objects_apart(cluster: LightCluster) -> None:
    with LightCluster.start() as other:
        other.kubectl("create", "namespace", "mine")
        assert "mine" in other.kubectl("get", "namespaces", "-o", "name")
        assert "mine" not in cluster.kubectl("get", "namespaces", "-o", "name")


def test_it_is_up_within_seconds_and_stopping_it_leaves_nothing() -> None:
    began = time.monotonic()
    cluster = LightCluster.start()
    taken = time.monotonic() - began
    run = cluster.directory.name
    processes = traces.processes_with(cluster._plane.run.pid)
    assert len(processes) >= 3
    cluster.stop()
    cluster.stop()
    assert traces.of_run(run, processes) == []
    # Two seconds on idle cores; the limit is for busy ones.
    assert taken < 30
