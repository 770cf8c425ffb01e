"""The init container: one pinned model version from the registry to the pod's volume.

MLflow's client reads the registry's address and credentials from the environment (``MLFLOW_TRACKING_*``). Its many
ways to fail are told apart here, and nowhere else.
"""

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from tidegate_runtime.artifact import already_there, check_model_directory, place, staging, verify
from tidegate_runtime.digest import Digest, digest_tree
from tidegate_runtime.faults import (
    ArtifactCorrupt,
    ArtifactMissing,
    DownloadFault,
    ModelVersionNotFound,
    RegistryUnauthorized,
    RegistryUnreachable,
    StorageUnavailable,
)
from tidegate_runtime.settings import DownloadSettings

_logger = logging.getLogger(__name__)

_REFUSED: Final = frozenset({"PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED"})
_NOT_FOUND: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
# What requests says for a 4xx; MLflow joins these texts when files of a directory fail, and drops the status.
_CLIENT_ERROR: Final = re.compile(r"\b(4\d\d) Client Error")
_REFUSED_STATUS: Final = frozenset({401, 403})
_NOT_FOUND_STATUS: Final = 404
_HOST_REFUSED: Final = "Invalid Host header"


def download(settings: DownloadSettings) -> Digest:
    """Bring the version's files to ``settings.model_dir`` and return their digest.

    Safe to run again at any point: a finished download of the same version is verified and kept, without asking the
    registry; anything else is replaced.

    Raises:
        DownloadFault: It can't be done; the class says why.
    """
    digest = already_there(settings)
    if digest is not None:
        verify(digest, settings)
        _logger.info("version %s of %s is here already", settings.model_version, settings.model_name)
        return digest
    with staging(settings) as directory:
        model = _fetch(_locate(settings), directory)
        check_model_directory(model)
        digest = _digest(model)
        verify(digest, settings)
        place(model, digest, settings)
    _logger.info(
        "version %s of %s: %d bytes, %s", settings.model_version, settings.model_name, digest.size, digest.value
    )
    return digest


def _locate(settings: DownloadSettings) -> str:
    """Ask the registry where the version's files are.

    By name and number as request parameters: a ``models:/`` URI has no way to quote what a name may contain.
    """
    with _translated(not_found=ModelVersionNotFound):
        location: str = MlflowClient().get_model_version_download_uri(settings.model_name, settings.model_version)
    return location


def _fetch(location: str, directory: Path) -> Path:
    destination = directory / "model"
    with _translated(not_found=ArtifactMissing):
        path = Path(download_artifacts(artifact_uri=location, dst_path=str(destination)))
    if path.is_dir():
        return path
    if path.exists():
        raise ArtifactCorrupt(f"the version points at a single file, {path.name}, not at an MLflow model directory")
    raise ArtifactMissing("the version has no files: its artifacts were deleted, or no model was logged there")


def _digest(model: Path) -> Digest:
    try:
        return digest_tree(model)
    except OSError as error:
        raise StorageUnavailable(f"the downloaded files can't be read back: {error.strerror}") from error


@contextmanager
def _translated(*, not_found: type[DownloadFault]) -> Iterator[None]:
    """Raise what MLflow, requests and the file system raise as the one fault that it means."""
    try:
        yield
    except MlflowException as error:
        raise _from_mlflow(error, not_found)(_with_remedy(error.message)) from error
    except requests.HTTPError as error:
        raise _from_text(str(error), not_found)(_with_remedy(str(error))) from error
    except requests.RequestException as error:
        raise RegistryUnreachable(f"the registry does not answer: {error}") from error
    except OSError as error:
        fault = StorageUnavailable if error.errno in {errno.ENOSPC, errno.EROFS, errno.EDQUOT} else not_found
        raise fault(f"the model's files can't be copied: {error}") from error
    except ImportError as error:
        raise ArtifactMissing(
            f"the artifact store needs the Python module {error.name}, which this image lacks: serve artifacts through"
            " the MLflow server, or use a runtime image that has it"
        ) from error


def _from_mlflow(error: MlflowException, not_found: type[DownloadFault]) -> type[DownloadFault]:
    if error.error_code in _REFUSED:
        return RegistryUnauthorized
    if error.error_code in _NOT_FOUND:
        return not_found
    return _from_text(error.message, not_found)


def _from_text(message: str, not_found: type[DownloadFault]) -> type[DownloadFault]:
    if "No space left on device" in message:
        return StorageUnavailable
    statuses = {int(status) for status in _CLIENT_ERROR.findall(message)}
    if statuses & _REFUSED_STATUS:
        return RegistryUnauthorized
    if _NOT_FOUND_STATUS in statuses:
        return not_found
    return RegistryUnreachable


def _with_remedy(message: str) -> str:
    if _HOST_REFUSED in message:
        return f"the MLflow server refuses this host name; start it with --allowed-hosts for it ({message})"
    return message
