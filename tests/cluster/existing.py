"""A cluster for the demo and the tests: the embedded one, or one that is there.

    with opened(["tidegate-operator", "tidegate-runtime"], Progress()) as access:
        ...

An existing cluster is named by `KUBECONFIG` and `IMAGES`, the prefix of a registry
that holds the project's images as `<prefix>/<name>:dev`. Its Gateway is found, or
named by `GATEWAY=<namespace>/<name>`; its address is read from the Gateway's status,
or named by `GATEWAY_URL`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.cluster import build, components, host
from tests.cluster.access import Access
from tests.cluster.errors import HostError
from tests.cluster.full import Cluster
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress


@contextmanager
def opened(images: Iterable[str], progress: Progress, environment: Mapping[str, str]) -> Iterator[Access]:
    """Gives access to the cluster that the environment names, or to one that lives as long as the block.

    Args:
        images: names of the project's images that must be there.
        progress: where to show how far it is.
        environment: usually `os.environ`.

    Raises:
        ClusterError: with the remedy.
    """
    wanted = list(images)
    if is_named(environment):
        yield find(environment, progress)
        return
    host.prepare(host.FULL_COMMANDS | (host.IMAGE_COMMANDS if wanted else {}), progress)
    archives = ensure_images(wanted, progress)
    with Cluster.start(archives.values(), progress) as cluster:
        yield cluster.access


def is_named(environment: Mapping[str, str]) -> bool:
    """Whether an existing cluster is to be used.

    Raises:
        HostError: it is named by half.
    """
    given = [name for name in ("KUBECONFIG", "IMAGES") if environment.get(name)]
    if given == ["IMAGES"]:
        raise HostError("IMAGES is set but KUBECONFIG is not: set both for a cluster of your own, or neither")
    # Many people have KUBECONFIG set for other ends; alone it names no cluster that tests may write to.
    return len(given) == 2


def find(environment: Mapping[str, str], progress: Progress) -> Access:
    """Finds the way into an existing cluster and its Gateway.

    Raises:
        HostError: there is no Gateway, or several and none is named.
    """
    kubectl, helm = host.which("kubectl"), host.which("helm")
    if kubectl is None:
        kubectl = build.build([components.KUBERNETES], progress)["kubectl"]
    if helm is None:
        helm = build.build([components.HELM], progress)["helm"]
    access = Access(
        kubeconfig=environment["KUBECONFIG"],
        kubectl_program=kubectl,
        helm_program=helm,
        gateway_namespace="",
        gateway_name="",
        gateway_url="",
        image_prefix=environment["IMAGES"].rstrip("/"),
    )
    chosen = _choose(json.loads(access.kubectl("get", "gateways", "-A", "-o", "json"))["items"], environment)
    return replace(
        access,
        gateway_namespace=chosen["metadata"]["namespace"],
        gateway_name=chosen["metadata"]["name"],
        gateway_url=environment.get("GATEWAY_URL") or _url(chosen),
    )


def _choose(gateways: list[dict[str, Any]], environment: Mapping[str, str]) -> dict[str, Any]:
    named = environment.get("GATEWAY")
    by_name = {f"{each['metadata']['namespace']}/{each['metadata']['name']}": each for each in gateways}
    if named:
        if named not in by_name:
            raise HostError(f"GATEWAY={named}: there is none of that name; there are {', '.join(by_name) or 'none'}")
        return by_name[named]
    if len(by_name) != 1:
        found = ", ".join(by_name) or "none"
        raise HostError(f"the cluster must have one Gateway, or GATEWAY=<namespace>/<name> must name one; has {found}")
    return next(iter(by_name.values()))


def _url(gateway: dict[str, Any]) -> str:
    name = f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
    ports = [listener["port"] for listener in gateway["spec"]["listeners"] if listener["protocol"] == "HTTP"]
    addresses = [each["value"] for each in gateway.get("status", {}).get("addresses", [])]
    if not ports or not addresses:
        raise HostError(f"Gateway {name} has no HTTP listener or no address in its status: set GATEWAY_URL")
    return f"http://{addresses[0]}" if ports[0] == 80 else f"http://{addresses[0]}:{ports[0]}"
