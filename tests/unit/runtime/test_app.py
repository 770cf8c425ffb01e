"""The application, driven over ASGI: routes, the life of a request, and what it counts for."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.runtime.scrape import Scrape

from tidegate_runtime.answers import Answer, failure
from tidegate_runtime.app import MOST_IN_FLIGHT, Application, Message, Phase
from tidegate_runtime.metrics import Metrics, PredictionCounts
from tidegate_runtime.predictions import count_predictions

JSON = [(b"content-type", b"application/json")]


class Echo:
    """A model that answers with its body; ``hang`` waits for the gate, ``bad`` and ``broken`` fail."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def answer(self, body: bytes, content_type: str) -> Answer:
        if body == b"hang":
            assert self.gate.wait(30)
        if body == b"bad":
            return failure(400, "BAD_REQUEST", "no")
        if body == b"broken":
            return failure(500, "INTERNAL_ERROR", "no")
        predictions: PredictionCounts | None = count_predictions([0.5])
        return Answer(status=200, body=body, predictions=predictions)


class Reply:
    """What a client got."""

    def __init__(self, sent: list[Message]) -> None:
        self.complete = bool(sent)
        self.status: int = sent[0]["status"] if sent else 0
        self.headers: dict[bytes, bytes] = dict(sent[0]["headers"]) if sent else {}
        self.body: bytes = b"".join(message.get("body", b"") for message in sent[1:])

    def json(self) -> Any:
        return json.loads(self.body)


