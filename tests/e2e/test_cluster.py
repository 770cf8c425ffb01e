"""The embedded cluster does what a cluster does: pods, Services, names, routes, limits, and no way out."""

import collections
import json
import os
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import existing, node
from tests.cluster.access import Access
from tests.cluster.errors import ClusterError, HostError
from tests.cluster.existing import find
from tests.cluster.full import TESTSERVER_IMAGE, Cluster
from tests.cluster.progress import Progress
from tests.driver.platform import listed

pytestmark = pytest.mark.cluster

HOST = "models.example.com"
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.start() as running:
        yield running


@pytest.fixture(scope="module")
def access(cluster: Cluster) -> Access:
    """The cluster with two servers, `one` and `two`, behind Services of their names."""
    servers = [each for name in ("one", "two") for each in server(name)]
    cluster.access.apply(servers)
    cluster.access.kubectl("wait", "--for=condition=Available", "deployment/one", "deployment/two", "--timeout=60s")
    with cluster.access.inside():
        for name in ("one", "two"):
            url = f"http://{cluster.access.get('service', name)['spec']['clusterIP']}"
            eventually(f"kube-proxy knows {name}", partial(answers, url))
    return cluster.access


def server(name: str) -> list[dict[str, Any]]:
    labels = {"app": name}
    container = {
        "name": "server",
        "image": TESTSERVER_IMAGE,
        "imagePullPolicy": "Never",
        "env": [{"name": "TIDEGATE_REVISION", "value": name}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


def route(weights: dict[str, int]) -> dict[str, Any]:
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "models", "namespace": "default"},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [HOST],
            "rules": [{"backendRefs": backends}],
        },
    }


def ask(url: str, *, host: str = HOST) -> tuple[int, str | None]:
    """The status of a POST and the revision that answered it; status 0 if there was no answer."""
    request = urllib.request.Request(f"{url}/invocations", data=b"{}", headers={"Host": host})
    try:
        with NO_PROXY.open(request, timeout=5) as answer:
            return answer.status, answer.headers.get("x-tidegate-revision")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("x-tidegate-revision")
    except OSError:
        return 0, None


def answers(url: str) -> bool:
    return ask(url)[0] == 200


def eventually(what: str, check: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.02)


def started_again(access: Access, name: str) -> bool:
    """Whether the only pod of a server had one end, and is ready once more in the eyes of the pod's Service, too."""
    (pod,) = listed(access, "pods", "default", f"app={name}")
    slices = listed(access, "endpointslices", "default", f"kubernetes.io/service-name={name}")
    endpoints = [endpoint for each in slices for endpoint in each["endpoints"] or []]
    statuses = pod["status"]["containerStatuses"]
    return [(s["restartCount"], s["ready"]) for s in statuses] == [(1, True)] and [
        endpoint["conditions"]["ready"] for endpoint in endpoints
    ] == [True]


