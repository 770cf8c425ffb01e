"""The termination message: the one line of a container that the kubelet copies into the pod's status.

It ends up in a condition of the ModelDeployment, so it never carries a credential.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tidegate_runtime.digest import Digest
from tidegate_runtime.faults import RuntimeFault
from tidegate_runtime.settings import DEFAULT_TERMINATION_LOG, TERMINATION_LOG

_logger = logging.getLogger(__name__)

# The kubelet cuts at 4096 bytes, and a cut would leave no JSON; in UTF-8 a character takes up to 4.
_LONGEST_MESSAGE: Final = 900
_SHORTEST_SECRET: Final = 4
_SECRET_NAMES: Final = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY: Final = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]+")


def write_success(digest: Digest, environ: Mapping[str, str]) -> None:
    """Tell the operator what was downloaded: ``{"digest": "sha256:...", "bytes": n}``."""
    _write({"digest": digest.value, "bytes": digest.size}, environ)


def write_failure(fault: RuntimeFault, environ: Mapping[str, str]) -> None:
    """Tell the operator why this container ends: ``{"error": "<reason>", "message": "..."}``."""
    _write({"error": fault.reason, "message": presentable(str(fault), environ)}, environ)


def presentable(message: str, environ: Mapping[str, str]) -> str:
    """Make ``message`` fit for a condition: one line, bounded, without credentials.

    User names and passwords in URLs, query strings of URLs (signed links), and the values of environment variables
    whose names speak of secrets are taken out.
    """
    for name, value in environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAMES.search(name):
            message = message.replace(value, "***")
    message = _QUERY.sub(r"\1?***", _USERINFO.sub("***@", message))
    message = " ".join(message.encode("utf-8", "replace").decode("utf-8").split())
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"


def _write(content: Mapping[str, str | int], environ: Mapping[str, str]) -> None:
    path = Path(environ.get(TERMINATION_LOG) or DEFAULT_TERMINATION_LOG)
    try:
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        # Outside a pod there is no such file; the exit code and the log still say it.
        _logger.warning("termination message not written to %s: %s", path, error.strerror)
