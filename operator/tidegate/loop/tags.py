"""Writes to the registry what became of each version, and asks it what it remembers of an object that nobody knows.

Both from queues of their own that nothing else waits for: a registry that is away costs tags, and they come later. An
object whose tags are as they should be is a number in memory and no request.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from tidegate.core.audit import Act, Actor, AuditEvent
from tidegate.core.backoff import backoff
from tidegate.core.labels import KIND
from tidegate.core.observed import Memory
from tidegate.core.plan import Plan
from tidegate.core.pointers import PASSING
from tidegate.core.reasons import Reason
from tidegate.core.record import Record
from tidegate.core.registered import RegisteredModel
from tidegate.core.tags import Note, notes, prefix, recollection
from tidegate.core.values import ObjectRef, Unavailable, VersionId, safe_hash
from tidegate.errors import NotLeading
from tidegate.loop.audit import Audit
from tidegate.loop.fence import Fence
from tidegate.loop.pause import pause
from tidegate.loop.registries import Registries
from tidegate.ports import Clock, RegistryWriter
from tidegate.telemetry import Metrics

_log = structlog.get_logger("tidegate")
#: Seconds between two writes for one object: a rollout of many short steps is told of by every few of them.
SPACING = 3.0
#: Seconds until a registry that is away is written to again: first, and at most.
FIRST_BACKOFF = 2.0
LAST_BACKOFF = 60.0
#: The longest until it is tried again after an answer that is none of a registry that is merely away: a login may be
#: mended, a permission granted, a maintenance page taken down. Rarely: some accounts shall not write.
LONGEST_BACKOFF = 900.0
#: What happened longer ago (seconds) was tagged by an earlier leader, so that a start with many objects reads nothing.
RECENT = 86400.0
#: What keeps a write back, or from being called done, where nobody can be told of it.
UNTOLD = Unavailable(reason=Reason.NOT_POLLED_YET, message="the audit trail takes nothing now")
_GONE = frozenset({Reason.VERSION_NOT_FOUND, Reason.MODEL_NOT_FOUND})
Tags = Mapping[VersionId, Mapping[str, str]]
#: The ModelRegistry that is asked (None: the operator's own) and the model's name.
_Source = tuple[str | None, str]


@dataclass(slots=True, kw_only=True)
class _Task:
    """The tags of one object that are being brought about.

    `known`: what the registry is known to have by now. `begun`: what the audit trail was told of and is not done yet.
    """

    ref: ObjectRef
    wanted: Tags
    due: float
    known: dict[VersionId, dict[str, str]] = field(default_factory=dict)
    begun: dict[VersionId, AuditEvent] = field(default_factory=dict)
    failures: int = 0
    failed: str = ""
    done: bool = False


class TagWriter:
    """The queue of tags. What is told of an object while its tags wait takes their place."""

    def __init__(
        self, registries: Registries, *, cluster: str, fence: Fence, clock: Clock, metrics: Metrics, audit: Audit
    ) -> None:
        self._registries = registries
        self._cluster = cluster
        self._fence = fence
        self._clock = clock
        self._metrics = metrics
        self._audit = audit
        self._tasks: dict[str, _Task] = {}
        self._settled: dict[str, int] = {}
        self._news = asyncio.Event()

    def follow(self, ref: ObjectRef, plan: Plan, record: Record) -> None:
        """Bring about the tags of a record that is on the route."""
        if not plan.write_back:
            self.forget(ref.key)
            return
        told = _told(notes(record), plan.model)
        wanted = {version: note.tags(prefix(self._cluster, ref)) for version, note in told.items()}
        task, digest = self._tasks.get(ref.key), _digest(wanted)
        if task is not None and task.wanted != wanted:
            task.wanted, task.done = wanted, False
            self._news.set()
        elif task is None and self._settled.get(ref.key) != digest:
            now, last = self._clock.now(), max((note.at for note in told.values()), default=0.0)
            if ref.key in self._settled or record.rollout is not None or now - last < RECENT:
                self._tasks[ref.key] = _Task(ref=ref, wanted=wanted, due=self._clock.monotonic())
                self._news.set()
            self._settled[ref.key] = digest

    def forget(self, key: str) -> None:
        """The object is gone, or wants no tags. Those that are there stay: it may come back."""
        self._tasks.pop(key, None)
        self._settled.pop(key, None)

    async def run(self) -> None:
        """Work until cancelled. What an earlier run knew is forgotten: another replica may have led since."""
        self._tasks.clear()
        self._settled.clear()
        while True:
            now = self._clock.monotonic()
            key = min((k for k, t in self._tasks.items() if t.due <= now), key=self._due, default=None)
            if key is None:
                await self._wait(now)
            else:
                await self._try(key, self._tasks[key])

    def _due(self, key: str) -> float:
        return self._tasks[key].due

    async def _wait(self, now: float) -> None:
        self._news.clear()
        due = min((task.due for task in self._tasks.values()), default=None)
        await pause(self._news, None if due is None else max(0.0, due - now))

    async def _try(self, key: str, task: _Task) -> None:
        if task.done:
            # Nothing came in the meantime: from here on the object is a number.
            self._settled[key] = _digest(task.wanted)
            del self._tasks[key]
            return
        wanted = task.wanted
        failed = await self._write(key, task, wanted)
        now = self._clock.monotonic()
        if failed is None:
            task.done, task.failures, task.failed, task.due = task.wanted == wanted, 0, "", now + SPACING
            return
        task.failures += 1
        if failed.reason in PASSING:
            wait = backoff(task.failures, first=FIRST_BACKOFF, last=LAST_BACKOFF)
            # The registry is away for all who ask it.
            for other in self._tasks.values():
                if {v.registry for v in other.wanted} == {v.registry for v in wanted}:
                    other.due = max(other.due, now + wait)
            return
        task.due = now + backoff(task.failures, first=LAST_BACKOFF, last=LONGEST_BACKOFF)
        if failed.message != task.failed:
            task.failed = failed.message
            _log.warning("tags not written, it is tried again", object=key, error=failed.message)

    async def _write(self, key: str, task: _Task, wanted: Tags) -> Unavailable | None:
        for version, tags in wanted.items():
            writer = self._registries.writer(key, version.registry)
            failed = writer if isinstance(writer, Unavailable) else await self._tag(writer, task, version, tags)
            if failed is not None and failed.reason not in _GONE:
                self._metrics.registry_errors.labels(reason=failed.reason).inc()
                return failed
        return None

    async def _tag(
        self, writer: RegistryWriter, task: _Task, version: VersionId, tags: Mapping[str, str]
    ) -> Unavailable | None:
        known = task.known.get(version)
        if known is None:
            read = await writer.version(version.model, version.number)
            if isinstance(read, Unavailable):
                return read
            known = task.known[version] = dict(read.tags)
        if all(known.get(key) == value for key, value in tags.items() if not key.endswith(".at")):
            return self._done(task, version)
        if not self._begun(task, version, self._act(task.ref, version, known, tags)):
            return UNTOLD
        for key, value in tags.items():
            if known.get(key) == value:
                continue
            try:
                self._fence.check()
            except NotLeading as error:
                return Unavailable(reason=Reason.NOT_POLLED_YET, message=str(error))
            failed = await writer.set_tag(version.model, version.number, key, value)
            if failed is not None:
                return failed
            known[key] = value
        return self._done(task, version)

    def _begun(self, task: _Task, version: VersionId, act: AuditEvent | None) -> bool:
        """Whether the trail knows what is about to be written: each leader that tries tells it once."""
        told = task.begun.get(version)
        if act is None or (told is not None and told.id == act.id):
            return True
        if not self._audit.tell(replace(act, id=f"{act.id}/{_moment(self._clock)}/begun", outcome="begun")):
            return False
        task.begun[version] = act
        return True

    def _done(self, task: _Task, version: VersionId) -> Unavailable | None:
        """Tell the trail that what was begun is written, however many tries that took."""
        act = task.begun.get(version)
        if act is not None:
            if not self._audit.tell(replace(act, id=f"{act.id}/{_moment(self._clock)}/done", at=self._clock.now())):
                return UNTOLD
            del task.begun[version]
        return None

    def _act(
        self, ref: ObjectRef, version: VersionId, known: Mapping[str, str], tags: Mapping[str, str]
    ) -> AuditEvent | None:
        """What an auditor is told of a write: that a version is something else now. Steps tell of weights."""
        key = prefix(self._cluster, ref)
        state, reason = f"{key}.state", f"{key}.reason"
        if all(known.get(name) == tags[name] for name in (state, reason)):
            return None
        words, _, message = tags[reason].partition(": ")
        return AuditEvent(
            id=f"{ref.uid}/{version.model_created_ms}/{version.number}/tags/{safe_hash(repr(sorted(tags.items())))}",
            at=self._clock.now(),
            kind=KIND,
            ref=ref,
            act=Act.WRITTEN_BACK,
            actor=Actor.TIDEGATE,
            model=version.model,
            version=version.number,
            source=known.get(state, ""),
            target=tags[state],
            reason=words,
            message=message or "tags",
        )


class Recollections:
    """What the registry's tags say of objects that have no record, asked once for each model."""

    def __init__(self, registries: Registries, *, cluster: str, changed: Callable[[str], None]) -> None:
        self._registries = registries
        self._cluster = cluster
        self._changed = changed
        self._asked: dict[str, tuple[ObjectRef, _Source]] = {}
        self._found: dict[str, Memory] = {}
        self._failed: dict[_Source, Unavailable] = {}
        self._news = asyncio.Event()

    def memory(self, ref: ObjectRef, plan: Plan) -> Memory | Unavailable:
        """What is known; where nothing is yet, it is asked for, until the registry says it or says that it has none.

        No other answer is taken for "nothing": a version that was rejected would be the first to be deployed.
        """
        found, asks = self._found.get(ref.key), (ref, (plan.registry, plan.model))
        if found is not None and self._asked.get(ref.key) == asks:
            return found
        if self._asked.get(ref.key) != asks:
            self._asked[ref.key] = asks
            self._found.pop(ref.key, None)
            self._news.set()
        message = "the registry has not been asked yet what it remembers of this object"
        return self._failed.get(asks[1]) or Unavailable(reason=Reason.NOT_POLLED_YET, message=message)

    def forget(self, key: str) -> None:
        """The object has a record, or is gone."""
        self._asked.pop(key, None)
        self._found.pop(key, None)

    async def run(self) -> None:
        """Ask until cancelled. What an earlier run was told may be old by now."""
        self._asked.clear()
        self._found.clear()
        self._failed.clear()
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            asking: dict[_Source, list[str]] = defaultdict(list)
            for key, (_, source) in self._asked.items():
                if key not in self._found:
                    asking[source].append(key)
            away = [not await self._ask(source, keys) for source, keys in asking.items()]
            failures = failures + 1 if any(away) else 0
            if failures:
                await asyncio.sleep(backoff(failures, first=FIRST_BACKOFF, last=LAST_BACKOFF))
                self._news.set()

    async def _ask(self, source: _Source, keys: Iterable[str]) -> bool:
        """Whether the registry said what a model has, or that it can't be asked for that."""
        where, model = source
        url = self._registries.identity(where)
        writer = self._registries.writer(next(iter(keys)), url or "")
        read = writer if isinstance(writer, Unavailable) else await writer.read(model)
        if isinstance(read, Unavailable) and read.reason != Reason.REGISTRY_REFUSED:
            told, self._failed[source] = self._failed.get(source), read
            if told != read:
                for key in keys:
                    self._changed(key)
            return False
        self._failed.pop(source, None)
        for key in keys:
            ref, still = self._asked.get(key, (None, source))
            if ref is not None and still == source:
                own = prefix(self._cluster, ref)
                found = recollection(own, url or "", read) if isinstance(read, RegisteredModel) else Memory()
                self._found[key] = found
                self._changed(key)
        return True


def _moment(clock: Clock) -> int:
    return round(clock.now() * 1000)


def _told(told: Mapping[VersionId, Note], model: str) -> dict[VersionId, Note]:
    """Those of the model as it is now: one that was deleted and made anew has other versions of the same numbers."""
    registry = next((version.registry for version in told), "")
    ours = {v: note for v, note in told.items() if (v.model, v.registry) == (model, registry)}
    newest = max((version.model_created_ms for version in ours), default=0)
    return {version: note for version, note in ours.items() if version.model_created_ms == newest}


def _digest(wanted: Tags) -> int:
    parts: Iterable[object] = ((version, tuple(sorted(tags.items()))) for version, tags in wanted.items())
    return hash(tuple(parts))
