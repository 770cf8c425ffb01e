"""One snapshot of the world for one object. No I/O and no waiting: everything here was told before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidegate.adapters.gateway import route_facts
from tidegate.api.approval import step_words
from tidegate.api.parse import parse, reference
from tidegate.api.record import decode, restore
from tidegate.core.diversion import Diversion, diversion_of, saved_verdict, selected
from tidegate.core.facts import answering, facts_by_revision
from tidegate.core.frozen import CONTROLLER_REVISION, frozen_from
from tidegate.core.httproute import route as route_manifest
from tidegate.core.labels import (
    ACTIONS,
    APPROVAL_KIND,
    DISMISS,
    GROUP,
    KIND,
    RECORD,
    ROUTE_KIND,
    revision_label,
)
from tidegate.core.manifests import Known
from tidegate.core.observed import Alerts, Judgement, Memory, Observed
from tidegate.core.ownership import owned_by
from tidegate.core.plan import Plan, Pointer, Runtime
from tidegate.core.presets import DIGEST_KEY, PresetConfig, preset_version
from tidegate.core.reasons import Reason
from tidegate.core.record import Approval, Record, Verdict
from tidegate.core.tags import blank
from tidegate.core.values import ObjectRef, Unavailable, VersionId
from tidegate.errors import InvalidSpec, UnreadableRecord
from tidegate.loop.alerts import AlertInbox
from tidegate.loop.evidence import EvidenceWatch
from tidegate.loop.gates import GateWatch
from tidegate.loop.newest import Newest
from tidegate.loop.pointers import PointerSaga
from tidegate.loop.registries import Registries
from tidegate.loop.registry import NOT_ASKED
from tidegate.loop.tags import Recollections
from tidegate.loop.trials import TrialWatch
from tidegate.loop.words import LastWords
from tidegate.loop.world import World
from tidegate.ports import Clock, Manifest

#: Objects whose spec and records are kept decoded: those that something happens to.
OBJECTS = 512
_ON_ROUTE = (
    f"the HTTPRoute's annotation {RECORD}",
    "run the version that wrote it, put it back, or delete the HTTPRoute (made anew with all traffic on stable)",
)
_IN_STATUS = ("status.record", "run the version that wrote it, or put the HTTPRoute back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An object and everything that is seen of it. `plan` is the `InvalidSpec` where the spec can't be carried out.

    `presets` is what a new revision is rendered with, None while nothing is known of the registry that its pods read.
    `changes` counts what the cache had been told by then.
    `unreadable` says why the record can't be read. Nothing may be concluded from `seen` then, and nothing written.
    """

    key: str
    ref: ObjectRef
    body: Manifest
    plan: Plan | InvalidSpec
    route: Manifest | None
    seen: Observed
    known: Known
    presets: PresetConfig | None
    changes: int
    unreadable: str | None = None


