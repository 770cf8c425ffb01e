"""The first process of a run's namespaces: prepares them, then waits for the end.

It runs as process 1 of a new PID namespace, in new mount and (for the full form)
network namespaces. When it ends, the kernel ends every process of the run, and the
mounts, bridges and addresses go with them. It ends when its owner closes the
pipe, which the kernel does for an owner that was killed; a run that was told to
stay (the byte `k`) ends by SIGKILL only.

Called with one JSON argument:
    directory   the run's directory
    owner       file descriptor of the pipe's reading end
    network     whether to bring up the network namespace's loopback device
    masks       directories of the machine to be covered by the run's own
    keep        directories that must stay visible although a mask covers them
    sysctls     files of /proc/sys to be covered: path -> the value to be read there
"""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

KEEP = b"k"


def main(plan: dict[str, Any]) -> None:
    """Prepares the namespaces, says `ready <pid as seen by the owner>`, and waits."""
    outside = Path("/proc/self").readlink()
    run = Path(plan["directory"])
    mount("--make-rshared", "/")
    mount("-t", "proc", "proc", "/proc")
    for target in plan["masks"]:
        mask(run / "masks", Path(target), [Path(path) for path in plan["keep"]])
    for path, value in plan["sysctls"].items():
        cover = run / "masks" / path.strip("/").replace("/", "-")
        cover.write_text(f"{value}\n")
        if Path(path).exists():
            mount("--bind", str(cover), path)
    if plan["network"]:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(f"ready {outside}", flush=True)
    wait(plan["owner"])


def mount(*arguments: str) -> None:
    """Runs mount(8); a failure ends this process and with it the run."""
    subprocess.run(["mount", *arguments], check=True)


def mask(covers: Path, target: Path, keep: list[Path]) -> None:
    """Covers a directory of the machine, so that nothing is read from it or left in it."""
    cover = covers / str(target).strip("/").replace("/", "-")
    cover.mkdir(parents=True, exist_ok=True)
    for path in keep:
        if path.is_relative_to(target) and path.exists():
            inner = cover / path.relative_to(target)
            inner.mkdir(parents=True, exist_ok=True)
            mount("--rbind", str(path), str(inner))
    mount("--rbind", str(cover), str(target))


def wait(owner: int) -> None:
    """Reaps the children that fall to process 1 until the owner has gone."""
    waker, wakened = os.pipe()
    os.set_blocking(wakened, False)
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watched = [waker, owner]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if waker in ready:
            os.read(waker, 4096)
            reap()
        if owner in ready:
            if os.read(owner, 1) != KEEP:
                return
            watched = [waker]


def reap() -> None:
    """Collects every child that has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
