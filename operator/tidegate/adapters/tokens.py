"""Bearer tokens in a file, as a Secret is mounted, compared in constant time."""

import hmac
from hashlib import sha256

from tidegate.adapters.secretlines import SecretLines


class TokenFile:
    """Whoever shows a token of the file is let in."""

    def __init__(self, path: str) -> None:
        self._tokens = SecretLines(path, "tokens")

    def admits(self, token: str) -> bool:
        """Whether a token is one of those in the file.

        Raises:
            OSError: the file can't be read, or is no file of tokens. Nobody can be admitted then.
        """
        given = sha256(token.encode()).digest()
        # Every one is compared, so that the time tells nothing.
        return sum(hmac.compare_digest(given, sha256(known).digest()) for known in self._tokens.now()) > 0
