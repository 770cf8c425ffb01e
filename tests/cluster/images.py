"""The project's images: built without Docker and without a network, kept outside the checkout.

    archives = ensure_images(["tidegate-operator", "tidegate-runtime", "mlflow"], Progress())

Each is named `localhost/<name>:dev` and stored under a digest of all that goes into it.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.cluster import base, build, cache, components, host, scratch
from tests.cluster.errors import BuildError
from tests.cluster.progress import Progress

PROJECT = Path(__file__).parents[2]
REQUIREMENTS = PROJECT / "requirements"
# What the base image has; wheels must fit it.
PYTHON = "3.11"
KEPT_ARCHIVES = 2
LAYER_CACHE = 100
ARCHIVE = "docker-archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """How one image is built."""

    name: str
    dockerfile: Path
    target: str | None
    locks: tuple[str, ...]
    """Names of the lock files in `requirements/` whose wheels the build needs."""
    sources: tuple[str, ...]
    """Directories of the project that are copied into it."""
    beside: tuple[str, ...] = ()
    """Directories that stages of other targets copy: the builder wants to see them, and nothing of them is in it."""

    @property
    def reference(self) -> str:
        """The name that pods use."""
        return f"localhost/{self.name}:dev"

    @property
    def key(self) -> str:
        """The digest of all that decides what comes out."""
        locks = _locks(self)
        sources = [PROJECT / source for source in self.sources]
        return cache.digest(
            self.name, self.dockerfile, *locks, *sources, Path(base.__file__), self.target or "", ARCHIVE
        )


def _project_image(target: str, package: str, other: str) -> Image:
    # Older releases of buildah build the stages of the other target, too: both want all wheels, and both packages.
    return Image(
        name=f"tidegate-{target}",
        dockerfile=PROJECT / "Dockerfile",
        target=target,
        locks=("operator", "runtime"),
        sources=(f"operator/{package}",),
        beside=(f"operator/{other}",),
    )


IMAGES = {
    image.name: image
    for image in (
        _project_image("operator", "tidegate", "tidegate_runtime"),
        _project_image("runtime", "tidegate_runtime", "tidegate"),
        Image(
            name="mlflow",
            dockerfile=Path(__file__).parent / "mlflow" / "Dockerfile",
            target=None,
            locks=("mlflow",),
            sources=(),
        ),
        Image(
            name="postgres",
            dockerfile=Path(__file__).parent / "postgres" / "Dockerfile",
            target=None,
            locks=("postgres",),
            sources=(),
        ),
    )
}

#: Images of one static program: an S3-compatible server over a directory.
PROGRAMS = {"objectstore": (components.VERSITYGW, "versitygw")}


def ensure_images(names: Iterable[str], progress: Progress) -> dict[str, Path]:
    """Builds what the cache lacks, and returns each image's archive.

    Raises:
        HostError: packages for the building are missing.
        BuildError: a build failed; with the end of what it said.
    """
    named = list(names)
    wanted = [IMAGES[name] for name in named if name not in PROGRAMS]
    missing = [image for image in wanted if not cache.entry("images", image.name, image.key).exists()]
    if missing:
        host.prepare({**host.LIGHT_COMMANDS, **host.IMAGE_COMMANDS}, progress)
        progress.expect(len(missing))
    built = {image.name: _ensure(image, progress) for image in wanted}
    return built | {name: _program(name, progress) for name in named if name in PROGRAMS}


def _program(name: str, progress: Progress) -> Path:
    component, program = PROGRAMS[name]
    return scratch.ensure(f"localhost/{name}:dev", Path(build.build((component,), progress)[program]))


def _ensure(image: Image, progress: Progress) -> Path:
    entry = cache.obtain("images", image.name, image.key, partial(_make, image, progress))
    _forget_old(image, entry)
    return entry / "image.tar"


def _forget_old(image: Image, newest: Path) -> None:
    newest.touch()
    entries = sorted(newest.parent.glob(f"{image.name}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for entry in entries[KEPT_ARCHIVES:]:
        shutil.rmtree(entry, ignore_errors=True)


def _make(image: Image, progress: Progress, work: Path) -> None:
    root = base.rootfs(progress)
    wheels = {lock: _wheels(lock, progress) for lock in image.locks}
    with (
        progress.step(f"building image {image.name}"),
        cache.locked(cache.root() / "buildah" / ".lock"),
        _context(image, wheels) as context,
    ):
        foundation = _foundation(root, cache.digest(*_locks(image)))
        target = [] if image.target is None else ["--target", image.target]
        _buildah(
            *("build-using-dockerfile", "--pull-never", "--network", "none", "--layers", "--format", "oci", *target),
            *(
                "--build-arg",
                f"BASE={foundation}",
                "--tag",
                image.reference,
                "--file",
                str(image.dockerfile),
                str(context),
            ),
        )
        # Layers in this form are not compressed, which would cost time here and at each import.
        _buildah("push", image.reference, f"{ARCHIVE}:{work / 'image.tar'}:{image.reference}")
        _prune()


def _prune() -> None:
    """Empties the layer cache of the builder once it has grown; it makes a change of code cheap.

    A build that was killed left its container, and no image of one can be taken away. Nobody builds beside us.
    """
    if len(_buildah("images", "--all", "--quiet").split()) > LAYER_CACHE:
        _buildah("rm", "--all")
        _buildah("rmi", "--prune")


@contextmanager
def _context(image: Image, wheels: dict[str, Path]) -> Iterator[Path]:
    """The directory that the Dockerfile sees: requirements, wheels and code, and nothing else of the checkout."""
    with tempfile.TemporaryDirectory(prefix="context-", dir=cache.root() / "buildah") as name:
        context = Path(name)
        (context / "requirements").mkdir()
        for lock, directory in wheels.items():
            shutil.copy(REQUIREMENTS / f"{lock}.txt", context / "requirements")
            # Hard links, where the file system has them: wheelhouses are large.
            shutil.copytree(directory, context / "wheels" / lock, copy_function=cache.link_or_copy)
        for source in (*image.sources, *image.beside):
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(PROJECT / source, context / source, ignore=ignored)
        yield context


def _foundation(rootfs: Path, locks: str) -> str:
    """Puts the base into buildah's store, once for each set of lock files, and returns its name.

    The builder's layer cache does not look into what a RUN has mounted. An image of its own to start from keeps it
    from taking the packages of another set for those of this one.
    """
    base_reference = f"localhost/tidegate-base:{rootfs.parent.name}"
    reference = f"{base_reference}-{locks}"
    known = _buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()
    if base_reference not in known:
        container = _buildah("from", "--pull-never", "scratch").strip()
        _buildah("add", container, str(rootfs), "/")
        _buildah("commit", "--disable-compression", "--rm", container, base_reference)
    if reference not in known:
        container = _buildah("from", "--pull-never", base_reference).strip()
        _buildah("config", "--label", f"locks={locks}", container)
        _buildah("commit", "--disable-compression", "--rm", container, reference)
    return reference


def _locks(image: Image) -> list[Path]:
    return [REQUIREMENTS / f"{lock}.txt" for lock in image.locks]


def _wheels(lock: str, progress: Progress) -> Path:
    file = REQUIREMENTS / f"{lock}.txt"

    def make(work: Path) -> None:
        progress.expect(1)
        with progress.step(f"downloading the wheels of {file.name}"):
            download = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
            host.pip([*download, "--dest", str(work), "--requirement", str(file)], progress, version=PYTHON)

    return cache.obtain("wheels", lock, cache.digest(file), make)


def _buildah(*arguments: str) -> str:
    store = cache.root() / "buildah"
    places = [f"--root={store}/store", f"--runroot={store}/run", "--storage-driver=overlay"]
    program = host.which("buildah")
    if program is None:
        raise BuildError("buildah is not installed")
    return base.run([program, *places, *arguments], {"TMPDIR": str(store)})
