"""What a team's cluster has before Tidegate's objects come: MLflow, the CRD and the operator by its chart."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.cluster.access import Access
from tests.driver import registry

ROOT = Path(__file__).resolve().parents[2]
CHART = str(ROOT / "charts" / "tidegate")
NAMESPACE = "tidegate-system"
RELEASE = "tidegate"
#: The label of the operator's pods.
OPERATORS = "app.kubernetes.io/name=tidegate"
#: Whoever shows this may tell the operator of alerts.
ALERT_TOKEN = "a-token-of-the-tests-own"
_T = TypeVar("_T")


def install_mlflow(
    access: Access,
    data: dict[str, Any] | None = None,
    *,
    kept: registry.Profile = registry.Profile.SQLITE,
    namespace: str = registry.NAMESPACE,
    settings: Mapping[str, str] | None = None,
    accounts: bool = False,
) -> registry.Mlflow:
    """Run MLflow and wait until it answers; the arguments as for `registry.manifests`."""
    made = registry.manifests(
        access.image("mlflow"), data, prefix=access.image_prefix, kept=kept, namespace=namespace,
        settings=settings, accounts=accounts,
    )  # fmt: skip
    access.apply(made)
    access.kubectl("rollout", "status", "deployment/mlflow", "-n", namespace, "--timeout=120s")
    server = registry.Mlflow(access, namespace, registry.ADMIN if accounts else None)
    wait_for(server.answers, seconds=30, what=f"the Service of {namespace} leads to MLflow")
    return server


def install_operator(access: Access, *settings: str, namespace: str = NAMESPACE, keep: bool = False) -> None:
    """`helm install --wait`, as the README says it, with images of this tree and a registry poll of a second.

    One that is there has only these settings afterwards, or with `keep` its other ones, too.
    """
    there = bool(access.kubectl("get", "deployment", RELEASE, "-n", namespace, "--ignore-not-found"))
    wanted = {
        "image.repository": f"{access.image_prefix}/tidegate-operator",
        "image.tag": "dev",
        "runtime.image": access.image("tidegate-runtime"),
        "registry.uri": registry.URL,
        "registry.interval": "1",
        # Nobody is there but while a test brings it (tests.driver.monitoring), and nobody asks but its objects.
        "prometheus.url": "http://prometheus.monitoring.svc.cluster.local:9090",
        "alerts.existingSecret": "alert-tokens",
    }
    add_secret(access, namespace, "alert-tokens", token=ALERT_TOKEN)
    sets = [part for name, value in wanted.items() for part in ("--set", f"{name}={value}")]
    extra = [part for setting in settings for part in ("--set", setting)]
    access.helm(
        "upgrade", "--install", RELEASE, CHART, "-n", namespace, "--create-namespace", "--wait", "--timeout=120s",
        *(["--reset-then-reuse-values"] if keep else []), *sets, *extra,
    )  # fmt: skip
    if not there:
        return
    # The tag of a development image does not move: a newer one under it needs new pods.
    access.kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", namespace)
    access.kubectl("rollout", "status", f"deployment/{RELEASE}", "-n", namespace, "--timeout=120s")


def add_secret(access: Access, namespace: str, name: str, **data: str) -> None:
    """A Secret, and its namespace where that is not there yet."""
    meta = {"name": name, "namespace": namespace}
    access.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data},
        ]
    )


def alerts_url(access: Access, namespace: str = NAMESPACE) -> str:
    """Where the operator takes alerts, by its Service's address: whichever replica that leads to."""
    spec = access.get("service", RELEASE, namespace)["spec"]
    return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}/alerts"


def remove_operator(access: Access, namespace: str = NAMESPACE) -> None:
    """Uninstall the chart, its namespace and the CRD, which Helm keeps."""
    access.helm("uninstall", RELEASE, "-n", namespace, "--ignore-not-found", "--wait")
    access.kubectl("delete", "crd", "modeldeployments.tidegate.dev", "--ignore-not-found")
    access.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def leader(access: Access, namespace: str = NAMESPACE) -> str:
    """The name of the operator's pod that leads; empty where none does."""
    lease = access.kubectl("get", "lease", RELEASE, "-n", namespace, "--ignore-not-found", "-o", "json")
    holder = json.loads(lease or "{}").get("spec", {}).get("holderIdentity") or ""
    return str(holder.rpartition("_")[0])


def wait_for(
    look: Callable[[], _T | None], *, seconds: float, what: str, every: float = 0.2, tell: Callable[[], str] = str
) -> _T:
    """The first thing that is not None (or False); fails after `seconds` with what `tell` says."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s\n{tell()}")
        time.sleep(every)  # other processes work towards it: there is nothing to wait on


def listed(access: Access, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """The objects of a kind in a namespace."""
    arguments = ["get", kind, "-n", namespace, "-o", "json", *(["-l", selector] if selector else [])]
    items: list[dict[str, Any]] = json.loads(access.kubectl(*arguments))["items"]
    return items
