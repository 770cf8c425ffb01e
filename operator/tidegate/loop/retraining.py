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
from tidegate.loop.pause import pause
from tidegate.loop.world import World
from tidegate.ports import Answer, Clock, Cluster, Delivery, Manifest, Trainer

_log = structlog.get_logger("tidegate")
#: Seconds that one try of a delivery may take, until the next one, and after which there is none any more.
DEADLINE = 10.0
AGAIN = 30.0
LIFETIME = 86_400.0
_PHASE = {Delivery.DELIVERED: Handing.DELIVERED, Delivery.REFUSED: Handing.REFUSED, Delivery.FAILED: Handing.PENDING}


class Retrainings:
    """One worker. `trainer` None: requests wait for people, and the operator makes none; `user` is whom it asks as."""

    def __init__(
        self, *, world: World, leading: Cluster, trainer: Trainer | None, clock: Clock, terms: Terms, user: str
    ) -> None:
        self._world = world
        self._leading = leading
        self._trainer = trainer
        self._clock = clock
        self._terms = terms
        self._user = user
        self._suspects: set[str] = set()
        self._news = asyncio.Event()

    def told(self, kind: str, body: Mapping[str, Any]) -> None:
        """A watch told of an object. Returns at once."""
        if kind == RETRAINING_KIND:
            self._news.set()
        elif kind == KIND and self._suspicious(body):
            self._suspects.add(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
            self._news.set()

    async def run(self) -> None:
        """Work until cancelled, beginning with everything there is. Without a trainer there is nothing to do."""
        if self._trainer is None:
            return
        for key in self._world.names(KIND):
            body = self._world.get(KIND, key)
            if body is not None:
                self.told(KIND, body)
            await asyncio.sleep(0)
        while True:
            self._news.clear()
            await self.once(self._trainer)
            await pause(self._news, AGAIN)

    async def once(self, trainer: Trainer) -> None:
        """Make what is due, and hand over what waits."""
        try:
            for key in sorted(self._suspects):
                await self._ask(key)
            for body in self._waiting():
                await self._hand_over(trainer, body)
        except NotLeading:
            return
        except ClusterError as error:
            _log.warning("retraining failed", error=str(error))

    def _suspicious(self, body: Mapping[str, Any]) -> bool:
        rejected = (body.get("status") or {}).get("rejected") or ()
        return bool(self._user) and 0 < self._terms.rejections <= len(rejected)

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
        _log.info("retraining asked for", object=key, request=name, version=last.version)

    def _earlier(self, deployment: Mapping[str, Any]) -> tuple[Earlier, ...]:
        """Requests for the same model in the same namespace."""
        model = deployment["spec"]["model"]["name"]
        return tuple(
            Earlier(at=said_at(body), open=not _phase(body).final)
            for body in self._near(deployment["metadata"]["namespace"])
            if (body.get("spec") or {}).get("model") == model
        )

    def _near(self, namespace: str | None = None) -> list[Manifest]:
        keys = sorted(self._world.names(RETRAINING_KIND))
        bodies = [self._world.get(RETRAINING_KIND, key) for key in keys]
        return [body for body in bodies if body is not None and namespace in {None, body["metadata"]["namespace"]}]

    def _waiting(self) -> list[Manifest]:
        return [body for body in self._near() if not _phase(body).final]

    async def _hand_over(self, trainer: Trainer, body: Manifest) -> None:
        try:
            order = order_of(body)
        except ValidationError as error:
            await self._say(body, Handing.REFUSED, error.errors(include_url=False)[0]["msg"])
            return
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await trainer.order(order)
        except TimeoutError:
            answer = Answer(delivery=Delivery.FAILED, detail="no answer in time")
        phase = _PHASE[answer.delivery]
        if phase is Handing.PENDING and self._clock.now() - order.at > LIFETIME:
            phase = Handing.FAILED
        words = "whoever trains has it" if phase is Handing.DELIVERED else answer.detail
        await self._say(body, phase, words)

    async def _say(self, body: Manifest, phase: Handing, message: str) -> None:
        wanted = render_handing(phase, message, self._clock.now())
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
        _log.info("retraining", object=f"{meta['namespace']}/{meta['name']}", phase=phase.value, message=message)


def _phase(body: Mapping[str, Any]) -> Handing:
    return Handing((body.get("status") or {}).get("phase") or Handing.PENDING)
