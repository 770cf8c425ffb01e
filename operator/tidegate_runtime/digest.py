"""The digest of a model directory: what it is that runs, in 71 characters.

MLflow's artifacts are mutable and carry no digest, so a revision records one with its first pod and holds later pods
to it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate_runtime.faults import ArtifactCorrupt

_CHUNK_BYTES: Final = 1024 * 1024
# The MLflow client writes this file itself at download, with the aliases' state of that moment.
_NOT_PART_OF_THE_MODEL: Final = frozenset({"registered_model_meta"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A digest and the sum of the sizes it covers.

    Attributes:
        value: ``sha256:`` and 64 hexadecimal digits.
        size: Sum of the files' sizes in bytes.
    """

    value: str
    size: int


def digest_tree(root: Path) -> Digest:
    """Digest every file below ``root``: sha256 over the sorted (relative path, size, sha256 of the content).

    Times, modes, empty directories and a ``registered_model_meta`` at the top don't count.

    Raises:
        ArtifactCorrupt: Something below ``root`` is neither a file nor a directory.
        OSError: A file can't be read.
    """
    lines: list[bytes] = []
    total = 0
    for relative in sorted(_files(root)):
        size, content = _digest_file(root / relative)
        lines.append(b"\0".join((os.fsencode(relative), str(size).encode(), content.encode())) + b"\n")
        total += size
    return Digest(value=f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}", size=total)


def _files(root: Path) -> list[str]:
    found: list[str] = []
    for directory, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = Path(directory, name)
            relative = path.relative_to(root).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise ArtifactCorrupt(f"{relative} is neither a file nor a directory")
            if name in names and relative not in _NOT_PART_OF_THE_MODEL:
                found.append(relative)
    return found


def _digest_file(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
