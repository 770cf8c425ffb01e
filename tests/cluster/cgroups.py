"""The cgroups that a run's pods live in: one root per run, `tidegate-<id>`.

Version 1 (one tree per controller) is what the tests run on. Version 2 (one
tree) is written for and has not been tested.
"""

import os
import signal
import time
from pathlib import Path

TREE = Path("/sys/fs/cgroup")
PREFIX = "tidegate-"
CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
REMOVE_SECONDS = 20.0


def is_version_2() -> bool:
    """Whether this machine has the one tree of version 2."""
    return (TREE / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The roots of all trees: one in version 2, one per set of controllers in version 1."""
    if is_version_2():
        return [TREE]
    # `cpu` is often a link to `cpu,cpuacct`: each tree once.
    return sorted({path.resolve() for path in TREE.iterdir() if path.is_dir()} if TREE.is_dir() else [])


def create(run: str) -> str:
    """Makes the run's root in every tree, and returns its name as kubelet wants it."""
    for tree in hierarchies():
        group = tree / f"{PREFIX}{run}"
        group.mkdir(exist_ok=True)
        if is_version_2():
            _delegate(tree)
            _delegate(group)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A cpuset of version 1 starts empty, and no process may enter an empty one.
            if not is_version_2() and (group / setting).exists():
                (group / setting).write_text((tree / setting).read_text())
    return f"/{PREFIX}{run}"


def _delegate(group: Path) -> None:
    offered = (group / "cgroup.controllers").read_text().split()
    for controller in CONTROLLERS:
        if controller in offered:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def of_run(run: str) -> list[Path]:
    """The run's roots that are there."""
    return [tree / f"{PREFIX}{run}" for tree in hierarchies() if (tree / f"{PREFIX}{run}").is_dir()]


def runs() -> set[str]:
    """The ids of all runs that have a cgroup."""
    found = (group for tree in hierarchies() for group in tree.glob(f"{PREFIX}*") if group.is_dir())
    return {group.name.removeprefix(PREFIX) for group in found}


def remove(run: str) -> None:
    """Ends the processes in the run's cgroups and removes the cgroups, the innermost first.

    Raises:
        TimeoutError: a cgroup stays busy.
    """
    deadline = time.monotonic() + REMOVE_SECONDS
    while groups := [group for root in of_run(run) for group in _inside_out(root)]:
        for group in groups:
            _kill(group)
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"cgroup {group} stays busy") from error
        time.sleep(0.02)


def _inside_out(root: Path) -> list[Path]:
    return [Path(path) for path, _, _ in os.walk(root, topdown=False)]


def _kill(group: Path) -> None:
    try:
        pids = (group / "cgroup.procs").read_text().split()
    except (FileNotFoundError, OSError):
        return
    for pid in pids:
        # 0 is a process of another PID namespace, which is not ours to see.
        if pid != "0":
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
