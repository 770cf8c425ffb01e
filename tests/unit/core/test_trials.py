"""What an answer to a request of ours means, and what a canary waits for until there is one."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.decision import Decision
from tidegate.core.entry import asked_about, sent
from tidegate.core.gates import (
    LARGEST_EXAMPLE,
    AtGates,
    Gates,
    Outcome,
    SmokeGate,
    ThroughputGate,
    VersionDetails,
    Wants,
)
from tidegate.core.inspection import judge_registered
from tidegate.core.reasons import Reason
from tidegate.core.record import Proven, Record, Stopwatch
from tidegate.core.signatures import SignaturePolicy
from tidegate.core.trials import (
    Load,
    NoReply,
    Reply,
    Trial,
    Tried,
    example_answered,
    fault_of,
    load_answered,
    malformed_answered,
    taken,
    untried,
)

SMOKE = SmokeGate(limit=2.0)
LOAD = ThroughputGate(least=50, seconds=5.0, concurrency=4)
P, F, W = Outcome.PASSED, Outcome.FAILED, Outcome.WAITING
REFUSED, LATE = NoReply(reason="Connection refused"), NoReply(reason="no answer within 10 s", late=True)


@pytest.mark.parametrize(
    ("reply", "outcome", "message"),
    [
        (Reply(status=200, seconds=2.0), P, "the request was answered 200 in 2 s, asked for is 2xx within 2 s"),
        (Reply(status=204, seconds=0.0124), P, "the request was answered 204 in 12 ms, asked for is 2xx within 2 s"),
        (Reply(status=200, seconds=2.01), F, "the request was answered 200 in 2.01 s, asked for is 2xx within 2 s"),
        (Reply(status=302, seconds=0.1), F, "the request was answered 302 in 100 ms, asked for is 2xx within 2 s"),
        (
            Reply(status=400, seconds=0.1, words="no column amount"),
            F,
            "the request was answered 400 in 100 ms, asked for is 2xx within 2 s; it says: no column amount",
        ),
        (
            Reply(status=503, seconds=1.3, words="loading"),
            W,
            "the pod says that it can't answer now: 503; it says: loading",
        ),
        (Reply(status=429, seconds=1.3), W, "the pod says that it can't answer now: 429"),
        (REFUSED, W, "Connection refused"),
        (LATE, F, "no answer within 10 s"),
    ],
)
def test_the_request_must_be_answered_in_time(reply: Reply | NoReply, outcome: Outcome, message: str) -> None:
    found = example_answered(SMOKE, reply)
    assert (found.gate, found.outcome, found.message, found.limit) == ("smoke", outcome, message, "2xx within 2 s")


@pytest.mark.parametrize(
    ("reply", "outcome", "message"),
    [
        (
            Reply(status=400, seconds=9, words="no JSON"),
            P,
            "a body that is no JSON was answered 400, asked for is a 4xx",
        ),
        (Reply(status=499, seconds=9), P, "a body that is no JSON was answered 499, asked for is a 4xx"),
        (Reply(status=200, seconds=0), F, "a body that is no JSON was answered 200, asked for is a 4xx"),
        (
            Reply(status=500, seconds=0, words="boom"),
            F,
            "a body that is no JSON was answered 500, asked for is a 4xx; it says: boom",
        ),
        (Reply(status=503, seconds=0), W, "the pod says that it can't answer now: 503"),
        (REFUSED, W, "Connection refused"),
        (LATE, F, "no answer within 10 s"),
    ],
)
def test_what_is_no_json_must_be_refused(reply: Reply | NoReply, outcome: Outcome, message: str) -> None:
    found = malformed_answered(reply)
    assert (found.gate, found.outcome, found.message, found.limit) == ("smoke.malformed", outcome, message, "4xx")


@pytest.mark.parametrize(
    ("load", "outcome", "value"),
    [
        (Load(sent=250, served=250, seconds=4.0), P, "62.5/s"),
        (Load(sent=250, served=250, seconds=5.0), P, "50/s"),
        (Load(sent=250, served=249, seconds=5.0, fault="500"), F, "49.8/s"),
        (Load(sent=250, served=0, seconds=0.0), F, "0/s"),
        (Load(sent=3, served=0, seconds=5.0, fault="Connection refused", taken=False), W, None),
    ],
)
def test_a_load_must_be_answered_at_the_pace_that_is_asked_for(load: Load, outcome: Outcome, value: str | None) -> None:
    found = load_answered(LOAD, load)
    assert (found.gate, found.outcome, found.value, found.limit) == ("throughput", outcome, value, "at least 50/s")
    assert load.fault in found.message


def test_a_fault_in_a_load_is_whatever_is_no_2xx() -> None:
    assert fault_of(Reply(status=201, seconds=0, words="x")) == ""
    assert fault_of(Reply(status=500, seconds=0, words="x")) == "500; it says: x"
    assert fault_of(LATE) == LATE.reason
    assert [taken(r) for r in (Reply(status=500, seconds=0), Reply(status=503, seconds=0), LATE, REFUSED)] == [
        True,
        False,
        True,
        False,
    ]


BOTH = Gates(smoke=SMOKE, throughput=LOAD)
PLAN = make.plan(gates=BOTH)
DETAILS = VersionDetails(created=make.NOW - 60, example="{}")
STARTING = make.record(rollout=make.starting(hold=Stopwatch(since=make.NOW - 10)))
FIRST = Record(rollout=make.starting())
TRIAL = Trial(revision=make.V7.name, attempt=1, path="/invocations", body="{}", smoke=SMOKE, throughput=LOAD)


def _tried(outcomes: str, trial: Trial = TRIAL, unanswered: str | None = None) -> Tried:
    """As many findings as there are letters: P, F or W."""
    words = {"P": P, "F": F, "W": W}
    found = untried(trial, "m")
    findings = tuple(replace(f, outcome=words[letter]) for f, letter in zip(found, outcomes, strict=True))
    return Tried(trial=trial, findings=findings, unanswered=unanswered)


def _decide(record: Record, tried: Tried | None, *, plan: Any = PLAN, **fields: Any) -> Decision:
    fields = {"details": {make.version(7): DETAILS}, "counted": True} | fields
    return decide(plan, record, make.seen(record, tried=tried, **fields))


def test_a_trial_is_over_when_all_passed_or_something_failed() -> None:
    assert [_tried(outcomes).over for outcomes in ("WWW", "PPW", "PPP", "FWW", "PFW")] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_an_answer_is_waited_for_longer_than_it_may_take() -> None:
    slow = replace(TRIAL, smoke=SmokeGate(limit=60.0))
    assert (TRIAL.patience, slow.patience, replace(TRIAL, smoke=None).patience) == (10.0, 60.0, 10.0)


def test_each_gate_has_a_finding_before_anything_is_sent() -> None:
    assert [found.gate for found in untried(BOTH, "m")] == ["smoke", "smoke.malformed", "throughput"]
    assert [found.gate for found in untried(Gates(smoke=SmokeGate(limit=1, malformed=False)), "m")] == ["smoke"]
    assert [found.gate for found in untried(Gates(throughput=LOAD), "m")] == ["throughput"]
    assert untried(Gates(), "m") == ()


@pytest.mark.parametrize("record", [STARTING, FIRST], ids=["starting", "first"])
def test_there_is_no_first_weight_before_everything_passed(record: Record) -> None:
    for tried in (None, _tried("WWW"), _tried("PPW")):
        waits = _decide(record, tried)
        assert (waits.record, waits.reason) == (record, Reason.WAITING_FOR_GATES)
    goes_on = _decide(record, _tried("PPP")).record
    assert goes_on.stable == make.V7 or (goes_on.rollout is not None and goes_on.rollout.weight == 5)


def test_what_is_waited_for_is_said_and_shown() -> None:
    waits = _decide(STARTING, None)
    assert waits.message == "smoke: requests are sent once a pod is ready"
    assert waits.gates is not None
    assert [(found.gate, found.outcome) for found in waits.gates.findings] == [
        ("request", P),
        ("smoke", W),
        ("smoke.malformed", W),
        ("throughput", W),
    ]


def test_the_first_weight_waits_until_the_counters_were_read_once_more() -> None:
    waits = _decide(STARTING, _tried("PPP"), counted=False)
    assert (waits.record, waits.reason) == (STARTING, Reason.EVIDENCE_MISSING)
    first = _decide(FIRST, _tried("PPP"), counted=False)
    assert first.record.stable == make.V7, "with nothing to compare with nothing is counted"
    ungated = _decide(STARTING, None, plan=make.plan(), counted=False)
    assert ungated.reason is Reason.ADVANCING


@pytest.mark.parametrize("record", [STARTING, FIRST], ids=["starting", "first"])
def test_what_failed_is_rejected_whatever_the_registry_says(record: Record) -> None:
    ended = _decide(record, _tried("PFW"))
    rollout = ended.record.rollout
    assert rollout is not None
    assert rollout.verdict is not None
    assert (rollout.verdict.reason, rollout.verdict.rejects) == (Reason.GATE_FAILED, True)
    assert rollout.verdict.message == "smoke.malformed: m"
    assert ended.gates is not None
    assert F in {found.outcome for found in ended.gates.findings}
    own = make.plan(gates=replace(BOTH, body="{}", tags=(("a", None),)))
    silent = _decide(record, _tried("PFW"), plan=own, details={}).record.rollout
    assert silent is not None
    assert silent.verdict is not None


def test_what_was_found_by_other_gates_or_in_another_attempt_counts_for_nothing() -> None:
    for other in (
        replace(TRIAL, attempt=2),
        replace(TRIAL, revision=make.V8.name),
        replace(TRIAL, body="[]"),
        replace(TRIAL, path="/x"),
    ):
        assert _decide(STARTING, _tried("PPP", other)).reason is Reason.WAITING_FOR_GATES
        assert _decide(STARTING, _tried("FWW", other)).reason is Reason.WAITING_FOR_GATES


def test_who_has_had_weight_or_comes_back_is_asked_nothing() -> None:
    at_5 = make.record()
    assert sent(PLAN, at_5, make.seen(at_5)) is None
    assert _decide(at_5, _tried("FWW"), evidence=make.judgement(at_5)).reason is Reason.ADVANCING
    back = replace(STARTING, proven=(Proven(revision=make.V7, at=make.NOW - 600),))
    assert sent(PLAN, back, make.seen(back, details={make.version(7): DETAILS})) is None
    assert _decide(back, None).reason is Reason.ADVANCING


def test_what_is_sent_is_the_saved_example_or_what_the_spec_says() -> None:
    def trial(gates: Gates, details: Any, record: Record = STARTING) -> Trial | None:
        return sent(make.plan(gates=gates), record, make.seen(record, details=details))

    known = {make.version(7): DETAILS}
    assert trial(BOTH, known) == TRIAL
    assert trial(replace(BOTH, path="/x", body="[1]"), {}) == replace(TRIAL, path="/x", body="[1]")
    assert trial(BOTH, {}) is None
    assert trial(BOTH, {make.version(7): make.unavailable()}) is None
    assert trial(BOTH, {make.version(7): replace(DETAILS, example=None)}) is None
    assert trial(Gates(), known) is None
    assert trial(BOTH, known, make.idle()) is None


def test_a_pod_that_leaves_requests_unanswered_is_parked_at_the_progress_deadline() -> None:
    late = make.record(
        rollout=make.starting(hold=Stopwatch(since=make.NOW - 10), deadline=Stopwatch(since=make.NOW - 901))
    )
    silent = _decide(late, _tried("WWW", unanswered="Connection refused")).record.rollout
    assert silent is not None
    assert silent.verdict is not None
    assert (silent.verdict.reason, silent.verdict.rejects) == (Reason.PROGRESS_DEADLINE_EXCEEDED, False)
    assert silent.verdict.message.endswith("(900s): Connection refused")
    assert _decide(late, _tried("PWW")).reason is Reason.WAITING_FOR_GATES, "it is being asked"
    early = _decide(STARTING, _tried("WWW", unanswered="Connection refused"))
    assert early.reason is Reason.WAITING_FOR_GATES


def test_the_example_is_wanted_of_the_new_version_alone() -> None:
    plan = make.plan(gates=replace(BOTH, signature=SignaturePolicy.COMPATIBLE))
    asked = asked_about(plan, make.idle(), make.seen(make.idle()))
    assert [asked.wants_of(version) for version in asked.versions] == [
        Wants(model=True, example=True),
        Wants(model=True),
    ]
    assert Gates(smoke=SMOKE, body="{}").wants == Wants()
    assert not Gates(smoke=SMOKE, body="{}").registered
    assert BOTH.registered


@pytest.mark.parametrize(
    ("example", "outcome", "words"),
    [
        ("{}", P, "has a saved input example of 2 B"),
        (None, F, "version 7 has no saved input example: log it with input_example (MLflow 2.16 or newer), or write"),
        (
            "x" * (LARGEST_EXAMPLE + 1),
            F,
            "is larger than 256 KiB: log it with a smaller one, or write the request into",
        ),
    ],
)
def test_a_version_without_an_example_fails_before_anything_is_made(
    example: str | None, outcome: Outcome, words: str
) -> None:
    at = AtGates(version=make.version(7), details=replace(DETAILS, example=example), now=make.NOW)
    (found,) = judge_registered(BOTH, at)
    assert (found.gate, found.outcome) == ("request", outcome)
    assert words in found.message
