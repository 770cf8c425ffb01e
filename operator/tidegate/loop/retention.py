"""Deletes archived versions that nothing needs from registries whose owners ask for it: the leader alone, now and then.

    list the cluster -> read a model -> verdicts -> for each version that may go, unless it is a dry run:
    list again where that is old -> read again -> verdict again -> audit -> fence -> delete -> read -> audit

A registry knows no compare-and-set and nobody brings a deleted version back. So a version goes only in a look after one
that told of it, everything is read once more right before each deletion, and where something can't be read, listed or
told to the audit trail, nothing is deleted.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from tidegate.core.audit import Act, Actor, AuditEvent
from tidegate.core.labels import KIND, REGISTRY_KIND
from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.core.retention import Deleted, Due, Keep, Retained, Terms, Verdict, archived, changed_at, verdict
from tidegate.core.values import ObjectRef, Unavailable
from tidegate.errors import ClusterError, NotLeading
from tidegate.loop.audit import Audit
from tidegate.loop.census import Census, take
from tidegate.loop.fence import Fence
from tidegate.loop.registries import Registries
from tidegate.loop.world import World
from tidegate.ports import Clock, Cluster, RegistryWriter
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Seconds after a look that did not come to its end, at most.
RETRY = 300.0
#: For how much of the time between two looks a version is told of before it goes: a look finds what one before told.
AHEAD = 5 / 6
#: Seconds until it is seen that somebody asks for something else.
NOTICE = 5.0
#: Versions that one look deletes at most. The others are still there for somebody who sees what happens.
MOST = 20
#: Seconds for which a list of the cluster is good enough to delete by.
FRESH = 10.0
#: Versions that are told one by one in a status.
LISTED = 20
_GONE = frozenset({Reason.VERSION_NOT_FOUND, Reason.MODEL_NOT_FOUND})
#: Answers of a registry that are about one model, and not about it.
_ABOUT_THE_MODEL = frozenset({Reason.REGISTRY_FORBIDDEN, Reason.REGISTRY_REFUSED})


#: A model's name and creation time, and a version's number.
_Identity = tuple[str, int, str]


class _StoppedError(Exception):
    """The look ends here; the words say why."""


class _SkippedError(Exception):
    """Nothing more is done with this model; the words say why."""


@dataclass(slots=True, kw_only=True)
class _Look:
    """One look at a registry, and what it came to so far. `left` is how many versions it may still delete.

    `ahead`: seconds for which a version has to be told of before it goes.
    `since`: when each version that may go was told of first (monotonic seconds); `before` is that of the last look.
    """

    where: str | None
    terms: Terms
    census: Census
    at: float
    ahead: float
    before: Mapping[_Identity, float]
    since: dict[_Identity, float] = field(default_factory=dict)
    left: int = MOST
    due: int = 0
    first: list[Due] = field(default_factory=list)
    kept: Counter[Keep] = field(default_factory=Counter)
    examples: dict[Keep, str] = field(default_factory=dict)
    deleted: list[Deleted] = field(default_factory=list)
    fault: str = ""

    def judged(self, model: RegisteredModel, said: Verdict) -> None:
        """Count a version that stays, or that may go and is there."""
        version = model.version(said.number)
        if said.keep in {Keep.GONE, Keep.NOT_ARCHIVED} or version is None:
            return
        if said.keep is not None:
            self.kept[said.keep] += 1
            self.examples.setdefault(said.keep, f"version {said.number} of {model.name}: {said.message}")
            return
        self.due += 1
        identity = _identity(model, said.number)
        self.since[identity] = self.before.get(identity, self.at)
        if len(self.first) < LISTED:
            self.first.append(Due(model=model.name, number=said.number, changed=changed_at(version)))

    def ripe(self, model: RegisteredModel, number: str) -> bool:
        """Whether a version that may go was told of for long enough, and there is room for its deletion."""
        told = self.before.get(_identity(model, number), self.at)
        return not self.terms.dry_run and self.left > 0 and self.at - told >= self.ahead

    def found(self) -> Retained:
        """What there is to tell."""
        kept = tuple((keep, self.kept[keep], self.examples[keep]) for keep in Keep if self.kept[keep])
        return Retained(
            dry_run=self.terms.dry_run,
            due=self.due,
            first=tuple(self.first),
            kept=kept,
            deleted=tuple(self.deleted),
            fault=self.fault,
        )


class Retention:
    """One worker for all registries.

    Args:
        own: What is asked for of the operator's own registry; None: its archived versions stay.
        every: Seconds between two looks at a registry.
        cluster: Lists, from the API server itself.
        namespaces: Those that are watched; none means all.
    """

    def __init__(
        self,
        *,
        own: Terms | None,
        every: float,
        registries: Registries,
        cluster: Cluster,
        namespaces: Sequence[str],
        world: World,
        fence: Fence,
        clock: Clock,
        audit: Audit,
        metrics: Metrics,
    ) -> None:
        self._own = own
        self._every = every
        self._registries = registries
        self._cluster = cluster
        self._namespaces = namespaces
        self._world = world
        self._fence = fence
        self._clock = clock
        self._audit = audit
        self._metrics = metrics
        self._due: dict[str | None, tuple[Terms, float]] = {}
        self._told: dict[str | None, Retained] = {}
        self._since: dict[str | None, dict[_Identity, float]] = {}
        self._census: tuple[float, Census] | None = None

    async def run(self) -> None:
        """Look until cancelled. What an earlier run knew is forgotten: another replica may have led since."""
        self._due.clear()
        self._told.clear()
        self._since.clear()
        try:
            while True:
                asked = dict(self._asked())
                for gone in self._told.keys() - asked.keys():
                    del self._told[gone]
                    self._since.pop(gone, None)
                for where, terms in asked.items():
                    known, due = self._due.get(where, (None, 0.0))
                    if (known != terms or due <= self._clock.monotonic()) and self._open(where):
                        found = await self.look(where, terms)
                        wait = min(RETRY, self._every) if found.fault else self._every
                        self._due[where] = (terms, self._clock.monotonic() + wait)
                self._show_due()
                self._census = None
                await asyncio.sleep(NOTICE)
        finally:
            self._metrics.versions_due.set(0)

    async def look(self, where: str | None, terms: Terms) -> Retained:
        """Look at all models that one registry is asked for, delete what may go, and tell what it came to."""
        before = self._since.get(where, {})
        look = _Look(
            where=where, terms=terms, census=Census(), at=self._clock.monotonic(), ahead=AHEAD * self._every,
            before=before,
        )  # fmt: skip
        try:
            look.census = await self._listed()
            for model, readers in sorted(look.census.models(where).items()):
                try:
                    await self._model(look, model, readers)
                except _SkippedError as error:
                    look.fault = look.fault or str(error)
        except NotLeading as error:
            look.fault = str(error)
            return look.found()
        except ClusterError as error:
            look.fault = f"the API server does not list what needs versions: {error}"
        except _StoppedError as error:
            look.fault = str(error)
        found = look.found()
        # What a look that broke off did not come to was told of all the same.
        self._since[where] = look.since if not look.fault else {**before, **look.since}
        self._tell(where, found)
        return found

    def _open(self, where: str | None) -> bool:
        """Whether a registry has been asked for anything yet, or never will be."""
        writer = self._registries.holder(where)
        return not isinstance(writer, Unavailable) or writer.reason != Reason.NOT_POLLED_YET

    def _asked(self) -> Iterator[tuple[str | None, Terms]]:
        if self._own is not None:
            yield None, self._own
        for where in sorted(self._world.names(REGISTRY_KIND)):
            plan = self._registries.plan(where)
            if plan is not None and plan.retention is not None:
                yield where, plan.retention

    async def _listed(self) -> Census:
        """What the cluster needs, as of a moment ago."""
        now = self._clock.monotonic()
        if self._census is None or now - self._census[0] > FRESH:
            # The time before the first list: what is listed is at most this old.
            self._census = (now, await take(self._cluster, self._namespaces, self._clock.now()))
        return self._census[1]

    async def _model(self, look: _Look, name: str, readers: Sequence[ObjectRef]) -> None:
        model = await self._read(look, name)
        for number in archived(model) if model is not None else ():
            assert model is not None  # noqa: S101 (it has the number)
            said = self._judge(look, model, number, look.census)
            if said.keep is None and look.ripe(model, number):
                said = await self._delete(look, name, number, readers)
            look.judged(model, said)

    async def _read(self, look: _Look, name: str) -> RegisteredModel | None:
        """A model as it is now; None where there is none."""
        read = await self._writer(look).read(name)
        if isinstance(read, RegisteredModel):
            return read
        if read.reason == Reason.MODEL_NOT_FOUND:
            return None
        raise _ended(read)

    def _writer(self, look: _Look) -> RegistryWriter:
        writer = self._registries.holder(look.where)
        if isinstance(writer, Unavailable):
            raise _StoppedError(writer.message)
        return writer

    def _judge(self, look: _Look, model: RegisteredModel, number: str, census: Census) -> Verdict:
        return verdict(model, number, census.of(model.name), after=look.terms.after, now=self._clock.now())

    async def _delete(self, look: _Look, name: str, number: str, readers: Sequence[ObjectRef]) -> Verdict:
        """Delete a version if it may still go; what is said of it now."""
        census = await self._listed()
        model = await self._read(look, name)
        if model is None:
            return Verdict(number=number, keep=Keep.GONE, message="its model is gone")
        said = self._judge(look, model, number, census)
        if said.keep is not None:
            return said
        if dict(self._asked()).get(look.where) != look.terms:
            raise _StoppedError("something else is asked for by now")
        writer = self._writer(look)
        self._fence.check()
        if not self._audit.tell(self._event(look, model, said, readers, outcome="begun")):
            raise _StoppedError("the audit trail takes nothing now, and nothing is deleted that it does not have")
        # Since the last answer of the registry nothing was waited for but a disk.
        self._fence.check()
        failed = await writer.delete_version(name, number)
        left = await writer.version(name, number)
        gone = isinstance(left, Unavailable) and left.reason in _GONE
        outcome = "done" if gone else "unknown" if isinstance(left, Unavailable) else "failed"
        self._audit.tell(self._event(look, model, said, readers, outcome=outcome))
        self._metrics.versions_deleted.labels(outcome=outcome).inc()
        why = failed.message if failed is not None else None
        _log.info(
            "deletion", registry=look.where or "own", model=name, version=number, reason=said.message,
            outcome=outcome, error=why,
        )  # fmt: skip
        look.left -= 1
        if gone:
            look.deleted.append(Deleted(model=name, number=number, at=self._clock.now()))
            return Verdict(number=number, keep=Keep.GONE, message="it was deleted")
        if failed is not None:
            raise _ended(failed)
        raise _SkippedError(f"version {number} of model {name!r} is still there after it was deleted")

    def _event(
        self, look: _Look, model: RegisteredModel, said: Verdict, readers: Sequence[ObjectRef], *, outcome: str
    ) -> AuditEvent:
        """Told twice, before and after: a process that ends in between leaves a version that nobody could ask for."""
        kind, ref = KIND, readers[0]
        body = self._world.get(REGISTRY_KIND, look.where) if look.where is not None else None
        if body is not None:
            meta = body["metadata"]
            kind, ref = REGISTRY_KIND, ObjectRef(namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])
        return AuditEvent(
            id=f"{ref.uid}/{model.name}/{model.created_ms}/{said.number}/deleted/{outcome}",
            at=self._clock.now(),
            kind=kind,
            ref=ref,
            act=Act.DELETED,
            actor=Actor.TIDEGATE,
            model=model.name,
            version=said.number,
            source="Archived",
            reason=Reason.UNNEEDED.value,
            message=said.message,
            outcome=outcome,
        )

    def _tell(self, where: str | None, found: Retained) -> None:
        if where is not None:
            self._registries.retained(where, found)
        if self._told.get(where) != found:
            self._told[where] = found
            _log.info(
                "retention",
                registry=where or "own",
                dry_run=found.dry_run,
                due=found.due,
                versions=[f"{one.model} {one.number}" for one in found.first],
                deleted=len(found.deleted),
                kept={keep.value: count for keep, count, _ in found.kept},
                error=found.fault or None,
            )

    def _show_due(self) -> None:
        self._metrics.versions_due.set(sum(found.due for found in self._told.values()))


def _identity(model: RegisteredModel, number: str) -> _Identity:
    return model.name, model.created_ms, number


def _ended(answer: Unavailable) -> _SkippedError | _StoppedError:
    """What an answer of the registry is the end of."""
    return (_SkippedError if answer.reason in _ABOUT_THE_MODEL else _StoppedError)(answer.message)
