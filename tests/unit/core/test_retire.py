"""The way out of a revision: weight 0, confirmed, drained, out of the route, confirmed; then the pods may go."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.reasons import Reason
from tidegate.core.record import Leaving, Record, Retiring, Stopwatch
from tidegate.core.retire import DRAIN

WANTED = make.version(6)
FRESH = make.idle(retiring=(Retiring(revision=make.V7),))
DRAINED = make.idle(retiring=(Retiring(revision=make.V7, since=make.NOW - DRAIN),))
UNROUTED = make.idle(retiring=(Retiring(revision=make.V7, stage=Leaving.UNROUTED, since=0.0),))


def _decide(record: Record, **fields: Any) -> Any:
    return decide(make.plan(), record, make.seen(record, **{"wanted": WANTED} | fields))


def test_the_whole_way_out_keeps_the_words_of_the_decision() -> None:
    record = FRESH
    record = _decide(record).record
    assert record.retiring == (Retiring(revision=make.V7, since=make.NOW),)

    draining = _decide(record)
    assert (draining.record, draining.requeue, draining.reason) == (record, DRAIN, Reason.UP_TO_DATE)

    record = _decide(record, now=make.NOW + DRAIN).record
    assert record.retiring[0].stage is Leaving.UNROUTED
    assert record.weights() == {make.V6.name: 100}
    assert make.V7 in record.revisions()

    record = _decide(record).record
    assert record.retiring == ()
    assert record.revisions() == (make.V6,)


@pytest.mark.parametrize("record", [FRESH, DRAINED, UNROUTED], ids=["fresh", "drained", "unrouted"])
@pytest.mark.parametrize(
    "fields",
    [
        {"route": None},
        {"route": "unconfirmed"},
        {"route": "edited"},
        {"taken_by": "ml/older"},
    ],
    ids=["no route", "unconfirmed", "edited by hand", "claimed by an older object"],
)
def test_no_step_is_taken_with(record: Record, fields: dict[str, Any]) -> None:
    routes = {
        "unconfirmed": make.route(record, confirmed=False),
        "edited": make.route(record, weights={make.V6.name: 50, make.V7.name: 50}),
    }
    if isinstance(fields.get("route"), str):
        fields = {"route": routes[fields["route"]]}
    assert _decide(record, **fields).record == record


def test_one_revision_at_a_time() -> None:
    record = replace(DRAINED, retiring=(*DRAINED.retiring, Retiring(revision=make.V8)))
    stages = [(r.revision, r.stage, r.since) for r in _decide(record).record.retiring]
    assert stages[0][1] is Leaving.UNROUTED
    assert stages[1] == (make.V8, Leaving.DRAINING, None)


def test_the_earlier_of_two_reasons_to_wake_counts() -> None:
    leaving = (Retiring(revision=make.V8, since=make.NOW - 1),)
    late = make.record(retiring=leaving, rollout=make.rollout(hold=Stopwatch(since=make.NOW - 100)))
    assert _decide(late, wanted=make.version(7)).requeue == DRAIN - 1
    soon = make.record(retiring=leaving, rollout=make.rollout(hold=Stopwatch(since=make.NOW - 298)))
    assert _decide(soon, wanted=make.version(7)).requeue == pytest.approx(2)


def test_a_rollout_goes_on_beside_it() -> None:
    record = make.record(retiring=(Retiring(revision=make.V8),))
    assert _decide(record, wanted=make.version(7)).record.rollout.weight == 25
    assert sum(record.weights().values()) == 100


def test_nobody_loses_pods_twice_or_while_it_serves() -> None:
    record = make.record(retiring=(Retiring(revision=make.V7), Retiring(revision=make.V8)))
    assert record.revisions() == (make.V6, make.V7, make.V8)
    assert record.weights()[make.V7.name] == 5
