"""Five thousand objects on an API server alone: how soon all of them were looked at, and what they weigh and ask then.

Everything that they own is made by hand, as it would be after an hour of peace: nobody runs pods here. The operator is
a process with a pod's own way to the API server, and MLflow is a real one.
"""

import asyncio
import itertools
import json
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.figures import Figure, Limit
from tests.bench.population import Population, paths
from tests.bench.process import Process
from tests.cluster.light import LightCluster
from tests.driver.replicas import SOURCE, until
from tests.fixtures.mlflow import MlflowServer, RegistryEditor, free_port, mlflow_server
from tidegate.adapters.access import Access, Identity
from tidegate.adapters.kube import KubeCluster
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.presets import PresetConfig
from tidegate.core.values import VersionId
from tidegate.ports import Login
from tidegate.settings import Settings

OBJECTS, MODELS = 5000, 10
HOME = "bench-scale"
ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
ENVIRONMENT, LOCKED = ROOT / "build" / "operator-env", ROOT / "requirements" / "operator.txt"
#: Seconds that are watched, and between two looks at the memory.
WATCHED, EVERY = 60.0, 5.0
#: Seconds without a pass after which everything is taken for done.
QUIET = 5.0
END = 180.0  # seconds; kopf ends slowly where others want the machine
MOST_MEMORY, MOST_CPU, MOST_START = 200.0, 2.0, 10.0
#: Where a pod finds who it is.
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
#: A directory of this process's own in the place of `/run`, which is `/var/run` too, with the account in it.
_AS_POD = f'mount -t tmpfs tmpfs /run && mkdir -p {ACCOUNT} && cp "$0"/* {ACCOUNT} && exec "$@"'
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


def scale() -> list[Figure]:
    """Make the objects, let an operator see that all is well, start it anew, and watch it for a minute."""
    with _place() as place:
        with place.operator("settles") as first:
            first.await_quiet(seconds=1800)
        with place.operator("measured") as process:
            started, used = process.await_quiet(seconds=600)
            figures = _watch(place, process)
    start = Limit(value="max", most=MOST_START)
    return [
        Figure(name="scale_5000_start", unit="s", samples=[started], limits=(start,)),
        Figure(name="scale_5000_start_cpu", unit="s", samples=[used]),
        *figures,
    ]


