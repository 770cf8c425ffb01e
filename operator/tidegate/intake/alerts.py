"""Alerts over HTTP: `POST /alerts/alertmanager` (webhook, version 4) and `POST /alerts` (one alert, a plain form).

Whoever tells of alerts can lower weights and hold them, nothing else. The answer is 2xx only once everything that was
told is on the routes; 503 asks the sender to tell it again, which does no harm. What concerns nobody is taken as well:
a sender must not go on telling us.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from tidegate.core.observed import Alerts
from tidegate.errors import ClusterError
from tidegate.intake.bounds import Answer, body_of
from tidegate.intake.payloads import Message, UnreadableAlertsError, alertmanager, plain
from tidegate.intake.rates import Rates
from tidegate.loop.alerts import Matcher
from tidegate.loop.telling import AlertLane
from tidegate.ports import Caller, Clock, Reviews, Tokens
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Bytes of a body, and seconds until its effect is on the routes.
LARGEST = 1024 * 1024
DEADLINE = 10.0
#: Requests a second of one caller, and at once after a silence.
RATE, BURST = 50.0, 200.0
#: Tokens a second that are nobody's, of one address, and at once after a silence.
WRONG_RATE, WRONG_BURST = 5.0, 20.0
#: Requests under way at a time, and objects of one request that are told at a time.
MOST_REQUESTS, MOST_OBJECTS = 128, 32

Form = Callable[[bytes, float], list[Message]]
FORMS: dict[str, tuple[str, Form]] = {
    "alertmanager": ("/alerts/alertmanager", alertmanager),
    "plain": ("/alerts", plain),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Who is let in: bearers of a known token, and those whom the API server knows; None where a way is shut."""

    tokens: Tokens | None = None
    reviews: Reviews | None = None

    @property
    def shut(self) -> bool:
        """Whether nobody can be let in."""
        return self.tokens is None and self.reviews is None


class AlertIntake:
    """Takes alerts, on every replica."""

    def __init__(
        self,
        *,
        lane: AlertLane,
        match: Callable[[], Matcher],
        doors: Doors,
        clock: Clock,
        metrics: Metrics,
        ready: Callable[[], str | None],
    ) -> None:
        self._lane = lane
        self._match = match
        self._doors = doors
        self._clock = clock
        self._metrics = metrics
        self._ready = ready
        self._wrong = Rates(rate=WRONG_RATE, burst=WRONG_BURST)
        self._callers = Rates(rate=RATE, burst=BURST)
        self._under_way = 0

    def register(self, app: web.Application) -> None:
        """Add the routes; none where nobody could be let in."""
        if self._doors.shut:
            return
        for form, (path, read) in FORMS.items():
            app.router.add_post(path, self._handler(form, read))

    def _handler(self, form: str, read: Form) -> Callable[[web.Request], "asyncio.Future[web.Response]"]:
        async def handle(request: web.Request) -> web.Response:
            self._under_way += 1
            try:
                answer = web.json_response({"alerts": await self._take(request, read)})
            except Answer as refused:
                answer = refused.response()
            finally:
                self._under_way -= 1
            self._metrics.alert_requests.labels(form=form, code=str(answer.status)).inc()
            if answer.status >= web.HTTPBadRequest.status_code:
                _log.warning("alerts refused", form=form, status=answer.status, sender=request.remote)
            return answer

        return handle  # type: ignore[return-value]  # aiohttp takes any coroutine function

    async def _take(self, request: web.Request, read: Form) -> dict[str, int]:
        sender = request.remote or ""
        if self._under_way > MOST_REQUESTS:
            raise Answer(503, "too many requests at a time", again=1)
        caller = await self._admitted(request, sender)
        wait = self._callers.wait(caller.name if caller is not None else sender, self._clock.monotonic())
        if wait > 0:
            # Not 429: Alertmanager would not tell again.
            raise Answer(503, f"more than {RATE:g} requests a second", again=wait)
        missing = self._ready()
        if missing is not None:
            raise Answer(503, missing, again=1)
        body = await body_of(request, LARGEST, ": set max_alerts of the receiver")
        try:
            messages = read(body, self._clock.now())
        except UnreadableAlertsError as error:
            raise Answer(400, str(error)) from error
        return await self._carried(messages, caller)

    async def _admitted(self, request: web.Request, sender: str) -> Caller | None:
        """Who asks; None for the bearer of a known token, who may tell of everything."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            raise Answer(401, "a bearer token is needed (Authorization: Bearer ...)")
        try:
            if self._doors.tokens is not None and self._doors.tokens.admits(token):
                return None
            # Whoever shares an address with somebody who guesses must not be kept out by that if the token is known.
            if (wait := self._wrong.wait(sender, self._clock.monotonic(), cost=0.0)) > 0:
                raise Answer(503, "too many tokens from this address were nobody's", again=wait)
            caller = await self._doors.reviews.identify(token) if self._doors.reviews is not None else None
        except OSError as error:
            _log.error("tokens can't be read", error=str(error))
            raise Answer(503, "the operator can't read its tokens", again=5) from error
        except ClusterError as error:
            raise Answer(503, f"the API server does not say whose token it is: {error}", again=1) from error
        if caller is None:
            self._wrong.charge(sender, self._clock.monotonic(), 1.0)
            raise Answer(401, "this token is nobody's")
        return caller

    async def _carried(self, messages: Sequence[Message], caller: Caller | None) -> dict[str, int]:
        told, counts = self._sorted(messages), defaultdict(int)
        counts["foreign"] = len(messages) - len({id(m) for found in told.values() for m in found})
        faults: list[str] = []
        forbidden: list[str] = []
        turns = asyncio.Semaphore(MOST_OBJECTS)

        async def tell(key: str, found: list[Message]) -> None:
            async with turns:
                try:
                    if not await self._may(caller, key):
                        counts["forbidden"] += len(found)
                        forbidden.append(key)
                        return
                    async with asyncio.timeout(DEADLINE):
                        effects = await self._lane.tell(key, _alerts(found))
                except (ClusterError, TimeoutError) as error:
                    counts["failed"] += len(found)
                    faults.append(f"{key}: {error or 'not written in time'}")
                    return
                for _, effect in effects:
                    counts[effect.value] += 1

        async with asyncio.TaskGroup() as group:
            for key, found in told.items():
                group.create_task(tell(key, found))
        for result, count in counts.items():
            self._metrics.alerts.labels(result=result).inc(count)
        if faults:
            raise Answer(503, "; ".join(sorted(faults)), again=1)
        if forbidden:
            may = "may not create modeldeployments/revert of"
            raise Answer(403, f"{caller.name if caller else ''} {may} {', '.join(sorted(forbidden))}")
        return {result: count for result, count in sorted(counts.items()) if count}

    def _sorted(self, messages: Sequence[Message]) -> dict[str, list[Message]]:
        match = self._match()
        told: dict[str, list[Message]] = defaultdict(list)
        for message in messages:
            for key in match.keys(message.labels):
                told[key].append(message)
        return told

    async def _may(self, caller: Caller | None, key: str) -> bool:
        if caller is None or self._doors.reviews is None:
            return True
        namespace, _, name = key.partition("/")
        return await self._doors.reviews.may_revert(caller, namespace, name)


def _alerts(messages: Sequence[Message]) -> Alerts:
    """Everything said of one object; of what is said twice the first."""
    firing = {m.alert.fingerprint: m.alert for m in reversed(messages) if m.firing}
    resolved = {m.alert.fingerprint: m.alert for m in reversed(messages) if not m.firing}
    return Alerts(firing=tuple(firing.values()), resolved=tuple(resolved.values()))
