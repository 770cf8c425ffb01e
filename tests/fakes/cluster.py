"""An API server in memory, as far as `tidegate.ports.Cluster` reaches. `tests/contract/test_cluster.py` holds it to
the real one.

Tests play everybody else with `put`, `edit`, `set_status` and `remove`, watch with `watchers`, and break writes with
`faults`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tidegate.core.drift import ATOMIC_MAPS, LIST_KEYS, identity, list_keys
from tidegate.core.labels import MANAGED_BY, MANAGER
from tidegate.errors import Conflict, Refused
from tidegate.ports import Manifest, Page

Key = tuple[str, str, str]
Phase = Literal["before", "after"]
_NO_GENERATION = frozenset(
    {"Service", "ConfigMap", "Secret", "Pod", "Lease", "Event", "ControllerRevision", "HorizontalPodAutoscaler"}
)
OWN_KINDS = frozenset(
    {
        "ModelDeployment",
        "ModelApproval",
        "ModelPromotion",
        "PromotionPolicy",
        "RetrainingRequest",
        "ModelRegistry",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
    }
)
_SET_BY_SERVER = frozenset({"uid", "resourceVersion", "generation", "creationTimestamp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write that reached the server. `number` counts from 1."""

    number: int
    verb: str
    kind: str
    namespace: str
    name: str


#: Called before and after each write; what it raises, the writer gets.
Fault = Callable[[Write, Phase], None]


class Crash(BaseException):
    """The operator's process was killed here."""


def fail_write(number: int, error: Exception) -> Fault:
    """The `number`-th write is refused with `error`, and not done."""

    def fault(write: Write, phase: Phase) -> None:
        if phase == "before" and write.number == number:
            raise error

    return fault


def conflict_every(period: int, *, verb: str = "apply") -> Fault:
    """Every `period`-th write of a verb meets an object that has changed in between."""
    seen = 0

    def fault(write: Write, phase: Phase) -> None:
        nonlocal seen
        if phase == "before" and write.verb == verb:
            seen += 1
            if seen % period == 0:
                raise Conflict(f"{write.kind} {write.namespace}/{write.name}: injected")

    return fault


def crash_at(number: int, when: Phase) -> Fault:
    """The process dies just before, or just after, the `number`-th write."""

    def fault(write: Write, phase: Phase) -> None:
        if phase == when and write.number == number:
            raise Crash(f"{when} {write}")

    return fault


def refuse_kind(kind: str, message: str = "denied by policy") -> Fault:
    """No write of a kind is let through."""

    def fault(write: Write, phase: Phase) -> None:
        if phase == "before" and write.kind == kind:
            raise Refused(f"{kind}: {message}")

    return fault


