"""Passes webhooks on to the replica that leads, whose address stands in the Lease."""

import ssl
from collections.abc import Callable
from http import HTTPStatus

import aiohttp

#: Seconds that the other replica may take: MLflow waits for us meanwhile, and has threads for ten calls.
SECONDS = 2.0


class LeaderRelay:
    """`intake.webhooks.Relay` over HTTP.

    Args:
        leader: The URL of the replica that leads as other replicas reach it; empty where none is known.
        path: Where it takes webhooks.
        cert_file: With TLS, the certificate that all replicas show. It is made for the Service's name and not for a
            pod's address, so that it is known by itself.
    """

    def __init__(self, leader: Callable[[], str], path: str, *, cert_file: str = "") -> None:
        self._leader = leader
        self._path = path
        self._cert_file = cert_file

    async def __call__(self, headers: dict[str, str], body: bytes) -> bool:
        """See the protocol."""
        leader = self._leader()
        if not leader:
            return False
        limits = aiohttp.ClientTimeout(total=SECONDS)
        try:
            # One call now and then: a connection is not worth to be kept, and the certificate may have changed.
            connector = aiohttp.TCPConnector(ssl=self._known() if self._cert_file else True)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limits) as session,
                session.post(f"{leader}{self._path}", data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status == HTTPStatus.ACCEPTED
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _known(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._cert_file)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
