"""The store of what is built once: directories named by the content of their recipe.

An entry appears by one rename, so that whoever sees it sees all of it. Two runs
that want the same entry meet at a lock, and the second finds it made.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def root() -> Path:
    """The cache's directory: `TIDEGATE_CACHE`, or `~/.cache/tidegate`."""
    named = os.environ.get("TIDEGATE_CACHE")
    return Path(named).absolute() if named else Path.home() / ".cache" / "tidegate"


def digest(*parts: str | bytes | Path) -> str:
    """Names a recipe by its content: strings as they are, a file by its bytes, a directory by its files."""
    total = hashlib.sha256()
    for part in parts:
        for label, content in _contents(part):
            for piece in (label, content):
                total.update(len(piece).to_bytes(8, "big") + piece)
    return total.hexdigest()[:20]


def _contents(part: str | bytes | Path) -> Iterator[tuple[bytes, bytes]]:
    if isinstance(part, Path):
        for file in _files(part):
            yield str(file.relative_to(part) if file != part else file.name).encode(), file.read_bytes()
    else:
        yield b"", part.encode() if isinstance(part, str) else part


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def entry(kind: str, name: str, key: str) -> Path:
    """Where the entry of that recipe is, or would be."""
    return root() / kind / f"{name}-{key}"


def obtain(kind: str, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Returns the entry, made by `make(directory)` if it is not there yet.

    Safe for several processes at once; a maker that was killed leaves a
    temporary directory, which the next maker of the same entry removes.
    """
    final = entry(kind, name, key)
    if final.exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with locked(final.with_name(f".{final.name}.lock")):
        if final.exists():
            return final
        for stale in final.parent.glob(f".{final.name}.tmp-*"):
            shutil.rmtree(stale)
        work = Path(tempfile.mkdtemp(prefix=f".{final.name}.tmp-", dir=final.parent))
        try:
            make(work)
            work.chmod(0o755)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file, which the kernel drops with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def link_or_copy(source: str, target: str) -> str:
    """Makes a hard link where the file system allows it, else a copy; for `shutil.copytree`."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
    return target
