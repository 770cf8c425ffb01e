"""A registry that answers as a test wants it to, on loopback."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login

SECRET = "s3cr3t/+ word"
ALIAS = Pointer(kind=PointerKind.ALIAS, value="champion")
WISH = ("fraud", ALIAS)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def model(name: str, **fields: object) -> dict[str, object]:
    latest = {"name": name, "version": "7", "current_stage": "Production", "status": "READY"}
    aliases = [{"alias": "champion", "version": "7"}]
    return {"name": name, "creation_timestamp": 17, "latest_versions": [latest], "aliases": aliases, **fields}


class Faulty:
    """A server on loopback that answers every request by one handler, and a registry that reads it."""

    def __init__(self) -> None:
        self.handler: Handler = good
        self.asked: list[web.Request] = []
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1")

    async def start(self) -> None:
        await self._server.start_server()
        self.port = self._server.port
        self.registry = self.reader()

    def reader(self, timeout: float = 0.5) -> MlflowRegistry:
        return MlflowRegistry(
            Login(uri=f"http://127.0.0.1:{self.port}/", username="ann", password=SECRET, token=SECRET), timeout=timeout
        )

    async def stop(self) -> None:
        await self.registry.close()
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.handler(request)

    async def read(self) -> VersionId | Unavailable:
        return (await self.registry.resolve([WISH]))[WISH]

    async def fault(self, handler: Handler) -> Unavailable:
        self.handler = handler
        read = await self.read()
        assert isinstance(read, Unavailable), read
        assert SECRET not in read.message
        return read


async def good(request: web.Request) -> web.StreamResponse:
    return web.json_response({"registered_model": model(request.query["name"])})


def says(status: int, text: str, kind: str = "text/html") -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=kind)

    return answer
