"""Retention on the wire: what a `ModelRegistry` asks for, and what its status shows of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError

from tidegate.api.rules import Wire
from tidegate.api.status import Part
from tidegate.core.retention import Keep, Retained, Terms

#: Versions that a status lists of each kind.
LISTED = 20
_Name = Annotated[str, Field(max_length=256)]
_Number = Annotated[str, Field(max_length=32)]
_Words = Annotated[str, Field(max_length=1024)]


class RetentionSpec(Wire):
    """What becomes of archived versions, of the models that ModelDeployments ask this registry for."""

    days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days for which a version stays after its last change, such as being moved to the stage Archived, and after the
    last time that something needed it."""
    dry_run: bool = True
    """Whether it is only told what would go. false deletes, and nobody brings a deleted version back."""


class DueVersion(Part):
    """A version that nothing keeps."""

    model: _Name
    """Name of the registered model."""
    version: _Number
    """Number of the version."""
    changed: datetime
    """When it was last changed in the registry."""


class KeptVersions(Part):
    """Archived versions that stay, by why."""

    reason: Keep
    """Why."""
    versions: Annotated[int, Field(ge=0)]
    """How many."""
    example: _Words
    """One of them, in words."""


class DeletedVersion(Part):
    """A version that was deleted."""

    model: _Name
    """Name of the registered model."""
    version: _Number
    """Number of the version."""
    time: datetime
    """When."""


class RetentionStatus(Part):
    """What the newest look at the archived versions came to."""

    dry_run: bool
    """Whether it was only to be told what would go."""
    due: Annotated[int, Field(ge=0)]
    """How many versions nothing keeps: with dryRun they would go, without it they go by the next look."""
    versions: Annotated[list[DueVersion], Field(max_length=LISTED)] | None = None
    """Some of them."""
    kept: Annotated[list[KeptVersions], Field(max_length=len(Keep))] | None = None
    """Archived versions that stay."""
    deleted: Annotated[list[DeletedVersion], Field(max_length=LISTED)] | None = None
    """What was deleted, newest last. The audit trail has all of it."""
    message: _Words | None = None
    """Why the look did not come to its end; absent where it did."""


def terms_of(spec: RetentionSpec | None) -> Terms | None:
    """What is asked for; None where archived versions stay."""
    return Terms(days=spec.days, dry_run=spec.dry_run) if spec is not None else None


def render_retention(found: Retained, previous: Mapping[str, Any] | None) -> RetentionStatus:
    """Return that part of a status; what `previous` (the part as it was) has as deleted is kept on."""
    gone = [DeletedVersion(model=one.model, version=one.number, time=_time(one.at)) for one in found.deleted]
    before = [one for one in _deleted(previous) if one not in gone]
    return RetentionStatus(
        dry_run=found.dry_run,
        due=found.due,
        versions=[DueVersion(model=one.model, version=one.number, changed=_time(one.changed)) for one in found.first]
        or None,
        kept=[KeptVersions(reason=keep, versions=count, example=words[:1024]) for keep, count, words in found.kept]
        or None,
        deleted=[*before, *gone][-LISTED:] or None,
        message=found.fault[:1024] or None,
    )


def _deleted(previous: Mapping[str, Any] | None) -> list[DeletedVersion]:
    try:
        return [DeletedVersion.model_validate(one) for one in (previous or {}).get("deleted") or ()]
    except ValidationError:
        return []  # somebody else wrote it


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), tz=UTC)
