"""Hands requests for training to whoever trains, and makes one where versions of a model are rejected in a row.

The leader alone. A request is the object first, then the message: what was not delivered is delivered by the next
leader, once more at worst, under the same id.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from tidegate.api.approval import said_at
from tidegate.api.retraining import order_of, rejected_of, render_handing, request_for
from tidegate.core.labels import API_VERSION, KIND, RETRAINING_KIND
from tidegate.core.retraining import Earlier, Handing, Terms, due
from tidegate.core.values import safe_hash
from tidegate.errors import ClusterError, Conflict, NotLeading
from tidegate.loop.journals import StatusJournals
from tidegate.loop.pause import pause
from tidegate.loop.world import World
from tidegate.ports import Answer, Clock, Cluster, Delivery, Manifest, Trainer

_log = structlog.get_logger("tidegate")
#: Seconds that one try of a delivery may take, until the next one, and after which there is none any more.
DEADLINE = 10.0
AGAIN = 30.0
LIFETIME = 86_400.0
#: Seconds between two looks at what the audit trail could not be told of.
UNTOLD_AGAIN = 10.0
#: What is said of requests that nobody is told of.
NOBODY = "waits for people: no address is configured to hand it over to (governance.retraining.existingSecret)"
_PHASE = {Delivery.DELIVERED: Handing.DELIVERED, Delivery.REFUSED: Handing.REFUSED, Delivery.FAILED: Handing.PENDING}


class Retrainings:
    """One worker. `trainer` None: requests wait for people, and the operator makes none; `user` is whom it asks as."""

    def __init__(
        self,
        *,
        world: World,
        leading: Cluster,
        trainer: Trainer | None,
        clock: Clock,
        terms: Terms,
        user: str,
        journals: StatusJournals,
        governed: bool,
    ) -> None:
        self._world = world
        self._leading = leading
        self._trainer = trainer
        self._clock = clock
        self._terms = terms
        self._user = user
        self._journals = journals
        self._governed = governed
        self._suspects: set[str] = set()
        #: When a model of a namespace was last asked for here: somebody may have deleted the request since.
        self._asked: dict[tuple[str, str], float] = {}
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Something is to be noted in a request's status. Returns at once."""
        self._news.set()

    def told(self, kind: str, body: Mapping[str, Any]) -> None:
        """A watch told of an object. Returns at once."""
        if kind == RETRAINING_KIND:
            self._news.set()
        elif kind == KIND and self._suspicious(body):
            self._suspects.add(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
            self._news.set()

    async def run(self) -> None:
        """Work until cancelled, beginning with everything there is. Without governance nobody vouches for who asks."""
        if not self._governed:
            return
        for key in self._world.names(KIND):
            body = self._world.get(KIND, key)
            if body is not None:
                self.told(KIND, body)
            await asyncio.sleep(0)
        while True:
            self._news.clear()
            settled = await self.once()
            await pause(self._news, AGAIN if settled else UNTOLD_AGAIN)

    async def once(self) -> bool:
        """Make what is due, and hand over what waits; whether the audit trail was told of all that was done."""
        try:
            for key in sorted(self._suspects):
                await self._ask(key)
            for body in self._waiting():
                await self._hand_over(body)
            return await self._journals.settle()
        except NotLeading:
            return False
        except ClusterError as error:
            _log.warning("retraining failed", error=str(error))
            return False

    def _suspicious(self, body: Mapping[str, Any]) -> bool:
        """Whether it may be time to ask: `due` says so."""
        rejected = (body.get("status") or {}).get("rejected") or ()
        return self._trainer is not None and bool(self._user) and self._terms.rejections > 0 and bool(rejected)

    async def _ask(self, key: str) -> None:
        body = self._world.get(KIND, key)
        if body is None or not self._suspicious(body):
            self._suspects.discard(key)
            return
        rejected = rejected_of(body)
        last = due(rejected, self._earlier(body), self._terms, self._clock.now())
        if last is None:
            return
        meta = body["metadata"]
        # The same for the same rejection, so that it is made once, whoever leads.
        name = f"{meta['name']}-{safe_hash(repr((meta['uid'], last.version, last.attempt)))}"
        manifest = {
            "apiVersion": API_VERSION,
            "kind": RETRAINING_KIND,
            "metadata": {"namespace": meta["namespace"], "name": name},
            "spec": request_for(body, self._user, rejected),
        }
        try:
            self._world.put(await self._leading.create(manifest))
        except Conflict:
            return
        self._asked[meta["namespace"], body["spec"]["model"]["name"]] = self._clock.now()
        _log.info("retraining asked for", object=key, request=name, version=last.version)

    def _earlier(self, deployment: Mapping[str, Any]) -> tuple[Earlier, ...]:
        """Requests for the same model in the same namespace."""
        model, namespace = deployment["spec"]["model"]["name"], deployment["metadata"]["namespace"]
        asked = self._asked.get((namespace, model))
        there = (
            Earlier(at=said_at(body), open=not _phase(body).final)
            for body in self._world.bodies(RETRAINING_KIND, namespace)
            if (body.get("spec") or {}).get("model") == model
        )
        return (*there, *((Earlier(at=asked, open=False),) if asked is not None else ()))

    def _waiting(self) -> list[Manifest]:
        return [body for body in self._world.bodies(RETRAINING_KIND) if not _phase(body).final]

    async def _hand_over(self, body: Manifest) -> None:
        try:
            order = order_of(body)
        except ValidationError as error:
            await self._say(body, Handing.REFUSED, error.errors(include_url=False)[0]["msg"])
            return
        if self._trainer is None:
            await self._say(body, Handing.PENDING, NOBODY)
            return
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await self._trainer.order(order)
        except TimeoutError:
            answer = Answer(delivery=Delivery.FAILED, detail="no answer in time")
        phase = _PHASE[answer.delivery]
        if phase is Handing.PENDING and self._clock.now() - order.at > LIFETIME:
            phase = Handing.FAILED
        words = "whoever trains has it" if phase is Handing.DELIVERED else answer.detail
        await self._say(body, phase, words)

    async def _say(self, body: Manifest, phase: Handing, message: str) -> None:
        wanted = render_handing(body, phase, message, self._clock.now())
        if (body.get("status") or {}) == wanted:
            return
        meta = body["metadata"]
        manifest = {
            "apiVersion": API_VERSION,
            "kind": RETRAINING_KIND,
            "metadata": {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")},
            "status": wanted,
        }
        try:
            self._world.put(await self._leading.apply_status(manifest))
        except Conflict:
            self._news.set()
            return
        _log.info(
            "retraining",
            object=f"{meta['namespace']}/{meta['name']}",
            phase=phase.value,
            message=message,
            decision=(wanted.get("acts") or [{}])[-1].get("decision"),
        )


def _phase(body: Mapping[str, Any]) -> Handing:
    return Handing((body.get("status") or {}).get("phase") or Handing.PENDING)
