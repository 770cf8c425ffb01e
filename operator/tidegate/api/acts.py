"""The journal in the status of what people ask for with objects of their own, and what of a status may change later."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from tidegate.api.parse import reference
from tidegate.api.status import USER, Part
from tidegate.core.audit import Act, Entry, Journal
from tidegate.core.journal import KEPT, LONGEST
from tidegate.core.promotion import Standing
from tidegate.core.requests import Asked
from tidegate.core.retraining import Handing

_KNOWN = frozenset(Act)
_Word = Annotated[str, Field(max_length=128)]


class Told(Part):
    """One act, as the audit trail tells it (docs/reference/audit.md). What it is about is the object's own spec."""

    number: Annotated[int, Field(ge=1)]
    """Counts the acts on this object."""
    time: datetime
    """When."""
    act: Act
    """What was done."""
    actor: Annotated[str, Field(max_length=USER + 16)]
    """Who did it: user:<name>, as the API server knows him, or tidegate."""
    reason: _Word | None = None
    """Why, in one word of the vocabulary."""
    message: Annotated[str, Field(max_length=LONGEST)] | None = None
    """Why, for a person."""
    decision: _Word | None = None
    """What was done by one write has one of these."""
    outcome: _Word | None = None
    """What came of it, where it is not done."""


class Acted(Part):
    """What every status has whose object keeps a journal of its own."""

    acts: Annotated[list[Told], Field(max_length=KEPT)] | None = None
    """The newest acts on this object, oldest first."""
    audited: Annotated[int, Field(ge=0)] | None = None
    """Number of the last act that the audit trail was told of."""
    posted: Annotated[int, Field(ge=0)] | None = None
    """Number of the last act that the audit trail's webhook took."""


#: What is noted after an object was decided, too.
NOTED = frozenset({"audited", "posted"})


def decided(kind: str, phases: type[Standing] | type[Handing], status: type[Acted]) -> dict[str, str]:
    """The rule that what was decided stays so, for a whole object: all of its status but how far it was told."""
    final = [phase.value for phase in phases if phase.final]
    names = (field.alias or name for name, field in status.model_fields.items())
    # One by one: of what CEL has to compare any two optional values, the API server reckons the cost as endless.
    same = " && ".join(
        f"has(self.status.{name}) == has(oldSelf.status.{name}) && "
        f"(!has(self.status.{name}) || self.status.{name} == oldSelf.status.{name})"
        for name in names
        if name not in NOTED
    )
    return {
        "rule": f"!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in {final}) || "
        f"(has(self.status) && {same})",
        "message": f"was decided: ask again with another {kind}",
    }


def asked_of(body: Mapping[str, Any]) -> Asked:
    """Who asks for what; never fails for what the API server hands out, whatever today's rules are."""
    spec = body.get("spec") or {}
    words = {name: str(spec.get(name) or "") for name in ("requestedBy", "model", "version", "from", "to", "comment")}
    return Asked(
        uid=body["metadata"]["uid"],
        requester=words["requestedBy"][:USER],
        at=seconds_of(body["metadata"]["creationTimestamp"]),
        model=words["model"],
        version=words["version"],
        source=words["from"],
        target=words["to"],
        comment=words["comment"],
    )


def entries_of(body: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The journal of an object's status, oldest first, without acts that only a later version knows."""
    asked = asked_of(body)
    return tuple(
        Entry(
            number=told["number"],
            at=seconds_of(told["time"]),
            act=Act(told["act"]),
            actor=told["actor"],
            model=asked.model,
            version=asked.version,
            source=asked.source,
            target=asked.target,
            reason=told.get("reason", ""),
            message=told.get("message", ""),
            decision=told.get("decision", ""),
            outcome=told.get("outcome", "done"),
        )
        for told in (body.get("status") or {}).get("acts") or ()
        if told["act"] in _KNOWN
    )


def journal_of(body: Mapping[str, Any]) -> Journal:
    """The journal of an object's status, and whose it is."""
    return Journal(kind=body["kind"], ref=reference(body), entries=entries_of(body))


def acted(body: Mapping[str, Any], journal: Sequence[Entry]) -> dict[str, Any]:
    """The fields of `Acted` with this journal; how far it was told stays as it stands."""
    status = body.get("status") or {}
    told = [
        Told(
            number=entry.number,
            time=time_of(entry.at),
            act=entry.act,
            actor=entry.actor,
            reason=entry.reason or None,
            message=entry.message or None,
            decision=entry.decision or None,
            outcome=None if entry.outcome == "done" else entry.outcome,
        )
        for entry in journal
    ]
    return {"acts": told or None, "audited": status.get("audited"), "posted": status.get("posted")}


def time_of(seconds: float) -> datetime:
    """Seconds since the epoch as Kubernetes writes times: whole ones."""
    return datetime.fromtimestamp(int(seconds), UTC)


def seconds_of(text: str) -> float:
    """The same the other way round."""
    return datetime.fromisoformat(text).timestamp()
