"""Whatever ends a run, nothing of it stays: no process, mount, namespace, cgroup or directory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.cluster import remains, traces
from tests.cluster.access import Access
from tests.cluster.full import Cluster
from tests.cluster.light import LightCluster
from tests.cluster.traces import Machine, Processes
from tests.e2e.together import at_once

pytestmark = pytest.mark.cluster

UP = [sys.executable, "-m", "tests.cluster", "up", "--another"]
PROJECT = Path(__file__).parents[2]
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "server", "namespace": "default"},
    "spec": {
        "containers": [
            {"name": "server", "image": "localhost/tidegate-testserver:dev", "imagePullPolicy": "Never"},
        ]
    },
}
MOMENTS = ("making the namespaces", "starting containerd", "starting controller manager", "starting Contour", "waiting")


@contextmanager
def started_until(moment: str) -> Iterator[tuple[subprocess.Popen[str], str, Processes]]:
    """A start in another process that has just said that it is at `moment`; with its run and processes."""
    with subprocess.Popen(UP, cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stderr is not None
            assert any(moment in line for line in process.stderr), f"it ended before it said {moment!r}"
            deadline = time.monotonic() + 20
            while not (found := of_owner(process.pid)):
                assert time.monotonic() < deadline, "it made no run"
                time.sleep(0.005)
            run, init = found
            yield process, run, processes_of(init)
        finally:
            process.kill()


def processes_of(init: int) -> Processes:
    try:
        return traces.processes_with(init)
    except FileNotFoundError:
        return frozenset()


def of_owner(owner: int) -> tuple[str, int] | None:
    """The run of that owner, and its first process (0 if there is none yet)."""
    for run in remains.found():
        if run.facts.get("owner") == owner:
            return run.id, max((pid for pid in remains.members(run.id) if is_init(pid)), default=0)
    return None


def is_init(pid: int) -> bool:
    try:
        return b"init.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_stopping_a_cluster_with_a_pod_in_it_leaves_nothing() -> None:
    before = Machine.now()
    with Cluster.start() as cluster:
        access = cluster.access
        access.apply([POD])
        access.kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=60s")
        inside = traces.processes_with(cluster.run.pid)
        assert traces.of_run(cluster.run.id, inside)
    assert traces.of_run(cluster.run.id, inside) == []
    assert Machine.now() == before


def test_starts_that_are_killed_leave_no_process_and_the_next_start_removes_the_rest() -> None:
    before = Machine.now()
    left: list[tuple[str, Processes]] = []

    def killed_at(moment: str) -> None:
        with started_until(moment) as (process, run, inside):
            process.kill()
        left.append((run, inside))

    at_once(**{moment: partial(killed_at, moment) for moment in MOMENTS})
    with LightCluster.start():
        assert [found for run, inside in left for found in traces.of_run(run, inside)] == []
    assert len(left) == len(MOMENTS)
    assert Machine.now() == before


def test_starts_that_are_interrupted_take_everything_down_themselves() -> None:
    before = Machine.now()

    def interrupted_at(moment: str, number: signal.Signals) -> None:
        with started_until(moment) as (process, run, inside):
            process.send_signal(number)
            # A second one must not interrupt the taking down.
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        assert traces.of_run(run, inside) == []

    cases = [(moment, number) for moment in (MOMENTS[1], MOMENTS[3]) for number in (signal.SIGINT, signal.SIGTERM)]
    at_once(**{f"{moment}, {number.name}": partial(interrupted_at, moment, number) for moment, number in cases})
    assert Machine.now() == before


def test_a_process_that_is_killed_takes_its_light_cluster_with_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster", "light"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "KUBECONFIG" in process.stdout.readline()
    found = of_owner(process.pid)
    assert found is not None
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while remains.members(found[0]):
        assert time.monotonic() < deadline, "its processes stay"
        time.sleep(0.02)
    remains.sweep()
    assert traces.of_run(found[0]) == []


def test_two_clusters_at_once_do_not_meet() -> None:
    with Cluster.start() as one, Cluster.start() as two:
        one.access.apply([POD])
        one.access.kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=60s")
        assert "server" not in two.access.kubectl("get", "pods", "--output=name")
        two.stop()
        assert one.access.get("pod", "server")["status"]["phase"] == "Running"
        assert traces.of_run(two.run.id) == []


def test_a_cluster_that_is_kept_outlives_its_starter_and_every_sweep_until_it_is_taken_down() -> None:
    before = Machine.now()
    starter = subprocess.run(UP, cwd=PROJECT, capture_output=True, text=True, check=True)
    run = starter.stdout.partition("(run ")[2].partition(")")[0]
    remains.sweep()
    assert "node/node" in Access.attach(run).kubectl("get", "nodes", "--output=name")
    down = [sys.executable, "-m", "tests.cluster", "down", run]
    assert f"run {run} is down" in subprocess.run(down, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert traces.of_run(run) == []
    assert Machine.now() == before


def test_a_directory_and_cgroups_without_a_process_are_removed_by_the_next_start() -> None:
    orphan = remains.ROOT / "ffffff"
    (orphan / "containerd").mkdir(parents=True)
    group = Path("/sys/fs/cgroup/memory/tidegate-ffffff/kubepods/pod1")
    if not group.parents[2].is_dir():
        group = Path("/sys/fs/cgroup/tidegate-ffffff/kubepods/pod1")
    group.mkdir(parents=True)
    with LightCluster.start():
        assert traces.of_run("ffffff") == []
    assert not orphan.exists()
    assert os.getpid() not in remains.members("ffffff")
