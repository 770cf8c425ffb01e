"""What runs leave on the machine: found by name, removed when nobody is alive behind it."""

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups

# Sockets below must stay shorter than 108 bytes, so this does not follow TIDEGATE_CACHE.
ROOT = Path("/var/tmp/tidegate-cluster")
MARK = "TIDEGATE_CLUSTER_RUN"
END_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A run as seen from outside."""

    id: str
    alive: bool
    kept: bool
    kind: str
    facts: dict[str, object]


@contextmanager
def creating() -> Iterator[None]:
    """Keeps sweeps and the making of new runs apart, with a lock that leaves no file behind."""
    parent = os.open(ROOT.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(parent, fcntl.LOCK_EX)
        yield
    finally:
        os.close(parent)


def is_alive(run: str) -> bool:
    """Whether the run's owner or first process is there: one of them holds the lock."""
    try:
        directory = os.open(ROOT / run, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(directory)
    return False


def found() -> list[Found]:
    """All runs that are alive or have left anything."""
    named = {path.name for path in ROOT.iterdir()} if ROOT.is_dir() else set()
    return [_found(run) for run in sorted(named | cgroups.runs())]


def _found(run: str) -> Found:
    try:
        facts = json.loads((ROOT / run / "run.json").read_text())
    except (FileNotFoundError, ValueError):
        facts = {}
    return Found(
        id=run,
        alive=is_alive(run),
        kept=bool(facts.get("kept")),
        kind=str(facts.get("kind", "unknown")),
        facts=facts,
    )


def sweep() -> list[str]:
    """Removes what dead runs have left, and returns their ids."""
    with creating():
        dead = [run.id for run in found() if not run.alive or _is_ending(run)]
        for run in dead:
            _remove(run)
    return dead


def _is_ending(run: Found) -> bool:
    """Whether the owner is gone and the first process has only not noticed yet."""
    owner = run.facts.get("owner")
    return not run.kept and isinstance(owner, int) and not Path(f"/proc/{owner}").exists()


def end(run: str) -> None:
    """Takes a run down from outside, whoever owns it.

    Raises:
        TimeoutError: its processes do not end.
    """
    remove(run)


def remove(run: str) -> None:
    """Removes a dead run's processes, cgroups and directory."""
    with creating():
        _remove(run)


def _remove(run: str) -> None:
    deadline = time.monotonic() + END_SECONDS
    # The lock goes last: when it is free, the first process and with it the pods have ended.
    while _kill(run) or is_alive(run):
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {run} does not end: processes {members(run)}, or its owner, still hold it")
        time.sleep(0.02)
    cgroups.remove(run)
    if (ROOT / run).exists():
        shutil.rmtree(ROOT / run)
    if ROOT.is_dir() and not any(ROOT.iterdir()):
        ROOT.rmdir()


def _kill(run: str) -> bool:
    pids = members(run)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return bool(pids)


def members(run: str) -> list[int]:
    """The processes that carry the run's mark in their environment (pods do not: they are in its cgroups)."""
    mark = f"{MARK}={run}".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in variables:
                pids.append(int(entry.name))
    return pids
