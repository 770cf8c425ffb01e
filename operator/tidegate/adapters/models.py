"""Requests of our own to a model server: one POST, within a deadline, with a bounded answer, and no way round."""

import asyncio
import os

import aiohttp

from tidegate.core.trials import NoReply, Reply

#: Bytes of an answer that are read; of a longer one the rest is left, with its connection.
LARGEST_ANSWER = 1024 * 1024
#: Characters of what a server says that go into a finding.
_LONGEST_WORDS = 200
#: Seconds until a pod that takes no connection is given up: it is on the same network.
_CONNECT = 2.0
_OK, _REDIRECT = 200, 300


class HttpModelClient:
    """`ports.ModelClient` over HTTP: no redirect is followed, no proxy used, no cookie kept."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: str, *, timeout: float) -> Reply | NoReply:  # noqa: ASYNC109 (the port's)
        """See the port."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(timeout):
                status, said = await self._answered(url, body, min(_CONNECT, timeout))
        except aiohttp.ConnectionTimeoutError:
            return NoReply(reason=f"{url}: no connection within {min(_CONNECT, timeout):g} s")
        except TimeoutError:
            return NoReply(reason=f"{url}: no answer within {timeout:g} s", late=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return NoReply(reason=f"{url}: {_words(error)}")
        words = "" if _OK <= status < _REDIRECT else _plain(said)
        return Reply(status=status, seconds=loop.time() - began, words=words)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _answered(self, url: str, body: str, connect: float) -> tuple[int, bytes]:
        bounds = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        async with self._opened().post(url, data=body.encode(), allow_redirects=False, timeout=bounds) as answer:
            said = bytearray()
            async for chunk in answer.content.iter_any():
                said += chunk
                if len(said) > LARGEST_ANSWER:
                    # What is left in it would be read before the next answer.
                    answer.close()
                    break
            return answer.status, bytes(said)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=5),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    "User-Agent": "tidegate",
                },
                trust_env=False,
            )
        return self._session


def _plain(said: bytes) -> str:
    """The beginning of somebody's words, on one line."""
    text = said[: 4 * _LONGEST_WORDS].decode("utf-8", "replace")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _LONGEST_WORDS else f"{words[: _LONGEST_WORDS - 1]}…"


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    return str(error) or type(error).__name__
