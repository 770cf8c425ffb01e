"""MLflow's signatures of webhooks, by secrets in a file, as a Secret is mounted: read anew when it changes.

`X-MLflow-Signature` is `v1,` and the base64 of the HMAC-SHA256 over `<delivery id>.<timestamp>.<body>` (MLflow's
`webhooks/delivery.py`, after the Standard Webhooks specification).
"""

import base64
import hmac
from hashlib import sha256
from pathlib import Path

import structlog

_log = structlog.get_logger("tidegate")
#: Characters of the shortest secret that is believed: 16 of base64 are 96 bits.
SHORTEST = 16
_LARGEST = 64 * 1024
_VERSION = "v1"


class SecretFile:
    """Secrets line by line, each valid: a new one can be added before the old one is taken away."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._state: tuple[int, int, int] | None = None
        self._known: tuple[bytes, ...] = ()

    def signed(self, signature: str, delivery: str, timestamp: str, body: bytes) -> bool:
        """Whether a delivery was signed with one of the secrets, found out in constant time.

        Raises:
            OSError: the file can't be read, or is no file of secrets. Nothing can be verified then.
        """
        self._renew()
        content = f"{delivery}.{timestamp}.".encode() + body
        given = signature.encode("utf-8", "replace")
        # Every one is compared, so that the time tells nothing.
        return sum(hmac.compare_digest(given, _signature(secret, content)) for secret in self._known) > 0

    def _renew(self) -> None:
        found = self._path.stat()
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state == self._state:
            return
        if found.st_size > _LARGEST:
            raise OSError(f"{self._path} is larger than {_LARGEST} bytes")
        try:
            lines = [line.strip() for line in self._path.read_text(encoding="utf-8").splitlines()]
        except UnicodeDecodeError as error:
            raise OSError(f"{self._path} is no text") from error
        secrets = [line for line in lines if len(line) >= SHORTEST]
        if len(secrets) < len([line for line in lines if line]) or not secrets:
            _log.error("secrets of less than 16 characters are not believed", file=str(self._path))
        self._known = tuple(secret.encode() for secret in secrets)
        self._state = state


def _signature(secret: bytes, content: bytes) -> bytes:
    digest = hmac.new(secret, content, sha256).digest()
    return f"{_VERSION},".encode() + base64.b64encode(digest)