@dataclass(frozen=True, slots=True)
class Place:
    """An API server with the objects in it, and a registry that they follow."""

    cluster: LightCluster
    registry: MlflowServer
    directory: Path

    @contextmanager
    def operator(self, name: str) -> Iterator["Operator"]:
        """One operator process, alone, as it would run in a pod; ends with the block."""
        operator = Operator(self, name)
        try:
            yield operator
        finally:
            operator.end()

    def ask(self, path: str) -> str:
        """What the API server says at a path, to its admin."""
        context = ssl.create_default_context(cafile=str(self.cluster.ca_file))
        headers = {"Authorization": f"Bearer {self.cluster.token}"}
        request = urllib.request.Request(f"{self.cluster.server}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            text: str = answer.read().decode()
            return text


@contextmanager
def _place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as directory, LightCluster.start() as cluster:
        cluster.apply_gateway_crds()
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
        cluster.kubectl("create", "namespace", HOME)
        with mlflow_server(Path(directory) / "mlflow") as registry:
            editor = RegistryEditor(registry)
            for number in range(MODELS):
                editor.register(f"scale-{number}")
                editor.set_alias(f"scale-{number}", "champion", editor.add_version(f"scale-{number}"))
            asyncio.run(_populate(cluster, registry))
            yield Place(cluster, registry, Path(directory))


async def _populate(cluster: LightCluster, registry: MlflowServer) -> None:
    """All objects, as an operator with default settings has left them."""
    client = MlflowRegistry(Login(uri=registry.url))
    wishes = [(f"scale-{number}", Pointer(kind=PointerKind.ALIAS, value="champion")) for number in range(MODELS)]
    answers = await client.resolve(wishes)
    await client.close()
    versions = [answer for answer in answers.values() if isinstance(answer, VersionId)]
    assert len(versions) == MODELS, answers
    settings = Settings()
    presets = PresetConfig(
        runtime_image=settings.runtime_image,
        mlserver_image=settings.mlserver_image,
        tracking_uri=registry.url,
        image_pull_policy=settings.image_pull_policy,
    )
    access = Access(admin(cluster))
    try:
        made = KubeCluster(access, total=60.0)
        await Population(cluster=made, namespace=HOME, versions=versions, presets=presets).make(OBJECTS)
    finally:
        await access.close()


def admin(cluster: LightCluster) -> Identity:
    """The cluster's admin, as an operator's identity."""

    async def headers() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {cluster.token}"}

    tls = ssl.create_default_context(cafile=str(cluster.ca_file))
    return Identity(server=cluster.server, tls=tls, headers=headers)


class Operator:
    """The process, and what it says of itself."""

    def __init__(self, place: Place, name: str) -> None:
        server, port = urlsplit(place.cluster.server), free_port()
        account = place.directory / f"{name}.account"
        account.mkdir()
        (account / "token").write_text(place.cluster.token)
        (account / "ca.crt").write_bytes(place.cluster.ca_file.read_bytes())
        (account / "namespace").write_text(HOME)
        own = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(place.directory),
            "PYTHONPATH": str(SOURCE),
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
            "MLFLOW_TRACKING_URI": place.registry.url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
            "TIDEGATE_HTTP_HOST": "127.0.0.1",
            "TIDEGATE_HTTP_PORT": str(port),
        }
        self._url = f"http://127.0.0.1:{port}/metrics?name[]=tidegate_reconciles_total"
        self._log = place.directory / f"{name}.log"
        with self._log.open("ab") as sink:
            self._child = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", _AS_POD, str(account), _python(), "-m", "tidegate"],
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        # Each program hands its process on to the next.
        self.process = Process(self._child.pid)

    def await_quiet(self, *, seconds: float) -> tuple[float, float]:
        """Wait until it has looked at everything and makes no more passes.

        Returns:
            Seconds from its start to the end of its last pass, and the CPU seconds used until then.
        """
        passes, at, used = -1, 0.0, 0.0

        def done() -> bool:
            nonlocal passes, at, used
            count = self._passes()
            if count != passes:
                passes, at, used = count, self.process.age(), self.process.cpu()
            return passes >= OBJECTS and self.process.age() - at > QUIET

        until(done, seconds=seconds, what="everything was looked at", every=0.1)
        return at, used

    def end(self) -> None:
        """SIGTERM, as a kubelet would, so that the next one need not wait for the Lease."""
        self._child.terminate()
        self._child.wait(END)

    def _passes(self) -> int:
        assert self._child.poll() is None, self._log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(self._url, timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return 0
        return int(sum(map(float, re.findall(r"^tidegate_reconciles_total\{[^}]*\} (\S+)$", text, re.MULTILINE))))


@cache
def _python() -> str:
    """A Python with the operator's own dependencies, as its image has: those of tests would be weighed with it."""
    run = partial(subprocess.run, check=True)
    run([UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(ENVIRONMENT)])
    python = str(ENVIRONMENT / "bin" / "python")
    run([UV, "pip", "sync", "--quiet", "--python", python, "--require-hashes", "--compile-bytecode", str(LOCKED)])
    return python


def writes(metrics: str) -> int:
    """How many writes of anything but Leases the API server has answered, by its own `/metrics`."""
    found = re.findall(r"^apiserver_request_total\{([^}]*)\} (\S+)$", metrics, re.MULTILINE)
    labels = ((dict(re.findall(r'(\w+)="([^"]*)"', text)), float(count)) for text, count in found)
    return int(sum(n for each, n in labels if each["verb"] in _WRITING and each["resource"] != "leases"))


def _watch(place: Place, operator: Operator) -> list[Figure]:
    memory: list[float] = []
    versions, before = _versions(place), writes(place.ask("/metrics"))
    begun, used = time.monotonic(), operator.process.cpu()
    while time.monotonic() < begun + WATCHED:
        time.sleep(EVERY)
        memory.append(operator.process.resident())
    share = 100 * (operator.process.cpu() - used) / (time.monotonic() - begun)
    written = writes(place.ask("/metrics")) - before
    if changed := sorted(versions.items() ^ _versions(place).items()):
        raise AssertionError(f"{len(changed)} objects changed while nobody asked for it, such as {changed[:5]}")
    return [
        Figure(name="scale_5000_writes", unit="a minute", samples=[written], limits=(Limit(value="max", most=0),)),
        Figure(name="scale_5000_rss", unit="MiB", samples=memory, limits=(Limit(value="max", most=MOST_MEMORY),)),
        Figure(name="scale_5000_cpu", unit="% of a core", samples=[share], limits=(Limit(value="max", most=MOST_CPU),)),
    ]


def _versions(place: Place) -> Mapping[str, str]:
    """The state of each object, by kind and name."""
    found: dict[str, str] = {}
    for path in paths(HOME):
        metas = _listed(place, path)
        found |= {f"{path}/{meta['name']}": f"{meta['uid']}/{meta['resourceVersion']}" for meta in metas}
    if len(found) < OBJECTS * len(paths(HOME)):
        raise AssertionError(f"only {len(found)} objects for {OBJECTS} ModelDeployments: something is missing")
    return found


def _listed(place: Place, path: str) -> Iterator[dict[str, Any]]:
    following = ""
    for number in itertools.count():
        if number and not following:
            return
        page = json.loads(place.ask(f"{path}?limit=500&continue={following}"))
        yield from (item["metadata"] for item in page["items"])
        following = page["metadata"].get("continue", "")
