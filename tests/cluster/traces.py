"""Everything on the machine by which a run could still be noticed, for tests that want to see none."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups, remains

# Directories that kubelet, containerd and CNI would leave things in if they saw them.
SHARED = ("/run", "/var/lib", "/var/log", "/etc/cni", "/opt/cni")
SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What of the machine itself a run could have changed."""

    links: frozenset[str]
    directories: frozenset[str]
    sysctls: tuple[str, ...]

    @classmethod
    def now(cls) -> "Machine":
        """The machine as it is."""
        return cls(
            links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            directories=frozenset(
                str(path) for parent in SHARED if Path(parent).is_dir() for path in Path(parent).iterdir()
            ),
            sysctls=tuple(Path("/proc/sys", name).read_text().strip() for name in SYSCTLS),
        )


Processes = frozenset[tuple[int, str]]
"""Processes by id and start time: ids alone, like those of namespaces, are used again."""


def processes_with(pid: int) -> Processes:
    """The processes that share a namespace with this one which is not the caller's: a whole run, pods included."""
    theirs = _namespaces(str(pid)) - _namespaces("self")
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if _namespaces(entry.name) & theirs:
                    found.add((int(entry.name), _start_time(entry)))
            except OSError:
                continue
    return frozenset(found)


def of_run(run: str, its_processes: Processes = frozenset()) -> list[str]:
    """What there is of a run: processes, mounts, cgroups, directories."""
    found = [f"process {pid}" for pid in remains.members(run)]
    found += [f"cgroup {group}" for group in cgroups.of_run(run)]
    if (remains.ROOT / run).exists():
        found.append(f"directory {remains.ROOT / run}")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if run in line]
    return found + [f"process {pid} of its namespaces" for pid, start in its_processes if _is_running(pid, start)]


def _namespaces(process: str) -> set[str]:
    return {str(Path(f"/proc/{process}/ns/{kind}").readlink()) for kind in ("net", "mnt", "pid", "ipc", "uts")}


def _start_time(entry: Path) -> str:
    return _stat(entry)[19]


def _stat(entry: Path) -> list[str]:
    # After the name, which is in brackets and may hold anything, comes field 3 of proc(5): the state.
    return (entry / "stat").read_text().rpartition(")")[2].split()


def _is_running(pid: int, start: str) -> bool:
    try:
        fields = _stat(Path(f"/proc/{pid}"))
    except OSError:
        return False
    # A zombie has ended; when it is reaped is up to the machine's own first process.
    return fields[19] == start and fields[0] not in "ZX"
