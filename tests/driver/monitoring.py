"""A real Prometheus and a real Alertmanager (Debian's), as processes of the test where it can reach everything.

    with install_monitoring(access, rules=[...], receivers=[Receiver(url=..., token=...)]) as monitoring:
        monitoring.scrape("envoy", ["10.243.0.1:9001"], path="/stats/prometheus")
        monitoring.prometheus.kill()
        monitoring.prometheus.start()

Debian's Prometheus can't discover by the Kubernetes API. Targets are what the test names, or what `follow` finds. In
the embedded cluster both listen on the node's address; pods reach them by that, or by the names of the Services that
`publish` makes.
"""

import json
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster import debian
from tests.cluster.access import Access
from tests.cluster.progress import Progress
from tests.cluster.sandbox import await_stopped
from tests.driver.outside import leading_out
from tests.driver.platform import wait_for

NAMESPACE = "monitoring"
#: The ports of the Services, as is usual; the programs themselves take free ones.
PORTS = {"prometheus": 9090, "alertmanager": 9093}
READY = 20.0  # seconds
#: What is to die with this process dies with the thread that started it: one that lives as long.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A webhook that Alertmanager tells of every alert, at once.

    `options` are further fields of its entry in `webhook_configs`, `route` those of the route that leads to it.
    """

    url: str
    token: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    route: Mapping[str, Any] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """The entry of `webhook_configs`."""
        credentials = {"authorization": {"type": "Bearer", "credentials": self.token}} if self.token else {}
        return {"url": self.url, "send_resolved": True, "http_config": credentials, **self.options}


class Server:
    """One program: started, killed, stopped and started again on the same data and address."""

    def __init__(self, name: str, command: Sequence[str], *, url: str, directory: Path, access: Access | None) -> None:
        self.name = name
        self.url = url
        self._command = list(command)
        self._directory = directory
        self._access = access
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it and wait until it answers."""
        log = self._directory / f"{self.name}.log"
        # It must not outlive a test that is killed.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *self._command]
        if self._access is not None:
            command = self._access.command(*command)
        with log.open("ab") as file:
            start = partial(subprocess.Popen, command, cwd=self._directory, stdin=subprocess.DEVNULL)
            self._process = _STARTER.submit(start, stdout=file, stderr=file).result()
        wait_for(self._ready, seconds=READY, what=f"{self.name} is ready", tell=lambda: log.read_text()[-3000:])

    def get(self, path: str, **query: str) -> Any:
        """The JSON that it answers to a GET."""
        text = f"?{urllib.parse.urlencode(query)}" if query else ""
        with inside(self._access), _OPENER.open(f"{self.url}{path}{text}", timeout=10) as answer:
            return json.load(answer)

    def send(self, name: signal.Signals) -> None:
        """Send it a signal: HUP reads its configuration anew, STOP makes it hang until CONT."""
        if self._process is not None:
            self._process.send_signal(name)
            if name is signal.SIGSTOP:
                await_stopped(self._process.pid)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"{self.name} ended: {(self._directory / f'{self.name}.log').read_text()[-3000:]}")
        try:
            with inside(self._access), _OPENER.open(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Prometheus(Server):
    """Prometheus with targets from files and an interval of a second."""

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The samples of an instant query: `{"metric": {...}, "value": [time, text]}`."""
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=promql)["data"]["result"]
        return found


class Monitoring:
    """Both programs and their configuration: on loopback, or on the node's address of the embedded cluster."""

    def __init__(
        self,
        directory: Path,
        *,
        rules: Sequence[Mapping[str, Any]] = (),
        receivers: Sequence[Receiver] = (),
        access: Access | None = None,
    ) -> None:
        self._directory = directory
        self.access = access
        self._rules = list(rules)
        self._receivers = list(receivers)
        self._jobs: dict[str, dict[str, Any]] = {}
        self._followers: list[tuple[threading.Thread, threading.Event]] = []
        address = "127.0.0.1" if access is None else urlsplit(access.gateway_url).hostname or ""
        with inside(access):
            ports = _free_ports(address, 2)
        programs = debian.unpack("prometheus", Progress()) / "usr" / "bin"
        prometheus = [
            *(str(programs / "prometheus"), f"--config.file={directory}/prometheus.json"),
            *(f"--storage.tsdb.path={directory}/data", f"--web.listen-address={address}:{ports[0]}"),
            "--log.level=warn",
        ]
        self.prometheus = Prometheus(
            "prometheus", prometheus, url=f"http://{address}:{ports[0]}", directory=directory, access=access
        )
        package = debian.unpack("prometheus-alertmanager", Progress()) / "usr"
        alertmanager = [
            # Debian's looks for its templates below /usr/share, where the package is not installed.
            *("unshare", "--mount", "sh", "-ec", f'mount -t overlay -o {_overlay(package)} own /usr/share; exec "$@"'),
            *("sh", f"{package}/bin/prometheus-alertmanager", f"--config.file={directory}/alertmanager.json"),
            *(f"--storage.path={directory}/alerts", f"--web.listen-address={address}:{ports[1]}"),
            *("--cluster.listen-address=", "--log.level=info"),
        ]
        self.alertmanager = Server(
            "alertmanager", alertmanager, url=f"http://{address}:{ports[1]}", directory=directory, access=access
        )
        self._write()

    def start(self) -> None:
        """Run both: Alertmanager only where there are receivers."""
        self.prometheus.start()
        if self._receivers:
            self.alertmanager.start()

    def stop(self) -> None:
        """End both and whatever follows pods."""
        for _, over in self._followers:
            over.set()
        for thread, _ in self._followers:
            thread.join(30)
        self.prometheus.kill()
        self.alertmanager.kill()

    def configure(
        self, *, rules: Sequence[Mapping[str, Any]] | None = None, receivers: Sequence[Receiver] | None = None
    ) -> None:
        """Replace the rules (entries of one group: `{"alert": ..., "expr": ..., "labels": ...}`) or the receivers."""
        self._rules = list(rules) if rules is not None else self._rules
        self._receivers = list(receivers) if receivers is not None else self._receivers
        self._write()
        self.prometheus.send(signal.SIGHUP)
        self.alertmanager.send(signal.SIGHUP)

    def scrape(self, job: str, targets: Sequence[str], *, path: str = "/metrics", **labels: str) -> None:
        """Scrape these addresses (`host:port`) each second, each series with these labels, in place of earlier ones."""
        self.targets(job, [{"targets": list(targets), "labels": labels}], path=path)

    def targets(self, job: str, groups: Sequence[Mapping[str, Any]], *, path: str = "/metrics") -> None:
        """Scrape these groups of targets, as in a file of `file_sd_configs`, in place of earlier ones of the job."""
        _put(self._directory / f"targets-{job}.json", list(groups))
        if job not in self._jobs:
            files = {"files": [f"{self._directory}/targets-{job}.json"]}
            self._jobs[job] = {"job_name": job, "metrics_path": path, "file_sd_configs": [files]}
            self._write()
            self.prometheus.send(signal.SIGHUP)

    def follow(
        self, job: str, find: Callable[[], Sequence[Mapping[str, Any]]], *, path: str = "/metrics", every: float = 0.5
    ) -> None:
        """Scrape whatever `find` finds, looked at all the time: pods come and go."""
        over = threading.Event()

        def run() -> None:
            last: Sequence[Mapping[str, Any]] | None = None
            while not over.wait(every):
                found = find()
                if found != last:
                    self.targets(job, found, path=path)
                    last = found

        self.targets(job, find(), path=path)
        thread = threading.Thread(target=run, name=f"targets of {job}", daemon=True)
        self._followers.append((thread, over))
        thread.start()

    def publish(self) -> Mapping[str, str]:
        """Make Services `prometheus` and `alertmanager` in the namespace `monitoring`; their URLs for pods, by name."""
        if self.access is None:
            raise AssertionError("there is no cluster to publish in")
        servers = {"prometheus": self.prometheus, "alertmanager": self.alertmanager}
        objects: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
        for name, server in servers.items():
            objects += leading_out(NAMESPACE, name, server.url, port=PORTS[name])
        self.access.apply(objects)
        return {name: f"http://{name}.{NAMESPACE}.svc.cluster.local:{port}" for name, port in PORTS.items()}

    def _write(self) -> None:
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        managers = [{"static_configs": [{"targets": [urlsplit(self.alertmanager.url).netloc]}]}]
        _put(self._directory / "rules.json", {"groups": [{"name": "test", "rules": self._rules}]})
        _put(
            self._directory / "prometheus.json",
            {
                "global": every,
                "rule_files": [f"{self._directory}/rules.json"],
                "alerting": {"alertmanagers": managers if self._receivers else []},
                "scrape_configs": list(self._jobs.values()),
            },
        )
        named = {f"receiver-{index}": receiver for index, receiver in enumerate(self._receivers)}
        # No waiting for a group to fill; nothing said again while it holds.
        times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
        _put(
            self._directory / "alertmanager.json",
            {
                "route": {
                    "receiver": "nobody",
                    "group_by": ["..."],
                    **times,
                    "routes": [{"receiver": name, "continue": True, **one.route} for name, one in named.items()],
                },
                "receivers": [{"name": "nobody"}]
                + [{"name": name, "webhook_configs": [one.config()]} for name, one in named.items()],
            },
        )


@contextmanager
def install_monitoring(
    access: Access, *, rules: Sequence[Mapping[str, Any]] = (), receivers: Sequence[Receiver] = ()
) -> Iterator[Monitoring]:
    """Prometheus and, where there are receivers, Alertmanager beside the embedded cluster, until the block ends.

    Addresses of Services work in `receivers`; their names don't, as both programs are processes and no pods.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="monitoring-")))
        monitoring = Monitoring(directory, rules=rules, receivers=receivers, access=access)
        stack.callback(monitoring.stop)
        monitoring.start()
        yield monitoring


def inside(access: Access | None) -> AbstractContextManager[None]:
    """Where this thread reaches both."""
    return nullcontext() if access is None else access.inside()


def _overlay(package: Path) -> str:
    return f"ro,lowerdir={package}/share:/usr/share"


def _put(file: Path, content: Any) -> None:
    """In one rename: Prometheus reads files whenever they change."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.rename(file)


def _free_ports(address: str, count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((address, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


__all__ = ["Monitoring", "Prometheus", "Receiver", "Server", "install_monitoring"]
