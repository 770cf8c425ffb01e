"""Webhooks of MLflow: `POST /webhooks/mlflow`. A verified call is a hint to read a model now, and nothing more.

The poll stays the truth: webhooks of MLflow are unordered, may get lost, and tell nothing of stages and deletions. Only
the leader asks registries, and a Service leads to any replica; so one that does not lead passes the call on to the one
that does, as it came and with its signature.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import structlog
from aiohttp import web

from tidegate.intake.bounds import Answer, body_of
from tidegate.intake.rates import Rates
from tidegate.ports import Clock
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
PATH = "/webhooks/mlflow"
SIGNATURE, TIMESTAMP, DELIVERY = "X-MLflow-Signature", "X-MLflow-Timestamp", "X-MLflow-Delivery-Id"
#: Set where another replica passes a call on. It is not passed on again.
RELAYED = "X-Tidegate-Relayed"
#: Bytes of a body: a tag's value has 5,000 characters at most, and descriptions may be longer.
LARGEST = 256 * 1024
#: Seconds by which a call's time may differ from ours. Retries of MLflow keep their time, and end after 7 s.
WINDOW = 300.0
#: Deliveries remembered for that long; more than a sender may make in it.
MOST_DELIVERIES = 20_000
#: Requests a second of one sender, and at once after a silence. A wrong signature costs as much as `FAILURE` requests.
RATE, BURST, FAILURE = 20.0, 100.0, 10.0
#: Requests under way at a time.
MOST_REQUESTS = 32
LONGEST_ID = 200


class Signatures(Protocol):
    """What tells a call of MLflow from anybody's."""

    def signed(self, signature: str, delivery: str, timestamp: str, body: bytes) -> bool:
        """Whether a delivery was signed with a secret that is known.

        Raises:
            OSError: the secrets can't be read.
        """
        ...


class Relay(Protocol):
    """The way to the replica that leads."""

    async def __call__(self, headers: dict[str, str], body: bytes) -> bool:
        """Pass a call on; whether it was taken."""
        ...


class WebhookIntake:
    """Takes webhooks, on every replica.

    Args:
        hint: Reads a model now, wherever somebody asks for it; whether anybody does.
        leads: Whether this replica leads.
        relay: Passes a call on to the replica that does.
    """

    def __init__(
        self,
        *,
        signatures: Signatures,
        hint: Callable[[str], bool],
        leads: Callable[[], bool],
        relay: Relay,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._signatures = signatures
        self._hint = hint
        self._leads = leads
        self._relay = relay
        self._clock = clock
        self._metrics = metrics
        self._senders = Rates(rate=RATE, burst=BURST)
        self._taken: OrderedDict[str, float] = OrderedDict()
        self._under_way = 0

    def register(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_post(PATH, self._handle)

    async def _handle(self, request: web.Request) -> web.Response:
        self._under_way += 1
        try:
            answer = web.json_response({"read": await self._take(request)}, status=202)
        except Answer as refused:
            answer = refused.response()
        finally:
            self._under_way -= 1
        self._metrics.webhook_requests.labels(code=str(answer.status)).inc()
        if answer.status >= web.HTTPBadRequest.status_code:
            _log.warning("webhook refused", status=answer.status, sender=request.remote)
        return answer

    async def _take(self, request: web.Request) -> bool:
        sender = request.remote or ""
        if self._under_way > MOST_REQUESTS:
            raise Answer(503, "too many requests at a time", again=1)
        wait = self._senders.wait(sender, self._clock.monotonic())
        if wait > 0:
            raise Answer(429, f"more than {RATE:g} requests a second", again=wait)
        body = await body_of(request, LARGEST)
        delivery = self._verified(request, sender, body)
        model = _model(body)
        if self._leads():
            read = self._hint(model)
        elif RELAYED in request.headers or not await self._passed_on(request, body):
            raise Answer(503, "this replica does not lead and knows of none that does", again=1)
        else:
            read = True
        # Only now: what was not carried out is to be told again, under its old number.
        self._taken[delivery] = self._clock.monotonic()
        return read

    def _verified(self, request: web.Request, sender: str, body: bytes) -> str:
        """The number of a delivery that is MLflow's, of now, and the first of its number."""
        signature, timestamp, delivery = (request.headers.get(name, "") for name in (SIGNATURE, TIMESTAMP, DELIVERY))
        try:
            real = self._signatures.signed(signature, delivery, timestamp, body)
        except OSError as error:
            _log.error("secrets of webhooks can't be read", error=str(error))
            raise Answer(503, "the operator can't read its secrets", again=5) from error
        if not real or not delivery or len(delivery) > LONGEST_ID:
            self._senders.charge(sender, self._clock.monotonic(), FAILURE)
            raise Answer(401, "the signature is not one of a secret that is known here")
        if not timestamp.isdecimal() or abs(int(timestamp) - self._clock.now()) > WINDOW:
            raise Answer(401, f"the time of the call is more than {WINDOW:g} s from now: is a clock wrong?")
        now = self._clock.monotonic()
        while self._taken and (len(self._taken) > MOST_DELIVERIES or self._oldest() < now - 2 * WINDOW):
            self._taken.popitem(last=False)
        if delivery in self._taken:
            raise Answer(409, "this delivery was taken already")
        return delivery

    def _oldest(self) -> float:
        return next(iter(self._taken.values()))

    async def _passed_on(self, request: web.Request, body: bytes) -> bool:
        headers = {name: request.headers[name] for name in (SIGNATURE, TIMESTAMP, DELIVERY)}
        return await self._relay({**headers, RELAYED: "1", "Content-Type": "application/json"}, body)


def _model(body: bytes) -> str:
    """The model that a call is about.

    Raises:
        Answer: it names none.
    """
    try:
        told = json.loads(body)
        name = told["data"]["name"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Answer(400, "the body is not that of a webhook of MLflow: it has no data.name") from error
    if not isinstance(name, str):
        raise Answer(400, "data.name is no text")
    return name
