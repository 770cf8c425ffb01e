"""What receivers of notices have in common: one POST of JSON, and what its answer means.

Addresses are secrets (whoever has a Slack URL may write there), so nothing that is said of a failure names one.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from tidegate.ports import Answer, Delivery

#: The longest that a receiver may ask to be left alone, in seconds.
LONGEST_WAIT = 60.0
#: Characters of an answer's body that are repeated to a person.
_SAID = 120
_SUCCESS = range(200, 300)
_SERVER_FAULT = 500
#: Request timeout, too early, too many requests: the receiver may take the same later.
_LATER = frozenset({408, 425, 429})


class Webhook:
    """One address that JSON is posted to. Redirects are not followed: they would carry the secret elsewhere.

    Args:
        url, headers: Where it is posted to, and with what.
        token_file: Holds a bearer token; read for each post, so that a rotated one is taken.
        ca_file: Certificates that the receiver's is to be signed by, in place of the system's.

    Raises:
        OSError: `ca_file` can't be read.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, token_file: str = "", ca_file: str = "") -> None:
        self._url = url
        self._headers = {"User-Agent": "tidegate", **headers}
        self._token_file = Path(token_file) if token_file else None
        self._ssl = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes) -> Answer:
        """Post it; whatever comes of it is the answer."""
        try:
            headers = self._authorization()
        except (OSError, UnicodeDecodeError):
            return Answer(delivery=Delivery.FAILED, detail="the file with the token can't be read")
        try:
            async with self._opened().post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                return await _read(answer)
        except (aiohttp.ClientSSLError, ssl.SSLError):
            return Answer(delivery=Delivery.FAILED, detail="its certificate is not trusted, or TLS failed otherwise")
        except aiohttp.ClientConnectionError:
            return Answer(delivery=Delivery.FAILED, detail="no connection")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Their texts may have the address in them.
            return Answer(delivery=Delivery.FAILED, detail=type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        return {"Authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"}

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, ssl=self._ssl),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(),  # the caller's to bound
                trust_env=False,
            )
        return self._session


async def _read(answer: aiohttp.ClientResponse) -> Answer:
    if answer.status in _SUCCESS:
        return Answer(delivery=Delivery.DELIVERED)
    said = (await answer.content.read(_SAID)).decode("utf-8", "replace")
    words = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    detail = f"answered {answer.status}{f': {words}' if words else ''}"
    if answer.status in _LATER or answer.status >= _SERVER_FAULT:
        return Answer(delivery=Delivery.FAILED, detail=detail, wait=_wait(answer.headers.get("Retry-After", "")))
    return Answer(delivery=Delivery.REFUSED, detail=detail)


def _wait(header: str) -> float | None:
    if not (header.isascii() and header.isdigit() and len(header) < 10):  # noqa: PLR2004 (a number that fits)
        return None
    return min(float(header), LONGEST_WAIT)
