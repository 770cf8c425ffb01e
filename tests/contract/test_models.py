"""What everybody who sends requests to a pod owes: the fake, and the one over HTTP to the runtime itself, alike."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest
import uvicorn
from tests.fakes.evidence import FakePod
from tests.fakes.models import FakeModels, FakeServer

from tidegate.adapters.models import HttpModelClient
from tidegate.core.trials import MALFORMED, NoReply, Reply
from tidegate.ports import ModelClient
from tidegate_runtime.answers import Answer, failure
from tidegate_runtime.app import Application, Phase
from tidegate_runtime.metrics import Metrics

BODY = '{"inputs": [[1.5]]}'


class Pod(Protocol):
    """A pod whose model server the test moves."""

    mood: str
    url: str

    def release(self) -> None: ...


class Model:
    """A small model behind the runtime. It answers what is JSON, by its mood."""

    def __init__(self) -> None:
        self.mood = "up"
        self.gate = threading.Event()

    def answer(self, body: bytes, content_type: str) -> Answer:
        if self.mood == "hanging":
            assert self.gate.wait(30)
        if self.mood == "broken":
            return failure(500, "INTERNAL_ERROR", "the model failed: ValueError: no rows")
        try:
            json.loads(body)
        except ValueError:
            return failure(400, "BAD_REQUEST", "the input can't be parsed")
        assert content_type == "application/json"
        return Answer(status=200, body=b'{"predictions": [7]}')


class RuntimePod:
    """The runtime in this process, on a port of its own."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.model = Model()
        metrics = Metrics(revision="m-v1", version="1", started_at=0.0, clock=lambda: 0.0)
        self.application = Application(
            revision="m-v1", metrics=metrics, executor=executor, max_body_bytes=10_000, mlflow_version="3.17.2"
        )
        self.application.phase = Phase.READY
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def mood(self) -> str:
        return self.model.mood

    @mood.setter
    def mood(self, mood: str) -> None:
        self.model.mood = mood
        self.application.model = None if mood == "starting" else self.model

    def release(self) -> None:
        self.mood = "up"
        self.model.gate.set()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to pytest."""
        yield


class FakedPod(FakeServer):
    def __init__(self) -> None:
        super().__init__(FakePod("a"))
        self.url = "http://10.0.0.1:8080"


class World:
    """A client, and the pod that it asks."""

    def __init__(self, client: ModelClient, pod: Pod) -> None:
        self.client = client
        self.pod = pod

    async def post(self, body: str = BODY, *, path: str = "/invocations", seconds: float = 20.0) -> Reply | NoReply:
        return await self.client.post(f"{self.pod.url}{path}", body, timeout=seconds)


@contextlib.asynccontextmanager
async def _served(pod: RuntimePod) -> AsyncIterator[None]:
    pod.mood = "up"
    server = _Server(uvicorn.Config(pod.application, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[pod.listener]))
    try:
        yield
    finally:
        pod.release()
        server.should_exit = True
        await serving


@pytest.fixture(params=["fake", "runtime"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        models, faked = FakeModels(), FakedPod()
        models.servers["10.0.0.1:8080"] = faked
        yield World(models, faked)
        faked.release()
        return
    with ThreadPoolExecutor(2) as executor:
        pod, client = RuntimePod(executor), HttpModelClient()
        async with _served(pod):
            yield World(client, pod)
            await client.close()


async def test_a_request_is_answered_with_a_status_and_the_time_it_took(world: World) -> None:
    reply = await world.post()
    assert isinstance(reply, Reply), reply
    assert (reply.status, reply.served, reply.words) == (200, True, "")
    assert 0 < reply.seconds < 20


@pytest.mark.parametrize(
    ("mood", "asked", "status", "words"),
    [
        ("up", (MALFORMED, "/invocations"), 400, "the input can't be parsed"),
        ("broken", (BODY, "/invocations"), 500, "the model failed"),
        ("starting", (BODY, "/invocations"), 503, "the model is not ready"),
        ("up", (BODY, "/predict"), 404, "there is no /predict here"),
    ],
)
async def test_what_is_no_answer_is_told_in_the_servers_words(
    world: World, mood: str, asked: tuple[str, str], status: int, words: str
) -> None:
    world.pod.mood = mood
    body, path = asked
    reply = await world.post(body, path=path)
    assert isinstance(reply, Reply), reply
    assert (reply.status, reply.served) == (status, False)
    assert words in reply.words


async def test_one_that_hangs_is_given_up_and_late(world: World) -> None:
    await world.post()  # the connection is there: what takes long is the answer
    world.pod.mood = "hanging"
    reply = await world.post(seconds=0.3)
    assert isinstance(reply, NoReply), reply
    assert reply.late
    assert reply.reason.endswith("/invocations: no answer within 0.3 s")
    world.pod.release()
    assert isinstance(await world.post(), Reply)


async def test_where_nobody_listens_there_is_no_answer_and_nobody_was_late(world: World) -> None:
    reply = await world.client.post("http://127.0.0.1:1/invocations", BODY, timeout=20)
    assert isinstance(reply, NoReply), reply
    assert not reply.late
    assert reply.reason == "http://127.0.0.1:1/invocations: Connection refused"


async def test_many_at_a_time_are_all_answered(world: World) -> None:
    replies = await asyncio.gather(*(world.post() for _ in range(50)))
    assert [reply.status for reply in replies if isinstance(reply, Reply)] == [200] * 50