class Observer:
    """Puts snapshots together from what watches and pollers keep."""

    def __init__(
        self,
        *,
        world: World,
        clock: Clock,
        registries: Registries,
        evidence: EvidenceWatch,
        presets: PresetConfig,
        alerts: AlertInbox,
        words: LastWords,
        pointers: PointerSaga,
        gates: GateWatch,
        trials: TrialWatch,
        recollections: Recollections,
        governed: bool = False,
    ) -> None:
        self._pointers = pointers
        self._gates = gates
        self._trials = trials
        self._recollections = recollections
        self._world = world
        self._governed = governed
        self._words = words
        self._clock = clock
        self._registries = registries
        self._presets = presets
        self._evidence = evidence
        self._alerts = alerts
        self._versions = {runtime: preset_version(runtime, presets) for runtime in Runtime}
        self._plans: Newest[str, Plan | InvalidSpec] = Newest(OBJECTS)
        self._records: Newest[str, Record] = Newest(OBJECTS)
        self._kept: Newest[str, Record] = Newest(OBJECTS)

    def snapshot(self, key: str) -> Snapshot | None:
        """What is seen of one object now; None where it is gone."""
        body = self._world.get(KIND, key)
        if body is None:
            return None
        ref = reference(body)
        plan = self._plan(key, body)
        live = self._world.get(ROUTE_KIND, key)
        route = live if live is not None and owned_by(live, ref) else None
        unreadable: str | None = None
        try:
            record = self._record(key, body, route)
        except UnreadableRecord as error:
            record, unreadable = Record(), str(error)
        diversions = self._diversions(key, record)
        now = self._clock.now()
        seen = Observed(
            now=now,
            wanted=self._wanted(key, plan),
            candidate=self._candidate(key, plan),
            errand=self._pointers.errand(key),
            memory=self._memory(plan, ref, record) if unreadable is None else None,
            route=route_facts(route, record) if route is not None else None,
            record=record,
            revisions=self._revisions(key, plan),
            evidence=self._evidence.judgement(key, _under_way(record)),
            preset=self._versions[plan.serving.runtime] if isinstance(plan, Plan) else "",
            actions=_actions(body),
            taken_by=self._taken_by(plan, ref, live, route),
            condemned=self._condemned(key, body, record, diversions),
            diverted={name: found.to for name, found in diversions.items()},
            astray=self._astray(key, record, diversions),
            approvals=self._approvals(key, record),
            governed=self._governed,
            alerts=self._alerts.waiting(key, record, now) if unreadable is None else Alerts(),
            registry=self._registries.identity(plan.registry) if isinstance(plan, Plan) else None,
            details=self._gates.details(key),
            tried=self._trials.tried(key),
            counted=self._evidence.opened(key),
        )
        return Snapshot(
            key=key,
            ref=ref,
            body=body,
            plan=plan,
            route=route,
            seen=seen,
            known=self._known(key, diversions),
            presets=self._presets_of(plan),
            changes=self._world.changes,
            unreadable=unreadable,
        )

    def again(self, snapshot: Snapshot) -> Snapshot | None:
        """What is seen at the end of a pass. Without a rollout and without news that is what was seen before.

        A weight that the pass changed comes with the evidence that it was changed for: while it was written the router
        may have confirmed it, which begins the next step, and nobody would ever be shown.
        """
        if snapshot.changes == self._world.changes and snapshot.seen.record.rollout is None:
            return snapshot
        now = self.snapshot(snapshot.key)
        evidence = snapshot.seen.evidence
        if now is None or not isinstance(evidence, Judgement) or _weight(now) == _weight(snapshot):
            return now
        return replace(now, seen=replace(now.seen, evidence=evidence))

    def rolling(self, key: str) -> bool:
        """Whether the route's record has a rollout."""
        return self._world.rolling(key)

    def forget(self, key: str) -> None:
        """The object is gone."""
        for decoded in (self._plans, self._records, self._kept):
            decoded.forget(key)
        self._alerts.forget(key)
        self._recollections.forget(key)

    def _plan(self, key: str, body: Manifest) -> Plan | InvalidSpec:
        state = f"{body['metadata']['uid']}/{body['metadata']['resourceVersion']}"
        return self._plans.of(key, state, lambda _: _parsed(body))

    def _record(self, key: str, body: Manifest, route: Manifest | None) -> Record:
        """What the route remembers; where it was lost, what status does, with all traffic on stable.

        Raises:
            UnreadableRecord: with where it stands and the way out.
        """
        try:
            if route is None:
                return restore(body.get("status") or {})
            text = (route["metadata"].get("annotations") or {}).get(RECORD, "")
            return self._records.of(key, text, decode)
        except UnreadableRecord as error:
            where, remedy = _IN_STATUS if route is None else _ON_ROUTE
            raise UnreadableRecord(f"{where}: {error}; {remedy}") from error

    def _approvals(self, key: str, record: Record) -> Mapping[str, tuple[Approval, ...]]:
        """What people said about steps of the attempt under way; nothing where nobody vouches for who they are."""
        if record.rollout is None or not self._governed:
            return {}
        return step_words(self._world.owned(APPROVAL_KIND, key))

    def _wanted(self, key: str, plan: Plan | InvalidSpec) -> VersionId | Unavailable:
        if isinstance(plan, InvalidSpec):
            return Unavailable(reason=Reason.INVALID_SPEC, message=str(plan))
        poll = self._registries.of(key, plan.registry)
        if not isinstance(poll, Unavailable):
            pointers = (plan.pointer, *((plan.candidate.pointer,) if plan.candidate is not None else ()))
            poll.want(key, plan.model, *pointers)
        return self._resolved(key, plan, plan.pointer)

    def _candidate(self, key: str, plan: Plan | InvalidSpec) -> VersionId | Unavailable | None:
        if isinstance(plan, InvalidSpec) or plan.candidate is None:
            return None
        return self._resolved(key, plan, plan.candidate.pointer)

    def _memory(self, plan: Plan | InvalidSpec, ref: ObjectRef, record: Record) -> Memory | Unavailable | None:
        """What the registry remembers of an object that is known nowhere else."""
        if isinstance(plan, InvalidSpec) or not plan.write_back or not blank(record):
            self._recollections.forget(ref.key)
            return None
        return self._recollections.memory(ref, plan)

    def _resolved(self, key: str, plan: Plan, pointer: Pointer) -> VersionId | Unavailable:
        poll = self._registries.of(key, plan.registry)
        if isinstance(poll, Unavailable):
            return poll
        read = poll.value(plan.model, pointer)
        return read[0] if read is not None else NOT_ASKED

    def _presets_of(self, plan: Plan | InvalidSpec) -> PresetConfig | None:
        if isinstance(plan, InvalidSpec) or plan.registry is None:
            return self._presets
        registry = self._registries.plan(plan.registry)
        return replace(self._presets, registry=registry) if registry is not None else None

    def _taken_by(
        self, plan: Plan | InvalidSpec, ref: ObjectRef, live: Manifest | None, route: Manifest | None
    ) -> str | None:
        if route is None and live is not None:
            return f"an HTTPRoute {ref.namespace}/{ref.name} that Tidegate does not own"
        # What the plan is about to claim, not what the live route claims by now.
        claiming = draft(plan) if isinstance(plan, Plan) else route
        return self._world.taken_by(claiming) if claiming is not None else None

    def _revisions(self, key: str, plan: Plan | InvalidSpec) -> Mapping[str, Any]:
        deployments = self._world.owned("Deployment", key)
        autoscaled = isinstance(plan, Plan) and plan.serving.autoscaling is not None
        return facts_by_revision(
            pods=self._words.told(self._world.owned("Pod", key)),
            slices=self._world.owned("EndpointSlice", key),
            deployments=deployments,
            scaled={body["metadata"]["name"] for body in deployments} if autoscaled else self._world.scaled(key),
        )

    def _diversions(self, key: str, record: Record) -> dict[str, Diversion]:
        """What Services say, by their names: also of those whose labels somebody took away."""
        services = {body["metadata"]["name"]: body for body in self._world.owned("Service", key)}
        for name in {revision.name for revision in record.revisions()} - services.keys():
            live = self._world.get("Service", f"{key.partition('/')[0]}/{name}")
            if live is not None:
                services[name] = live
        return {name: found for name, body in services.items() if (found := diversion_of(body)) is not None}

    def _astray(self, key: str, record: Record, diversions: Mapping[str, Diversion]) -> dict[str, str]:
        """Whose pods answer for the canary's Service that somebody edited, by its name.

        Once it selects the canary's again its EndpointSlices go on for a moment to list what it selected before.
        """
        rollout = record.rollout
        if rollout is None or rollout.canary.name in diversions:
            return {}
        service = self._world.get("Service", f"{key.partition('/')[0]}/{rollout.canary.name}")
        answers = selected(service) if service is not None else None
        if answers == rollout.canary.name:
            slices, pods = self._world.owned("EndpointSlice", key), self._world.owned("Pod", key)
            answers = answering(rollout.canary.name, slices, pods)
        known = {revision.name for revision in record.revisions()} - {rollout.canary.name}
        return {rollout.canary.name: answers} if answers in known else {}

    def _condemned(
        self, key: str, body: Manifest, record: Record, diversions: Mapping[str, Diversion]
    ) -> Verdict | None:
        """The verdict on the attempt under way that is on the canary's Service or in status, and not on the route."""
        rollout, text = record.rollout, (body.get("status") or {}).get("record")
        if rollout is None or rollout.verdict is not None:
            return None
        try:
            kept = self._kept.of(key, text, decode) if text else Record()
        except UnreadableRecord:
            # Status is read for nothing else while the route is there.
            kept = Record()
        return saved_verdict(rollout, diversions.get(rollout.canary.name), kept)

    def _known(self, key: str, diversions: Mapping[str, Diversion]) -> Known:
        kept = (frozen_from(body) for body in self._world.owned(CONTROLLER_REVISION, key))
        maps = self._world.owned("ConfigMap", key)
        deployments = self._world.owned("Deployment", key)
        return Known(
            frozen={entry.revision.name: entry for entry in kept if entry is not None},
            digests={
                name: digest
                for body in maps
                if (name := revision_label(body)) and (digest := (body.get("data") or {}).get(DIGEST_KEY))
            },
            sizes={
                name: (body.get("spec") or {}).get("replicas", 1)
                for body in deployments
                if (name := revision_label(body))
            },
            diversions=diversions,
            scaled=self._world.scaled(key),
        )


def _parsed(body: Manifest) -> Plan | InvalidSpec:
    try:
        return parse(body)
    except InvalidSpec as error:
        return error


def draft(plan: Plan) -> Manifest:
    """The route that a plan is about to claim, before it exists."""
    return route_manifest(plan, {}, {}, "")


def _actions(body: Mapping[str, Any]) -> dict[str, str]:
    annotations = body["metadata"].get("annotations") or {}
    named = {action: annotations.get(f"{GROUP}/{action}") for action in (*ACTIONS, DISMISS)}
    return {action: value for action, value in named.items() if value}


def _under_way(record: Record) -> tuple[str, int] | None:
    """The canary and the attempt that have no verdict yet."""
    rollout = record.rollout
    return (rollout.canary.name, rollout.attempt) if rollout is not None and rollout.verdict is None else None


def _weight(snapshot: Snapshot) -> int | None:
    rollout = snapshot.seen.record.rollout
    return rollout.weight if rollout is not None else None
