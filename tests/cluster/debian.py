"""Programs of Debian packages, taken out of them and never installed: no service of theirs ever starts."""

import os
import subprocess
from pathlib import Path

from tests.cluster import cache, host
from tests.cluster.errors import HostError
from tests.cluster.progress import Progress


def unpack(package: str, progress: Progress) -> Path:
    """Returns a directory with the files of a package, in the version that this machine's apt offers.

    Raises:
        HostError: apt has no such package, or it can't be unpacked.
    """
    return cache.obtain("debian", package, cache.digest(package), lambda work: _make(package, work, progress))


def _make(package: str, work: Path, progress: Progress) -> None:
    progress.expect(1)
    with progress.step(f"downloading Debian's {package}"), cache.locked(cache.root() / ".apt.lock"):
        try:
            _run(["apt-get", "-q", "download", package], work)
        except HostError:
            # A fresh machine has no lists of packages yet.
            _run(["apt-get", "-q", "update"], work)
            _run(["apt-get", "-q", "download", package], work)
        for archive in work.glob("*.deb"):
            _run(["dpkg-deb", "--extract", archive.name, "."], work)
            archive.unlink()


def _run(command: list[str], directory: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PATH": host.path_with_sbin()}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")