class Harness:
    """An application with its model in place, and a client."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.model = Echo()
        self.metrics = Metrics(revision="m-v1-x", version="1", started_at=0.0, clock=time.monotonic)
        self.application = Application(
            revision="m-v1-x", metrics=self.metrics, executor=executor, max_body_bytes=100, mlflow_version="3.17.2"
        )

    def ready(self) -> None:
        self.application.model = self.model
        self.application.phase = Phase.READY

    async def call(
        self,
        path: str,
        *,
        method: str = "GET",
        events: list[Message] | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> Reply:
        waiting = list(events if events is not None else [{"type": "http.request", "body": b""}])
        sent: list[Message] = []

        async def receive() -> Message:
            return waiting.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "path": path, "method": method, "headers": headers or []}
        await self.application(scope, receive, send)
        return Reply(sent)

    async def predict(self, body: bytes, headers: list[tuple[bytes, bytes]] = JSON) -> Reply:
        events = [{"type": "http.request", "body": body}]
        return await self.call("/invocations", method="POST", events=events, headers=headers)

    def counts(self) -> dict[str, float]:
        scrape = Scrape(self.metrics.render())
        name = "tidegate_runtime_request_duration_seconds_count"
        finished = {code: scrape.value(name, code=code) for code in ("2xx", "4xx", "5xx")}
        return {"started": scrape.value("tidegate_runtime_requests_started_total"), **finished}

    async def until_in_flight(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.metrics.in_flight != count:  # noqa: ASYNC110 - a request's start announces itself to nobody
                await asyncio.sleep(0)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    with ThreadPoolExecutor(2) as executor:
        subject = Harness(executor)
        yield subject
        subject.model.gate.set()


async def test_probes_of_life_answer_before_the_model_is_loaded(harness: Harness) -> None:
    assert [(await harness.call(path)).status for path in ("/ping", "/health", "/livez")] == [200, 200, 200]


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.WARMING_UP, Phase.DRAINING])
async def test_ready_says_why_not(harness: Harness, phase: Phase) -> None:
    harness.application.phase = phase
    reply = await harness.call("/ready")
    assert (reply.status, reply.json()) == (503, {"ready": False, "reason": phase.value})


async def test_ready_is_200_once_it_is(harness: Harness) -> None:
    harness.ready()
    reply = await harness.call("/ready")
    assert (reply.status, reply.json()["ready"]) == (200, True)


async def test_a_request_before_the_model_is_ready_is_503_and_counts(harness: Harness) -> None:
    reply = await harness.predict(b"x")
    assert (reply.status, reply.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert harness.counts() == {"started": 1, "2xx": 0, "4xx": 0, "5xx": 1}


async def test_answers_count_by_code_and_predictions_with_them(harness: Harness) -> None:
    harness.ready()
    statuses = [(await harness.predict(body)).status for body in (b"x", b"bad", b"broken", b"y")]
    assert statuses == [200, 400, 500, 200]
    assert harness.counts() == {"started": 4, "2xx": 2, "4xx": 1, "5xx": 1}
    assert Scrape(harness.metrics.render()).value("tidegate_runtime_prediction_count") == 2


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        *(("/ping", "GET", 200), ("/ready", "GET", 200), ("/metrics", "GET", 200), ("/version", "GET", 200)),
        *(
            ("/nowhere", "GET", 404),
            ("/invocations", "GET", 405),
            ("/ready", "POST", 405),
            ("/invocations", "POST", 415),
        ),
    ],
)
async def test_every_answer_names_its_revision(harness: Harness, path: str, method: str, status: int) -> None:
    harness.ready()
    reply = await harness.call(path, method=method)
    assert (reply.status, reply.headers[b"x-tidegate-revision"]) == (status, b"m-v1-x")
    assert int(reply.headers[b"content-length"]) == len(reply.body)


async def test_a_wrong_method_says_which_is_right(harness: Harness) -> None:
    assert (await harness.call("/invocations")).headers[b"allow"] == b"POST"
    assert (await harness.call("/ready", method="DELETE")).headers[b"allow"] == b"GET, HEAD"


async def test_head_has_the_headers_and_no_body(harness: Harness) -> None:
    reply = await harness.call("/metrics", method="HEAD")
    assert reply.status == 200
    assert int(reply.headers[b"content-length"]) > 0
    assert reply.body == b""


async def test_version_is_mlflows(harness: Harness) -> None:
    assert (await harness.call("/version")).body == b"3.17.2"


async def test_only_invocations_count_as_requests(harness: Harness) -> None:
    harness.ready()
    for path in ("/ping", "/ready", "/metrics", "/nowhere", "/invocations"):
        await harness.call(path)
    assert harness.counts()["started"] == 0


async def test_a_body_in_pieces_is_put_together(harness: Harness) -> None:
    harness.ready()
    events = [{"type": "http.request", "body": part, "more_body": part != b"c"} for part in (b"a", b"b", b"c")]
    reply = await harness.call("/invocations", method="POST", events=events, headers=JSON)
    assert reply.body == b"abc"


async def test_a_body_over_the_limit_is_refused_before_all_of_it_is_read(harness: Harness) -> None:
    harness.ready()
    events = [{"type": "http.request", "body": b"x" * 60, "more_body": True}] * 2
    reply = await harness.call("/invocations", method="POST", events=events, headers=JSON)
    assert (reply.status, reply.json()["error_code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert harness.counts() == {"started": 1, "2xx": 0, "4xx": 1, "5xx": 0}


async def test_a_client_that_leaves_before_its_body_has_arrived_counts_for_nothing(harness: Harness) -> None:
    harness.ready()
    events: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    reply = await harness.call("/invocations", method="POST", events=events, headers=JSON)
    assert not reply.complete
    assert harness.counts()["started"] == 0


async def test_a_client_that_no_longer_listens_counts_by_what_it_would_have_got(harness: Harness) -> None:
    harness.ready()
    events: list[Message] = [{"type": "http.request", "body": b"broken"}, {"type": "http.disconnect"}]
    await harness.call("/invocations", method="POST", events=events, headers=JSON)
    assert harness.counts() == {"started": 1, "2xx": 0, "4xx": 0, "5xx": 1}


async def test_probes_and_scrapes_answer_while_every_thread_hangs(harness: Harness) -> None:
    harness.ready()
    hanging = [asyncio.create_task(harness.predict(b"hang")) for _ in range(3)]
    await harness.until_in_flight(3)
    assert (await harness.call("/ready")).status == 200
    scrape = Scrape((await harness.call("/metrics")).body)
    assert scrape.value("tidegate_runtime_requests_started_total") == 3
    assert scrape.finished() == 0
    assert scrape.ages()[-1] == 3
    harness.model.gate.set()
    assert [(await task).status for task in hanging] == [200, 200, 200]


async def test_requests_beyond_the_bound_are_refused_at_once_while_the_model_hangs(harness: Harness) -> None:
    harness.ready()
    hanging = [asyncio.create_task(harness.predict(b"hang")) for _ in range(MOST_IN_FLIGHT)]
    await harness.until_in_flight(MOST_IN_FLIGHT)
    assert (await harness.predict(b"x")).status == 503
    harness.model.gate.set()
    assert {(await task).status for task in hanging} == {200}


async def test_a_draining_server_still_answers_and_asks_to_close(harness: Harness) -> None:
    harness.ready()
    assert b"connection" not in (await harness.predict(b"x")).headers
    harness.application.phase = Phase.DRAINING
    reply = await harness.predict(b"x")
    assert (reply.status, reply.headers[b"connection"]) == (200, b"close")
