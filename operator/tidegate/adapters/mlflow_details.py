"""What MLflow tells of a version beyond its number, through the official client in threads of its own.

Apart from `adapters.mlflow`, whose poll every object depends on: these reads are seldom and may take longer.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tidegate.adapters.mlflow_failures import Access, RegistryFault, unreachable
from tidegate.adapters.mlflow_loading import Loader
from tidegate.core.gates import VersionDetails, Wants
from tidegate.core.values import Unavailable, VersionId

if TYPE_CHECKING:
    from tidegate.adapters.mlflow_version_client import VersionClient

_T = TypeVar("_T")
_THREADS = 2
_REQUEST_SECONDS = 10.0
#: A call is given up this long after its own deadline: the thread is then stuck in something that no deadline reaches.
_GRACE_SECONDS = 1.0


class MlflowDetails:
    """The half of `ports.Registry` that tells of single versions.

    Args:
        where: Where the registry is, or why nobody can be asked.
        timeout: Seconds that one request may take.
    """

    def __init__(self, where: Access | Unavailable, *, timeout: float = _REQUEST_SECONDS) -> None:
        self._access = where
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="details")
        path = "tidegate.adapters.mlflow_version_client:VersionClient"
        self._loader: Loader[VersionClient] = Loader(path, self._pool, timeout)

    async def describe(self, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """See the port."""
        if isinstance(self._access, Unavailable):
            return self._access
        client = await self._loader.client(self._access)
        model, number = version.model, version.number
        try:
            found = await self._call(self._access, partial(client.described, model, number))
            metrics, file, example = None, None, None
            if wants.run and found.run:
                metrics = await self._call(self._access, partial(client.metrics, found.run))
            if wants.model or wants.example:
                file = await self._call(self._access, partial(client.model_file, model, number))
            if wants.example and file is not None and file.example is not None:
                example = await self._call(self._access, partial(client.example, model, number, file.example))
        except RegistryFault as fault:
            return fault.unavailable
        return VersionDetails(
            tags=found.tags,
            created=found.created_ms / 1000,
            metrics=metrics,
            model=file if wants.model else None,
            example=example,
        )

    async def close(self) -> None:
        """Let the threads go; one that still waits for an answer ends by its own deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, where: Access, work: Callable[[], _T]) -> _T:
        try:
            async with asyncio.timeout(self._timeout + _GRACE_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError as error:
            raise unreachable(where, f"no answer within {self._timeout:g} s") from error
