"""Whatever watches bring of an object, a pass over it ends, and no weight moves that nobody asked to move."""

import asyncio
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.models import FakeModels
from tests.fixtures.loopclock import EPOCH
from tests.integration.loop.stage import HOLD, FakeStage
from tests.integration.loop.virtual import VirtualLoop
from tests.property.damage import JUNK, bent, broken, fuzzed

from tidegate.api.parse import parse
from tidegate.api.record import encode
from tidegate.api.report import render_failure, render_status
from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.drift import differs
from tidegate.core.frozen import freeze
from tidegate.core.gates import Wants
from tidegate.core.httproute import reweighted, route
from tidegate.core.labels import KIND, RECORD, ROUTE_KIND
from tidegate.core.manifests import revision_objects
from tidegate.core.observed import Judgement, Memory
from tidegate.core.plan import Plan
from tidegate.core.presets import PresetConfig
from tidegate.core.reasons import Reason
from tidegate.core.report import report
from tidegate.core.transition import transition
from tidegate.core.values import Unavailable, VersionId
from tidegate.errors import InvalidSpec
from tidegate.loop.alerts import AlertInbox
from tidegate.loop.follow import Follower
from tidegate.loop.gates import GateWatch
from tidegate.loop.observe import Observer, Snapshot
from tidegate.loop.reverts import wanted_revert
from tidegate.loop.trials import TrialWatch
from tidegate.loop.words import LastWords
from tidegate.loop.world import World

KEY = "ml/fraud"
PRESETS = PresetConfig(
    runtime_image="example.invalid/runtime:1",
    mlserver_image="m",
    tracking_uri="http://mlflow.test",
    image_pull_policy="IfNotPresent",
)
#: No API server leaves these out, whatever the kind.
KEPT = frozenset({
    ("kind",), ("apiVersion",), ("metadata",),
    *(("metadata", name) for name in ("name", "namespace", "uid", "resourceVersion", "generation", "ownerReferences")),
})  # fmt: skip
NONE = Unavailable(reason=Reason.EVIDENCE_MISSING, message="garbled")


class Registry:
    """A poll whose answer is known."""

    def __init__(self, answer: VersionId | Unavailable) -> None:
        self.answer = answer

    def of(self, key: str, where: str | None) -> "Registry":
        return self

    def identity(self, where: str | None) -> None:
        return None

    def plan(self, where: str) -> None:
        return None

    async def describe(self, key: str, version: VersionId, wants: Wants) -> Unavailable:
        return NONE

    def want(self, *_: Any) -> None:
        """Nobody is asked."""

    def value(self, *_: Any) -> tuple[VersionId | Unavailable, float]:
        return self.answer, 0.0


class Pointers:
    """A queue of nothing, and a registry that remembers nothing."""

    def errand(self, _: str) -> None:
        """Nothing is written to a registry here."""

    def memory(self, *_: Any) -> Memory:
        """Nothing."""
        return Memory()

    def forget(self, _: str) -> None:
        """Nothing is known of it."""


