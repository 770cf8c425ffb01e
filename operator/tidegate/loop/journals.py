"""The journals of objects: where they stand, and the notes in the status of those that people ask with."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tidegate.api.acts import asked_of, journal_of
from tidegate.api.parse import reference
from tidegate.api.record import decode
from tidegate.core.audit import Journal, Marks
from tidegate.core.journal import deleted
from tidegate.core.labels import API_VERSION, KIND, PROMOTION_KIND, RECORD, RETRAINING_KIND, ROUTE_KIND
from tidegate.core.promotion import Standing
from tidegate.core.record import Record
from tidegate.core.requests import deleted_acts
from tidegate.errors import Conflict, UnreadableRecord
from tidegate.loop.audit import Audit, marks_of
from tidegate.loop.world import World
from tidegate.ports import Cluster, Manifest

#: Kinds whose status has a journal.
ASKING = frozenset({PROMOTION_KIND, RETRAINING_KIND})


def read_journal(world: World, kind: str, key: str, uid: str) -> Journal | None:
    """An object's journal as the world has it; None where there is no such object, or it can't be read."""
    body = world.get(kind, key)
    if body is None or body["metadata"]["uid"] != uid:
        return None
    if kind in ASKING:
        return journal_of(body)
    record = _record(world, key)
    return Journal(kind=KIND, ref=reference(body), entries=record.journal) if record is not None else None


def ended(world: World, journal: Journal, body: Mapping[str, Any], *, now: float) -> Journal:
    """The journal of an object that was deleted, with that where it is an act: what was decided goes as it is."""
    if journal.kind == KIND:
        record = _record(world, journal.ref.key)
        return journal if record is None else replace(journal, entries=deleted(record, now=now))
    # What was asked for and is in no journal yet was told to nobody. Both kinds call it pending.
    if not journal.entries or (body.get("status") or {}).get("phase") != Standing.PENDING:
        return journal
    return replace(journal, entries=deleted_acts(asked_of(body), journal.entries, now=now))


def _record(world: World, key: str) -> Record | None:
    """The record on an object's route; None where it can't be read."""
    route = world.get(ROUTE_KIND, key)
    text = ((route or {}).get("metadata", {}).get("annotations") or {}).get(RECORD)
    try:
        return decode(text) if text is not None else Record()
    except UnreadableRecord:
        return None


class StatusJournals:
    """Tells the trail of what stands in the status of objects of one kind, and notes there how far."""

    def __init__(self, kind: str, *, world: World, leading: Cluster, audit: Audit) -> None:
        self._kind = kind
        self._world = world
        self._leading = leading
        self._audit = audit

    async def settle(self) -> bool:
        """Tell and note what was not; False where something is left to be tried again.

        Raises:
            NotLeading, ClusterError: it could not be noted.
        """
        settled = True
        for body in list(self._bodies()):
            journal, noted = journal_of(body), marks_of(body.get("status"))
            marks = self._audit.catch_up(journal, noted)
            settled = settled and not self._audit.behind(journal, marks)
            if marks != noted:
                settled = await self._note(body, marks) and settled
        return settled

    def _bodies(self) -> Iterator[Manifest]:
        for key in self._world.names(self._kind):
            body = self._world.get(self._kind, key)
            if body is not None and (body.get("status") or {}).get("acts"):
                yield body

    async def _note(self, body: Manifest, marks: Marks) -> bool:
        meta, status = body["metadata"], body["status"]
        told = {"audited": marks.told, "posted": marks.posted}
        manifest = {
            "apiVersion": API_VERSION,
            "kind": self._kind,
            "metadata": {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")},
            "status": status | {name: mark for name, mark in told.items() if mark is not None},
        }
        try:
            self._world.put(await self._leading.apply_status(manifest))
        except Conflict:
            return False  # somebody wrote it meanwhile, or it is gone
        return True
