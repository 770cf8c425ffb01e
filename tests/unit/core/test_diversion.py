"""The second plane's values: what a diverted Service says and selects, and who holds to it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.fixtures.plans import CONFIG, plan, revision, rollout
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.diversion import Diversion, condemned, diversion, diversion_of, diverted, saved_verdict, selected
from tidegate.core.drift import differs
from tidegate.core.facts import facts_by_revision
from tidegate.core.frozen import freeze
from tidegate.core.labels import DIVERTED, REVISION
from tidegate.core.manifests import Known, revision_objects
from tidegate.core.observed import Obstacle
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Retiring, Rollout, Verdict

ONE, TWO = revision("7"), revision("8")
VERDICT = Verdict(reason=Reason.GUARD_BREACHED, message="8% errors; «zu viele»", rejects=True, at=1_760_000_000.125)
AWAY = Diversion(attempt=1, to=ONE.name, verdict=VERDICT)
CANARY = Record(stable=ONE, rollout=rollout("8", 25))


def service(record: Record = CANARY, which: Any = TWO, away: Diversion | None = None) -> dict[str, Any]:
    """A revision's Service as it is rendered, live."""
    known = Known(
        frozen={which.name: freeze(plan(), which, CONFIG)},
        digests={},
        sizes={},
        diversions={which.name: away} if away else {},
    )
    made = next(o for o in revision_objects(plan(), record, known, which) if o["kind"] == "Service")
    return {**made, "metadata": {**made["metadata"], "uid": "u", "resourceVersion": "5"}}


def ended(weight: int = 0, **fields: Any) -> Record:
    base = replace(rollout("8", weight, verdict=VERDICT), canary_since=1.0)
    return Record(stable=ONE, rollout=replace(base, **fields))


def test_a_diverted_service_selects_stables_pods_and_says_why_and_is_the_same_in_everything_else() -> None:
    live = service()
    live["metadata"]["labels"]["team"] = "risk"
    live["spec"] |= {"clusterIP": "10.0.0.7", "type": "ClusterIP"}
    made = diverted(live, AWAY)
    assert made["spec"]["selector"] == {REVISION: ONE.name}
    assert made["spec"]["ports"] == service()["spec"]["ports"]
    assert made["spec"]["ports"][0]["targetPort"] == "http", "by name: stable's port may have another number"
    assert diversion_of(made) == AWAY
    assert "team" not in made["metadata"]["labels"]
    assert {**made["metadata"], "annotations": None} == {**service()["metadata"], "annotations": None}
    assert (made["metadata"]["uid"], made["metadata"]["resourceVersion"]) == ("u", "5")


def test_what_is_diverted_is_what_is_rendered_from_then_on() -> None:
    live = diverted(service(), AWAY)
    assert not differs(live, service(away=AWAY))
    assert differs(service(), service(away=AWAY))
    assert differs({**live, "spec": service()["spec"]}, service(away=AWAY)), "an edited selector is put back"


@pytest.mark.parametrize(
    ("record", "which", "kept"),
    [
        (CANARY, TWO, True),
        (ended(), TWO, True),
        (Record(stable=ONE, retiring=(Retiring(revision=TWO),)), TWO, True),
        (Record(stable=ONE, rollout=replace(rollout("8"), attempt=2)), TWO, False),
        (Record(stable=TWO), TWO, False),
    ],
    ids=["condemned", "reverted", "retiring", "another attempt", "stable"],
)
def test_a_diversion_is_kept_until_its_revision_is_gone_and_never_by_stable(
    record: Record, which: Any, kept: bool
) -> None:
    assert (diversion_of(service(record, which, AWAY)) == AWAY) is kept
    assert service(record, which, AWAY)["spec"]["selector"] == {REVISION: ONE.name if kept else TWO.name}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "diverted",
        "[]",
        "{}",
        "7",
        '{"attempt":1,"to":"x","verdict":{}}',
        '{"attempt":1,"to":"x","verdict":{"reason":"Bored","message":"","rejects":true,"at":1}}',
        '{"attempt":1,"to":"x","verdict":{"reason":"Crashed","message":"","rejects":true,"at":NaN}}',
        '{"attempt":1,"to":"x","verdict":{"reason":"Crashed","message":"","rejects":true,"at":1e300}}',
        '{"attempt":1e999,"to":"x","verdict":{"reason":"Crashed","message":"","rejects":true,"at":1}}',
        "[" * 100_000,
    ],
)
def test_what_nobody_of_us_wrote_diverts_nothing(text: str | None) -> None:
    annotations = {} if text is None else {DIVERTED: text}
    assert diversion_of({"metadata": {"annotations": annotations}}) is None
    assert diversion_of({"metadata": {}}) is None


def test_fields_that_a_later_version_adds_are_read_past() -> None:
    said = json.loads(AWAY.annotation()) | {"since": 1}
    assert diversion_of({"metadata": {"annotations": {DIVERTED: json.dumps(said)}}}) == AWAY


