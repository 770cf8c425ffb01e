"""What status says: for people, `kubectl wait`, and everything that reads conditions as kstatus does."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.observed import Observed, Obstacle
from tidegate.core.plan import Plan, Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.record import Leaving, Parking, Record, Rejection, Retiring, Stopwatch, Verdict
from tidegate.core.report import Condition, Phase, Report, report

IDLE = make.idle()
AT_5 = make.record(rollout=make.rollout(hold=Stopwatch(since=make.NOW - 100)))
SIX: dict[str, Any] = {"wanted": make.version(6)}
VERDICT = Verdict(reason=Reason.CRASHED, message="boom", rejects=True, at=make.NOW)
REJECTION = Rejection(
    revision=make.V7, attempt=1, reason=Reason.GUARD_BREACHED, message="8% errors over the limit of 1%", at=make.NOW
)
PARKING = Parking(
    revision=make.V7, attempt=1, reason=Reason.ENDPOINTS_LOST, message="", at=0, tries=1, retry_at=make.NOW + 9
)
REFUSED = {"confirmed": False, "refusal": "no such listener"}


def _report(record: Record, *, plan: Plan | None = None, **fields: Any) -> Report:
    plan, seen = plan or make.plan(), _seen(record, fields)
    return report(plan, decide(plan, record, seen), seen)


def _seen(record: Record, fields: dict[str, Any]) -> Observed:
    route = fields.pop("routed", None)
    return make.seen(record, **({"route": make.route(record, **route)} if route else {}) | fields)


def _conditions(shown: Report) -> dict[str, Condition]:
    return {condition.type: condition for condition in shown.conditions}


#: name: record, fields, Ready, Reconciling, Stalled, phase, reason of Ready
STATES: dict[str, tuple[Record, dict[str, Any], str, Phase, Reason]] = {
    "what is asked for serves": (IDLE, SIX, "R..", Phase.READY, Reason.UP_TO_DATE),
    "a registry that is down for a while takes nothing from it": (
        IDLE,
        {"wanted": make.unavailable()},
        "R..",
        Phase.READY,
        Reason.REGISTRY_UNREACHABLE,
    ),
    "another registry that is down vouches for nothing": (
        IDLE,
        {"wanted": make.unavailable(), "registry": "http://another"},
        "...",
        Phase.WAITING,
        Reason.REGISTRY_UNREACHABLE,
    ),
    "an alias that is gone is for a person": (
        IDLE,
        {"wanted": make.unavailable("AliasNotFound")},
        "..S",
        Phase.STALLED,
        Reason.ALIAS_NOT_FOUND,
    ),
    "an edited spec is not what serves while the registry is down": (
        IDLE,
        {
            "plan": make.plan(serving=replace(make.SERVING, canonical={"runtime": "custom"})),
            "wanted": make.unavailable(),
        },
        "...",
        Phase.WAITING,
        Reason.REGISTRY_UNREACHABLE,
    ),
    "another pinned version is not what serves while the registry is down": (
        IDLE,
        {
            "plan": make.plan(pointer=Pointer(kind=PointerKind.VERSION, value="9")),
            "wanted": make.unavailable(),
        },
        "...",
        Phase.WAITING,
        Reason.REGISTRY_UNREACHABLE,
    ),
    "the pinned version serves while the registry is down": (
        IDLE,
        {
            "plan": make.plan(pointer=Pointer(kind=PointerKind.VERSION, value="6")),
            "wanted": make.unavailable(),
        },
        "R..",
        Phase.READY,
        Reason.UP_TO_DATE,
    ),
    "nothing serves and nobody says what should": (
        Record(),
        {"wanted": make.unavailable("NotPolledYet"), "route": None},
        ".C.",
        Phase.PENDING,
        Reason.NOT_POLLED_YET,
    ),
    "a first version comes up": (
        make.record(stable=None, rollout=make.starting()),
        {"revisions": {}},
        ".C.",
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a canary is on its way": (AT_5, {}, ".C.", Phase.PROGRESSING, Reason.HOLDING),
    "a canary without weight": (
        make.record(rollout=make.starting()),
        {"revisions": {make.V6.name: make.pods()}},
        ".C.",
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "paused": (AT_5, {"plan": make.plan(paused=True)}, ".C.", Phase.PAUSED, Reason.PAUSED),
    "on the way back": (
        make.record(rollout=make.rollout(weight=0, verdict=VERDICT)),
        {"routed": {"confirmed": False}},
        ".C.",
        Phase.REVERTING,
        Reason.WAITING_FOR_ROUTE,
    ),
    "on the way back by the second plane": (
        AT_5,
        {"condemned": VERDICT, "diverted": {make.V7.name: make.V6.name}},
        ".C.",
        Phase.REVERTING,
        Reason.CRASHED,
    ),
    "rejected": (make.idle(rejected=(REJECTION,)), {}, "..S", Phase.STALLED, Reason.GUARD_BREACHED),
    "parked": (make.idle(parked=(PARKING,)), {}, ".C.", Phase.WAITING, Reason.RETRY_PENDING),
    "parked for good": (
        make.idle(parked=(replace(PARKING, tries=6),)),
        {},
        "..S",
        Phase.STALLED,
        Reason.RETRIES_EXHAUSTED,
    ),
    "refused by the gateway in mid-rollout": (
        AT_5,
        {"routed": REFUSED},
        "..S",
        Phase.STALLED,
        Reason.ROUTE_NOT_ACCEPTED,
    ),
    "refused by the gateway while idle": (
        IDLE,
        SIX | {"routed": REFUSED},
        "..S",
        Phase.STALLED,
        Reason.ROUTE_NOT_ACCEPTED,
    ),
    "claimed by an older object": (AT_5, {"taken_by": "ml/older"}, "..S", Phase.STALLED, Reason.ROUTE_TAKEN),
    "not confirmed yet": (
        IDLE,
        SIX | {"routed": {"confirmed": False}},
        ".C.",
        Phase.WAITING,
        Reason.ROUTE_NOT_CONFIRMED,
    ),
    "confirmed with other weights": (
        IDLE,
        SIX | {"routed": {"weights": {make.V6.name: 90}}},
        ".C.",
        Phase.WAITING,
        Reason.ROUTE_NOT_CONFIRMED,
    ),
    "no route": (IDLE, SIX | {"route": None}, ".C.", Phase.WAITING, Reason.ROUTE_MISSING),
    "a revision without weight is leaving the route": (
        make.idle(retiring=(Retiring(revision=make.V7, stage=Leaving.UNROUTED),)),
        SIX | {"routed": {"confirmed": False}},
        "R..",
        Phase.READY,
        Reason.UP_TO_DATE,
    ),
    "stable has no pods": (
        IDLE,
        SIX | {"revisions": {}},
        "...",
        Phase.WAITING,
        Reason.NO_ENDPOINTS,
    ),
    "deleting": (IDLE, SIX | {"plan": make.plan(deleting=True)}, "R..", Phase.DELETING, Reason.DELETING),
}


@pytest.mark.parametrize("name", STATES)
def test_conditions_say(name: str) -> None:
    record, fields, expected, phase, reason = STATES[name]
    shown = _report(record, **dict(fields))
    told = _conditions(shown)
    letters = [
        letter if told[kind].status else "."
        for kind, letter in (("Ready", "R"), ("Reconciling", "C"), ("Stalled", "S"))
    ]
    assert ("".join(letters), shown.phase, told["Ready"].reason) == (expected, phase, reason)
    assert not (told["Reconciling"].status and told["Stalled"].status)
    assert told["Ready"].message
    assert shown.generation == 3


def test_after_a_rejection_the_message_tells_a_person_what_to_know() -> None:
    ready = _conditions(_report(make.idle(rejected=(REJECTION,))))["Ready"]
    assert ready.message == "version 7 rejected: 8% errors over the limit of 1%; version 6 serves"


def test_a_promotion_is_not_ready_before_the_router_confirmed_it() -> None:
    record = make.record(stable=None, rollout=make.starting())
    seen = make.seen(record)
    decision = decide(make.plan(), record, seen)
    assert _conditions(report(make.plan(), decision, seen))["Ready"].reason is Reason.ROUTE_NOT_CONFIRMED
    done = replace(seen, route=make.route(decision.record), record=decision.record)
    assert _conditions(report(make.plan(), decision, done))["Ready"].reason is Reason.PROMOTED


@pytest.mark.parametrize(
    ("fields", "status", "reason", "message"),
    [
        ({}, True, Reason.SERVING, "version 6 95%, version 7 5%"),
        ({"route": None}, False, Reason.NOTHING_SERVES, "no version has traffic yet"),
        (
            {"revisions": {make.V7.name: make.pods()}},
            False,
            Reason.NO_ENDPOINTS,
            f"no ready endpoint: {make.V6.name}",
        ),
    ],
)
def test_available_is_about_what_has_traffic(
    fields: dict[str, Any], status: bool, reason: Reason, message: str
) -> None:
    told = _conditions(_report(AT_5, **fields))["Available"]
    assert (told.status, told.reason, told.message) == (status, reason, message)


@pytest.mark.parametrize(
    ("wanted", "status", "reason"),
    [
        (make.version(7), True, Reason.RESOLVED),
        (make.unavailable(), None, Reason.REGISTRY_UNREACHABLE),
        (make.unavailable("ModelNotFound"), False, Reason.MODEL_NOT_FOUND),
    ],
)
def test_model_resolved_tells_not_now_from_no(wanted: Any, status: bool | None, reason: Reason) -> None:
    told = _conditions(_report(AT_5, wanted=wanted))["ModelResolved"]
    assert (told.status, told.reason) == (status, reason)


@pytest.mark.parametrize(
    ("record", "fields", "status", "reason"),
    [
        (IDLE, SIX, True, Reason.EVIDENCE_NOT_NEEDED),
        (make.record(rollout=make.starting()), {}, True, Reason.EVIDENCE_NOT_NEEDED),
        (AT_5, {}, True, Reason.EVIDENCE_READ),
        (AT_5, {"evidence": make.judgement(AT_5, fresh=False)}, False, Reason.EVIDENCE_MISSING),
        (AT_5, {"evidence": make.judgement(AT_5, missing="contour: no answer")}, False, Reason.EVIDENCE_MISSING),
        (AT_5, {"evidence": make.unavailable("EvidenceMissing")}, False, Reason.EVIDENCE_MISSING),
    ],
)
def test_evidence_is_missed_only_while_a_canary_has_traffic(
    record: Record, fields: dict[str, Any], status: bool, reason: Reason
) -> None:
    told = _conditions(_report(record, **fields))["EvidenceAvailable"]
    assert (told.status, told.reason) == (status, reason)


@pytest.mark.parametrize(
    ("fields", "status", "reason", "message"),
    [
        ({}, True, Reason.ROUTE_CONFIRMED, "the gateway confirmed the weights"),
        ({"routed": REFUSED}, False, Reason.ROUTE_NOT_ACCEPTED, "no such listener"),
        (
            {"routed": {"confirmed": False}},
            None,
            Reason.ROUTE_NOT_CONFIRMED,
            "the gateway has not confirmed the newest weights yet",
        ),
        ({"route": None}, None, Reason.ROUTE_MISSING, "no route yet"),
        (
            {"taken_by": "ml/older"},
            False,
            Reason.ROUTE_TAKEN,
            "ml/older claims the same parent, host and match and is older",
        ),
    ],
)
def test_route_accepted_has_the_gateways_own_words(
    fields: dict[str, Any], status: bool | None, reason: Reason, message: str
) -> None:
    told = _conditions(_report(AT_5, **fields))["RouteAccepted"]
    assert (told.status, told.reason, told.message) == (status, reason, message)


def test_step_weights_and_findings_are_those_of_the_present_canary() -> None:
    shown = _report(make.record(rollout=make.rollout(weight=25, hold=Stopwatch(since=make.NOW))))
    assert (shown.step, shown.steps) == (2, 4)
    assert shown.weights == {make.V6.name: 75, make.V7.name: 25}
    assert [finding.guard for finding in shown.findings] == ["errorRate.max"]


@pytest.mark.parametrize(
    "fields",
    [
        {"evidence": make.judgement(AT_5, canary="another")},
        {"evidence": make.unavailable("EvidenceMissing")},
    ],
)
def test_findings_of_others_are_not_shown(fields: dict[str, Any]) -> None:
    assert _report(AT_5, **fields).findings == ()


def test_findings_name_the_weight_at_which_they_were_found() -> None:
    # Right after a raise they are those of the step before, and before the router confirmed a weight of none.
    for weight in (0, 1, 5):
        shown = _report(AT_5, evidence=make.judgement(AT_5, weight=weight))
        assert (len(shown.findings), shown.found_at) == (1, weight)


def test_an_idle_object_shows_no_findings_of_the_past() -> None:
    shown = _report(IDLE, **SIX | {"evidence": make.judgement(AT_5)})
    assert (shown.findings, shown.step) == ((), 0)


@pytest.mark.parametrize("fields", [{"route": None}, {"routed": {"confirmed": False}}])
def test_weights_are_shown_once_the_router_confirmed_them(fields: dict[str, Any]) -> None:
    assert _report(AT_5, **fields).weights is None


def test_a_granted_retry_is_on_its_way() -> None:
    shown = _report(make.idle(rejected=(REJECTION,)), actions={"retry": "7/1"})
    assert _conditions(shown)["Reconciling"].reason is Reason.STARTING


def test_an_obstacle_is_named_by_the_condition() -> None:
    facts = make.pods(0, obstacle=Obstacle(reason=Reason.IMAGE_PULL_FAILED, message="no such image"))
    shown = _report(make.record(stable=None, rollout=make.starting()), revisions={make.V7.name: facts})
    assert "no such image" in _conditions(shown)["Ready"].message


def test_a_canary_whose_service_is_diverted_is_served_by_stable_and_the_route_is_not_what_it_should_be() -> None:
    fields = {
        "condemned": VERDICT,
        "diverted": {make.V7.name: make.V6.name},
        "revisions": {make.V6.name: make.pods(), make.V7.name: make.pods(0)},
    }
    shown = _conditions(_report(AT_5, **fields))
    assert shown["Available"].status is True
    assert (shown["RouteAccepted"].status, shown["RouteAccepted"].reason) == (False, Reason.ROUTE_DIVERTED)
    gone = _conditions(_report(AT_5, **fields | {"revisions": {make.V7.name: make.pods(0)}}))
    assert gone["Available"].status is False


def test_a_diverted_revision_without_weight_is_nothing_to_tell() -> None:
    leaving = make.idle(retiring=(Retiring(revision=make.V7),))
    shown = _conditions(_report(leaving, **SIX, diverted={make.V7.name: make.V6.name}))
    assert shown["RouteAccepted"].status is True
