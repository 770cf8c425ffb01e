"""Instant queries of a Prometheus, or of what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).

Everything that can go wrong has its word in the vocabulary. Nothing is filled in: an answer that may be partial (one
with warnings) is none, since a counter of which a part is missing looks like one that went down.
"""

import asyncio
import math
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tidegate import jsontext
from tidegate.core.reasons import Reason
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable

#: An answer that is larger than this is none that a look can wait for.
LARGEST_ANSWER = 4 * 1024 * 1024
#: Characters kept of what Prometheus says of a query.
_SAID = 300
#: Seconds that a connection is kept which nobody uses: several looks by default, and not long after the last rollout.
KEPT = 15.0
_OK = 200
_UNAUTHORIZED = (401, 403)
_BAD_QUERY = (400, 422)
_SERVER_ERROR = 500
_PAIR = 2


class NoPrometheus:
    """`ports.Prometheus` where none is configured."""

    async def query(self, promql: str, *, timeout: float) -> tuple[Sample, ...] | Unavailable:  # noqa: ARG002, ASYNC109
        """See the port."""
        message = "no Prometheus is configured: set prometheus.url of the chart (TIDEGATE_PROMETHEUS_URL)"
        return Unavailable(reason=Reason.PROMETHEUS_NOT_CONFIGURED, message=message)

    async def close(self) -> None:
        """Nothing is open."""


class HttpPrometheus:
    """`ports.Prometheus` over HTTP.

    Args:
        url: Where `/api/v1/query` is below; user and password in it are sent as basic authentication and never told.
        token_file: Holds a bearer token; read for each query, so that a rotated one is taken.
        ca_file: Certificates that the server's is to be signed by, in place of the system's.

    Raises:
        ValueError: `url` is none of HTTP.
        OSError: `ca_file` can't be read.
    """

    def __init__(self, url: str, *, token_file: str = "", ca_file: str = "") -> None:
        parsed = URL(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ValueError("TIDEGATE_PROMETHEUS_URL must be an address such as http://prometheus.monitoring.svc:9090")
        user, password = parsed.user, parsed.password or ""
        self._basic = {"Authorization": aiohttp.encode_basic_auth(user, password)} if user else {}
        self._name = str(parsed.with_user(None)).rstrip("/")
        self._token_file = Path(token_file) if token_file else None
        self._ssl = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._session: aiohttp.ClientSession | None = None

    async def query(self, promql: str, *, timeout: float) -> tuple[Sample, ...] | Unavailable:  # noqa: ASYNC109
        """See the port."""
        try:
            async with asyncio.timeout(timeout):
                status, kind, body = await self._answer(promql)
            return _read(status, kind, body)
        except _Fault as fault:
            reason, why = fault.reason, str(fault)
        except TimeoutError:
            reason, why = Reason.PROMETHEUS_UNREACHABLE, f"no answer within {timeout:g} s"
        except aiohttp.ClientPayloadError:
            reason, why = Reason.PROMETHEUS_FAILING, "the answer broke off"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason, why = Reason.PROMETHEUS_UNREACHABLE, _words(error)
        return Unavailable(reason=reason, message=f"{self._name}: {why[:_SAID]}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _answer(self, promql: str) -> tuple[int, str, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT, ssl=self._ssl),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "User-Agent": "tidegate"},
                trust_env=False,
            )
        # A form, since a query may be longer than a URL. No time: it is Prometheus' clock that its samples go by.
        async with self._session.post(
            f"{self._name}/api/v1/query",
            data={"query": promql},
            headers=self._authorization(),
            allow_redirects=False,
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    said = f"the answer has more than {LARGEST_ANSWER >> 20} MB"
                    raise _Fault(Reason.PROMETHEUS_FAILING, said)
            return answer.status, answer.content_type, bytes(body)

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return self._basic
        return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}


class _Fault(Exception):  # noqa: N818 (never leaves this module)
    """An answer that can't be taken, with its word in the vocabulary."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


def _read(status: int, kind: str, body: bytes) -> tuple[Sample, ...]:
    if status in _UNAUTHORIZED:
        raise _Fault(Reason.PROMETHEUS_UNAUTHORIZED, f"the operator's credentials are not accepted ({status})")
    if status >= _SERVER_ERROR:
        raise _Fault(Reason.PROMETHEUS_UNREACHABLE, f"answered {status}")
    try:
        answer: Any = jsontext.read(body)
        if status in _BAD_QUERY:
            raise _Fault(Reason.QUERY_REFUSED, str(answer["error"]))
        if status != _OK or answer["status"] != "success":
            raise _Fault(Reason.PROMETHEUS_FAILING, f"answered {status}")
        if answer.get("warnings"):
            raise _Fault(Reason.PROMETHEUS_FAILING, f"the answer may be partial: {answer['warnings'][0]}")
        return _samples(answer["data"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = f"answered {status} with {kind}, which is no answer of Prometheus"
        raise _Fault(Reason.PROMETHEUS_FAILING, said) from error


def _samples(data: Mapping[str, Any]) -> tuple[Sample, ...]:
    match data["resultType"]:
        case "vector":
            return tuple(_sample(entry["metric"], entry["value"]) for entry in data["result"])
        case "scalar":
            return (_sample({}, data["result"]),)
        case other:
            words = f"the query gives a {other}, not numbers of one moment: leave the range out"
            raise _Fault(Reason.QUERY_REFUSED, words)


def _sample(labels: Mapping[str, str], pair: list[Any]) -> Sample:
    if len(pair) != _PAIR or not isinstance(pair[1], str):
        raise ValueError(pair)
    at = float(pair[0])
    if not math.isfinite(at):
        raise ValueError(pair)
    return Sample(labels={str(name): str(value) for name, value in labels.items()}, value=float(pair[1]), at=at)


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return os.strerror(error.os_error.errno) if error.os_error.errno else str(error.os_error)
    return str(error) or type(error).__name__
