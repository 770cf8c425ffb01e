"""The way to the API server: where it is, whom it knows us as, and one pool of connections for everybody.

The client library reads kubeconfigs, with their plug-ins; a pod's service account is two files. Requests are made with
aiohttp: the library's generated classes would weigh more than the operator (ADR 14), and its own request layer parses
nothing that we need and retries by itself.
"""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import aiohttp
import yaml
from aiohttp.connector import Connection

from tidegate import jsontext
from tidegate.errors import Unreachable

#: Below the 90 s after which the API server closes an idle connection: a revert must not wait for a handshake.
_KEEP_ALIVE = 75.0
#: Seconds after which a service account's token is read again: the kubelet replaces it long before it expires.
_TOKEN_AGE = 60.0
#: Seconds until a request that was refused with 401 is asked again: a token may just be about to be replaced.
_ASK_AGAIN = 1.0
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
_KUBECONFIG = str(Path("~/.kube/config").expanduser())
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
Middleware = Callable[[aiohttp.ClientRequest, Handler], Awaitable[aiohttp.ClientResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An API server's URL, how to trust it, and whom it knows us as: `headers` is asked for each request."""

    server: str
    tls: ssl.SSLContext
    headers: Callable[[], Awaitable[Mapping[str, str]]]
    proxy: str | None = None


async def find_identity(account: Path = _ACCOUNT, *, token_age: float = _TOKEN_AGE) -> Identity:
    """Find the cluster: `KUBECONFIG` if set, else the pod's service account, else `~/.kube/config`.

    Raises:
        Unreachable: There is none of them, it can't be read, or it names nobody that we could be.
    """
    try:
        if not os.environ.get("KUBECONFIG") and _IN_CLUSTER in os.environ:
            return _of_pod(account, token_age)
        return await _of_kubeconfig()
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"no access to a cluster: {error!r}; set KUBECONFIG or run in a pod") from error


async def _of_kubeconfig() -> Identity:
    # Only here: it takes 16 MB and a second, and in a pod nobody needs it.
    from kubernetes.aio.client import Configuration  # noqa: PLC0415
    from kubernetes.aio.config import ConfigException, load_kube_config  # noqa: PLC0415

    configuration = Configuration()
    path = os.environ.get("KUBECONFIG") or _KUBECONFIG
    try:
        await load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)
    except ConfigException as error:
        raise ValueError(str(error)) from error
    if not (configuration.api_key or configuration.cert_file):
        raise ValueError("the kubeconfig's user has no token, password or certificate, and no plug-in gave it one")

    async def headers() -> Mapping[str, str]:
        token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"Authorization": token} if token else {}

    return Identity(server=configuration.host, tls=_tls(configuration), headers=headers, proxy=configuration.proxy)


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _of_pod(account: Path, token_age: float) -> Identity:
    host, port = os.environ[_IN_CLUSTER], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = _Token(account / "token", token_age)

    async def headers() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token.read()}"}

    return Identity(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=ssl.create_default_context(cafile=str(account / "ca.crt")),
        headers=headers,
    )


class _Token:
    """A file that is replaced now and then. Where it can't be read for once, what it held before goes on."""

    def __init__(self, file: Path, age: float) -> None:
        self._file = file
        self._age = age
        self._text = file.read_text(encoding="utf-8").strip()
        self._read = time.monotonic()

    def read(self) -> str:
        """The token, as it was at most `age` seconds ago."""
        if time.monotonic() - self._read >= self._age:
            self._read = time.monotonic()
            try:
                self._text = self._file.read_text(encoding="utf-8").strip() or self._text
            except OSError:
                return self._text
        return self._text


