"""A model directory on disk: is it whole, is it the one we want, and how it takes its place.

A download never grows in place. It is made beside its destination, checked and digested there, and renamed; a note
beside the directory says what it is, so that a restarted init container can tell a finished download from a leftover.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Final

import yaml

from tidegate_runtime.digest import Digest, digest_tree
from tidegate_runtime.faults import ArtifactCorrupt, ArtifactMissing, DigestMismatch, StorageUnavailable
from tidegate_runtime.settings import DownloadSettings

MLMODEL: Final = "MLmodel"
_PYFUNC: Final = "python_function"
_PATHS_IN_PYFUNC: Final = ("model_path", "data", "code", "python_model")
#: Names the file by the path that it had where the model was logged; MLflow keeps it at the top, under its last part.
_CODE_IN_PYFUNC: Final = "model_code_path"


def check_model_directory(root: Path) -> None:
    """Make sure that ``root`` holds an MLflow model with a pyfunc flavour and the files which that flavour names.

    Raises:
        ArtifactMissing: There is no ``MLmodel``.
        ArtifactCorrupt: ``MLmodel`` can't be read, has no pyfunc flavour, or names files that aren't there.
    """
    path = root / MLMODEL
    if not path.is_file():
        raise ArtifactMissing(
            f"the version has no {MLMODEL} file: its artifacts were deleted (mlflow gc), or no model was logged there"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArtifactCorrupt(f"{MLMODEL} is no YAML: {error}") from error
    flavor = _pyfunc_flavor(content)
    paths = {field: flavor.get(field) for field in _PATHS_IN_PYFUNC}
    logged = flavor.get(_CODE_IN_PYFUNC)
    paths[_CODE_IN_PYFUNC] = PurePath(logged).name if isinstance(logged, str) else None
    for field, named in paths.items():
        if isinstance(named, str) and not (root / named).exists():
            raise ArtifactCorrupt(f"{MLMODEL} names {named} as {field} of the {_PYFUNC} flavor, but it is not there")


def verify(found: Digest, settings: DownloadSettings) -> None:
    """Hold the files to the digest recorded for the revision, if there is one.

    Raises:
        DigestMismatch: They are not the same.
    """
    if settings.expected_digest is not None and found.value != settings.expected_digest:
        raise DigestMismatch(
            f"version {settings.model_version} of {settings.model_name} has digest {found.value}, but the revision was"
            f" recorded with {settings.expected_digest}: somebody changed the artifact; register a new version instead"
        )


def already_there(settings: DownloadSettings) -> Digest | None:
    """Return the digest of a finished download of exactly this version, or None if there is none to be trusted."""
    try:
        note = json.loads(_note(settings.model_dir).read_text(encoding="utf-8"))
        found = digest_tree(settings.model_dir)
    except (OSError, ValueError, ArtifactCorrupt):
        return None
    wanted = {"name": settings.model_name, "version": settings.model_version, "digest": found.value}
    return found if note == wanted else None


@contextmanager
def staging(settings: DownloadSettings) -> Iterator[Path]:
    """Give an empty directory on the destination's file system; clear away what an interrupted run left.

    Raises:
        StorageUnavailable: The parent of the model directory is not writable, or its volume is full.
    """
    parent = settings.model_dir.parent
    prefix = f".{settings.model_dir.name}.partial-"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for leftover in parent.glob(f"{prefix}*"):
            shutil.rmtree(leftover)
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise StorageUnavailable(
            f"{parent} can't be written: {error.strerror}; mount a writable volume there"
        ) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def place(model: Path, digest: Digest, settings: DownloadSettings) -> None:
    """Put the checked directory ``model`` in its place, instead of whatever is there.

    Raises:
        StorageUnavailable: The volume refuses.
    """
    note = _note(settings.model_dir)
    try:
        # Without its note the old directory counts as unfinished, so a crash from here on only means a new download.
        note.unlink(missing_ok=True)
        if settings.model_dir.exists():
            settings.model_dir.rename(model.with_name("replaced"))
        model.rename(settings.model_dir)
        written = model.with_name("note")
        written.write_text(
            json.dumps({"name": settings.model_name, "version": settings.model_version, "digest": digest.value}),
            encoding="utf-8",
        )
        written.rename(note)
    except OSError as error:
        raise StorageUnavailable(
            f"{settings.model_dir} can't be placed: {error.strerror}; mount the volume at {settings.model_dir.parent}"
        ) from error


def _pyfunc_flavor(content: Any) -> dict[str, Any]:
    flavors = content.get("flavors") if isinstance(content, dict) else None
    flavor = flavors.get(_PYFUNC) if isinstance(flavors, dict) else None
    if not isinstance(flavor, dict):
        raise ArtifactCorrupt(f"{MLMODEL} has no {_PYFUNC} flavor: log the model with a flavor that MLflow can serve")
    return flavor


def _note(model_dir: Path) -> Path:
    return model_dir.with_name(f".{model_dir.name}.json")
