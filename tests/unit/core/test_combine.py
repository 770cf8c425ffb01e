"""What several sources say together: anyone's breach is a breach, and a raise needs all of them."""

from dataclasses import replace

from tidegate.core.combine import combined
from tidegate.core.guards import Finding, Mode, Verdict
from tidegate.core.observed import Judgement, Obstacle
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable

FINDING = Finding(
    guard="errorRate.max",
    mode=Mode.ENFORCE,
    verdict=Verdict.HEALTHY,
    value=0.0,
    limit=0.01,
    samples=300,
    bad=0,
    log_e=0.0,
    message="fine",
)
GOOD = Judgement(canary="m-v7", attempt=1, weight=25, findings=(FINDING,), fresh=True, healthy=True)
BREACH = replace(GOOD, healthy=False, breach=Obstacle(reason=Reason.GUARD_BREACHED, message="8% errors"))
SILENT = Unavailable(reason=Reason.EVIDENCE_MISSING, message="contour: no answer")


def told(*parts: Judgement | Unavailable) -> Judgement:
    found = combined(parts)
    assert isinstance(found, Judgement)
    return found


def test_one_source_speaks_for_itself() -> None:
    assert combined([GOOD]) == GOOD
    assert combined([SILENT]) == SILENT


def test_all_of_them_have_to_be_healthy() -> None:
    both = told(GOOD, GOOD)
    assert (both.healthy, both.findings, both.missing) == (True, (FINDING, FINDING), None)
    assert not told(GOOD, replace(GOOD, healthy=False)).healthy


def test_a_source_that_cannot_tell_holds_and_is_named() -> None:
    both = told(SILENT, GOOD)
    assert (both.healthy, both.missing) == (False, SILENT.message)
    assert told(GOOD, replace(GOOD, missing="queries.a: no data")).missing == "queries.a: no data"
    assert combined([SILENT, SILENT]) == SILENT


def test_a_source_that_cannot_tell_hides_no_breach() -> None:
    assert told(SILENT, BREACH).breach == BREACH.breach
    assert told(GOOD, BREACH, GOOD).breach == BREACH.breach


def test_a_broken_limit_says_more_than_silence() -> None:
    quiet = replace(BREACH, breach=Obstacle(reason=Reason.UNREACHABLE, message="no request"))
    assert told(quiet, BREACH).breach == told(BREACH, quiet).breach == BREACH.breach
    assert told(quiet, GOOD).breach == quiet.breach


def test_suspicion_and_a_fault_that_stable_shares_are_anyones() -> None:
    assert told(GOOD, replace(GOOD, suspected=True)).suspected
    assert told(GOOD, replace(GOOD, held="held")).held == "held"


def test_none_is_newer_or_of_a_higher_weight_than_it_is() -> None:
    assert told(GOOD, replace(GOOD, weight=5)).weight == 5
    assert not told(GOOD, replace(GOOD, fresh=False)).fresh
