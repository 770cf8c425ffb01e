"""`python3 -m tests.environment`: the development environment in `.venv`, from the hashed lock.

Its packages lie in the cache, once for all checkouts and with their bytecode: `.venv` says where. It is made again when
the lock, the Python or the cache is another one.
"""

import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import HostError

PROJECT = Path(__file__).parents[1]
LOCK = PROJECT / "requirements" / "dev.txt"
VENV = PROJECT / ".venv"
#: An environment that nobody has asked for in so many days is removed.
DAYS = 60


def ensure() -> None:
    """Makes the environment unless it is there.

    Raises:
        HostError: the Python has no venv module, or a package can't be had.
    """
    key = cache.digest(LOCK, sys.version, platform.machine())
    if not cache.entry("python", "dev", key).exists():
        print("== installing the development environment (hashed, pinned)", flush=True)
    packages = cache.obtain("python", "dev", key, _install)
    packages.touch()
    lines = f"{_site(packages)}\n{PROJECT / 'operator'}\n"
    named = _site(VENV) / "tidegate.pth"
    if not named.exists() or named.read_text() != lines or not (VENV / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
        named.write_text(lines)
    _forget_old(packages.parent)


def _install(work: Path) -> None:
    _run([sys.executable, "-m", "venv", str(work)])
    # The lock is whole, and what is never imported needs no bytecode.
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes"]
    _run([str(work / "bin" / "python"), "-m", "pip", "install", *options, "--requirement", str(LOCK)])


def _site(environment: Path) -> Path:
    return environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _forget_old(entries: Path) -> None:
    for entry in entries.glob("dev-*"):
        if time.time() - entry.stat().st_mtime > DAYS * 86400:
            shutil.rmtree(entry, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise HostError(f"{' '.join(command[1:4])} failed: {said[-1000:]}")


if __name__ == "__main__":
    try:
        ensure()
    except HostError as error:
        sys.exit(f"environment: {error}")
