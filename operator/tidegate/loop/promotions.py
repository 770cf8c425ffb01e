"""Carries out promotions that people ask for, one after the other: the leader alone, beside everything else.

    policies and votes -> read the registry -> intent into status -> move -> read again -> status

The intent is in status before the registry is written, and of one model only one promotion has one. So whoever leads
after a crash finishes what was begun before it begins anything else, and a move that was done already is only read.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from tidegate.api.promotion import heard_of, policy_of, render_promotion, request_of, vote_of
from tidegate.core.labels import API_VERSION, APPROVAL_KIND, POLICY_KIND, PROMOTION_KIND
from tidegate.core.promotion import Outcome, Policy, Request, Stage, Standing, Vote, judged, reached, standing_votes
from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.core.values import Unavailable
from tidegate.errors import ClusterError, Conflict, NotLeading
from tidegate.loop.fence import Fence
from tidegate.loop.journals import StatusJournals
from tidegate.loop.pause import pause
from tidegate.loop.world import World
from tidegate.ports import Clock, Cluster, Manifest, RegistryWriter

_log = structlog.get_logger("tidegate")
#: Kinds whose news may decide a promotion.
TELLING = frozenset({PROMOTION_KIND, POLICY_KIND, APPROVAL_KIND})
#: Seconds until what is not decided is looked at again without news: a registry that is back tells nobody.
AGAIN = 10.0
#: The same where everything is decided: a list may have found what no watch told of.
IDLE = 300.0


class Promotions:
    """One worker for all of them: people ask now and then, and two moves at a time would only race."""

    def __init__(
        self,
        *,
        world: World,
        leading: Cluster,
        writer: RegistryWriter,
        fence: Fence,
        clock: Clock,
        journals: StatusJournals,
        governed: bool,
    ) -> None:
        self._world = world
        self._leading = leading
        self._writer = writer
        self._fence = fence
        self._clock = clock
        self._journals = journals
        self._governed = governed
        self._news = asyncio.Event()

    def told(self, kind: str) -> None:
        """A watch told of an object of this kind. Returns at once."""
        if kind in TELLING:
            self._news.set()

    async def run(self) -> None:
        """Work until cancelled. Without governance nobody vouches for who asks, and nothing is done."""
        while self._governed:
            self._news.clear()
            settled = await self.once()
            await pause(self._news, IDLE if settled and not self._open() else AGAIN)

    async def once(self) -> bool:
        """Look at every promotion that is not decided; what was begun comes first, then the oldest.

        Whether the audit trail was told of all that was done.
        """
        for body in self._open():
            try:
                await self._step(body)
            except Conflict:
                self._news.set()  # somebody wrote it meanwhile; what he wrote is on its way
            except NotLeading:
                return False
            except ClusterError as error:
                _log.warning("promotion failed", object=_key(body), error=str(error))
        try:
            return await self._journals.settle()
        except ClusterError as error:
            _log.warning("promotions not noted as told", error=str(error))
        except NotLeading:
            pass
        return False

    def _open(self) -> list[Manifest]:
        bodies = [self._world.get(PROMOTION_KIND, key) for key in self._world.names(PROMOTION_KIND)]
        waiting = [body for body in bodies if body is not None and not _phase(body).final]
        return sorted(waiting, key=_turn)

    async def _step(self, body: Manifest) -> None:
        try:
            request = request_of(body)
            votes = self._votes(body)
            policies = self._policies(body, request)
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"]
            unreadable = Outcome(standing=_phase(body), reason=Reason.POLICY_UNREADABLE, message=said)
            heard = tuple(
                Vote(approver=one.approver, granted=one.granted, name=one.name, at=one.at) for one in heard_of(body)
            )
            await self._say(body, unreadable, heard, created=_created(body))
            return
        if _phase(body) is Standing.PENDING:
            begun = await self._begin(body, request, policies, votes)
            if begun is None:
                return
            body = begun
        await self._finish(body, request, votes)

    async def _begin(
        self, body: Manifest, request: Request, policies: list[Policy], votes: tuple[Vote, ...]
    ) -> Manifest | None:
        """Decide, and keep the intent; None where there is nothing to carry out now."""
        outcome = judged(request, policies, votes)
        if outcome.standing is not Standing.APPROVED:
            await self._say(body, outcome, votes)
            return None
        other = self._under_way(body, request)
        if other is not None:
            waits = Outcome(
                standing=Standing.PENDING,
                reason=Reason.PROMOTION_WAITS,
                message=f"approved; ModelPromotion {other} of the same model comes first",
            )
            await self._say(body, waits, votes)
            return None
        model = await self._writer.read(request.model)
        found = reached(request, model)
        if isinstance(model, Unavailable):
            standing = found.standing if found.standing.final else Standing.PENDING
            await self._say(body, Outcome(standing=standing, reason=found.reason, message=found.message), votes)
            return None
        if found.standing is not Standing.APPROVED:
            await self._say(body, found, votes, created=model.created_ms)
            return None
        return await self._say(body, outcome, votes, created=model.created_ms)

    async def _finish(self, body: Manifest, request: Request, votes: tuple[Vote, ...]) -> None:
        """Move the version if it is still to be moved, and say what came of it."""
        created = _created(body)
        outcome = self._far(request, await self._writer.read(request.model), created)
        if outcome.standing is Standing.APPROVED and outcome.reason is Reason.APPROVED:
            self._fence.check()
            archive = request.target is Stage.PRODUCTION
            failed = await self._writer.move(request.model, request.version, request.target, archive=archive)
            _log.info(
                "promotion",
                object=_key(body),
                model=request.model,
                version=request.version,
                stage=request.target.value,
                requester=request.requester,
                approvers=[vote.approver for vote in standing_votes(request, votes)],
                error=failed and failed.message,
            )
            read = failed or await self._writer.read(request.model)
            outcome = self._far(request, read, created)
        await self._say(body, outcome, votes, created=created)

    def _far(self, request: Request, model: RegisteredModel | Unavailable, created: int | None) -> Outcome:
        if isinstance(model, RegisteredModel) and model.created_ms != created:
            message = f"model {request.model} was deleted and made anew since this was approved"
            return Outcome(standing=Standing.FAILED, reason=Reason.MOVED_ELSEWHERE, message=message)
        return reached(request, model)

    def _under_way(self, body: Manifest, request: Request) -> str | None:
        """The name of another promotion of the same model that was begun, in any namespace."""
        for other in self._open():
            same = (other.get("spec") or {}).get("model") == request.model
            if same and _phase(other) is Standing.APPROVED and other["metadata"]["uid"] != body["metadata"]["uid"]:
                return _key(other)
        return None

    def _votes(self, body: Manifest) -> tuple[Vote, ...]:
        """Everything that was said about it, taken back or not."""
        bodies = self._near(APPROVAL_KIND, body)
        return tuple(vote for approval in bodies if (vote := vote_of(approval, body)) is not None)

    def _policies(self, body: Manifest, request: Request) -> list[Policy]:
        bodies = self._near(POLICY_KIND, body)
        return [policy for one in bodies if (policy := policy_of(one, request.model)) is not None]

    def _near(self, kind: str, body: Manifest) -> list[Manifest]:
        """The objects of a kind in the same namespace, by name."""
        prefix = f"{body['metadata']['namespace']}/"
        names = sorted(name for name in self._world.names(kind) if name.startswith(prefix))
        return [found for name in names if (found := self._world.get(kind, name)) is not None]

    async def _say(
        self, body: Manifest, outcome: Outcome, votes: tuple[Vote, ...], *, created: int | None = None
    ) -> Manifest:
        """Write the status, if it says something new; a compare-and-set on the object as it was read."""
        wanted = render_promotion(body, outcome, votes, created=created, now=self._clock.now())
        if (body.get("status") or {}) == wanted:
            return body
        meta = body["metadata"]
        written = await self._leading.apply_status(
            {
                "apiVersion": API_VERSION,
                "kind": PROMOTION_KIND,
                "metadata": {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")},
                "status": wanted,
            }
        )
        self._world.put(written)
        _log.info(
            "promotion decided", object=_key(body), phase=outcome.standing.value, reason=outcome.reason.value,
            message=outcome.message, decision=(wanted.get("acts") or [{}])[-1].get("decision"),
        )  # fmt: skip
        return written


def _phase(body: Mapping[str, Any]) -> Standing:
    return Standing((body.get("status") or {}).get("phase") or Standing.PENDING)


def _created(body: Mapping[str, Any]) -> int | None:
    created = (body.get("status") or {}).get("modelCreated")
    return created if isinstance(created, int) else None


def _turn(body: Mapping[str, Any]) -> tuple[bool, str, str]:
    return _phase(body) is not Standing.APPROVED, body["metadata"]["creationTimestamp"], _key(body)


def _key(body: Mapping[str, Any]) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
