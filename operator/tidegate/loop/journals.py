"""The journals of objects: where they stand, and the notes in the status of those that people ask with."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tidegate.api.acts import asked_of, journal_of
from tidegate.api.parse import reference
from tidegate.api.record import decode
from tidegate.core.audit import Journal, Marks
from tidegate.core.labels import API_VERSION, KIND, PROMOTION_KIND, RECORD, RETRAINING_KIND, ROUTE_KIND
from tidegate.core.promotion import Standing
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
    route = world.get(ROUTE_KIND, key)
    text = ((route or {}).get("metadata", {}).get("annotations") or {}).get(RECORD)
    try:
        entries = decode(text).journal if text is not None else ()
    except UnreadableRecord:
        return None
    return Journal(kind=KIND, ref=reference(body), entries=entries)


def withdrawn(journal: Journal, body: Mapping[str, Any], *, now: float) -> Journal | None:
    """The journal of what somebody asked for, and deleted before it was decided; None where it is nothing of that."""
    # What was asked for and is in no journal yet was told to nobody. Both kinds call it pending.
    phase = (body.get("status") or {}).get("phase")
    if journal.kind not in ASKING or not journal.entries or phase != Standing.PENDING:
        return None
    return replace(journal, entries=deleted_acts(asked_of(body), journal.entries, now=now))


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
