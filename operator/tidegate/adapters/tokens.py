"""A bearer token in a file, as a Secret is mounted: read anew when it changes, compared in constant time."""

import hmac
from hashlib import sha256
from pathlib import Path

import structlog

_log = structlog.get_logger("tidegate")
#: Characters of the shortest token that is believed: 16 of base64 are 96 bits.
SHORTEST = 16
_LARGEST = 64 * 1024


class TokenFile:
    """Tokens line by line, each valid: a new one can be added before the old one is taken away."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._state: tuple[int, int, int] | None = None
        self._known: tuple[bytes, ...] = ()

    def admits(self, token: str) -> bool:
        """Whether a token is one of those in the file.

        Raises:
            OSError: the file can't be read, or is no file of tokens. Nobody can be admitted then.
        """
        self._renew()
        given = sha256(token.encode()).digest()
        # Every one is compared, so that the time tells nothing.
        return sum(hmac.compare_digest(given, known) for known in self._known) > 0

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
        tokens = [line for line in lines if len(line) >= SHORTEST]
        if len(tokens) < len([line for line in lines if line]) or not tokens:
            _log.error("tokens of less than 16 characters are not believed", file=str(self._path), believed=len(tokens))
        self._known = tuple(sha256(line.encode()).digest() for line in tokens)
        self._state = state