class Evidence:
    """A watch whose judgement is known; what it is to watch is kept."""

    def __init__(self, judgement: Judgement | Unavailable) -> None:
        self.said = judgement
        self.specs: list[Any] = []

    def judgement(self, _: str, under_way: tuple[str, int] | None = None) -> Judgement | Unavailable:
        return self.said

    def opened(self, _: str) -> bool:
        return True

    def ensure(self, _: str, spec: Any) -> None:
        self.specs.append(spec)

    def stop(self, _: str) -> None:
        """Nothing runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A moment."""

    at: float

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Every object of a rollout at 25 %, just confirmed, and what is wanted."""

    bodies: tuple[dict[str, Any], ...]
    wanted: VersionId
    at: float

    def of(self, kind: str) -> list[int]:
        return [place for place, body in enumerate(self.bodies) if body["kind"] == kind]


@cache
def scene() -> Scene:
    """Played once, on the API server in memory."""

    async def play() -> Scene:
        stage = FakeStage()
        await stage.open()
        try:
            await stage.serve()
            await stage.rolling(25)
            await asyncio.sleep(1)
            assert stage.operator is not None
            snapshot = stage.operator.reconciler._observer.snapshot(KEY)
            assert snapshot is not None
            assert isinstance(snapshot.seen.wanted, VersionId)
            canary = snapshot.seen.record.revisions()[1]
            known = replace(snapshot.known, digests={canary.name: "sha256:" + "a" * 64})
            assert isinstance(snapshot.plan, Plan)
            for manifest in revision_objects(snapshot.plan, snapshot.seen.record, known, canary):
                await stage.memory.apply(manifest)
            bodies = tuple(body for body in stage.memory.all() if body["kind"] != "Event")
            return Scene(bodies=bodies, wanted=snapshot.seen.wanted, at=stage.clock.now())
        finally:
            await stage.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(play())


def observed(bodies: list[dict[str, Any]], *, said: Judgement | Unavailable = NONE, after: float = 0.0) -> Snapshot:
    world, evidence = World(), Evidence(said)
    for body in bodies:
        world.put(body)
    registry: Any = Registry(scene().wanted)
    pointers: Any = Pointers()
    watch: Any = evidence
    clock = Clock(at=scene().at + after)
    gates = GateWatch(registry.describe, 1.0, on_change=print)
    trials = TrialWatch(FakeModels(), clock, on_change=print)
    observer = Observer(
        world=world,
        clock=clock,
        registries=registry,
        evidence=watch,
        presets=PRESETS,
        alerts=AlertInbox(),
        words=LastWords(None, print),
        pointers=pointers,
        gates=gates,
        trials=trials,
        recollections=pointers,
    )
    snapshot = observer.snapshot(KEY)
    assert snapshot is not None
    follower = Follower(
        evidence=watch, registries=registry, world=world, words=LastWords(None, print), gates=gates, trials=trials
    )
    if isinstance(snapshot.plan, Plan):
        follower.follow(KEY, snapshot.body, snapshot.plan, snapshot.seen.record, snapshot.known)
    for spec in evidence.specs:
        for side in filter(None, (spec.canary, spec.stable)):
            side.targets()
    return snapshot


def carried_out(snapshot: Snapshot) -> Decision | None:
    """Everything that a pass makes of a snapshot but the writes; None where nothing may be decided."""
    before, revert = snapshot.seen.record, wanted_revert(snapshot)
    if revert is not None and snapshot.route is not None:
        reweighted(snapshot.route, revert[0].weights(), encode(revert[0]))
    if snapshot.unreadable is not None or isinstance(snapshot.plan, InvalidSpec):
        render_failure(
            snapshot.body.get("status"), generation=1, reason=Reason.INVALID_SPEC, message="m", now=1.0, record=before
        )
        return None
    plan = snapshot.plan
    decision = decide(plan, before, snapshot.seen)
    record = decision.record
    text = encode(record)
    transition(snapshot.ref, before, record, decision.reason, decision.message)
    numbers = {revision.name: revision.version.number for revision in record.revisions()}
    wanted = [route(plan, record.weights(), numbers, text)]
    frozen = {r.name: snapshot.known.kept(r) or freeze(plan, r, PRESETS) for r in record.revisions()}
    known = replace(snapshot.known, frozen=frozen)
    for revision in record.revisions():
        wanted += revision_objects(plan, record, known, revision)
    live = {(body["kind"], body["metadata"]["name"]): body for body in scene().bodies}
    for manifest in wanted:
        found = live.get((manifest["kind"], manifest["metadata"]["name"]))
        if found is not None:
            differs(found, manifest)
    previous = snapshot.body.get("status")
    render_status(report(plan, decision, snapshot.seen), previous=previous, now=snapshot.seen.now, judge=None)
    return decision


def weight(decision: Decision) -> int:
    return decision.record.rollout.weight if decision.record.rollout else 0


def test_the_scene_goes_on_when_nothing_is_damaged() -> None:
    decision = carried_out(observed(list(scene().bodies)))
    assert decision is not None
    assert (weight(decision), decision.reason) == (25, Reason.HOLDING)


def damaged(place: int, document: Any) -> list[dict[str, Any]]:
    bodies = list(scene().bodies)
    bodies[place] = document
    return bodies


KINDS = ("Pod", "EndpointSlice", "Deployment", "Service", "ConfigMap", "ControllerRevision", ROUTE_KIND, KIND)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@fuzzed(25)
def test_a_bent_object_ends_no_pass_and_raises_no_weight(kind: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(scene().of(kind)))
    bodies = damaged(place, data.draw(bent(scene().bodies[place], KEPT)))
    for after in (0.0, HOLD + 5):
        decision = carried_out(observed(bodies, after=after))
        assert decision is None or weight(decision) <= 25, decision


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ConfigMap", "ControllerRevision"])
@given(data=st.data())
@fuzzed(15)
def test_what_says_nothing_of_health_reverts_nothing(kind: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(scene().of(kind)))
    decision = carried_out(observed(damaged(place, data.draw(bent(scene().bodies[place], KEPT)))))
    assert decision is not None
    assert (weight(decision), decision.reason) == (25, Reason.HOLDING)


@given(data=st.data())
@fuzzed(30)
def test_the_data_of_a_controllerrevision_is_believed_or_not_but_ends_no_pass(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(scene().of("ControllerRevision")))
    body = scene().bodies[place]
    decision = carried_out(observed(damaged(place, {**body, "data": data.draw(broken(body["data"]) | JUNK)})))
    assert decision is not None
    assert weight(decision) == 25


@given(data=st.data())
@fuzzed(30)
def test_a_record_that_somebody_wrote_is_read_or_nothing_is_concluded(data: st.DataObject) -> None:
    (place,) = scene().of(ROUTE_KIND)
    body = scene().bodies[place]
    text = body["metadata"]["annotations"][RECORD]
    at = data.draw(st.integers(0, len(text)))
    pieces = ["", "0", "-", "9", "null", '"', "}", "[" * 3000, "\u0000"]
    torn = text[:at] + data.draw(st.sampled_from(pieces)) + text[at + data.draw(st.integers(0, 3)) :]
    if data.draw(st.booleans()):
        numbers = list(re.finditer(r"(?<=:)[0-9][0-9.]*(?=[,}])", text))
        found = data.draw(st.sampled_from(numbers))
        number = data.draw(st.sampled_from(["1e999", "-1", "250", "1e15", "0", "0.5", "9" * 400]))
        torn = text[: found.start()] + number + text[found.end() :]
    meta = {**body["metadata"], "annotations": {RECORD: torn}}
    decision = carried_out(observed(damaged(place, {**body, "metadata": meta})))
    if decision is not None and torn != text:
        assert all(0 <= share <= 100 for share in decision.record.weights().values()), torn


@given(st.data())
@fuzzed(60)
def test_any_spec_is_a_plan_or_names_its_fields(data: st.DataObject) -> None:
    (place,) = scene().of(KIND)
    body = scene().bodies[place]
    spec = data.draw(broken(body["spec"]) | bent(body["spec"]) | JUNK)
    plan: Plan | InvalidSpec
    try:
        plan = parse({**body, "spec": spec})
    except InvalidSpec as fault:
        plan = fault
    if isinstance(plan, Plan):
        assert plan.steps[-1].weight == 100
    else:
        assert plan.findings
        assert all(path and message for path, message in plan.findings)


@given(st.data())
@fuzzed(30)
def test_a_spec_that_became_nonsense_takes_weight_away_at_most(data: st.DataObject) -> None:
    (place,) = scene().of(KIND)
    body = scene().bodies[place]
    spec = data.draw(broken(body["spec"]) | JUNK)
    generation = {**body["metadata"], "resourceVersion": "999999"}
    snapshot = observed(damaged(place, {**body, "metadata": generation, "spec": spec}), after=HOLD + 5)
    decision, revert = carried_out(snapshot), wanted_revert(snapshot)
    assert decision is None or weight(decision) <= 25
    assert revert is None or revert[0].rollout is None or revert[0].rollout.weight <= 25
