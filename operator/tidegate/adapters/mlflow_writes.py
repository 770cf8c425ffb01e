"""Writes to the MLflow model registry, in threads of their own: a registry that hangs for writes delays no read."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tidegate.adapters.mlflow_failures import Access, RegistryFault, access, unreachable
from tidegate.adapters.mlflow_loading import Loader
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.values import Unavailable
from tidegate.ports import Login

if TYPE_CHECKING:
    from tidegate.adapters.mlflow_write_client import WritingClient

_T = TypeVar("_T")

_THREADS = 2
_REQUEST_SECONDS = 5.0
#: A call of several requests (pages, an alias that is set again) is given up after this many times its deadline.
_PATIENCE = 3.0


class MlflowWriter:
    """`ports.RegistryWriter` over MLflow. Takes the arguments of `MlflowRegistry`."""

    def __init__(self, login: Login, *, timeout: float = _REQUEST_SECONDS) -> None:
        self._access = access(login)
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="registry-writes")
        path = "tidegate.adapters.mlflow_write_client:WritingClient"
        self._loader: Loader[WritingClient] = Loader(path, self._pool, timeout)

    @property
    def url(self) -> str:
        """See `Registry.url`; empty where there is none that could be used."""
        return self._access.identity if isinstance(self._access, Access) else ""

    async def read(self, model: str) -> RegisteredModel | Unavailable:
        """See the port."""
        return await self._ask(lambda client: client.whole(model))

    async def version(self, model: str, number: str) -> RegisteredVersion | Unavailable:
        """See the port."""
        return await self._ask(lambda client: client.registered(model, number))

    async def set_tag(self, model: str, number: str, key: str, value: str) -> Unavailable | None:
        """See the port."""
        return await self._ask(lambda client: client.set_tag(model, number, key, value))

    async def delete_tag(self, model: str, number: str, key: str) -> Unavailable | None:
        """See the port."""
        return await self._ask(lambda client: client.delete_tag(model, number, key))

    async def set_alias(self, model: str, alias: str, number: str) -> Unavailable | None:
        """See the port."""
        return await self._ask(lambda client: client.set_alias(model, alias, number))

    async def delete_alias(self, model: str, alias: str) -> Unavailable | None:
        """See the port."""
        return await self._ask(lambda client: client.delete_alias(model, alias))

    async def move(self, model: str, number: str, stage: str, *, archive: bool) -> Unavailable | None:
        """See the port."""
        return await self._ask(lambda client: client.move(model, number, stage, archive=archive))

    async def delete_version(self, model: str, number: str) -> Unavailable | None:
        """See the port."""
        return await self._ask(lambda client: client.delete_version(model, number))

    async def close(self) -> None:
        """Let the threads go; one that still waits for an answer ends by its own deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, work: "Callable[[WritingClient], _T]") -> _T | Unavailable:
        if isinstance(self._access, Unavailable):
            return self._access
        try:
            client = await self._loader.client(self._access)
            async with asyncio.timeout(self._timeout * _PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, client))
        except TimeoutError:
            return unreachable(self._access, f"no answer within {self._timeout * _PATIENCE:g} s").unavailable
        except RegistryFault as fault:
            return fault.unavailable