class FakeCluster:
    """The API server. Only `namespaces` exist, if any are named; otherwise all do."""

    def __init__(self, namespaces: frozenset[str] = frozenset()) -> None:
        self.faults: list[Fault] = []
        self.writes: list[Write] = []
        self.watchers: list[Callable[[str, Manifest], None]] = []
        self._namespaces = namespaces
        self._objects: dict[Key, Manifest] = {}
        self._applied: dict[Key, Manifest] = {}
        self._version = 0
        #: What creation timestamps are taken from; without it each object is a second younger than the one before.
        self.now: Callable[[], float] | None = None
        #: The last line of a container's log by namespace, pod and container.
        self.logs: dict[tuple[str, str, str], str] = {}

    # What the operator does.

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        await asyncio.sleep(0)
        return self.read(kind, namespace, name)

    async def list(self, kind: str, namespace: str | None) -> Sequence[Manifest]:
        await asyncio.sleep(0)
        own = kind in OWN_KINDS
        return [
            body
            for body in self.all(kind)
            if namespace in {None, body["metadata"]["namespace"]}
            and (own or (body["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER)
        ]

    async def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        yield Page(items=list(await self.list(kind, namespace)), version=str(self._version))

    async def apply(self, manifest: Manifest) -> Manifest:
        key = _key(manifest)
        with self._writing("apply", key):
            await asyncio.sleep(0)
            self._check_namespace(key)
            live = self._objects.get(key)
            self._check_precondition(live, manifest)
            old, wanted = self._applied.get(key, {}), _content(manifest)
            changed = _merge("", _copy(live) if live else {}, old, wanted)
            self._applied[key] = wanted
            return self._store(key, changed)

    async def create(self, manifest: Manifest) -> Manifest:
        key = _key(manifest)
        with self._writing("create", key):
            await asyncio.sleep(0)
            self._check_namespace(key)
            if key in self._objects:
                raise Conflict(f"{key} exists")
            return self._store(key, _content(manifest))

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        key = (kind, namespace, name)
        with self._writing("delete", key):
            await asyncio.sleep(0)
            live = self._objects.get(key)
            if live is None or live["metadata"]["uid"] != uid:
                return
            if version is not None and live["metadata"]["resourceVersion"] != version:
                raise Conflict(f"{key}: resourceVersion is not {version}")
            self._drop(key)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        key = _key(manifest)
        with self._writing("status", key):
            await asyncio.sleep(0)
            live = self._objects.get(key)
            if live is None:
                raise Conflict(f"{key} is gone")
            # As the API server does: a uid is not looked at here.
            self._check_precondition(live, manifest, fields=("resourceVersion",))
            return self._store(key, {**_copy(live), "status": _copy(manifest.get("status", {}))})

    async def last_line(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        await asyncio.sleep(0)
        return self.logs.get((namespace, pod, container), "")

    async def emit(self, event: Manifest) -> None:
        await self.create(event)

    # What others do.

    def read(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """One object as it stands."""
        return _copy(self._objects.get((kind, namespace, name)))

    def all(self, kind: str | None = None) -> Sequence[Manifest]:
        """Every object, or every one of a kind."""
        return [_copy(body) for key, body in sorted(self._objects.items()) if kind in {None, key[0]}]

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object as its user."""
        key = _key(manifest)
        live = self._objects.get(key, {})
        kept = {**live.get("metadata", {}), **manifest["metadata"]}
        return self._store(key, {**_copy(manifest), "metadata": kept})

    def edit(self, kind: str, namespace: str, name: str, change: Callable[[Manifest], None]) -> Manifest:
        """Change an object by hand."""
        body = _copy(self._objects[(kind, namespace, name)])
        change(body)
        return self._store((kind, namespace, name), body)

    def set_status(self, kind: str, namespace: str, name: str, status: Mapping[str, Any]) -> Manifest:
        """Write a status as the object's controller."""
        return self.edit(kind, namespace, name, lambda body: body.update(status=_copy(dict(status))))

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object by hand, if it is there."""
        if (kind, namespace, name) in self._objects:
            self._drop((kind, namespace, name))

    def collect_garbage(self) -> None:
        """Delete whatever is owned by an object that is gone, as the garbage collector does."""
        while True:
            uids = {body["metadata"]["uid"] for body in self._objects.values()}
            orphans = [key for key, body in self._objects.items() if _orphaned(body, uids)]
            if not orphans:
                return
            for key in orphans:
                self._drop(key)

    # How it is kept.

    def _writing(self, verb: str, key: Key) -> "_Faulty":
        write = Write(number=len(self.writes) + 1, verb=verb, kind=key[0], namespace=key[1], name=key[2])
        self.writes.append(write)
        return _Faulty(write, list(self.faults))

    def _store(self, key: Key, body: Manifest) -> Manifest:
        live = self._objects.get(key)
        meta = {k: v for k, v in body["metadata"].items() if k not in _SET_BY_SERVER}
        if live is not None and _bare(live) == _bare({**body, "metadata": meta}):
            return _copy(live)
        self._version += 1
        born = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._version)
        if self.now is not None:
            born = datetime.fromtimestamp(self.now(), UTC)
        old = live["metadata"] if live else {}
        meta["uid"] = old.get("uid") or body["metadata"].get("uid") or f"uid-{self._version}"
        meta["creationTimestamp"] = old.get("creationTimestamp") or born.strftime("%Y-%m-%dT%H:%M:%SZ")
        meta["resourceVersion"] = str(self._version)
        if key[0] not in _NO_GENERATION:
            same = live is not None and _meant(live) == _meant(body)
            meta["generation"] = old.get("generation", 0) + (0 if same else 1)
        self._objects[key] = {**_copy(body), "metadata": meta}
        self._tell("ADDED" if live is None else "MODIFIED", self._objects[key])
        return _copy(self._objects[key])

    def _drop(self, key: Key) -> None:
        self._applied.pop(key, None)
        self._version += 1
        self._tell("DELETED", self._objects.pop(key))

    def _tell(self, event: str, body: Manifest) -> None:
        for watcher in self.watchers:
            watcher(event, _copy(body))

    def _check_namespace(self, key: Key) -> None:
        if self._namespaces and key[1] not in self._namespaces:
            raise Refused(f'namespaces "{key[1]}" not found')

    def _check_precondition(
        self, live: Manifest | None, manifest: Manifest, fields: tuple[str, ...] = ("uid", "resourceVersion")
    ) -> None:
        for field in fields:
            expected = manifest["metadata"].get(field)
            if expected and (live is None or live["metadata"][field] != expected):
                raise Conflict(f"{_key(manifest)}: {field} is not {expected}")


class _Faulty:
    """The moments before and after a write. A write that failed by itself has no moment after it."""

    def __init__(self, write: Write, faults: list[Fault]) -> None:
        self._write = write
        self._faults = faults

    def __enter__(self) -> None:
        for fault in self._faults:
            fault(self._write, "before")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for fault in self._faults:
                fault(self._write, "after")


def _copy(value: Any) -> Any:
    """JSON, copied: a tenth of what a copy of anything at all costs."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value


def _key(manifest: Manifest) -> Key:
    return manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _content(manifest: Manifest) -> Manifest:
    content = _copy({key: value for key, value in manifest.items() if key != "status"})
    content["metadata"] = {k: v for k, v in content["metadata"].items() if k not in _SET_BY_SERVER}
    return content


def _bare(body: Manifest) -> str:
    meta = {key: value for key, value in body["metadata"].items() if key not in _SET_BY_SERVER}
    return _json({**body, "metadata": meta})


def _meant(body: Manifest) -> str:
    return _json({key: value for key, value in body.items() if key not in {"metadata", "status"}})


def _json(body: Manifest) -> str:
    # In Python True is 1; in JSON it isn't.
    return json.dumps(body, sort_keys=True)


def _orphaned(body: Manifest, uids: set[str]) -> bool:
    owners = body["metadata"].get("ownerReferences") or ()
    return bool(owners) and all(owner["uid"] not in uids for owner in owners)


def _merge(field: str, live: Any, old: Any, wanted: Any) -> Any:
    """Server-side apply: what is wanted, without what was wanted before and isn't now, beside what others set."""
    if isinstance(wanted, dict) and field not in ATOMIC_MAPS:
        return _merge_maps(live, old, wanted)
    keys = list_keys(field, wanted[0]) if isinstance(wanted, list) and wanted else None
    if keys is None and not (wanted == [] and field in LIST_KEYS):
        return _copy(wanted)
    keys = keys or _old_keys(field, old)
    result = [element for element in live or [] if _stays(element, keys, old, wanted)]
    places = {identity(keys, element): place for place, element in enumerate(result)}
    before = {identity(keys, element): element for element in old or []}
    for element in wanted:
        mark = identity(keys, element)
        if mark in places:
            result[places[mark]] = _merge("", result[places[mark]], before.get(mark), element)
        else:
            result.append(_copy(element))
    return result


def _old_keys(field: str, old: Any) -> tuple[tuple[str, Any], ...]:
    """The keys of a list of which nothing is wanted any more."""
    return (list_keys(field, old[0]) if old else None) or LIST_KEYS[field][0]


def _merge_maps(live: Any, old: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(live) if isinstance(live, dict) else {}
    for key in _left_out(old, wanted):
        result.pop(key, None)
    for key, value in wanted.items():
        result[key] = _merge(key, result.get(key), old.get(key) if isinstance(old, dict) else None, value)
    return result


def _left_out(old: Any, wanted: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(old, dict):
        yield from (key for key in old if key not in wanted)


def _stays(element: Any, keys: Any, old: Any, wanted: list[Any]) -> bool:
    mark = identity(keys, element)
    ours = {identity(keys, item) for item in old or []}
    return mark not in ours or mark in {identity(keys, item) for item in wanted}
