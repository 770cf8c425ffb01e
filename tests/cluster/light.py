"""The light form: etcd and kube-apiserver on loopback, ready in seconds.

    with LightCluster.start() as cluster:
        cluster.kubeconfig      # a file
        cluster.kubectl("get", "namespaces")

No controllers run: nothing makes pods of Deployments, namespaces are not emptied
when deleted, and there are no service account objects but those a test makes.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from tests.cluster import build, components, host
from tests.cluster.build import Toolbox
from tests.cluster.controlplane import ControlPlane, Endpoints
from tests.cluster.errors import StartError
from tests.cluster.pki import Authority
from tests.cluster.progress import Progress
from tests.cluster.sandbox import Run

# A free port is free only until somebody else takes it.
ATTEMPTS = 3
_ports_lock = threading.Lock()


class LightCluster:
    """A running API server. It ends with `stop()`, or with this process."""

    def __init__(self, plane: ControlPlane, progress: Progress) -> None:
        self._plane = plane
        self._progress = progress
        self._stopped = False

    @classmethod
    def start(cls, progress: Progress | None = None) -> Self:
        """Builds what the cache lacks, starts etcd and kube-apiserver, and waits until they are ready.

        Raises:
            HostError, BuildError, StartError: with the remedy, or the end of the log.
        """
        shown = progress if progress is not None else Progress()
        host.prepare(host.LIGHT_COMMANDS, shown)
        tools = build.build(components.LIGHT, shown)
        shown.expect(1)
        with shown.step("starting etcd and kube-apiserver"):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return cls(_start(tools), shown)
                except StartError as error:
                    if attempt == ATTEMPTS or "address already in use" not in str(error):
                        raise
        raise AssertionError("unreachable")

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._plane.endpoints.server

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""
        return self._plane.kubeconfig()

    @property
    def token(self) -> str:
        """The admin's bearer token."""
        return self._plane.tokens["admin"]

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server."""
        return self._plane.authority.certificate("ca")

    @property
    def kubectl_program(self) -> str:
        """The kubectl of the API server's own version."""
        return self._plane.tools["kubectl"]

    @property
    def directory(self) -> Path:
        """The run's directory; logs are in `logs/`."""
        return self._plane.run.directory

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Runs kubectl as the admin and returns what it printed.

        Raises:
            StartError: it failed; with what it said.
        """
        command = [self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *arguments]
        return self._plane.run.call(command, text=text, mounts=False)

    def apply_gateway_crds(self) -> None:
        """Installs the CRDs of Gateway API (standard channel) and waits until they are served."""
        manifests = build.gateway_manifests(self._progress) / "gateway-api"
        self.kubectl("apply", "--server-side", "--validate=false", "-f", str(manifests))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(manifests))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops kube-apiserver from answering within the block: connections hang."""
        self._plane.run.signal("kube-apiserver", "STOP")
        try:
            yield
        finally:
            self._plane.run.signal("kube-apiserver", "CONT")

    def forget_the_past(self) -> None:
        """Compacts etcd and restarts kube-apiserver: no watch can go on from before this moment."""
        self._plane.compact()
        self._plane.restart(light=True)

    def restart(self) -> None:
        """Kills kube-apiserver and starts it anew on the same data; returns when it is ready."""
        self._plane.restart(light=True)

    def stop(self) -> None:
        """Ends both processes and removes their directory."""
        if not self._stopped:
            self._stopped = True
            self._plane.run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _start(tools: Toolbox) -> ControlPlane:
    with ExitStack() as undo:
        run = Run("light", sealed=False)
        undo.callback(run.close)
        with _ports_lock:
            apiserver, etcd, peer = _free_ports(3)
            endpoints = Endpoints(address="127.0.0.1", apiserver_port=apiserver, etcd_port=etcd, etcd_peer_port=peer)
            authority = Authority.create(run.directory / "pki")
            plane = ControlPlane(run=run, tools=tools, endpoints=endpoints, authority=authority)
            plane.start(light=True)
        run.record(kubeconfig=str(plane.kubeconfig()), server=endpoints.server)
        undo.pop_all()
    return plane


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
