"""What stands between a version and its first request, and what does not."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.entry import asked_about
from tidegate.core.gates import NOBODY, Asked, Gates, ModelFile, Outcome, VersionDetails, Wants
from tidegate.core.notice import Happening, notices
from tidegate.core.reasons import Reason
from tidegate.core.record import Proven, Record, Rejection, Stopwatch
from tidegate.core.report import Phase, report
from tidegate.core.signatures import Signature, SignaturePolicy
from tidegate.core.values import Unavailable

GATES = Gates(tags=(("schema_version", None), ("validation_status", "approved")))
PLAN = make.plan(gates=GATES)
APPROVED = VersionDetails(
    created=make.NOW - 3600, tags={"validation_status": "approved", "schema_version": "2", "other": "x"}
)
PENDING = VersionDetails(created=make.NOW - 3600, tags={"validation_status": "pending", "schema_version": "2"})
STARTING = make.record(rollout=make.starting(hold=Stopwatch(since=make.NOW - 10)))
BARE = VersionDetails(created=make.NOW - 3600)
FIRST = Record(rollout=make.starting())


def _decide(record: Record, details: VersionDetails | Unavailable | None, **fields: Any) -> Decision:
    known = {} if details is None else {make.version(7): details}
    return decide(fields.pop("plan", PLAN), record, make.seen(record, details=known, **fields))


def test_a_version_with_its_tags_begins_and_gets_its_first_weight() -> None:
    assert _decide(make.idle(), APPROVED).record.rollout is not None
    raised = _decide(STARTING, APPROVED).record.rollout
    assert raised is not None
    assert raised.weight == 5


@pytest.mark.parametrize("record", [make.idle(), STARTING, FIRST, Record()], ids=["idle", "starting", "first", "new"])
@pytest.mark.parametrize(
    ("details", "reason", "words"),
    [
        (PENDING, Reason.WAITING_FOR_GATES, "tags.validation_status: tag validation_status of version 7 is 'pending'"),
        (BARE, Reason.WAITING_FOR_GATES, "tags.schema_version: version 7 has no tag schema_version"),
        (None, Reason.NOT_POLLED_YET, "has not been asked about this version yet"),
        (make.unavailable("RegistryFailing"), Reason.REGISTRY_FAILING, "version 7 waits at its gates"),
    ],
)
def test_what_is_not_there_yet_is_waited_for_and_said(
    record: Record, details: VersionDetails | Unavailable | None, reason: Reason, words: str
) -> None:
    decision = _decide(record, details)
    assert (decision.record, decision.reason, decision.stalled) == (record, reason, False)
    assert words in decision.message


def test_waiting_shows_each_finding_and_is_no_end() -> None:
    decision = _decide(make.idle(), PENDING)
    assert decision.gates is not None
    found = {finding.gate: (finding.outcome, finding.value, finding.limit) for finding in decision.gates.findings}
    assert found == {
        "tags.schema_version": (Outcome.PASSED, "2", None),
        "tags.validation_status": (Outcome.WAITING, "pending", "approved"),
    }
    shown = report(PLAN, decision, make.seen(make.idle(), details={make.version(7): PENDING}))
    conditions = {condition.type: condition.status for condition in shown.conditions}
    assert (shown.phase, shown.gated) == (Phase.WAITING, True)
    assert (conditions["Ready"], conditions["Reconciling"], conditions["Stalled"]) == (False, True, False)


def test_one_line_says_how_many_gates_wait() -> None:
    assert "(and 1 more in status.gates)" in _decide(make.idle(), BARE).message


def test_who_has_had_weight_is_past_the_gates() -> None:
    at_5 = make.record()
    assert _decide(at_5, BARE, evidence=make.judgement(at_5)).reason is Reason.ADVANCING


def test_a_way_back_to_what_has_proven_itself_has_no_gates() -> None:
    back = make.idle(proven=(Proven(revision=make.V7, at=make.NOW - 60),))
    assert _decide(back, BARE).record.rollout is not None
    old = make.idle(proven=(Proven(revision=make.V7, at=make.NOW - 100_000),))
    assert _decide(old, BARE).reason is Reason.WAITING_FOR_GATES


def test_promote_skips_holds_but_no_gates() -> None:
    by_hand = replace(STARTING, rollout=make.starting(unheld=True, direct=True))
    assert _decide(by_hand, PENDING).reason is Reason.WAITING_FOR_GATES


SEVENTH = Asked(versions=(make.version(7),))


def test_what_serves_is_not_asked_about_and_neither_is_what_was_rejected() -> None:
    rejection = Rejection(revision=make.V7, attempt=1, reason=Reason.ABORTED, message="m", at=make.NOW)
    plain, refused = make.idle(), make.idle(rejected=(rejection,))
    assert asked_about(PLAN, plain, make.seen(plain)) == SEVENTH
    assert asked_about(PLAN, STARTING, make.seen(STARTING)) == SEVENTH
    assert asked_about(PLAN, refused, make.seen(refused)) == NOBODY
    assert asked_about(PLAN, plain, make.seen(plain, wanted=make.version(6))) == NOBODY
    assert asked_about(PLAN, plain, make.seen(plain, wanted=make.unavailable())) == NOBODY
    assert asked_about(PLAN, make.record(), make.seen(make.record())) == NOBODY
    assert asked_about(make.plan(), plain, make.seen(plain)) == NOBODY
    assert _decide(plain, APPROVED, wanted=make.version(6)).gates is None


AGED = make.plan(gates=Gates(max_age=1800.0))


def test_a_version_that_fails_is_rejected_before_anything_of_it_is_made() -> None:
    before = make.idle(attempts=(("6", 1), ("7", 1)))
    decision = _decide(before, BARE, plan=AGED)
    after = decision.record
    assert (decision.reason, after.rollout, after.stable) == (Reason.GATE_FAILED, None, make.V6)
    assert [(r.revision, r.attempt, r.reason) for r in after.rejected] == [(make.V7, 2, Reason.GATE_FAILED)]
    assert after.rejected[0].message == "maxAge: version 7 was registered 60 min ago, 30 min are allowed"
    assert after.attempts == (("6", 1), ("7", 2))
    assert [(past.reason, past.attempt) for past in after.history] == [(Reason.GATE_FAILED, 2)]
    assert decision.gates is not None
    assert [finding.outcome for finding in decision.gates.findings] == [Outcome.FAILED]
    told = notices(PLAN.ref, before, after, decision.reason, decision.message)
    assert [(n.happening, n.revision, n.attempt, n.rejects) for n in told] == [(Happening.REVERTED, make.V7, 2, True)]
    again = _decide(after, BARE, plan=AGED)
    assert (again.record, again.reason, again.stalled) == (after, Reason.GATE_FAILED, True)


def test_who_fails_while_pods_start_is_rejected_too_and_one_that_comes_first_as_well() -> None:
    for record in (STARTING, FIRST):
        ended = _decide(record, BARE, plan=AGED).record.rollout
        assert ended is not None
        assert ended.verdict is not None
        assert (ended.verdict.reason, ended.verdict.rejects, ended.weight) == (Reason.GATE_FAILED, True, 0)


def test_a_retry_stands_at_the_gates_again() -> None:
    entry = Rejection(revision=make.V7, attempt=1, reason=Reason.GATE_FAILED, message="m", at=make.NOW)
    known = make.idle(rejected=(entry,))
    retried = _decide(known, BARE, plan=AGED, actions={"retry": "7/1"})
    assert (retried.reason, retried.record.rejected) == (Reason.STARTING, ())
    assert _decide(retried.record, BARE, plan=AGED).reason is Reason.GATE_FAILED
    assert notices(PLAN.ref, retried.record, known, Reason.UP_TO_DATE, "m")[0].reason is Reason.GATE_FAILED


def test_what_serves_may_be_served_otherwise_however_old_it_is() -> None:
    serving = replace(make.SERVING, canonical={"runtime": "tidegate", "resources": {"cpu": "2"}})
    details = {make.version(6): BARE}
    record = make.idle()
    decision = decide(
        replace(AGED, serving=serving), record, make.seen(record, wanted=make.version(6), details=details)
    )
    assert decision.reason is Reason.STARTING


BESIDE = make.plan(gates=Gates(signature=SignaturePolicy.COMPATIBLE))


def _signed(kind: str) -> VersionDetails:
    columns = ({"type": kind, "name": "x"},)
    return VersionDetails(created=make.NOW, model=ModelFile(signature=Signature(inputs=columns)))


def _beside(stable: VersionDetails | Unavailable | None) -> Decision:
    known: dict[Any, Any] = {make.version(7): _signed("long")} | ({make.version(6): stable} if stable else {})
    return decide(BESIDE, make.idle(), make.seen(make.idle(), details=known))


def test_what_is_compared_with_stable_waits_for_what_is_told_of_stable() -> None:
    asked = asked_about(BESIDE, make.idle(), make.seen(make.idle()))
    assert asked == Asked(versions=(make.version(7), make.version(6)), wants=Wants(model=True))
    assert _beside(None).reason is Reason.NOT_POLLED_YET
    down = _beside(make.unavailable("RegistryFailing"))
    assert (down.reason, down.record) == (Reason.REGISTRY_FAILING, make.idle())
    assert "it is compared with stable" in down.message
    assert _beside(_signed("integer")).reason is Reason.STARTING
    assert _beside(_signed("double")).reason is Reason.GATE_FAILED
