"""A run: a directory and the namespaces that its processes live and die in.

A run is alive as long as somebody holds the lock on its directory: its owner, and
the first process of its PID namespace, which ends with the owner. `sweep` removes
what is left of the others, found by name, not by memory: directories below
`ROOT` and cgroups called `tidegate-<id>`.
"""

import ctypes
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.cluster import cache, cgroups, host, remains
from tests.cluster.errors import StartError
from tests.cluster.init import KEEP

Result = TypeVar("Result")

INIT = Path(__file__).with_name("init.py")
MASKS = ("/run", "/var/lib", "/var/log")
# What kubelet wants to read there. It may not change the machine, so it is shown what it wants.
KUBELET_SYSCTLS = {
    "/proc/sys/vm/overcommit_memory": "1",
    "/proc/sys/vm/panic_on_oom": "0",
    "/proc/sys/kernel/panic": "10",
    "/proc/sys/kernel/panic_on_oops": "1",
    "/proc/sys/kernel/keys/root_maxkeys": "1000000",
    "/proc/sys/kernel/keys/root_maxbytes": "25000000",
}
CLONE_NEWNET = 0x40000000
END_SECONDS = 30.0
POLL_SECONDS = 0.05


class Run:
    """Namespaces of their own, the processes started in them, and a directory for both."""

    def __init__(self, kind: str, *, sealed: bool) -> None:
        """Makes the namespaces.

        Args:
            kind: what the run is, for `status`: `light` or `full`.
            sealed: with a network namespace of its own and nothing of the machine's
                `/run`, `/var/lib` and `/var/log` to be seen; else loopback is shared.

        Raises:
            StartError: the kernel refused the namespaces.
        """
        remains.sweep()
        self.sealed = sealed
        with remains.creating():
            self.id = _new_id()
            self.directory = remains.ROOT / self.id
            self.directory.mkdir(parents=True)
            self._lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("logs", "tmp", "masks", "home"):
            (self.directory / name).mkdir()
        (self.directory / "run.json").write_text(json.dumps({"kind": kind, "owner": os.getpid(), "kept": False}))
        try:
            self._init, self._pipe, self.pid = self._start_init()
        except BaseException:
            os.close(self._lock)
            remains.remove(self.id)
            raise

    def _start_init(self) -> tuple[subprocess.Popen[bytes], int, int]:
        reading, writing = os.pipe()
        plan = {
            "directory": str(self.directory),
            "owner": reading,
            "network": self.sealed,
            "masks": MASKS if self.sealed else (),
            "keep": [str(cache.root())],
            "sysctls": KUBELET_SYSCTLS if self.sealed else {},
        }
        namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", *(["--net"] if self.sealed else [])]
        unshare = ["unshare", *namespaces, "--kill-child=KILL", sys.executable, "-S", "-B", str(INIT), json.dumps(plan)]
        with (self.directory / "logs" / "init.log").open("wb") as log:
            process = subprocess.Popen(
                unshare,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(reading, self._lock),
                start_new_session=True,
                cwd="/",
                env=self.environment(),
            )
        os.close(reading)
        assert process.stdout is not None
        said = process.stdout.readline().split()
        if len(said) != 2:
            process.wait()
            os.close(writing)
            raise StartError(f"the namespaces could not be made: {self.log_tail('init')}")
        return process, writing, int(said[1])

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables of every process of the run: nothing of the caller's but what names paths."""
        return {
            "PATH": host.path_with_sbin(),
            "HOME": str(self.directory / "home"),
            "TMPDIR": str(self.directory / "tmp"),
            "LC_ALL": "C.UTF-8",
            remains.MARK: self.id,
            **(extra or {}),
        }

    def nsenter(self, *, mounts: bool = True) -> list[str]:
        """The command that puts another one into the run's namespaces."""
        kinds = [*(["--mount", "--pid", "--ipc", "--uts"] if mounts else []), *(["--net"] if self.sealed else [])]
        return ["nsenter", "--target", str(self.pid), *kinds, "--"] if kinds else []

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Starts a long-running process in the namespaces; its output goes to `logs/<name>.log`."""
        with (self.directory / "logs" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*self.nsenter(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=self.environment(environment),
            )

    def call(self, command: Sequence[str], *, text: str | None = None, mounts: bool = True) -> str:
        """Runs a command in the namespaces to its end, and returns what it printed.

        Raises:
            StartError: it failed; with what it said.
        """
        done = subprocess.run(
            [*self.nsenter(mounts=mounts), *command],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=self.environment(),
        )
        if done.returncode != 0:
            raise StartError(f"{' '.join(command)[:200]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout

    def in_network(self, work: Callable[[], Result]) -> Result:
        """Calls `work` in a thread that is inside the run's network namespace, and in no other way affected."""
        outcome: list[Result] = []
        failure: list[BaseException] = []

        def body() -> None:
            try:
                if self.sealed:
                    enter_network(self.pid)
                outcome.append(work())
            except BaseException as error:  # noqa: BLE001  # handed to the caller, who asked for it
                failure.append(error)

        thread = threading.Thread(target=body, name=f"in-{self.id}")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def wait_for(self, what: str, ready: Callable[[], bool], *, seconds: float) -> None:
        """Polls until `ready()`.

        Raises:
            StartError: a process of the run ended, or the time is over; with the logs' ends.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            if ended:
                raise StartError(f"{ended[0]} ended while {what} was awaited:\n{self.log_tail(ended[0])}")
            if time.monotonic() > deadline:
                raise StartError(f"{what}: not in {seconds:.0f} s; logs are in {self.directory}/logs")
            time.sleep(POLL_SECONDS)

    def log_tail(self, name: str, size: int = 2000) -> str:
        """The end of a process's log."""
        file = self.directory / "logs" / f"{name}.log"
        return file.read_text(errors="replace")[-size:].strip() if file.exists() else ""

    def record(self, **facts: object) -> None:
        """Adds facts to `run.json`, for other processes to read."""
        file = self.directory / "run.json"
        known = json.loads(file.read_text())
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({**known, **facts}, indent=1))
        fresh.rename(file)

    def signal(self, name: str, signal_name: str) -> None:
        """Sends a signal (`STOP`, `CONT`, `TERM`, `KILL`) to a process by the name it was spawned under."""
        wrapper = self._processes[name].pid
        children = Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.Signals[f"SIG{signal_name}"])
            if signal_name == "STOP":
                await_stopped(int(child))
        if signal_name == "CONT":
            # nsenter stops itself when its child is stopped, and would never see it end.
            os.kill(wrapper, signal.SIGCONT)

    def finish(self, name: str, *, seconds: float, how: str = "TERM") -> None:
        """Ends a process by a signal and waits until it has; the run goes on without it."""
        self.signal(name, how)
        self._processes.pop(name).wait(seconds)

    def keep(self) -> None:
        """Lets the run outlive this process; `remains.end` takes it down."""
        self.record(kept=True, owner=None)
        os.write(self._pipe, KEEP)

    def close(self) -> None:
        """Ends every process of the run and removes what it leaves."""
        if self._init.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._pipe)
        for process in (self._init, *self._processes.values()):
            process.wait(END_SECONDS)
        assert self._init.stdout is not None
        self._init.stdout.close()
        os.close(self._lock)
        remains.remove(self.id)


def enter_network(pid: int) -> None:
    """Moves the calling thread into the network namespace of a process."""
    enter_network_file(f"/proc/{pid}/ns/net")


def enter_network_file(path: str) -> None:
    """Moves the calling thread into a network namespace named by a file.

    Threads and processes started by it later are inside, too; other threads are not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(path).open("rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns({path})")


def _new_id() -> str:
    while True:
        name = secrets.token_hex(3)
        if not (remains.ROOT / name).exists() and not cgroups.of_run(name):
            return name


def await_stopped(pid: int, seconds: float = 10.0) -> None:
    """Wait after SIGSTOP: a process's threads stop one by one, and one that still runs may answer a request."""
    end = time.monotonic() + seconds
    while any(_state(thread) != "T" for thread in Path(f"/proc/{pid}/task").iterdir()):
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} was not stopped within {seconds:g} s")
        time.sleep(0.001)


def _state(thread: Path) -> str:
    """One letter, by proc(5); a thread that ended meanwhile is as good as stopped."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "T"
