"""The runtime's settings: environment variables in, checked values out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tidegate_runtime.faults import ConfigurationInvalid

TERMINATION_LOG: Final = "TIDEGATE_TERMINATION_LOG"
DEFAULT_TERMINATION_LOG: Final = "/dev/termination-log"
DEFAULT_MODEL_DIR: Final = "/models/model"
DEFAULT_PORT: Final = 8080
DEFAULT_DRAIN_SECONDS: Final = 30
DEFAULT_THREADS: Final = 4
DEFAULT_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_HIGHEST_PORT: Final = 65535
_SHA256_HEX_DIGITS: Final = 64

LIBRARY_DEFAULTS: Final[Mapping[str, str]] = {
    # Nothing that runs in a pod reports home, and there is no git in the image for GitPython to find.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow's own defaults block one call for four minutes; a kubelet restart is the better retry.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Set before MLflow is imported, where the pod's environment does not say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """What the init container brings here.

    Attributes:
        model_name: The registered model's name, as in the registry.
        model_version: The version's number; never an alias or a stage, which would resolve anew at each restart.
        model_dir: Where the model's files end up. Its parent must be writable: a download is placed by a rename.
        expected_digest: ``sha256:<hex>`` that the files must have, or None for the first pod of a revision.
    """

    model_name: str
    model_version: str
    model_dir: Path
    expected_digest: str | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            ConfigurationInvalid: A variable is missing or wrong; the message names it.
        """
        _required(environ, "MLFLOW_TRACKING_URI", "the registry to download from")
        return cls(
            model_name=_required(environ, "TIDEGATE_MODEL_NAME", "the registered model's name"),
            model_version=_version(environ),
            model_dir=Path(environ.get("TIDEGATE_MODEL_DIR") or DEFAULT_MODEL_DIR),
            expected_digest=_digest(environ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How the model server serves.

    Attributes:
        model_dir: The directory that holds ``MLmodel``.
        revision: The revision's name, sent back with every answer.
        model_version: The version's number, for ``tidegate_runtime_info``.
        port: TCP port of everything, metrics included; 0 takes a free one and logs it.
        drain_seconds: From SIGTERM to exit, at most.
        threads: Predictions that run at once; more wait their turn.
        max_body_bytes: The longest request body taken.
    """

    model_dir: Path
    revision: str
    model_version: str
    port: int
    drain_seconds: int
    threads: int
    max_body_bytes: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            ConfigurationInvalid: A variable is missing or wrong; the message names it.
        """
        return cls(
            model_dir=Path(environ.get("TIDEGATE_MODEL_DIR") or DEFAULT_MODEL_DIR),
            revision=_header_value(_required(environ, "TIDEGATE_REVISION", "the revision's name")),
            model_version=_version(environ),
            port=_integer(environ, "TIDEGATE_PORT", DEFAULT_PORT, least=0, most=_HIGHEST_PORT),
            drain_seconds=_integer(environ, "TIDEGATE_DRAIN_SECONDS", DEFAULT_DRAIN_SECONDS, least=1),
            threads=_integer(environ, "TIDEGATE_THREADS", DEFAULT_THREADS, least=1),
            max_body_bytes=_integer(environ, "TIDEGATE_MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES, least=1),
        )


def _required(environ: Mapping[str, str], variable: str, meaning: str) -> str:
    value = environ.get(variable, "").strip()
    if not value:
        raise ConfigurationInvalid(f"{variable} is not set: set it to {meaning}")
    return value


def _version(environ: Mapping[str, str]) -> str:
    variable = "TIDEGATE_MODEL_VERSION"
    value = _required(environ, variable, "the version's number")
    if not (value.isascii() and value.isdigit()) or value.startswith("0"):
        raise ConfigurationInvalid(
            f"{variable} is {value!r}: it must be a version number such as 7, not an alias or a stage"
        )
    return value


def _digest(environ: Mapping[str, str]) -> str | None:
    variable = "TIDEGATE_MODEL_DIGEST"
    value = environ.get(variable, "").strip()
    if not value:
        return None
    scheme, _, digits = value.partition(":")
    if scheme != "sha256" or len(digits) != _SHA256_HEX_DIGITS or set(digits) - set("0123456789abcdef"):
        raise ConfigurationInvalid(f"{variable} is {value!r}: it must be sha256: and 64 lower-case hexadecimal digits")
    return value


def _integer(environ: Mapping[str, str], variable: str, default: int, *, least: int, most: int | None = None) -> int:
    text = environ.get(variable, "").strip()
    if not text:
        return default
    bounds = f"at least {least}" if most is None else f"from {least} to {most}"
    message = f"{variable} is {text!r}: it must be a whole number, {bounds}"
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationInvalid(message)
    value = int(text)
    if value < least or (most is not None and value > most):
        raise ConfigurationInvalid(message)
    return value


def _header_value(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationInvalid(f"TIDEGATE_REVISION is {value!r}: it is sent as a header, so printable ASCII only")
    return value