def test_the_second_plane_does_what_the_route_would() -> None:
    assert diversion(ended(), stable_endpoints=1) == AWAY


@pytest.mark.parametrize(
    ("record", "endpoints"),
    [
        (ended(), 0),
        (ended(canary_since=None), 1),
        (ended(verdict=None), 1),
        (replace(ended(), stable=None), 1),
        (Record(stable=ONE), 1),
    ],
    ids=["to nobody", "never had weight", "no verdict", "nothing stable", "no rollout"],
)
def test_nothing_is_diverted(record: Record, endpoints: int) -> None:
    assert diversion(record, stable_endpoints=endpoints) is None


def test_what_status_saves_is_the_routes_record_with_the_verdict() -> None:
    before = make.record()
    after = replace(before, rollout=make.rollout(weight=0, verdict=VERDICT), handled=())
    saved = condemned(before, after)
    assert saved.rollout == replace(make.rollout(), verdict=VERDICT)
    assert replace(saved, rollout=before.rollout) == before
    assert condemned(saved, replace(after, rollout=make.rollout(verdict=None))) == saved
    assert condemned(make.idle(), before) == make.idle()
    assert condemned(before, make.idle()) == before


def test_a_saved_verdict_holds_for_its_own_attempt_alone() -> None:
    running = make.rollout()
    kept = make.record(rollout=replace(running, verdict=VERDICT))
    mine, other = replace(AWAY, attempt=running.attempt), replace(AWAY, attempt=running.attempt + 1)
    assert saved_verdict(running, mine, make.record()) == VERDICT
    assert saved_verdict(running, None, kept) == VERDICT
    assert saved_verdict(running, other, kept) == VERDICT
    assert saved_verdict(running, other, make.record()) is None
    assert saved_verdict(running, None, make.idle()) is None
    assert saved_verdict(replace(running, attempt=2), None, kept) is None
    assert saved_verdict(replace(running, canary=make.V8), None, kept) is None


def _decided(record: Record, **fields: Any) -> Rollout:
    decision = decide(make.plan(), record, make.seen(record, **fields))
    assert decision.record.rollout is not None
    return decision.record.rollout


def test_a_saved_verdict_stands_when_everything_is_well_again() -> None:
    found = _decided(make.record(), condemned=VERDICT)
    assert (found.verdict, found.weight) == (VERDICT, 0)


def test_a_saved_verdict_that_only_parks_gives_way_to_one_that_rejects() -> None:
    parks = replace(VERDICT, reason=Reason.ENDPOINTS_LOST, rejects=False)
    breach = Obstacle(reason=Reason.GUARD_BREACHED, message="8% errors")
    found = _decided(make.record(), condemned=parks, evidence=make.judgement(make.record(), breach=breach))
    assert found.verdict is not None
    assert found.verdict.reason is Reason.GUARD_BREACHED


def test_a_revision_does_not_begin_again_while_its_service_is_diverted() -> None:
    record = make.idle()
    away = make.seen(record, diverted={make.V7.name: make.V6.name})
    assert decide(make.plan(), record, away).record == record
    other = make.seen(record, diverted={make.V8.name: make.V6.name})
    assert decide(make.plan(), record, other).record.rollout is not None


def test_endpoints_are_counted_by_the_pods_revision_whichever_service_lists_them() -> None:
    def pod(name: str, revision: str) -> dict[str, Any]:
        return {"metadata": {"namespace": "ml", "name": name, "labels": {REVISION: revision}}, "status": {}}

    def piece(service: str, *pods: str) -> dict[str, Any]:
        targets = [{"targetRef": {"kind": "Pod", "name": p}, "conditions": {"ready": True}} for p in pods]
        return {"metadata": {"namespace": "ml", "labels": {REVISION: service}}, "endpoints": targets}

    pods = [pod("s-1", ONE.name), pod("s-2", ONE.name), pod("c-1", TWO.name)]
    facts = facts_by_revision(pods, [piece(ONE.name, "s-1", "s-2"), piece(TWO.name, "s-1", "s-2")])
    assert facts[ONE.name].endpoints == 2
    assert facts[TWO.name].endpoints == 0


@pytest.mark.parametrize(("stable", "reverts"), [(2, False), (0, True)])
def test_a_service_that_somebody_pointed_at_stable_is_put_back_and_is_no_lost_endpoint(
    stable: int, reverts: bool
) -> None:
    rolling = make.record()
    pods = {make.V6.name: make.pods(stable), make.V7.name: make.pods(0)}
    seen = make.seen(rolling, revisions=dict(make.EVERYBODY) | pods, astray={make.V7.name: make.V6.name})
    assert (decide(make.plan(), rolling, seen).reason is Reason.ENDPOINTS_LOST) == reverts


def test_a_service_says_whose_pods_it_selects() -> None:
    assert selected(service()) == TWO.name
    assert selected(service(ended(), away=AWAY)) == ONE.name
    assert selected({"spec": {"selector": None}}) is None
    assert selected({}) is None
