"""The Kubernetes API, as `tidegate.ports.Cluster` wants it.

Every write is a server-side apply of the whole of what we mean, by one field manager and forced: what another wrote
into our fields is taken back, what we leave out goes, and the fields of others stay.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from tidegate.adapters.access import Access, lean
from tidegate.core.labels import MANAGED_BY, MANAGER
from tidegate.errors import ClusterError, Conflict, NotServed, Refused, Unreachable
from tidegate.ports import Manifest, Page

FIELD_MANAGER = "tidegate"
#: Objects in one page of a list: what a page takes in memory is never given back, and nothing else is done meanwhile.
PAGE = 100
#: Kinds whose objects are all of interest; of the others, those with our label.
_OWN_KINDS = frozenset(
    {
        "ModelDeployment",
        "ModelApproval",
        "ModelPromotion",
        "PromotionPolicy",
        "RetrainingRequest",
        "ModelRegistry",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
    }
)
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_JSON = {"Content-Type": "application/json"}
_WORDS = 800
_FORCED = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
_CREATED = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
_BAD, _NOT_FOUND, _CONFLICT = 400, 404, 409
#: Statuses that pass by themselves; so does every 5xx. 401 is a token about to be read anew, 410 a page that expired.
_PASSING = frozenset({401, 408, 410, 425, 429})
_SERVER_ERROR = 500
#: What the kubelet writes for a log, with status 200, where it has removed the container already.
_NO_LOG = "unable to retrieve container logs for "
#: A field that isn't in the schema, or twice in a list: the API server says 500 and means 422.
_UNTYPED = "failed to create typed patch object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Where a kind is found in the API."""

    api_version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of the collection in a namespace (None: in all of them), or of one object in it."""
        root = "/api" if "/" not in self.api_version else "/apis"
        if namespace is None:
            return f"{root}/{self.api_version}/{self.plural}"
        collection = f"{root}/{self.api_version}/namespaces/{quote(namespace, safe='')}/{self.plural}"
        return collection if name is None else f"{collection}/{quote(name, safe='')}"


#: Every kind that Tidegate reads or writes by itself.
RESOURCES: Mapping[str, Resource] = {
    "ModelDeployment": Resource(api_version="tidegate.dev/v1alpha1", plural="modeldeployments"),
    "ModelApproval": Resource(api_version="tidegate.dev/v1alpha1", plural="modelapprovals"),
    "ModelRegistry": Resource(api_version="tidegate.dev/v1alpha1", plural="modelregistries"),
    "ModelPromotion": Resource(api_version="tidegate.dev/v1alpha1", plural="modelpromotions"),
    "RetrainingRequest": Resource(api_version="tidegate.dev/v1alpha1", plural="retrainingrequests"),
    "PromotionPolicy": Resource(api_version="tidegate.dev/v1alpha1", plural="promotionpolicies"),
    "HTTPRoute": Resource(api_version="gateway.networking.k8s.io/v1", plural="httproutes"),
    "Deployment": Resource(api_version="apps/v1", plural="deployments"),
    "ControllerRevision": Resource(api_version="apps/v1", plural="controllerrevisions"),
    "Service": Resource(api_version="v1", plural="services"),
    "ConfigMap": Resource(api_version="v1", plural="configmaps"),
    "Secret": Resource(api_version="v1", plural="secrets"),
    "Pod": Resource(api_version="v1", plural="pods"),
    "EndpointSlice": Resource(api_version="discovery.k8s.io/v1", plural="endpointslices"),
    "HorizontalPodAutoscaler": Resource(api_version="autoscaling/v2", plural="horizontalpodautoscalers"),
    "Lease": Resource(api_version="coordination.k8s.io/v1", plural="leases"),
    "Event": Resource(api_version="events.k8s.io/v1", plural="events"),
}


class KubeCluster:
    """The API server behind an `Access`. Limits in seconds: `connect` to get a connection, `total` for an answer."""

    def __init__(self, access: Access, *, connect: float = 2.0, total: float = 10.0) -> None:
        self._access = access
        self._limits = aiohttp.ClientTimeout(total=total, sock_connect=connect)

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Read one object from the API server itself; None where there is none."""
        try:
            return await self._request("GET", RESOURCES[kind].path(namespace, name))
        except _Absent:
            return None

    async def list(self, kind: str, namespace: str | None) -> list[Manifest]:
        """Read all objects of a kind page by page; shared kinds are narrowed to what carries our label."""
        return [item async for page in self.pages(kind, namespace) for item in page.items]

    async def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        """The same, a page at a time. The API server makes up the next page while one is being looked at."""
        resource = RESOURCES[kind]
        query = {"limit": str(PAGE)}
        if kind not in _OWN_KINDS:
            query["labelSelector"] = f"{MANAGED_BY}={MANAGER}"
        following: asyncio.Task[Manifest] | None = asyncio.create_task(self._page(resource, namespace, query))
        try:
            while following is not None:
                found = await following
                meta = found.get("metadata") or {}
                more = meta.get("continue")
                following = (
                    asyncio.create_task(self._page(resource, namespace, {**query, "continue": more})) if more else None
                )
                # Whoever looks at a page may not wait for anything: the request goes out before.
                await asyncio.sleep(0)
                items = found.get("items") or ()
                yield Page(
                    items=[{"apiVersion": resource.api_version, "kind": kind, **item} for item in items],
                    version=str(meta.get("resourceVersion", "")),
                )
        finally:
            if following is not None:
                following.cancel()

    async def _page(self, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> Manifest:
        return await self._request("GET", resource.path(namespace), query=query)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, forced; a compare-and-set where the manifest has uid and resourceVersion.

        Unknown fields are refused with their path, so that a typing error in a user's template is said.
        """
        return await self._request("PATCH", _path(manifest), body=manifest, query=_FORCED, headers=_APPLY)

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; `Conflict` where an object of that name exists.

        The API server takes creator and applier of one name for two managers. So what is created here must go on
        being applied whole: a field that an apply leaves out later would stay.
        """
        path = RESOURCES[manifest["kind"]].path(manifest["metadata"]["namespace"])
        return await self._request("POST", path, body=manifest, query=_CREATED, headers=_JSON)

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        """Delete that very object; its dependents go in the background. Nothing happens where it is gone.

        Raises:
            Conflict: it is not at `version` any more.
        """
        meant = {"uid": uid} | ({"resourceVersion": version} if version is not None else {})
        body = {"propagationPolicy": "Background", "preconditions": meant}
        try:
            await self._request("DELETE", RESOURCES[kind].path(namespace, name), body=body, headers=_JSON)
        except _Absent:
            return
        except Conflict:
            # Where another object has the name, the one that was meant is gone.
            newest = await self.get(kind, namespace, name) if version is not None else None
            if newest is not None and newest["metadata"]["uid"] == uid:
                raise

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Server-side apply of the status subresource; a compare-and-set where the manifest has a resourceVersion.

        The API server does not look at a manifest's uid here: only a resourceVersion keeps a status from an object that
        was made anew under the same name.

        Raises:
            Conflict: The object is gone, or its resourceVersion is not the manifest's.
        """
        path = f"{_path(manifest)}/status"
        try:
            return await self._request("PATCH", path, body=manifest, query=_FORCED, headers=_APPLY)
        except _Absent as error:
            raise Conflict(str(error)) from error

    async def emit(self, event: Manifest) -> None:
        """Create an Event."""
        path = RESOURCES["Event"].path(event["metadata"]["namespace"])
        await self._request("POST", path, body=event, query=_CREATED, headers=_JSON)

    async def last_line(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The last line of a container's log, cut to a kilobyte; empty where it can't be read."""
        url = f"{self._access.server}{RESOURCES['Pod'].path(namespace, pod)}/log"
        query = {"container": container, "tailLines": "1", "limitBytes": "1024", "previous": str(previous).lower()}
        try:
            status, text = await self._exchange("GET", url, params=query)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""
        line = text.decode("utf-8", "replace").strip()
        return "" if status >= _BAD or line.startswith(_NO_LOG) else line

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Manifest | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Manifest:
        data = json.dumps(body).encode() if body is not None else None
        url = f"{self._access.server}{path}"
        try:
            status, text = await self._exchange(method, url, data=data, params=query, headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{method} {path}: {_words(error)}") from error
        value = _decoded(text)
        if status >= _BAD:
            raise _translated(status, f"{method} {path}: {_message(value, text)}", value)
        if value is None:
            raise Unreachable(f"{method} {path}: the answer is not from an API server; is a proxy in the way?")
        return value

    async def _exchange(self, method: str, url: str, **request: Any) -> tuple[int, bytes]:
        """One request; tried once more at once where the server closed an idle connection under it.

        All requests but POST may be repeated: what was done already is done again to the same end, or conflicts.
        """
        try:
            return await self._send(method, url, **request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError):
            if method == "POST":
                raise
        return await self._send(method, url, **request)

    async def _send(self, method: str, url: str, **request: Any) -> tuple[int, bytes]:
        async with self._access.session.request(method, url, timeout=self._limits, **request) as answer:
            return answer.status, await answer.read()


class _Absent(Refused):
    """A 404 about one object. Without its name it would mean that the kind, or the path, isn't served."""


def _path(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return RESOURCES[manifest["kind"]].path(metadata["namespace"], metadata["name"])


def _decoded(text: bytes) -> Manifest | None:
    try:
        value = lean(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _message(value: Manifest | None, text: bytes) -> str:
    said = (value or {}).get("message") or text.decode("utf-8", "replace")
    return " ".join(str(said).split())[:_WORDS]


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _translated(status: int, message: str, value: Manifest | None) -> ClusterError:
    text = f"{message} ({status})"
    if status == _CONFLICT:
        return Conflict(text)
    if _UNTYPED in message:
        return Refused(text)
    if status in _PASSING or status >= _SERVER_ERROR:
        return Unreachable(text)
    if status == _NOT_FOUND:
        named = ((value or {}).get("details") or {}).get("name")
        return _Absent(text) if named else NotServed(text)
    return Refused(text)
