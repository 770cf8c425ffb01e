"""Values of the machine with good defaults: a rollout of version 7 beside version 6, everything in order."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.core.guards import Absolute, Finding, Guard, Kind, Mode, Verdict
from tidegate.core.observed import Alerts, Judgement, Observed, RevisionFacts, RouteFacts
from tidegate.core.plan import Gateway, Plan, Pointer, PointerKind, Runtime, Serving, Step
from tidegate.core.record import Alert, Record, Rollout, Stopwatch
from tidegate.core.revision import revision_of
from tidegate.core.values import ObjectRef, Revision, Unavailable, VersionId

NOW = 1_000_000.0
PRESET = "preset-1"
STEPS = (Step(weight=5, hold=300), Step(weight=25, hold=300), Step(weight=50, hold=300), Step(weight=100, hold=300))
SERVING = Serving(runtime=Runtime.TIDEGATE, replicas=3, canonical={"runtime": "tidegate"})
GUARD = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01))


def plan(**fields: Any) -> Plan:
    """Alias `champion` of `fraud-detector`, three replicas, 5, 25, 50, 100, five minutes each."""
    wish = Plan(
        ref=ObjectRef(namespace="ml", name="fraud", uid="u-1"),
        generation=3,
        model="fraud-detector",
        pointer=Pointer(kind=PointerKind.ALIAS, value="champion"),
        registry_secret=None,
        serving=SERVING,
        gateway=Gateway(parent_refs=({"name": "public"},)),
        steps=STEPS,
        deadline=86_400.0,
        progress_deadline=900.0,
        rollback_window=86_400.0,
        guards=(GUARD,),
        request_timeout=30.0,
        interval=1.0,
    )
    return replace(wish, **fields)


def version(number: int | str) -> VersionId:
    """A version of `fraud-detector`."""
    return VersionId(registry="http://mlflow", model="fraud-detector", model_created_ms=1, number=str(number))


def revision(number: int | str, serving: Serving = SERVING, preset: str = PRESET) -> Revision:
    """A version served as `plan` says."""
    return revision_of("fraud", version(number), serving, preset)


V6, V7, V8 = revision(6), revision(7), revision(8)


def rollout(**fields: Any) -> Rollout:
    """Version 7, first attempt, at 5 % for 400 s: past its hold."""
    made = Rollout(
        canary=V7,
        attempt=1,
        started=NOW - 500,
        deadline=Stopwatch(since=NOW - 500),
        weight=5,
        raised=NOW - 401,
        hold=Stopwatch(since=NOW - 400),
        canary_since=NOW - 401,
    )
    return replace(made, **fields)


def starting(**fields: Any) -> Rollout:
    """Version 7 before its first weight."""
    return rollout(**{"weight": 0, "raised": None, "hold": None, "canary_since": None} | fields)


def record(**fields: Any) -> Record:
    """Version 6 is stable, version 7 rolls out."""
    return replace(Record(stable=V6, rollout=rollout(), attempts=(("6", 1), ("7", 1))), **fields)


def idle(**fields: Any) -> Record:
    """Version 6 is stable, nothing else."""
    return replace(Record(stable=V6, attempts=(("6", 1),)), **fields)


def route(of: Record, **fields: Any) -> RouteFacts:
    """The route as a record asks for it, confirmed."""
    facts = RouteFacts(uid="r-1", resource_version="1", record=of, weights=of.weights(), confirmed=True)
    return replace(facts, **fields)


def judgement(of: Record, **fields: Any) -> Judgement:
    """Fresh evidence at the present weight that every guard holds."""
    under_way = of.rollout or rollout()
    finding = Finding(
        guard="errorRate.max",
        mode=Mode.ENFORCE,
        verdict=Verdict.HEALTHY,
        value=0.0,
        limit=0.01,
        samples=400,
        bad=0,
        log_e=-1.0,
        message="0% errors (0 of 400), limit 1%",
    )
    said = Judgement(
        canary=under_way.canary.name,
        attempt=under_way.attempt,
        weight=under_way.weight,
        findings=(finding,),
        fresh=True,
        healthy=True,
    )
    return replace(said, **fields)


def pods(ready: int = 3, **fields: Any) -> RevisionFacts:
    """So many ready pods."""
    return replace(RevisionFacts(endpoints=ready, pods=ready), **fields)


def alert(**fields: Any) -> Alert:
    """An alert of this object that began a minute ago, when version 7 had traffic."""
    return replace(Alert(fingerprint="a1", name="HighErrorRate", since=NOW - 60, summary="8% errors"), **fields)


def told(*firing: Alert, resolved: tuple[Alert, ...] = ()) -> Alerts:
    """What was just told of alerts."""
    return Alerts(firing=firing, resolved=resolved)


EVERYBODY: Mapping[str, RevisionFacts] = {r.name: pods() for r in (V6, V7, V8)}


def seen(of: Record, **fields: Any) -> Observed:
    """Version 7 is wanted, everything is ready, confirmed and good."""
    observed = Observed(
        now=NOW,
        wanted=version(7),
        route=route(of),
        record=of,
        revisions=EVERYBODY,
        evidence=judgement(of),
        preset=PRESET,
    )
    return replace(observed, **fields)


def unavailable(reason: str = "RegistryUnreachable") -> Unavailable:
    """A source that does not answer."""
    return Unavailable(reason=reason, message="no answer")