def own_namespace(default: str = "default") -> str:
    """The namespace that this process runs in, `default` outside a pod."""
    try:
        return (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or default
    except OSError:
        return default


class Access:
    """The API server at `server` (URL without a trailing slash), and the one pool of connections to it.

    `connections` bounds those that are open at a time; each watch holds one, and there are eight for each namespace
    where namespaces are named. Must be made inside a running loop.
    """

    def __init__(self, identity: Identity, *, connections: int = 1000) -> None:
        self.server: str = identity.server.rstrip("/")
        self.identity = identity
        # What was given up in the middle of an answer waits for the other side's farewell, too: two seconds, and not
        # beyond our end (asyncio's own limit is 30 s).
        self._connector = aiohttp.TCPConnector(
            limit=connections, ssl=identity.tls, keepalive_timeout=_KEEP_ALIVE, enable_cleanup_closed=True
        )
        self.session = self.share()

    def share(self, *, patient: bool = False, within: Middleware | None = None) -> aiohttp.ClientSession:
        """A session on the same connections for somebody who closes sessions as he likes.

        `within` sees each answer before anybody else.

        A `patient` one is for kopf. It asks again after a 401 for as long as its caller waits: kopf would close its
        session at the first one, under the requests that wait for a connection, and aiohttp then fails as kopf does not
        expect it to. And a kind that isn't served looks like a server that is away for a while: kopf gives up watching,
        and with that everything, where it is told 404.
        """

        async def authorized(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
            while True:
                request.headers.update(await self.identity.headers())
                answer = await handler(request)
                if not patient or answer.status != HTTPStatus.UNAUTHORIZED:
                    return answer
                answer.release()
                await asyncio.sleep(_ASK_AGAIN)

        return aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            response_class=Lean,
            middlewares=(authorized, *((_patiently,) if patient else ()), *((within,) if within else ())),
            headers={"User-Agent": "tidegate", "Accept": "application/json"},
            proxy=self.identity.proxy,
            # One event of a watch may be longer than aiohttp's usual buffer.
            read_bufsize=2**21,
        )

    async def close(self) -> None:
        """Close our session and the connections of all."""
        await self.session.close()
        # Without waiting for the other side's farewell: it may be what we are leaving for.
        await self._connector.close(abort_ssl=True)


def lean(text: str | bytes) -> Any:
    """JSON of the API server without `managedFields`.

    Managed fields are half of an object's weight and nobody reads them; what a page of a list takes while it is being
    read stays with the process.

    Raises:
        ValueError: It is no JSON.
    """
    value = jsontext.read(text)
    if isinstance(value, dict):
        for body in (value, *(value.get("items") or ())):
            if isinstance(body, dict) and isinstance(meta := body.get("metadata"), dict):
                meta.pop("managedFields", None)
    return value


class Lean(aiohttp.ClientResponse):
    """An answer that is read lean, also by kopf. `instead` is read in its place."""

    instead: Any = None

    async def json(self, **options: Any) -> Any:
        """The body as `lean` reads it, or what is to be read instead."""
        found = await super().json(**{"loads": lean, **options})
        return found if self.instead is None else self.instead

    async def start(self, connection: Connection) -> "Lean":
        """See the library. kopf reads the lines of a watch itself, with Python's own reader."""
        await super().start(connection)
        if self.url.query.get("watch"):
            self.content = cast("aiohttp.StreamReader", _Lines(self.content))
        return self


class _Lines:
    """The lines of a watch, as kopf may have them: none deeper than it can read, and no more at a time than are news.

    A process that was stopped for some seconds, or could not keep up, finds hundreds of states of the same few objects.
    kopf would decode and queue them all before the first is handled, and what that takes stays with the process.
    """

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """As the stream's own, but cut after each line; whoever handles them gets a turn in between."""
        rest = b""
        async for data in self._content.iter_chunked(size):
            *lines, rest = (rest + data).split(b"\n")
            for line in newest(lines):
                yield jsontext.shallowed(line) + b"\n"
                if len(lines) > 1:
                    await asyncio.sleep(0)
        if rest:
            yield jsontext.shallowed(rest)


def newest(lines: list[bytes]) -> list[bytes]:
    """Events of a watch without the states that a later one of them supersedes; all that are no states stay."""
    if len(lines) < 2:  # noqa: PLR2004 (one)
        return lines
    kept: list[bytes] = []
    told: set[str] = set()
    for line in reversed(lines):
        uid, superseded = _state(line)
        if not (superseded and uid in told):
            kept.append(line)
        if uid is not None:
            told.add(uid)
    return kept[::-1]


def _state(line: bytes) -> tuple[str | None, bool]:
    """The uid of the object that an event is about, if it has one, and whether a later event makes up for it."""
    try:
        event = jsontext.read(line)
        return event["object"]["metadata"]["uid"], event["type"] in {"ADDED", "MODIFIED"}
    except (KeyError, TypeError, ValueError):
        return None, False


async def _patiently(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    answer = await handler(request)
    if answer.status == HTTPStatus.NOT_FOUND:
        answer.status = HTTPStatus.SERVICE_UNAVAILABLE
    return answer
