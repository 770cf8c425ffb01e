"""Records and reports, for the tests of their wire form."""

from hypothesis import strategies as st

from tidegate.core.guards import Finding, Mode
from tidegate.core.guards import Verdict as Judged
from tidegate.core.reasons import Reason
from tidegate.core.record import (
    Alert,
    Handled,
    Leaving,
    Parking,
    Past,
    Proven,
    Record,
    Rejection,
    Retiring,
    Rollout,
    Stopwatch,
    Verdict,
)
from tidegate.core.report import Condition, Phase, Report
from tidegate.core.values import Revision, VersionId

STABLE = Revision(
    name="fraud-v6-bcdfghjk",
    version=VersionId(registry="http://mlflow:5000", model="Betrug (neu)", model_created_ms=1700000000000, number="6"),
    serving="6" * 64,
    preset="bcdf2456",
)
CANARY = Revision(
    name="fraud-v7-lmnpqrst",
    version=VersionId(registry="http://mlflow:5000", model="Betrug (neu)", model_created_ms=1700000000000, number="7"),
    serving="7" * 64,
    preset="bcdf2456",
)

NOON = 1700049600.0  # 2023-11-15T12:00:00Z
FINDING = Finding(
    guard="errorRate.max",
    mode=Mode.ENFORCE,
    verdict=Judged.BREACH,
    value=34 / 420,
    limit=0.01,
    samples=420,
    bad=34,
    log_e=12.5,
    message="8.1% errors (34 of 420) over the limit of 1%",
)
ROLLOUT = Rollout(
    canary=CANARY,
    attempt=2,
    started=NOON,
    deadline=Stopwatch(since=NOON),
    weight=25,
    canary_since=NOON + 61.9,
    verdict=Verdict(reason=Reason.GUARD_BREACHED, message=FINDING.message, rejects=True, at=NOON + 90),
)
ROLLING = Report(
    generation=3,
    phase=Phase.PROGRESSING,
    conditions=(
        Condition(type="Ready", status=False, reason=Reason.HOLDING, message="version 7 at 25%"),
        Condition(type="RouteAccepted", status=None, reason=Reason.ROUTE_NOT_CONFIRMED, message=""),
    ),
    record=Record(stable=STABLE, rollout=ROLLOUT),
    weights={STABLE.name: 75, CANARY.name: 25},
    step=2,
    steps=4,
    findings=(FINDING,),
    found_at=5,
)

_times = st.floats(min_value=0, max_value=4e9, allow_nan=False)
_words = st.text(max_size=20)
_reasons = st.sampled_from(Reason)
_counts = st.integers(min_value=0, max_value=2**31)
_attempts = st.integers(min_value=1, max_value=2**31)
_versions = st.builds(VersionId, registry=_words, model=_words, model_created_ms=_counts, number=st.text(max_size=9))
_revisions = st.builds(Revision, name=_words, version=_versions, serving=_words, preset=_words)
_stopwatches = st.builds(Stopwatch, spent=_times, since=st.none() | _times)
_verdicts = st.builds(Verdict, reason=_reasons, message=_words, rejects=st.booleans(), at=_times)
_pairs = st.lists(st.tuples(_words, _counts), max_size=3).map(tuple)
_rollouts = st.builds(
    Rollout,
    canary=_revisions,
    attempt=_attempts,
    started=_times,
    deadline=_stopwatches,
    weight=st.integers(min_value=0, max_value=100),
    raised=st.none() | _times,
    hold=st.none() | _stopwatches,
    canary_since=st.none() | _times,
    restarts=_pairs,
    direct=st.booleans(),
    unheld=st.booleans(),
    verdict=st.none() | _verdicts,
)
_ended = {"revision": _revisions, "attempt": _attempts, "reason": _reasons, "message": _words}


def _some(entries: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(entries, max_size=3).map(tuple)


records = st.builds(
    Record,
    stable=st.none() | _revisions,
    rollout=st.none() | _rollouts,
    retiring=_some(st.builds(Retiring, revision=_revisions, stage=st.sampled_from(Leaving), since=st.none() | _times)),
    rejected=_some(st.builds(Rejection, at=_times, **_ended)),
    parked=_some(st.builds(Parking, at=_times, tries=_counts, retry_at=_times, **_ended)),
    proven=_some(st.builds(Proven, revision=_revisions, at=_times)),
    attempts=_pairs,
    handled=_some(st.builds(Handled, action=_words, value=_words)),
    history=_some(st.builds(Past, started=_times, ended=_times, **_ended)),
    alerts=_some(
        st.builds(
            Alert,
            fingerprint=_words,
            name=_words,
            since=_times,
            summary=_words,
            until=st.none() | _times,
            polled=st.booleans(),
        )
    ),
)
