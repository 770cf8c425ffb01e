"""The way to the API server: where it is, whom it knows us as, and one pool of connections for everybody.

The client library reads kubeconfigs (with their exec plug-ins) and service accounts; requests are made with aiohttp
on what it found. Its generated API classes and its own request layer stay unused: the first would weigh more than the
operator, the second parses nothing that we need and retries by itself.
"""

import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from tidegate.errors import Unreachable

#: Below the 90 s after which the API server closes an idle connection: a revert must not wait for a handshake.
_KEEP_ALIVE = 75.0
_DEFAULT_FILE = str(Path("~/.kube/config").expanduser())
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


async def get_configuration() -> Configuration:
    """Find the cluster: `KUBECONFIG` if set, else the pod's service account, else `~/.kube/config`.

    Raises:
        Unreachable: There is none of them, or it can't be read.
    """
    configuration = Configuration()
    named = os.environ.get("KUBECONFIG")
    try:
        if named or _IN_CLUSTER not in os.environ:
            path = named or _DEFAULT_FILE
            await load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)
        else:
            load_incluster_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise Unreachable(f"no access to a cluster: {error}; set KUBECONFIG or run in a pod") from error
    return configuration


def own_namespace(default: str = "default") -> str:
    """The namespace that this process runs in, `default` outside a pod."""
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip() or default
    except OSError:
        return default


class Access:
    """The API server at `server` (URL without a trailing slash), and the one pool of connections to it.

    `connections` bounds those that are open at a time; each watch holds one, and there are eight for each namespace
    where namespaces are named. Must be made inside a running loop.
    """

    def __init__(self, configuration: Configuration, *, connections: int = 1000) -> None:
        self.server: str = configuration.host.rstrip("/")
        self._configuration = configuration
        self._connector = aiohttp.TCPConnector(
            limit=connections, ssl=_ssl(configuration), keepalive_timeout=_KEEP_ALIVE
        )
        self.session = self.share()

    def share(self, *, patient: bool = False) -> aiohttp.ClientSession:
        """A session on the same connections for somebody who closes sessions as he likes, as kopf does after a 401.

        With `patient` a kind that isn't served looks like a server that is away for a while: kopf gives up watching,
        and with that everything, where it is told 404.
        """
        return aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            response_class=_Lean,
            middlewares=(_authorized(self._configuration), *((_patiently,) if patient else ())),
            headers={"User-Agent": "tidegate", "Accept": "application/json"},
            proxy=self._configuration.proxy,
            # One event of a watch may be longer than aiohttp's usual buffer.
            read_bufsize=2**21,
        )

    async def close(self) -> None:
        """Close our session and the connections of all."""
        await self.session.close()
        # Without waiting for the other side's farewell: it may be what we are leaving for.
        await self._connector.close(abort_ssl=True)


def lean(text: str | bytes) -> Any:
    """JSON of the API server without `managedFields`, its field names shared by all objects.

    Managed fields are half of an object's weight and nobody reads them; what a page of a list takes while it is being
    read stays with the process.

    Raises:
        ValueError: It is no JSON.
    """
    return json.loads(text, object_pairs_hook=_lean_object)


def _lean_object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    # A label or an annotation of that name would have a text.
    return {sys.intern(k): v for k, v in fields if k != "managedFields" or not isinstance(v, list)}


class _Lean(aiohttp.ClientResponse):
    """An answer that is read lean, also by kopf."""

    async def json(self, **options: Any) -> Any:
        return await super().json(**{"loads": lean, **options})


def _ssl(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


async def _patiently(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    answer = await handler(request)
    if answer.status == HTTPStatus.NOT_FOUND:
        answer.status = HTTPStatus.SERVICE_UNAVAILABLE
    return answer


def _authorized(
    configuration: Configuration,
) -> Callable[[aiohttp.ClientRequest, Handler], Awaitable[aiohttp.ClientResponse]]:
    """Put the token on each request; the library reads a service account's anew once a minute (they rotate)."""

    async def middleware(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            request.headers["Authorization"] = token
        return await handler(request)

    return middleware
