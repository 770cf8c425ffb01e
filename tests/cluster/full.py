"""The full form: a Kubernetes node with a gateway in a sealed network namespace.

with Cluster.start() as cluster:
    cluster.access.kubectl("get", "pods", "-A")
    with cluster.access.inside():
        ...  # HTTP to cluster.access.gateway_url
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.cluster import build, components, dns, gateway, host, node, scratch
from tests.cluster.access import Access
from tests.cluster.build import Toolbox
from tests.cluster.containerd import PAUSE_IMAGE, Containerd, ImageStore
from tests.cluster.controlplane import ControlPlane, Endpoints
from tests.cluster.errors import StartError
from tests.cluster.node import Node
from tests.cluster.pki import Authority
from tests.cluster.progress import Progress
from tests.cluster.sandbox import Run

TESTSERVER_IMAGE = "localhost/tidegate-testserver:dev"
ENDPOINTS = Endpoints(address=node.ADDRESS, apiserver_port=6443, etcd_port=2379, etcd_peer_port=2380)
STEPS = 5


def prepare(progress: Progress) -> tuple[Toolbox, Path]:
    """Builds what the cache lacks: the programs, and the gateway's manifests. Installs what the machine lacks.

    Raises:
        HostError, BuildError: with the remedy, or the end of the log.
    """
    host.prepare(host.FULL_COMMANDS, progress)
    tools = build.build(components.FULL, progress)
    tools.add("envoy", build.envoy(progress))
    return tools, build.gateway_manifests(progress)


class Cluster:
    """A running cluster. It ends with `stop()`, or with this process unless `keep()` was called."""

    def __init__(self, run: Run, access: Access, *, plane: ControlPlane, gateway: gateway.Gateway) -> None:
        self.run = run
        self.access = access
        self.plane = plane
        self.gateway = gateway
        self._over = False

    @classmethod
    def start(cls, archives: Iterable[Path] = (), progress: Progress | None = None) -> Self:
        """Builds what the cache lacks, starts everything, and waits until pods, names and the gateway work.

        Args:
            archives: of images that pods will use (from `ensure_images`), besides those of the cluster and the tests.
            progress: where to show how far it is; standard error if absent.

        Raises:
            HostError, BuildError, StartError: with the remedy, or the end of the log.
        """
        shown = progress if progress is not None else Progress()
        tools, manifests = prepare(shown)
        store = ImageStore(tools)
        images = [*own_images(tools), *archives]
        shown.expect(STEPS)
        with ExitStack() as undo:
            with shown.step("making the namespaces"):
                run = Run("full", sealed=True)
                undo.callback(run.close)
            starter = _Starter(run, tools, shown)
            access = starter.start(store, images, manifests)
            run.record(access=access.facts())
            undo.pop_all()
        return cls(run, access, plane=starter.plane, gateway=starter.gateway)

    def keep(self) -> None:
        """Lets the cluster outlive this process; `python3 -m tests.cluster down` takes it down."""
        self.run.keep()
        self._over = True

    def stop(self) -> None:
        """Ends everything and removes what it leaves."""
        if not self._over:
            self._over = True
            self.run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Starter:
    """The order of the start: what can come up side by side does."""

    def __init__(self, run: Run, tools: Toolbox, progress: Progress) -> None:
        self._run = run
        self._tools = tools
        self._progress = progress
        self.plane = ControlPlane(
            run=run, tools=tools, endpoints=ENDPOINTS, authority=Authority.create(run.directory / "pki")
        )
        self.gateway = gateway.Gateway(run=run, tools=tools, plane=self.plane)
        self._node = Node(run=run, tools=tools, plane=self.plane)
        self._access = Access(
            kubeconfig=str(self.plane.kubeconfig()),
            kubectl_program=tools["kubectl"],
            helm_program=tools["helm"],
            gateway_namespace=gateway.NAMESPACE,
            gateway_name=gateway.NAME,
            gateway_url=gateway.URL,
            network=f"/proc/{run.pid}/ns/net",
            run=run.id,
            ctr_program=tools["ctr"],
            envoy_admin_url=gateway.ADMIN_URL,
        )

    def start(self, store: ImageStore, images: list[Path], manifests: Path) -> Access:
        root = self._run.directory / "containerd" / "root"
        store.attach(self._run, root, images, self._progress)
        with self._progress.step("starting containerd, etcd and kube-apiserver"):
            self._node.prepare_network()
            Containerd(run=self._run, tools=self._tools, root=root).start()
            self.plane.start(light=False)
        with self._progress.step("starting controller manager, scheduler, kubelet and kube-proxy"):
            self._start_controllers()
            self._node.start_kubelet()
            self._node.start_proxy()
        with self._progress.step("starting Contour and Envoy"):
            self._apply_gateway(manifests)
            self.gateway.start()
        with self._progress.step("waiting for node, name service and gateway"):
            self._access.apply(dns.manifests())
            self._await("node/node", "Ready")
            self._await("deployment/coredns", "Available", "kube-system")
            self._await(f"gateway/{gateway.NAME}", "Programmed", gateway.NAMESPACE)
            self._await_service_account()
        return self._access

    def _start_controllers(self) -> None:
        keys = self.plane.authority
        user = "system:kube-controller-manager"
        self._run.spawn(
            "kube-controller-manager",
            [
                self._tools["kube-controller-manager"],
                f"--kubeconfig={self.plane.kubeconfig(user)}",
                f"--service-account-private-key-file={keys.key('service-accounts')}",
                f"--root-ca-file={keys.certificate('ca')}",
                "--use-service-account-credentials=true",
                # The default is 20 requests a second for each controller: a thousand objects would take minutes.
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self._run.directory}/controller-manager",
            ],
        )
        self._run.spawn(
            "kube-scheduler",
            [
                self._tools["kube-scheduler"],
                f"--kubeconfig={self.plane.kubeconfig('system:kube-scheduler')}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self._run.directory}/scheduler",
            ],
        )

    def _apply_gateway(self, manifests: Path) -> None:
        for name in ("gateway-api", "contour"):
            self._access.kubectl("apply", "--server-side", "--validate=false", "-f", str(manifests / name))
        for name in ("gateway-api", "contour"):
            self._access.kubectl("wait", "--for=condition=Established", "-f", str(manifests / name))
        self._access.apply(gateway.manifests())

    def _await(self, what: str, condition: str, namespace: str = "default") -> None:
        def met() -> bool:
            try:
                found = json.loads(self._access.kubectl("get", what, "-n", namespace, "-o", "json"))
            except StartError:
                return False
            return has_condition(found, condition)

        self._run.wait_for(f"{what} {condition}", met, seconds=node.READY_SECONDS)

    def _await_service_account(self) -> None:
        # Pods of the default namespace are refused until the controller manager has made its account.
        def made() -> bool:
            return "default" in self._access.kubectl("get", "serviceaccounts", "-o", "name")

        self._run.wait_for("the default service account", made, seconds=node.READY_SECONDS)


def has_condition(found: dict[str, Any], condition: str) -> bool:
    """Whether an object's status has that condition, and it is true."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def own_images(tools: Toolbox) -> list[Path]:
    """The images of the cluster itself, and the test server's, each made once."""
    programs = {PAUSE_IMAGE: "pause", dns.IMAGE: "coredns", TESTSERVER_IMAGE: "testserver"}
    return [scratch.ensure(image, Path(tools[program])) for image, program in programs.items()]
