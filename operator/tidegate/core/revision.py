"""What a wish comes down to: one revision, by content."""

import hashlib
import json

from tidegate.core.plan import Plan, Serving
from tidegate.core.record import Record
from tidegate.core.values import Revision, Unavailable, VersionId, safe_hash


def serving_digest(serving: Serving) -> str:
    """SHA-256 (hex) over the user's serving fields in canonical JSON; replicas and autoscaling are not among them."""
    canonical = json.dumps(serving.canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def revision_of(name: str, version: VersionId, serving: Serving, preset: str) -> Revision:
    """The revision that serves `version` in the way of `serving` under the object's name.

    The name's hash covers version identity, serving fields and preset; its 8 characters are Kubernetes' safe ones.
    """
    digest = serving_digest(serving)
    parts = [version.registry, version.model, version.model_created_ms, version.number, digest, preset]
    letters = safe_hash(json.dumps(parts))
    return Revision(name=f"{name}-v{version.number}-{letters}", version=version, serving=digest, preset=preset)


def known_revisions(record: Record) -> tuple[Revision, ...]:
    """Every revision that the record remembers, those that own objects first."""
    proven = (entry.revision for entry in record.proven)
    rejected = (entry.revision for entry in record.rejected)
    parked = (entry.revision for entry in record.parked)
    return (*record.revisions(), *proven, *rejected, *parked)


def wished_revision(plan: Plan, record: Record, wanted: VersionId | Unavailable, preset: str) -> Revision | Unavailable:
    """The revision that plan and registry ask for.

    The same work that still owns objects under another preset is that revision: an upgrade of the operator makes
    none. One that owns nothing any more is made anew. A pinned version that is known needs no registry.
    """
    if isinstance(wanted, Unavailable):
        pinned = _known_version(plan, record)
        if pinned is None:
            return wanted
        wanted = pinned
    work = (wanted, serving_digest(plan.serving))
    kept = next((known for known in record.revisions() if (known.version, known.serving) == work), None)
    return kept or revision_of(plan.ref.name, wanted, plan.serving, preset)


def _known_version(plan: Plan, record: Record) -> VersionId | None:
    """A pinned version that the record remembers."""
    if not plan.pointer.pinned:
        return None
    asked = (plan.model, plan.pointer.value)
    versions = (revision.version for revision in known_revisions(record))
    return next((version for version in versions if (version.model, version.number) == asked), None)
