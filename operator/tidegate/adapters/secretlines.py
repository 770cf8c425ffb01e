"""Secrets in a file, one a line, as a Secret is mounted: read anew when it changes."""

from pathlib import Path

import structlog

_log = structlog.get_logger("tidegate")
#: Characters of the shortest one that is believed: 16 of base64 are 96 bits.
SHORTEST = 16
_LARGEST = 64 * 1024


class SecretLines:
    """Every line is valid: a new one can be added before the old one is taken away. `what` is what they are called."""

    def __init__(self, path: str, what: str) -> None:
        self._path = Path(path)
        self._what = what
        self._state: tuple[int, int, int] | None = None
        self._known: tuple[bytes, ...] = ()

    def now(self) -> tuple[bytes, ...]:
        """Those that are long enough to be believed.

        Raises:
            OSError: the file can't be read, or is no text of a bearable size.
        """
        found = self._path.stat()
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state != self._state:
            self._known = self._read(found.st_size)
            self._state = state
        return self._known

    def _read(self, size: int) -> tuple[bytes, ...]:
        if size > _LARGEST:
            raise OSError(f"{self._path} is larger than {_LARGEST} bytes")
        try:
            lines = [line.strip() for line in self._path.read_text(encoding="utf-8").splitlines()]
        except UnicodeDecodeError as error:
            raise OSError(f"{self._path} is no text") from error
        believed = tuple(line.encode() for line in lines if len(line) >= SHORTEST)
        if len(believed) < len([line for line in lines if line]) or not believed:
            short = f"{self._what} of less than {SHORTEST} characters are not believed"
            _log.error(short, file=str(self._path), believed=len(believed))
        return believed
