"""`python -m tests.soak [--minutes N] [--seed N]`: runs a plan, writes `build/soak.json`, fails on what is unclean."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import Process
from tests.bench.stage import IMAGES
from tests.cluster import gateway
from tests.cluster.errors import ClusterError
from tests.cluster.full import Cluster
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress
from tests.driver.monitoring import Monitoring, Receiver, install_monitoring
from tests.driver.platform import ALERT_TOKEN, OPERATORS, alerts_url, install_mlflow, install_operator, listed
from tests.driver.platform import NAMESPACE as OPERATORS_NAMESPACE
from tests.driver.shop import open_shop, rule
from tests.driver.traffic import Traffic
from tests.soak.judge import DUE, Outage
from tests.soak.misfortunes import Misfortunes
from tests.soak.plan import Flavour, Plan, plan
from tests.soak.subject import Subject
from tests.soak.told import Clients, Soak
from tests.soak.vitals import Machine, Vitals

OUT = Path(__file__).parents[2] / "build" / "soak.json"
LOGS = OUT.with_name("soak-logs")
#: Whose logs are kept, below a run's `logs`.
TALE = ("contour.log", "envoy.log", f"pods/{OPERATORS_NAMESPACE}_*")
SEED = 20261121
EVERY = 5.0  # seconds between two lines of progress
LONGEST = 300.0  # minutes: the load driver's own end is after that


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that a soak goes on in."""

    cluster: Cluster
    monitoring: Monitoring
    subjects: list[Subject]
    progress: Progress


@contextmanager
def scene(planned: Plan) -> Iterator[Scene]:
    """A cluster of its own, with MLflow, monitoring, two operator replicas, and all objects that serve."""
    progress = Progress()
    archives = ensure_images(IMAGES, progress)
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.start(archives=archives.values(), progress=progress))
        access = cluster.access
        progress.expect(3)
        with progress.step("installing MLflow and the operator"):
            mlflow = install_mlflow(access, {"hostPath": {"path": str(_folder(cluster))}})
            install_operator(access)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        with progress.step("registering models and serving their first versions"), ThreadPoolExecutor(4) as pool:
            subjects = [Subject(access, mlflow, each) for each in planned.subjects]
            for done in [pool.submit(each.prepare, folder) for each in subjects]:
                done.result()
        with progress.step("starting Prometheus and Alertmanager"):
            alerting = [each for each in subjects if each.flavour is Flavour.ALERT]
            rules = [rule(each.site.namespace, each.site.name) for each in alerting]
            receivers = [Receiver(url=f"{alerts_url(access)}/alertmanager", token=ALERT_TOKEN)]
            monitoring = stack.enter_context(install_monitoring(access, rules=rules, receivers=receivers))
            monitoring.scrape("envoy", [gateway.ADMIN_URL.removeprefix("http://")], path="/stats/prometheus")
            monitoring.publish()
            shop = stack.enter_context(open_shop(monitoring))
            for each in alerting:
                each.shop = shop
        yield Scene(cluster=cluster, monitoring=monitoring, subjects=subjects, progress=progress)


def _folder(cluster: Cluster) -> Path:
    """MLflow's data outlives its pod: it is lost with the cluster."""
    folder = cluster.run.directory / "mlflow"
    folder.mkdir()
    folder.chmod(0o777)  # whoever the image's user is
    return folder


