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


def namespaces(pid: int) -> frozenset[str]:
    """The namespaces of a process that are not this process's own."""
    kinds = ("net", "mnt", "pid", "ipc", "uts")
    theirs, own = ({str(Path(f"/proc/{each}/ns/{kind}").readlink()) for kind in kinds} for each in (pid, "self"))
    return frozenset(theirs - own)


def of_run(run: str, its_namespaces: frozenset[str] = frozenset()) -> list[str]:
    """What there is of a run: processes, mounts, cgroups, directories, namespaces."""
    found = [f"process {pid}" for pid in remains.members(run)]
    found += [f"cgroup {group}" for group in cgroups.of_run(run)]
    if (remains.ROOT / run).exists():
        found.append(f"directory {remains.ROOT / run}")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    # `nsfs` entries name the namespace that they keep alive.
    marks = {run, *its_namespaces}
    found += [f"mount {line}" for line in mounts if any(mark in line for mark in marks)]
    found += [f"process {pid} in one of its namespaces" for pid in _inside(its_namespaces)]
    return found


def _inside(wanted: frozenset[str]) -> list[int]:
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                mine = {str(path.readlink()) for path in (entry / "ns").iterdir()}
            except OSError:
                continue
            if mine & wanted:
                pids.append(int(entry.name))
    return pids
