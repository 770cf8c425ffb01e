"""A certificate in files, as a Secret is mounted: taken anew when it changes, without an end of any connection."""

import asyncio
import ssl
from pathlib import Path

import structlog

_log = structlog.get_logger("tidegate")
#: Seconds between two looks at the files.
AGAIN = 10.0


class Certificate:
    """What the door at `port` shows. `cert_file` has the chain, `key_file` the key (PEM).

    Raises:
        OSError: the files can't be read, or don't belong together.
    """

    def __init__(self, cert_file: str, key_file: str, *, port: int) -> None:
        self.port = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._files = (cert_file, key_file)
        self._state: object = None
        self.renew()

    async def follow(self) -> None:
        """Take changed files until cancelled. Ones that can't be read leave what was read before."""
        while True:
            await asyncio.sleep(AGAIN)
            try:
                self.renew()
            except OSError as error:
                _log.error("certificate not read", error=str(error))

    def renew(self) -> None:
        """Take the files if they have changed: connections made from now on see them.

        Raises:
            OSError: they can't be read, or don't belong together.
        """
        state = [(found.st_ino, found.st_mtime_ns, found.st_size) for found in (Path(f).stat() for f in self._files)]
        if state != self._state:
            # First where nobody looks: a pair that does not belong together would spoil the one that is shown.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
            self._state = state
