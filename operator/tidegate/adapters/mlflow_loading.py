"""Brings up a client of MLflow when one is first needed: importing mlflow takes a second and half of our memory."""

import asyncio
import gc
import importlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from tidegate.adapters.mlflow_failures import Access

_T = TypeVar("_T")
_CONNECT_SECONDS = 2.0
#: What mlflow reads when it is imported: no telemetry, no handlers of its own on the process's log.
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_CONFIGURE_LOGGING": "false", "GIT_PYTHON_REFRESH": "quiet"}
#: mlflow's modules import each other in a circle. Two threads that enter it at different places wait for one another,
#: and Python ends that with an error in one of them; a third sees modules that are half there.
_importing = threading.Lock()


class Loader(Generic[_T]):
    """Makes one client, in a thread, and hands it out from then on.

    Args:
        path: `module:class` of what is made with an `Access`, `timeout` and `connect`.
        pool: The threads of whoever uses the client.
        timeout: Seconds that one request may take.
    """

    def __init__(self, path: str, pool: ThreadPoolExecutor, timeout: float) -> None:
        self._path = path
        self._pool = pool
        self._timeout = timeout
        self._client: _T | None = None
        self._loading = asyncio.Lock()

    async def client(self, where: Access) -> _T:
        """The client. What its import raises is raised, each time anew."""
        async with self._loading:
            if self._client is None:
                self._client = await asyncio.get_running_loop().run_in_executor(self._pool, self._load, where)
            return self._client

    def _load(self, where: Access) -> _T:
        module, _, name = self._path.partition(":")
        with _importing:
            for key, value in _QUIET.items():
                os.environ.setdefault(key, value)
            loaded = importlib.import_module(module)
            # As for all else that is imported (tidegate.__main__): it stays, and half of what there is came with it.
            gc.freeze()
        client: _T = getattr(loaded, name)(where, timeout=self._timeout, connect=min(_CONNECT_SECONDS, self._timeout))
        return client
