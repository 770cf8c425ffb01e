"""The image that the project's images are built on: a minimal Debian with Python.

It comes from the mirror that this machine's apt uses, whichever that is.
"""

import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

from tests.cluster import cache, host
from tests.cluster.errors import BuildError, HostError
from tests.cluster.progress import Progress

# The suite decides the Python, and the Python decides the wheels: it does not follow the machine's own.
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
APT = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UNNEEDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt", "var/log")


def rootfs(progress: Progress) -> Path:
    """Returns a tar file of the base's file system.

    Raises:
        HostError: apt knows no Debian mirror.
        BuildError: debootstrap failed.
    """
    key = cache.digest(SUITE, *PACKAGES, Path(__file__))
    return cache.obtain("base", SUITE, key, partial(_make, progress)) / "rootfs.tar"


def _make(progress: Progress, work: Path) -> None:
    tree = work / "tree"
    progress.expect(1)
    with progress.step(f"making the base image ({SUITE} with {', '.join(PACKAGES)})"):
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        if KEYRING.exists():
            options.append(f"--keyring={KEYRING}")
        run([host.which("debootstrap") or "debootstrap", *options, SUITE, str(tree), mirror()], _apt_proxy())
        for path in UNNEEDED:
            shutil.rmtree(tree / path, ignore_errors=True)
            (tree / path).mkdir(parents=True)
        run(
            [
                "tar",
                "--directory",
                str(tree),
                "--numeric-owner",
                "--one-file-system",
                "-cf",
                str(work / "rootfs.tar"),
                ".",
            ]
        )
        shutil.rmtree(tree)


def mirror() -> str:
    """The first Debian mirror in apt's sources.

    Raises:
        HostError: there is none.
    """
    for uri, words in _sources():
        if "main" in words and any(re.fullmatch(r"[a-z]+", word) and word != "main" for word in words):
            return uri
    raise HostError(f"no Debian mirror is named in {APT}/sources.list or {APT}/sources.list.d: name one there")


def _sources() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for file in [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]:
        if file.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", file.read_text()):
                fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
                if "debian-archive" in fields.get("Signed-By", "debian-archive") and "deb" in fields.get("Types", ""):
                    words = f"{fields.get('Suites', '')} {fields.get('Components', '')}".split()
                    found += [(uri, words) for uri in fields.get("URIs", "").split()]
        elif file.is_file() and file.suffix == ".list":
            for line in file.read_text().splitlines():
                entry = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(.+)", line)
                if entry:
                    found.append((entry[1], entry[2].split()))
    # Mirrors of security updates alone cannot make a system.
    return [(uri, words) for uri, words in found if "debian-security" not in uri]


def _apt_proxy() -> dict[str, str]:
    said = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return {f"{scheme}_proxy": proxy for scheme, proxy in re.findall(r'Acquire::(https?)::Proxy "([^"]+)"', said)}


def run(command: list[str], variables: dict[str, str] | None = None) -> str:
    """Runs a command whose mounts and processes end with it, and with this process.

    Raises:
        BuildError: it failed; with the end of what it said.
    """
    bounds = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    done = subprocess.run(
        [*bounds, "--mount-proc", "--", *command],
        env={**os.environ, "PATH": host.path_with_sbin(), "LC_ALL": "C", **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-3000:]
        raise BuildError(f"{Path(command[0]).name} failed:\n{said}")
    return done.stdout
