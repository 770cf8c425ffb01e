"""What has to stand in the cluster for each revision of a record. The route is in `core/httproute.py`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.core.autoscaling import autoscaler
from tidegate.core.diversion import Diversion
from tidegate.core.frozen import CONTROLLER_REVISION, Frozen, frozen
from tidegate.core.httproute import SERVICE_PORT
from tidegate.core.labels import AUTOSCALER_KIND, DIVERTED, MANAGED_BY, MANAGER, OWNER, REVISION, ROLE
from tidegate.core.merge import plain
from tidegate.core.ownership import owner_references
from tidegate.core.plan import Plan
from tidegate.core.presets import DIGEST_KEY, PORT
from tidegate.core.record import Record
from tidegate.core.values import ObjectRef, Revision, Role

#: The kinds of a revision's own objects, in the order in which they go: pods before the Service that names them.
CHILD_KINDS = (AUTOSCALER_KIND, "Deployment", "Service", "ConfigMap", CONTROLLER_REVISION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of revisions beyond the record, by revision name.

    `digests` are artifact digests that first pods computed. `sizes` are the replicas of the live Deployments: a
    revision on its way out keeps what it has, so that a reverted canary isn't scaled up for its funeral. `scaled` are
    those whose size an autoscaler of somebody else's decides. `diversions` are what live Services say that were taken
    off their own pods.
    """

    frozen: Mapping[str, Frozen]
    digests: Mapping[str, str]
    sizes: Mapping[str, int]
    diversions: Mapping[str, Diversion] = field(default_factory=dict)
    scaled: frozenset[str] = frozenset()

    def kept(self, revision: Revision) -> Frozen | None:
        """How a revision is served; None where nobody knows, or where its name belongs to another one."""
        found = self.frozen.get(revision.name)
        return found if found is not None and found.revision == revision else None


def revision_objects(plan: Plan, record: Record, known: Known, revision: Revision) -> list[dict[str, Any]]:
    """One revision's objects in the order in which they are applied: how it is served before who serves it.

    None at all where `known` does not say how it is served.
    """
    kept, role = known.kept(revision), role_of(record, revision)
    if kept is None:
        return []
    # An autoscaler's size is applied as it stands: to leave it out would give it up, and it would fall back to one.
    theirs = known.sizes.get(revision.name) if revision.name in known.scaled else None
    replicas = theirs if theirs is not None else replicas_of(plan, record, revision, known.sizes)
    digest = known.digests.get(revision.name)
    return [
        frozen(kept, plan.ref),
        *([_digest(plan.ref, revision, digest)] if digest else []),
        _service(plan.ref, revision, role, diversion_for(record, revision, known.diversions)),
        # First, so that it does not take away again what the Deployment is about to get.
        *_autoscalers(plan, record, known, revision, replicas),
        _deployment(plan.ref, kept, role, replicas),
    ]


def autoscaled(plan: Plan, record: Record, known: Known) -> frozenset[str]:
    """The names of the revisions that have an autoscaler of ours: none where there is somebody else's.

    Two for one Deployment would both be out of action, says Kubernetes.
    """
    names = {revision.name for revision in record.revisions()} if plan.serving.autoscaling is not None else set()
    return frozenset(names - known.scaled)


def _autoscalers(plan: Plan, record: Record, known: Known, revision: Revision, least: int) -> Iterator[dict[str, Any]]:
    """The autoscaler of a revision that takes requests; that of one on its way out stays as it is until it goes."""
    rollout, role = record.rollout, role_of(record, revision)
    condemned = role is Role.CANARY and rollout is not None and rollout.verdict is not None
    bounds = plan.serving.autoscaling
    if bounds is None or role is Role.RETIRING or condemned or revision.name in known.scaled:
        return
    yield autoscaler(_metadata(plan.ref, revision, role), bounds, least)


def role_of(record: Record, revision: Revision) -> Role:
    """What a revision is to its object."""
    if revision == record.stable:
        return Role.STABLE
    if record.rollout is not None and revision == record.rollout.canary:
        return Role.CANARY
    return Role.RETIRING


def diversion_for(record: Record, revision: Revision, found: Mapping[str, Diversion]) -> Diversion | None:
    """The diversion that a revision's Service is to keep: that of the present attempt, or of one on its way out."""
    kept, rollout = found.get(revision.name), record.rollout
    if kept is None or revision == record.stable:
        return None
    if rollout is not None and revision == rollout.canary and kept.attempt != rollout.attempt:
        return None
    return kept


def replicas_of(plan: Plan, record: Record, revision: Revision, sizes: Mapping[str, int]) -> int:
    """How many pods a revision has to have.

    Stable is always complete. A canary has what its next weight needs before it gets it, and never less than its
    present one needs; all of it where nothing serves yet or it goes straight to the end. One that leaves keeps what
    it has (`sizes`, live replicas by revision name). With autoscaling these are the least that its autoscaler may give
    it, and stable, whose load leaves it in a rollout, keeps what it had when that began.
    """
    rollout = record.rollout
    base = rollout.full if rollout is not None else record.full
    full = plan.pods_for(100, base)
    if revision == record.stable:
        return full if plan.serving.autoscaling is not None else plan.pods_for(100, record.full)
    if rollout is None or revision != rollout.canary:
        return _kept(sizes, revision, full)
    if record.stable is None or rollout.direct:
        return full
    if rollout.verdict is not None:
        return max(plan.pods_for(rollout.weight, base), _kept(sizes, revision, full))
    step = plan.step_after(rollout.weight)
    return plan.pods_for(step.weight if step else 100, base)


def _kept(sizes: Mapping[str, int], revision: Revision, full: int) -> int:
    return max(1, min(full, sizes.get(revision.name, full)))


def _metadata(owner: ObjectRef, revision: Revision, role: Role | None) -> dict[str, Any]:
    labels = {MANAGED_BY: MANAGER, OWNER: owner.name, REVISION: revision.name}
    return {
        "name": revision.name,
        "namespace": owner.namespace,
        "labels": {**labels, ROLE: role.value} if role else labels,
        "ownerReferences": owner_references(owner),
    }


def _deployment(owner: ObjectRef, kept: Frozen, role: Role, replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(owner, kept.revision, role),
        "spec": {
            "replicas": replicas,
            # The template never changes, so there is nothing to go back to.
            "revisionHistoryLimit": 0,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": {REVISION: kept.revision.name}},
            "template": plain(kept.template),
        },
    }


def _service(owner: ObjectRef, revision: Revision, role: Role, away: Diversion | None) -> dict[str, Any]:
    metadata = _metadata(owner, revision, role)
    if away is not None:
        metadata["annotations"] = {DIVERTED: away.annotation()}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "selector": {REVISION: away.to if away is not None else revision.name},
            "ports": [{"name": PORT, "port": SERVICE_PORT, "protocol": "TCP", "targetPort": PORT}],
        },
    }


def _digest(owner: ObjectRef, revision: Revision, digest: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(owner, revision, None),
        "data": {DIGEST_KEY: digest},
    }
