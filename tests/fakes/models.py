"""Model servers in memory that answer requests of ours and count them, held to the same contract as real ones."""

import asyncio
import json
from urllib.parse import urlsplit

from tests.fakes.evidence import FakePod

from tidegate.core.trials import NoReply, Reply


class FakeServer:
    """One pod's model server. `pod` is where it counts.

    `mood`: up, starting (503), broken (the model fails whatever it is asked), lenient (answers what is no JSON), down
    (takes no connection) or hanging (until `release`). An answer takes `seconds`.
    """

    def __init__(self, pod: FakePod) -> None:
        self.pod = pod
        self.mood = "up"
        self.seconds = 0.01
        self.asked: list[tuple[str, str]] = []
        self._moved = asyncio.Event()

    def release(self) -> None:
        """What hangs goes on, and answers."""
        self.mood = "up"
        self._moved.set()

    async def post(self, url: str, body: str) -> Reply | NoReply:
        """As a server would."""
        path = urlsplit(url).path
        self.asked.append((path, body))
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self.mood == "down":
            return NoReply(reason=f"{url}: Connection refused")
        while self.mood == "hanging":
            self._moved.clear()
            await self._moved.wait()
        await asyncio.sleep(self.seconds)
        if path != "/invocations":
            return Reply(status=404, seconds=loop.time() - began, words=f"there is no {path} here")
        status, words = self._judged(body)
        self.pod.serve(1, f"{status // 100}xx", self.seconds)
        return Reply(status=status, seconds=loop.time() - began, words=words)

    def _judged(self, body: str) -> tuple[int, str]:
        if self.mood == "starting":
            return 503, "the model is not ready"
        if self.mood == "broken":
            return 500, "the model failed"
        if self.mood != "lenient" and not _json(body):
            return 400, "the input can't be parsed"
        return 200, ""


class FakeModels:
    """`ports.ModelClient` over `FakeServer`s by host and port; where nobody made one nobody listens."""

    def __init__(self) -> None:
        self.servers: dict[str, FakeServer] = {}

    async def post(self, url: str, body: str, *, timeout: float) -> Reply | NoReply:  # noqa: ASYNC109 (the port's)
        server = self.servers.get(urlsplit(url).netloc)
        if server is None:
            return NoReply(reason=f"{url}: Connection refused")
        try:
            async with asyncio.timeout(timeout):
                return await server.post(url, body)
        except TimeoutError:
            return NoReply(reason=f"{url}: no answer within {timeout:g} s", late=True)

    async def close(self) -> None:
        """Nothing is kept open."""


def _json(body: str) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
