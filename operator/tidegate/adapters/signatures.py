"""MLflow's signatures of webhooks, by secrets in a file, as a Secret is mounted.

`X-MLflow-Signature` is `v1,` and the base64 of the HMAC-SHA256 over `<delivery id>.<timestamp>.<body>` (MLflow's
`webhooks/delivery.py`, after the Standard Webhooks specification).
"""

import base64
import hmac
from hashlib import sha256

from tidegate.adapters.secretlines import SecretLines

_VERSION = "v1"


class SecretFile:
    """A delivery that is signed with a secret of the file is genuine."""

    def __init__(self, path: str) -> None:
        self._secrets = SecretLines(path, "secrets")

    def signed(self, signature: str, delivery: str, timestamp: str, body: bytes) -> bool:
        """Whether a delivery was signed with one of the secrets, found out in constant time.

        Raises:
            OSError: the file can't be read, or is no file of secrets. Nothing can be verified then.
        """
        content = f"{delivery}.{timestamp}.".encode() + body
        given = signature.encode("utf-8", "replace")
        # Every one is compared, so that the time tells nothing.
        return sum(hmac.compare_digest(given, _signature(secret, content)) for secret in self._secrets.now()) > 0


def _signature(secret: bytes, content: bytes) -> bytes:
    digest = hmac.new(secret, content, sha256).digest()
    return f"{_VERSION},".encode() + base64.b64encode(digest)
