"""What everybody but the operator does to a cluster: the same words for the one in memory and the real API server."""

import asyncio
import copy
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
from tests.fakes.cluster import FakeCluster

from tidegate.adapters.access import Access
from tidegate.adapters.kube import RESOURCES
from tidegate.ports import Manifest

Change = Callable[[Manifest], object]


class Hands(Protocol):
    """One namespace, seen by people, controllers and gateways."""

    namespace: str

    async def all(self, kind: str) -> list[Manifest]: ...

    async def read(self, kind: str, name: str) -> Manifest | None: ...

    async def put(self, manifest: Manifest) -> Manifest: ...

    async def edit(self, kind: str, name: str, change: Change) -> None: ...

    async def set_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None: ...

    async def remove(self, kind: str, name: str) -> None: ...

    async def scale(self, name: str, replicas: int) -> None:
        """As the controller of autoscalers does."""
        ...


class FakeHands:
    """On `FakeCluster`."""

    def __init__(self, cluster: FakeCluster, namespace: str) -> None:
        self.namespace = namespace
        self._cluster = cluster

    async def all(self, kind: str) -> list[Manifest]:
        return list(self._cluster.all(kind))

    async def read(self, kind: str, name: str) -> Manifest | None:
        return self._cluster.read(kind, self.namespace, name)

    async def put(self, manifest: Manifest) -> Manifest:
        return self._cluster.put(manifest)

    async def edit(self, kind: str, name: str, change: Change) -> None:
        self._cluster.edit(kind, self.namespace, name, lambda body: void(change(body)))

    async def set_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        if self._cluster.read(kind, self.namespace, name) is not None:
            self._cluster.set_status(kind, self.namespace, name, status)

    async def remove(self, kind: str, name: str) -> None:
        self._cluster.remove(kind, self.namespace, name)

    async def scale(self, name: str, replicas: int) -> None:
        await self.edit("Deployment", name, lambda body: body["spec"].update(replicas=replicas))


class RealHands:
    """On the API server, as its admin."""

    def __init__(self, access: Access, namespace: str) -> None:
        self.namespace = namespace
        self._access = access

    async def all(self, kind: str) -> list[Manifest]:
        status, body = await self._ask("GET", self._path(kind))
        assert status == 200, body
        version = RESOURCES[kind].api_version
        return [{"apiVersion": version, "kind": kind, **item} for item in body["items"]]

    async def read(self, kind: str, name: str) -> Manifest | None:
        status, body = await self._ask("GET", self._path(kind, name))
        return body if status == 200 else None

    async def put(self, manifest: Manifest) -> Manifest:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        while True:
            live = await self.read(kind, name)
            if live is None:
                status, body = await self._ask("POST", self._path(kind), manifest)
            else:
                wanted = copy.deepcopy(manifest)
                wanted["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
                status, body = await self._ask("PUT", self._path(kind, name), wanted)
            if status != 409:
                assert status < 300, body
                break
        if "status" in manifest:
            await self.set_status(kind, name, manifest["status"])
        return body

    async def edit(self, kind: str, name: str, change: Change) -> None:
        await self._changed(kind, name, change, "")

    async def set_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        await self._changed(kind, name, lambda body: body.update(status=status), "/status")

    async def remove(self, kind: str, name: str) -> None:
        await self._ask("DELETE", self._path(kind, name) + "?gracePeriodSeconds=0")

    async def scale(self, name: str, replicas: int) -> None:
        path = self._path("Deployment", name) + "/scale"
        while True:
            _, scale = await self._ask("GET", path)
            scale["spec"]["replicas"] = replicas
            status, body = await self._ask("PUT", path + "?fieldManager=kube-controller-manager", scale)
            if status != 409:
                assert status < 300, body
                return

    async def _changed(self, kind: str, name: str, change: Change, part: str) -> None:
        while True:
            live = await self.read(kind, name)
            if live is None:
                return
            change(live)
            status, body = await self._ask("PUT", self._path(kind, name) + part, live)
            if status not in {404, 409}:
                assert status < 300, body
                return

    def _path(self, kind: str, name: str | None = None) -> str:
        return RESOURCES[kind].path(self.namespace, name)

    async def _ask(self, method: str, path: str, body: Manifest | None = None) -> tuple[int, Any]:
        while True:
            try:
                async with self._access.session.request(method, self._access.server + path, json=body) as answer:
                    if answer.status < 500:
                        return answer.status, await answer.json()
            except aiohttp.ClientConnectionError:
                # An idle connection that the server closed, or a server that is being restarted.
                pass
            await asyncio.sleep(0.02)


def void(_: object) -> None:
    return None
