"""What everybody who posts something to the operator is held to: the size of a body, and the time it takes to come."""

import asyncio

from aiohttp import web

#: Seconds until a body is there.
PATIENCE = 5.0


class Answer(Exception):  # noqa: N818 (an answer that ends the request early, not an error of ours)
    """What the sender gets instead of an effect. `again`: seconds after which it may ask again."""

    def __init__(self, status: int, text: str, *, again: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {} if again is None else {"Retry-After": str(max(1, round(again)))}
        if status == web.HTTPUnauthorized.status_code:
            self.headers["WWW-Authenticate"] = 'Bearer realm="tidegate"'

    def response(self) -> web.Response:
        """The answer on the wire. After a 503 the connection is shut: another replica may do what this one can't."""
        response = web.json_response({"error": str(self)}, status=self.status, headers=self.headers)
        if self.status == web.HTTPServiceUnavailable.status_code:
            response.force_close()
        return response


async def body_of(request: web.Request, largest: int, remedy: str = "") -> bytes:
    """The body, no larger (bytes) and no slower than it may be.

    Raises:
        Answer: it is, or it broke off.
    """
    too_large = f"more than {largest} bytes{remedy}"
    if (request.content_length or 0) > largest:
        raise Answer(413, too_large)
    read = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.content.iter_any():
                read += chunk
                if len(read) > largest:
                    raise Answer(413, too_large)
    except TimeoutError as error:
        # Not 408: Alertmanager tells again after a 5xx and gives up after everything else.
        raise Answer(503, f"the body was not there in {PATIENCE:g}s", again=1) from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise Answer(400, f"the body broke off: {error}") from error
    return bytes(read)
