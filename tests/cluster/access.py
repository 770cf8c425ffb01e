"""What the demo and the tests see of a cluster, whoever runs it."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.cluster import containerd, remains
from tests.cluster.errors import ClusterError, StartError
from tests.cluster.sandbox import enter_network_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way into a cluster with a Gateway.

    For the embedded cluster, addresses mean something inside its network namespace
    only: use `inside()` for this process, or `command(...)` for another one.
    """

    kubeconfig: str
    kubectl_program: str
    helm_program: str
    gateway_namespace: str
    gateway_name: str
    gateway_url: str
    image_prefix: str = "localhost"
    network: str | None = None
    """File of the network namespace, or None for the machine's own."""
    run: str | None = None
    """The embedded run's id, or None for a cluster of somebody else's."""
    ctr_program: str | None = None
    envoy_admin_url: str | None = None

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs where the cluster's addresses are reachable."""
        enter = [] if self.network is None else ["nsenter", f"--net={self.network}", "--"]
        return [*enter, *arguments]

    def environment(self) -> dict[str, str]:
        """This process's environment with KUBECONFIG set, and no proxy for the cluster's addresses."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig, "NO_PROXY": "*", "no_proxy": "*"}

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Runs kubectl as the admin and returns what it printed.

        Raises:
            StartError: it failed; with what it said.
        """
        return self.call(self.kubectl_program, *arguments, text=text)

    def helm(self, *arguments: str) -> str:
        """Runs Helm and returns what it printed.

        Raises:
            StartError: it failed; with what it said.
        """
        return self.call(self.helm_program, *arguments)

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Applies objects server-side, as the field manager `kubectl`."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(items))

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """Reads one object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def call(self, *arguments: str, text: str | None = None) -> str:
        """Runs a program where the cluster is reachable, with KUBECONFIG set, and returns what it printed."""
        # The mark lets the next start end it, should this process be killed while it runs.
        mark = {} if self.run is None else {remains.MARK: self.run}
        done = subprocess.run(
            self.command(*arguments),
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            env={**self.environment(), **mark},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise StartError(f"{Path(arguments[0]).name} {' '.join(arguments[1:])[:200]} failed: {said}")
        return done.stdout

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Puts this thread, and the threads and processes it starts, where the cluster is reachable."""
        if self.network is None:
            yield
            return
        with Path("/proc/thread-self/ns/net").open("rb") as own:
            enter_network_file(self.network)
            try:
                yield
            finally:
                enter_network_file(f"/proc/self/fd/{own.fileno()}")

    def image(self, name: str) -> str:
        """The full name of one of the project's images: `tidegate-operator`, `tidegate-runtime`, ..."""
        return f"{self.image_prefix}/{name}:dev"

    def load(self, archive: Path) -> None:
        """Makes the images of an archive known to the embedded cluster's node.

        Raises:
            ClusterError: the cluster is not the embedded one.
        """
        if self.ctr_program is None or self.run is None:
            raise ClusterError(f"a cluster that is not embedded pulls its images from {self.image_prefix}: push them")
        containerd.load(self.ctr_program, self.run, archive)

    def facts(self) -> dict[str, Any]:
        """Itself as JSON, for `run.json`."""
        return asdict(self)

    @classmethod
    def attach(cls, run: str | None = None) -> Self:
        """The embedded cluster that is up: the named one, or the one that `up` has left.

        Raises:
            ClusterError: there is none.
        """
        runs = [found for found in remains.found() if found.alive and found.kind == "full" and "access" in found.facts]
        fitting = [found for found in runs if (found.id == run if run is not None else found.kept)]
        if not fitting:
            raise ClusterError("no embedded cluster is up: bring it up with `make cluster-up`")
        return cls(**fitting[0].facts["access"])  # type: ignore[arg-type]  # written by facts()
