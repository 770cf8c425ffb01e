"""Carries out promotions that people ask for, in each registry one after the other: the leader alone.

    policies and votes -> read the registry -> intent into status -> move -> read again -> status

The intent is in status before the registry is written, and of one model only one promotion has one. So whoever leads
after a crash finishes what was begun before it begins anything else, and a move that was done already is only read.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from tidegate.api.promotion import heard_of, policy_of, registry_of, render_promotion, request_of, vote_of
from tidegate.core.labels import API_VERSION, APPROVAL_KIND, POLICY_KIND, PROMOTION_KIND, REGISTRY_KIND
from tidegate.core.pointers import PASSING
from tidegate.core.promotion import (
    Outcome,
    Policy,
    Request,
    Stage,
    Standing,
    Vote,
    judged,
    reached,
    revoked,
    standing_votes,
)
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
TELLING = frozenset({PROMOTION_KIND, POLICY_KIND, APPROVAL_KIND, REGISTRY_KIND})
#: Seconds until what is not decided is looked at again without news: a registry that is back tells nobody.
AGAIN = 10.0
#: The same where everything is decided: a list may have found what no watch told of.
IDLE = 300.0
MISSING = (
    "spec.registry.name: namespace {namespace} has no ModelRegistry {name!r}: create it, or ask anew with another "
    "ModelPromotion"
)
#: Who writes to a ModelRegistry (`namespace/name`; None: the operator's own registry), or why nobody can.
Writers = Callable[[str | None], RegistryWriter | Unavailable]


class _Way:
    """The way into one registry for one round: one that does not answer is not waited for again in it."""

    def __init__(self, writer: RegistryWriter) -> None:
        self.writer = writer
        self._down: Unavailable | None = None

    async def read(self, model: str) -> RegisteredModel | Unavailable:
        """See `RegistryWriter.read`."""
        answer = self._down or await self.writer.read(model)
        if isinstance(answer, Unavailable) and Reason(answer.reason) in PASSING:
            self._down = answer
        return answer


class Promotions:
    """One worker for each registry: people ask now and then, and two moves at a time would only race."""

    def __init__(
        self,
        *,
        world: World,
        leading: Cluster,
        writers: Writers,
        fence: Fence,
        clock: Clock,
        journals: StatusJournals,
        governed: bool,
    ) -> None:
        self._world = world
        self._leading = leading
        self._writers = writers
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
        async with asyncio.TaskGroup() as group:
            for turn in self._turns():
                group.create_task(self._each(turn))
        try:
            return await self._journals.settle()
        except ClusterError as error:
            _log.warning("promotions not noted as told", error=str(error))
        except NotLeading:
            pass
        return False

    def _turns(self) -> list[list[tuple[_Way | Unavailable, Manifest]]]:
        """Those that are not decided, each with its way in and in its turn, by server: one that hangs delays no other.

        Two ModelRegistries may name one server, each with an account of its own.
        """
        found: dict[str, list[tuple[_Way | Unavailable, Manifest]]] = {}
        ways: dict[str | None, _Way] = {}
        for body in self._open():
            where = registry_of(body)
            writer = self._writer(where)
            if isinstance(writer, Unavailable):
                found.setdefault(f"no way into {where}", []).append((writer, body))
            else:
                found.setdefault(writer.url, []).append((ways.setdefault(where, _Way(writer)), body))
        return list(found.values())

    def _writer(self, where: str | None) -> RegistryWriter | Unavailable:
        if where is not None and self._world.state(REGISTRY_KIND, where) is None:
            namespace, _, name = where.partition("/")
            message = MISSING.format(namespace=namespace, name=name)
            return Unavailable(reason=Reason.REGISTRY_NOT_FOUND, message=message)
        return self._writers(where)

    async def _each(self, turn: Sequence[tuple[_Way | Unavailable, Manifest]]) -> None:
        for way, body in turn:
            try:
                await self._step(way, body)
            except Conflict:
                self._news.set()  # somebody wrote it meanwhile; what he wrote is on its way
            except NotLeading:
                return
            except ClusterError as error:
                _log.warning("promotion failed", object=_key(body), error=str(error))

    def _open(self) -> list[Manifest]:
        return sorted((body for body in self._world.bodies(PROMOTION_KIND) if not _phase(body).final), key=_turn)

    async def _step(self, way: _Way | Unavailable, body: Manifest) -> None:
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
            await self._say(body, unreadable, heard, begun=_begun(body))
            return
        outcome = judged(request, policies, votes) if _phase(body) is Standing.PENDING else None
        if outcome is not None and outcome.standing is Standing.APPROVED:
            # What follows can't be taken back, and a watch may be behind.
            await self._read_anew(body["metadata"]["namespace"])
            votes = self._votes(body)
            outcome = judged(request, self._policies(body, request), votes)
        if outcome is not None and outcome.standing is Standing.REFUSED:
            await self._say(body, outcome, votes)
        elif isinstance(way, Unavailable):
            await self._wait(way, body, votes)
        elif outcome is None:
            await self._finish(way, body, request, votes)
        else:
            begun = await self._begin(way, body, request, outcome, votes)
            if begun is not None:
                await self._finish(way, begun, request, votes)

    async def _wait(self, why: Unavailable, body: Manifest, votes: tuple[Vote, ...]) -> None:
        """Say why nothing can be read or written."""
        if why.reason == Reason.NOT_POLLED_YET and body.get("status"):
            return  # the answer is a moment away
        outcome = Outcome(standing=_phase(body), reason=Reason(why.reason), message=why.message)
        await self._say(body, outcome, votes, begun=_begun(body))

    async def _begin(
        self, way: _Way, body: Manifest, request: Request, outcome: Outcome, votes: tuple[Vote, ...]
    ) -> Manifest | None:
        """Keep the intent; None where there is nothing to carry out now."""
        if outcome.standing is not Standing.APPROVED:
            await self._say(body, outcome, votes)
            return None
        other = self._under_way(way, body, request)
        if other is not None:
            waits = Outcome(
                standing=Standing.PENDING,
                reason=Reason.PROMOTION_WAITS,
                message=f"approved; ModelPromotion {other} of the same model comes first",
            )
            await self._say(body, waits, votes)
            return None
        model = await way.read(request.model)
        found = reached(request, model)
        if isinstance(model, Unavailable):
            standing = found.standing if found.standing.final else Standing.PENDING
            await self._say(body, Outcome(standing=standing, reason=found.reason, message=found.message), votes)
            return None
        begun = (way.writer.url, model.created_ms)
        if found.standing is not Standing.APPROVED:
            await self._say(body, found, votes, begun=begun)
            return None
        return await self._say(body, outcome, votes, begun=begun)

    async def _finish(self, way: _Way, body: Manifest, request: Request, votes: tuple[Vote, ...]) -> None:
        """Move the version if it is still to be moved, and say what came of it."""
        begun = _begun(body)
        if begun is not None and begun[0] != way.writer.url:
            message = (
                f"it was begun in {begun[0]}, and ModelRegistry {registry_of(body)} names {way.writer.url} by now: "
                "what was moved there is left to people"
            )
            elsewhere = Outcome(standing=Standing.FAILED, reason=Reason.REGISTRY_NOT_FOUND, message=message)
            await self._say(body, elsewhere, votes, begun=begun)
            return
        model = await way.read(request.model)
        outcome = self._far(request, model, begun)
        if not outcome.standing.final:
            outcome = revoked(request, model, self._votes(body)) or outcome
        if outcome.standing is Standing.APPROVED and outcome.reason is Reason.APPROVED:
            self._fence.check()
            archive = request.target is Stage.PRODUCTION
            failed = await way.writer.move(request.model, request.version, request.target, archive=archive)
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
            read = failed or await way.read(request.model)
            outcome = self._far(request, read, begun)
        await self._say(body, outcome, votes, begun=begun)

    def _far(self, request: Request, model: RegisteredModel | Unavailable, begun: tuple[str, int] | None) -> Outcome:
        if isinstance(model, RegisteredModel) and begun is not None and model.created_ms != begun[1]:
            message = f"model {request.model} was deleted and made anew since this was approved"
            return Outcome(standing=Standing.FAILED, reason=Reason.MOVED_ELSEWHERE, message=message)
        return reached(request, model)

    def _under_way(self, way: _Way, body: Manifest, request: Request) -> str | None:
        """The name of another promotion of the same model that was begun there, in any namespace."""
        for other in self._open():
            begun = _begun(other)
            same = (other.get("spec") or {}).get("model") == request.model
            there = begun is None or begun[0] == way.writer.url
            if (
                same
                and there
                and _phase(other) is Standing.APPROVED
                and other["metadata"]["uid"] != body["metadata"]["uid"]
            ):
                return _key(other)
        return None

    def _votes(self, body: Manifest) -> tuple[Vote, ...]:
        """Everything that was said about it, taken back or not."""
        bodies = self._world.bodies(APPROVAL_KIND, body["metadata"]["namespace"])
        return tuple(vote for approval in bodies if (vote := vote_of(approval, body)) is not None)

    def _policies(self, body: Manifest, request: Request) -> list[Policy]:
        """Those of its namespace; where all namespaces share the registry, also those of others that name the model."""
        here = body["metadata"]["namespace"]
        bodies = self._world.bodies(POLICY_KIND, None if registry_of(body) is None else here)
        return [policy for one in bodies if (policy := policy_of(one, request.model, from_=here)) is not None]

    async def _read_anew(self, namespace: str) -> None:
        for kind in (POLICY_KIND, APPROVAL_KIND):
            for found in await self._leading.list(kind, namespace):
                self._world.put({**found, "kind": kind})

    async def _say(
        self, body: Manifest, outcome: Outcome, votes: tuple[Vote, ...], *, begun: tuple[str, int] | None = None
    ) -> Manifest:
        """Write the status, if it says something new; a compare-and-set on the object as it was read."""
        wanted = render_promotion(body, outcome, votes, begun=begun, now=self._clock.now())
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


def _begun(body: Mapping[str, Any]) -> tuple[str, int] | None:
    """The server that it was begun in, and when the registered model was made there."""
    status = body.get("status") or {}
    created, registry = status.get("modelCreated"), status.get("registry")
    return (registry, created) if isinstance(created, int) and isinstance(registry, str) else None


def _turn(body: Mapping[str, Any]) -> tuple[bool, str, str]:
    return _phase(body) is not Standing.APPROVED, body["metadata"]["creationTimestamp"], _key(body)


def _key(body: Mapping[str, Any]) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
