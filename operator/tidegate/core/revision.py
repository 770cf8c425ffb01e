"""What a wish comes down to: one revision, by content."""

import hashlib
import json

from tidegate.core.plan import Plan, Serving
from tidegate.core.reasons import Reason
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


def wished_revision(
    plan: Plan, record: Record, wanted: VersionId | Unavailable, preset: str, registry: str | None = None
) -> Revision | Unavailable:
    """The revision that plan and registry ask for. `registry` is the identity of the one that is asked, if it is known.

    The same work that still owns objects under another preset is that revision: an upgrade of the operator makes
    none. One that owns nothing any more is made anew. A pinned version that is known needs no registry, but for one
    that was never there: then nobody knows whose version is asked for.
    """
    if isinstance(wanted, Unavailable):
        pinned = None if wanted.reason == Reason.REGISTRY_NOT_FOUND else _known_version(plan, record, registry)
        if pinned is None:
            return wanted
        wanted = pinned
    work = (wanted, serving_digest(plan.serving))
    kept = next((known for known in record.revisions() if (known.version, known.serving) == work), None)
    return kept or revision_of(plan.ref.name, wanted, plan.serving, preset)


def _known_version(plan: Plan, record: Record, registry: str | None) -> VersionId | None:
    """A pinned version that the record remembers; of this registry, where it is known which one is asked."""
    if not plan.pointer.pinned:
        return None
    asked = (plan.model, plan.pointer.value)
    versions = (
        revision.version for revision in known_revisions(record) if registry in {None, revision.version.registry}
    )
    return next((version for version in versions if (version.model, version.number) == asked), None)