def carry_out(planned: Plan, on: Scene) -> Soak:
    """The plan, from its begin until the last rollout has its end."""
    begin = time.monotonic()

    def note(text: str) -> None:
        on.progress.note(f"{_clock(begin)}  {text}")

    over, ended = threading.Event(), threading.Event()
    misfortunes = Misfortunes(on.cluster, on.monitoring, note)
    vitals, machine = Vitals(on.cluster.access), Machine(on.cluster.access)

    def outages() -> list[Outage]:
        return [*misfortunes.outages(), *machine.outages()]

    # Longer than it takes: what comes after the last rollout's end is seen, too.
    longest = 2 * planned.seconds + 4 * DUE
    with ExitStack() as stack, ThreadPoolExecutor(len(on.subjects) + 3) as pool:
        drivers = {each.name: stack.enter_context(each.traffic(longest)) for each in on.subjects}
        since = time.time()
        watching = [pool.submit(each.run, ended) for each in (vitals, machine)]
        work = [pool.submit(misfortunes.run, planned.misfortunes, begin, over)]
        work += [pool.submit(each.run, outages, over, note) for each in on.subjects]
        try:
            while not (over.is_set() and all(done.done() for done in work)):
                ended.wait(EVERY)  # a pause: nothing ends it
                if time.monotonic() - begin >= planned.seconds:
                    over.set()
                note(f"of {planned.seconds / 60:g} min: {_now(on, drivers, vitals)}; load {os.getloadavg()[0]:.0f}")
        finally:
            over.set()
            ended.set()
        for done in [*watching, *work]:
            done.result()
        clients = [_clients(each, drivers[each.name], since + EVERY) for each in on.subjects]
    return Soak(
        plan=planned,
        clients=clients,
        episodes=[episode for each in on.subjects for episode in each.episodes],
        outages=outages(),
        seconds=time.monotonic() - begin,
        vitals=vitals.found(),
        troubles=[*(trouble for each in on.subjects for trouble in each.troubles), *misfortunes.failures],
    )


def _keep_logs(cluster: Cluster) -> None:
    """What operators and gateway said, for whoever asks why."""
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    logs = cluster.run.directory / "logs"
    for found in [path for pattern in TALE for path in logs.glob(pattern)]:
        copy = shutil.copytree if found.is_dir() else shutil.copyfile
        copy(found, LOGS / found.name)


def _keep_sockets(cluster: Cluster) -> None:
    """Whom the replicas have connections to at the end, where that can be seen. No soak is lost for it."""
    with suppress(AssertionError, ClusterError, subprocess.SubprocessError):
        for pod in listed(cluster.access, "pods", OPERATORS_NAMESPACE, OPERATORS):
            meta = pod["metadata"]
            inside = ["nsenter", "--target", str(Process.of_pod(meta["uid"]).pid), "--net"]
            found = subprocess.run([*inside, "ss", "-tanH"], capture_output=True, text=True, check=True)
            (LOGS / f"sockets-{meta['name']}").write_text(found.stdout)


def _clients(of: Subject, driver: Traffic, begin: float) -> Clients:
    end = time.time()
    driver.stop()
    return Clients(site=of.name, answers=driver.answers(), rate=of.rate, begin=begin, end=end)


def _clock(begin: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - begin), 60)
    return f"{minutes:02d}:{seconds:02d}"


def _now(on: Scene, drivers: dict[str, Traffic], vitals: Vitals) -> str:
    answers = [driver.answers() for driver in drivers.values()]
    count, bad = sum(map(len, answers)), sum(not a.good for found in answers for a in found)
    done = [episode for each in on.subjects for episode in each.episodes]
    wrong = sum(each.end is None for each in done)
    rss = " and ".join(f"{v.values['rss'] / 2**20:.0f}" for v in vitals.found()[-2:])
    busy = "; ".join(f"{each.name} {each.under_way}" for each in on.subjects if each.under_way)
    return f"{len(done)} rollouts ({wrong} without end), {count} answers ({bad} not 2xx), {rss} MiB; now {busy}"


def main() -> int:
    """Run it; 1 if anything is not as it has to be, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    if not 0 < options.minutes <= LONGEST:
        parser.error(f"--minutes must be over 0 and at most {LONGEST:g}")
    planned = plan(options.seed, options.minutes * 60)
    for line in planned.lines():
        print(line, flush=True)
    with scene(planned) as on:
        try:
            soak = carry_out(planned, on)
        finally:
            _keep_logs(on.cluster)
        _keep_sockets(on.cluster)
    document = soak.document()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(document, indent=1) + "\n")
    print(soak.table())
    for sentence in document["failures"]:
        print(sentence, file=sys.stderr)
    print(
        f"{'passed' if document['passed'] else 'FAILED'}; the same plan again: make soak "
        f"MINUTES={options.minutes:g} SEED={options.seed}"
    )
    return 0 if document["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