def resolve(name: str) -> tuple[int, list[str]]:
    """Asks the cluster's name service for an A record: response code and addresses."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(3)
        asking.sendto(query, (node.DNS_ADDRESS, 53))
        answer = asking.recv(4096)
    flags, _, count = struct.unpack(">HHH", answer[2:8])
    # A Service has one address, which are the last four bytes of the answer.
    return flags & 0xF, [socket.inet_ntoa(answer[-4:])] if count == 1 else []


def test_a_service_reaches_its_pod_through_kube_proxy(access: Access) -> None:
    address = access.get("service", "one")["spec"]["clusterIP"]
    with access.inside():
        assert ask(f"http://{address}") == (200, "one")


def test_the_name_service_knows_services_and_denies_other_names_at_once(access: Access) -> None:
    address = access.get("service", "one")["spec"]["clusterIP"]
    with access.inside():
        assert resolve("one.default.svc.cluster.local") == (0, [address])
        assert resolve("registry.example.com") == (3, [])


def test_a_route_splits_traffic_by_weight(access: Access) -> None:
    access.apply([route({"one": 90, "two": 10})])
    with access.inside():
        eventually("the route is in force", partial(answers, access.gateway_url))
        counts = collections.Counter(ask(access.gateway_url) for _ in range(400))
    assert set(counts) == {(200, "one"), (200, "two")}
    # 40 expected, standard deviation 6: five of them on either side.
    assert 10 <= counts[(200, "two")] <= 70


def test_a_change_of_weights_reaches_clients_without_an_error(access: Access) -> None:
    access.apply([route({"one": 100, "two": 0})])
    with access.inside():
        eventually("all traffic is on one", lambda: {ask(access.gateway_url) for _ in range(20)} == {(200, "one")})
        access.apply([route({"one": 0, "two": 100})])
        eventually("all traffic is on two", lambda: {ask(access.gateway_url) for _ in range(20)} == {(200, "two")})


def test_the_servers_behaviour_can_be_changed_while_it_runs(access: Access) -> None:
    address = access.get("service", "two")["spec"]["clusterIP"]

    def behave(**behaviour: object) -> None:
        with NO_PROXY.open(f"http://{address}/behave", data=json.dumps(behaviour).encode(), timeout=5) as answer:
            assert answer.status == 204

    with access.inside():
        try:
            behave(error_rate=1, status=503)
            assert ask(f"http://{address}") == (503, "two")
            behave(latency_ms=300)
            began = time.monotonic()
            assert ask(f"http://{address}") == (200, "two")
            assert time.monotonic() - began >= 0.3
        finally:
            behave()
        with NO_PROXY.open(f"http://{address}/metrics", timeout=5) as answer:
            said = answer.read().decode()
    assert 'requests_total{code="503"} 1\n' in said
    assert "request_duration_seconds_bucket" in said


def test_pods_live_in_the_runs_own_cgroup_with_their_limits(access: Access, cluster: Cluster) -> None:
    memberships = [
        (program.parent / "cgroup").read_text()
        for program in Path("/proc").glob("[0-9]*/cmdline")
        if program.read_bytes() == b"/testserver\0"
    ]
    mine = [text for text in memberships if f"/tidegate-{cluster.run.id}/kubepods/" in text]
    assert len(mine) == 2


def test_there_is_no_way_out_of_the_network_and_none_in(access: Access) -> None:
    with access.inside(), pytest.raises(OSError, match=r"unreachable|timed out|No route"):
        socket.create_connection(("192.0.2.1", 80), timeout=5)
    # Something of the machine's own network may well answer at that address, but not the cluster.
    for path in ("one", "two"):
        assert not answers(f"http://{access.get('service', path)['spec']['clusterIP']}")


def test_the_pods_of_a_killed_process_are_started_again(access: Access) -> None:
    address = access.get("service", "one")["spec"]["clusterIP"]
    with access.inside():
        with NO_PROXY.open(f"http://{address}/behave", data=b'{"exit_on_request": true}', timeout=5):
            pass
        assert ask(f"http://{address}") == (0, None)
        # It may answer before the end of the first one has gone around: its endpoint is yet to go and to come back.
        eventually("it was started again and is ready", partial(started_again, access, "one"), seconds=60)
        eventually("it answers again", partial(answers, f"http://{address}"))


def test_an_existing_cluster_is_found_by_kubeconfig_and_images(access: Access) -> None:
    environment = {"KUBECONFIG": access.kubeconfig, "IMAGES": "localhost", "PATH": os.environ["PATH"]}
    assert existing.is_named(environment)
    with access.inside():
        found = find(environment, Progress())
        assert (found.gateway_namespace, found.gateway_name) == ("gateways", "public")
        assert found.gateway_url == access.gateway_url
        assert "one" in found.kubectl("get", "deployments")
        with pytest.raises(HostError, match="GATEWAY=gateways/other: there is none"):
            find({**environment, "GATEWAY": "gateways/other"}, Progress())
    assert found.image("tidegate-operator") == "localhost/tidegate-operator:dev"


def test_a_cluster_named_by_half_is_refused_with_the_other_half() -> None:
    with pytest.raises(HostError, match="KUBECONFIG is not"):
        existing.is_named({"IMAGES": "registry.example.com/models"})
    assert not existing.is_named({"KUBECONFIG": "/root/.kube/config"})


def test_a_running_cluster_can_be_entered_by_its_id(access: Access, cluster: Cluster) -> None:
    assert Access.attach(cluster.run.id) == access
    with pytest.raises(ClusterError, match="no embedded cluster is up"):
        Access.attach("none")
