"""Evidence read from the pods themselves: one GET of `/metrics` each, all at once, each within its own deadline."""

import asyncio
import os
from collections.abc import Mapping, Sequence

import aiohttp

from tidegate.adapters.exposition import Malformed
from tidegate.adapters.formats import read_page
from tidegate.core.plan import MetricsFormat, Runtime
from tidegate.core.readings import Reading, Unreadable
from tidegate.ports import PodTarget

#: A page that is larger than this is none that can be read every second.
LARGEST_PAGE = 2 * 1024 * 1024
#: From this size on parsing takes longer than the event loop may stand still.
_PARSE_ELSEWHERE = 128 * 1024
#: Seconds that a connection is kept which nobody uses: several looks by default, and not long after the last rollout.
KEPT = 15.0
_OK = 200
#: Asked for in the one form that is read here; uncompressed, so that a page's size is what is bounded.
_HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity", "User-Agent": "tidegate"}


class PodEvidence:
    """`ports.Evidence` over HTTP. A pod that hangs costs itself its reading and nobody else anything."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def read(
        self,
        targets: Sequence[PodTarget],
        runtime: Runtime,
        metrics: MetricsFormat | None,
        *,
        timeout: float,  # noqa: ASYNC109 (the port's)
    ) -> Mapping[str, Reading | Unreadable]:
        """See the port. The whole call takes about `timeout` seconds at most, however many targets there are."""
        session = self._opened()
        readings = await asyncio.gather(*(_read(session, target.url, runtime, metrics, timeout) for target in targets))
        return {target.uid: reading for target, reading in zip(targets, readings, strict=True)}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No limit of its own: the callers bound how many there are, and one that waited behind hanging pods would
            # be unreadable for a fault of others.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                trust_env=False,
            )
        return self._session


async def _read(
    session: aiohttp.ClientSession, url: str, runtime: Runtime, metrics: MetricsFormat | None, seconds: float
) -> Reading | Unreadable:
    try:
        async with asyncio.timeout(seconds):
            text = await _page(session, url)
            if len(text) > _PARSE_ELSEWHERE:
                return await asyncio.to_thread(read_page, text, runtime, metrics)
        return read_page(text, runtime, metrics)
    except Malformed as fault:
        return Unreadable(reason=f"{url}: {fault}")
    except TimeoutError:
        return Unreadable(reason=f"{url}: no answer within {seconds:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Unreadable(reason=f"{url}: {_words(error)}")


async def _page(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != _OK:
            raise Malformed(f"answered {answer.status}, not 200")
        kind = answer.headers.get("Content-Type", "text/plain").partition(";")[0].strip().lower()
        if kind != "text/plain":
            raise Malformed(f"answered {kind[:60]!r}, not text/plain as a metrics page is")
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > LARGEST_PAGE:
                raise Malformed(f"the page has more than {LARGEST_PAGE >> 20} MB")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"byte {error.start} is no UTF-8") from error


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return os.strerror(error.os_error.errno) if error.os_error.errno else str(error.os_error)
    return str(error) or type(error).__name__
