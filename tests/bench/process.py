"""The operator's process as the kernel counts it, seen from outside its pod."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine."""

    pid: int

    @classmethod
    def of_pod(cls, uid: str) -> "Process":
        """The largest process of a pod: beside the model or operator there is only the sandbox's own.

        Raises:
            AssertionError: the pod has none.
        """
        found = [
            cls(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _in_pod(entry, uid)
        ]
        if not found:
            raise AssertionError(f"no process of pod {uid} on this machine")
        return max(found, key=lambda process: process.resident())

    def resident(self) -> float:
        """Resident memory in MiB; 0 where the process is gone."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE / _MIB
        except OSError:
            return 0.0

    def cpu(self) -> float:
        """Seconds of a core used so far, by user and kernel."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def age(self) -> float:
        """Seconds since it was started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(self._stat()[19]) / _TICK

    def _stat(self) -> list[str]:
        # The name, in brackets, may hold anything: what counts comes after it.
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()


def _in_pod(entry: Path, uid: str) -> bool:
    try:
        groups = (entry / "cgroup").read_text()
    except OSError:
        return False
    return uid in groups or uid.replace("-", "_") in groups
