import json

import pytest

from tidegate.core.evidence import Count, Edges, Look, Pair
from tidegate.core.guards import Absolute, Finding, Guard, Increase, Kind, Mode, Ratio, Verdict
from tidegate.core.judge import JudgeState, Ruling, judge, restart_step
from tidegate.core.values import Unavailable

LIMIT = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01))
RATIO = Guard(name="errorRate.maxRatio", kind=Kind.ERROR_RATE, test=Ratio(factor=1.5))
POINTS = Guard(name="errorRate.maxIncrease", kind=Kind.ERROR_RATE, test=Increase(points=0.02))
ZERO = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.0))
REFUSED = Guard(name="clientErrors.maxRatio", kind=Kind.CLIENT_ERRORS, test=Ratio(factor=2.0))
SLOW = Guard(
    name="latency.p95.max", kind=Kind.LATENCY, test=Absolute(limit=0.05), percentile=0.95, threshold_seconds=0.5
)
SLOWER = Guard(name="latency.p95.maxRatio", kind=Kind.LATENCY, test=Ratio(factor=1.2), percentile=0.95)
OBSERVED = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.01), mode=Mode.OBSERVE)


def look(
    canary: tuple[int, int], stable: tuple[int, int] = (0, 0), *, guard: Guard = LIMIT, edges: Edges | None = None
) -> Look:
    return Look(
        counts={guard.metric: Pair(Count(*canary), Count(*stable))},
        edges={guard.metric: edges} if edges else {},
        canary_arrived=canary[0],
        stable_arrived=stable[0],
    )


def hear(
    *looks: Look | Unavailable,
    guards: tuple[Guard, ...] = (LIMIT,),
    state: JudgeState | None = None,
    weight: int = 10,
    at_full: bool = False,
) -> Ruling:
    """The ruling after the last of the looks."""
    ruling = Ruling(state=state or JudgeState(), findings=(), verdict=Verdict.UNDECIDED)
    for one in looks:
        ruling = judge(ruling.state, guards, one, weight=weight, at_full=at_full)
    return ruling


def only(ruling: Ruling) -> Finding:
    (finding,) = ruling.findings
    return finding


def test_a_canary_within_its_limit_is_healthy_once_there_were_requests_enough() -> None:
    early = hear(*[look((10, 0))] * 29)
    enough = hear(look((10, 1)), state=early.state)
    assert (early.verdict, only(early).message) == (
        Verdict.UNDECIDED,
        "0% errors (0 of 290) so far, 300 requests needed for the limit of 1%",
    )
    assert (enough.verdict, only(enough).message) == (
        Verdict.HEALTHY,
        "0.33% errors (1 of 300) within the limit of 1%",
    )
    assert (only(enough).value, only(enough).limit, only(enough).samples, only(enough).bad) == (1 / 300, 0.01, 300, 1)


def test_an_estimate_over_the_limit_is_not_healthy_even_where_it_may_be_chance() -> None:
    ruling = hear(look((10, 2)), look((10, 2)), *[look((10, 0))] * 28)
    assert ruling.verdict is Verdict.UNDECIDED
    assert only(ruling).message == "1.3% errors (4 of 300) over the limit of 1%, but not beyond chance"
    assert not ruling.suspected


def test_suspicion_stops_a_raise_before_it_reverts() -> None:
    ruling = hear(*[look((10, 0))] * 30, look((10, 4)))
    assert (ruling.verdict, ruling.suspected) == (Verdict.UNDECIDED, True)
    assert only(ruling).message == "40% errors (4 of 10): suspected to be over the limit of 1%"


def test_a_breach_tells_the_requests_since_the_suspicion_arose_and_not_the_good_past() -> None:
    ruling = hear(*[look((10, 0))] * 1000, look((10, 10)))
    assert (ruling.verdict, ruling.blamed, ruling.suspected) == (Verdict.BREACH, "errorRate.max", False)
    assert ruling.message == only(ruling).message == "100% errors (10 of 10) over the limit of 1%"
    assert only(ruling).log_e > 4.6


def test_one_bad_request_never_reverts_however_unlikely_it_is() -> None:
    tight = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.0001))
    one = hear(look((1, 1)), guards=(tight,))
    spread = hear(look((1, 1)), look((2, 2)), guards=(tight,))
    lump = hear(look((9, 9)), guards=(tight,))
    ten = hear(look((10, 10)), guards=(tight,))
    assert only(one).log_e > 4.6
    assert [ruling.verdict for ruling in (one, spread, lump, ten)] == [
        Verdict.UNDECIDED,
        Verdict.BREACH,
        Verdict.UNDECIDED,
        Verdict.BREACH,
    ]


def test_the_first_three_bad_requests_break_a_limit_of_zero() -> None:
    two = hear(look((100, 1)), look((100, 0)), look((100, 1)), guards=(ZERO,))
    three = hear(look((100, 1)), guards=(ZERO,), state=two.state)
    assert (two.verdict, two.suspected) == (Verdict.UNDECIDED, True)
    assert (three.verdict, three.message) == (Verdict.BREACH, "0.75% errors (3 of 400) over the limit of 0%")
    assert hear(*[look((100, 0))] * 3, guards=(ZERO,)).verdict is Verdict.HEALTHY


def test_looks_without_requests_count_for_nothing() -> None:
    state = hear(look((10, 1))).state
    silent = hear(look((0, 0)), state=state)
    assert silent.state.guards == state.guards


def test_a_look_that_is_unavailable_does_no_harm_and_no_good() -> None:
    unavailable = Unavailable(reason="EvidenceMissing", message="connection refused")
    healthy = hear(*[look((10, 0))] * 40)
    broken = hear(look((10, 10)))
    assert (healthy.verdict, broken.verdict) == (Verdict.HEALTHY, Verdict.BREACH)
    for before in (healthy, broken):
        after = hear(unavailable, state=before.state)
        assert (after.state, after.verdict, after.blamed) == (before.state, Verdict.UNDECIDED, None)
        assert only(after).message == "no pod can tell its errorRate"


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        (SLOW, "no pod can tell how many requests take longer than 500 ms"),
        (SLOWER, "no pod can tell stable's p95 yet, or how many of the canary's requests are slower"),
        (REFUSED, "no pod can tell its clientErrors"),
    ],
)
def test_a_guard_without_evidence_leaves_the_verdict_open_and_says_what_is_missing(guard: Guard, message: str) -> None:
    ruling = hear(*[look((100, 0))] * 10, guards=(LIMIT, guard))
    assert ruling.verdict is Verdict.UNDECIDED
    assert [finding.verdict for finding in ruling.findings] == [Verdict.HEALTHY, Verdict.UNDECIDED]
    assert ruling.findings[1].message == message
    assert ruling.findings[1].value is None


def test_what_speaks_in_favour_is_forgotten_at_a_step_and_what_speaks_against_is_not() -> None:
    before = hear(*[look((10, 0))] * 40, look((10, 3)))
    state = restart_step(before.state)
    after = hear(Unavailable(reason="EvidenceMissing", message=""), state=state)
    assert only(after).log_e == only(before).log_e
    assert state.guards[LIMIT.identity].favour == Pair()
    fresh = restart_step(hear(*[look((10, 0))] * 40).state)
    assert hear(look((10, 0)), state=fresh).verdict is Verdict.UNDECIDED


def test_the_guard_with_most_evidence_is_blamed() -> None:
    both = Look(
        counts={
            LIMIT.metric: Pair(Count(20, 3), Count()),
            SLOW.metric: Pair(Count(20, 20), Count()),
        },
        edges={SLOW.metric: Edges(0.5, 0.5)},
    )
    ruling = hear(both, both, guards=(LIMIT, SLOW))
    assert (ruling.blamed, ruling.message) == (
        "latency.p95.max",
        "100% slower than 500 ms (40 of 40) over the limit of 5%",
    )
    assert ruling.findings[1].edge == 0.5


def test_many_guards_need_more_evidence_each_than_one_alone() -> None:
    looks = [look((10, 1))] * 5
    alone = hear(*looks)
    others = tuple(
        Guard(name=f"other.{i}", kind=Kind.CLIENT_ERRORS, test=Absolute(limit=0.1 + i / 10)) for i in range(5)
    )
    together = hear(*looks, guards=(LIMIT, *others))
    assert (alone.verdict, together.verdict) == (Verdict.BREACH, Verdict.UNDECIDED)
    assert together.suspected


def test_an_observed_guard_tells_its_breach_and_reverts_nothing() -> None:
    ruling = hear(*[look((10, 10))] * 8, guards=(OBSERVED,))
    assert (ruling.verdict, ruling.blamed, ruling.suspected) == (Verdict.HEALTHY, None, False)
    assert (only(ruling).verdict, only(ruling).mode) == (Verdict.BREACH, Mode.OBSERVE)
    zero = Guard(name="errorRate.max", kind=Kind.ERROR_RATE, test=Absolute(limit=0.0), mode=Mode.OBSERVE)
    assert only(hear(look((9, 3)), guards=(zero,))).verdict is Verdict.BREACH


def test_without_enforced_guards_silence_still_does_not_promote() -> None:
    assert hear(look((49, 0)), guards=(OBSERVED,)).verdict is Verdict.UNDECIDED
    enough = hear(look((50, 0)), guards=(OBSERVED,))
    assert enough.verdict is Verdict.HEALTHY
    assert hear(Look(counts={}), guards=(OBSERVED,), state=enough.state).verdict is Verdict.UNDECIDED


def test_a_canary_that_is_as_bad_as_stable_passes_a_ratio() -> None:
    ruling = hear(*[look((10, 1), (90, 9))] * 30, guards=(RATIO,))
    assert (ruling.verdict, only(ruling).message) == (
        Verdict.HEALTHY,
        "10% errors (30 of 300) within 1.5 times stable's 10% (270 of 2700)",
    )
    assert only(ruling).limit == pytest.approx(0.15)


def test_a_canary_much_worse_than_stable_breaks_a_ratio() -> None:
    ruling = hear(*[look((10, 0), (90, 0))] * 30, *[look((10, 4), (90, 0))] * 3, guards=(RATIO,))
    assert (ruling.verdict, ruling.blamed) == (Verdict.BREACH, "errorRate.maxRatio")
    assert ruling.message == "40% errors (12 of 30) over 1.5 times stable's 0% (0 of 270)"


def test_a_ratio_needs_requests_of_stable() -> None:
    ruling = hear(*[look((10, 5), (0, 0))] * 30, guards=(RATIO,))
    assert (ruling.verdict, only(ruling).log_e) == (Verdict.UNDECIDED, 0.0)
    assert only(ruling).message == "0% errors (0 of 0); stable had no requests to compare with"


def test_a_single_bad_request_does_not_hold_up_a_ratio_but_several_do() -> None:
    one = hear(look((10, 1), (90, 0)), *[look((10, 0), (90, 0))] * 30, guards=(RATIO,))
    two = hear(look((10, 1), (90, 0)), *[look((10, 0), (90, 0))] * 30, look((10, 1), (90, 0)), guards=(RATIO,))
    assert (one.verdict, two.verdict) == (Verdict.HEALTHY, Verdict.UNDECIDED)


def test_points_over_stable_are_measured_by_what_stable_did_before() -> None:
    calm = [look((10, 0), (90, 0))] * 30
    ruling = hear(*calm, guards=(POINTS,))
    assert only(ruling).message == "0% errors (0 of 300) within stable's 0% (0 of 2700) plus 2 points"
    broken = hear(*[look((10, 5), (90, 0))] * 3, guards=(POINTS,), state=ruling.state)
    assert (broken.verdict, broken.blamed) == (Verdict.BREACH, "errorRate.maxIncrease")


def test_a_limit_made_of_stables_rate_uses_earlier_looks_only() -> None:
    state = hear(*[look((10, 0), (90, 1))] * 30, guards=(POINTS,)).state
    calm = hear(look((10, 1), (90, 0)), guards=(POINTS,), state=state)
    rough = hear(look((10, 1), (90, 9)), guards=(POINTS,), state=state)
    assert not only(rough).held
    assert only(calm).log_e == only(rough).log_e


def test_what_the_canary_still_tells_of_an_outage_that_is_just_over_is_held_too() -> None:
    shared = hear(*[look((10, 0), (90, 0))] * 40, *[look((10, 5), (90, 45))] * 10)
    late = hear(look((10, 8), (90, 0)), state=shared.state)
    assert (late.verdict, only(late).held) == (Verdict.UNDECIDED, True)


def test_a_breach_that_stable_shares_is_held_and_said() -> None:
    shared = hear(*[look((10, 0), (90, 0))] * 40, *[look((10, 5), (90, 45))] * 5)
    assert (shared.verdict, only(shared).held) == (Verdict.UNDECIDED, True)
    assert shared.held is not None
    assert shared.held.endswith("stable itself has 25% (225 of 900), over the limit of 1%: held, measured by stable")
    over = hear(*[look((10, 0), (90, 0))] * 20, state=shared.state)
    assert (over.verdict, over.held) == (Verdict.HEALTHY, None)


def test_points_over_stable_are_held_in_an_outage_that_stable_shares_too() -> None:
    shared = hear(*[look((10, 0), (90, 0))] * 40, *[look((10, 5), (90, 45))] * 5, guards=(POINTS,))
    assert (shared.verdict, only(shared).held) == (Verdict.UNDECIDED, True)


def test_a_stable_that_is_a_little_over_the_limit_does_not_protect_a_canary_that_fails() -> None:
    ruling = hear(*[look((10, 0), (90, 3))] * 20, *[look((10, 10), (90, 3))] * 3)
    assert (ruling.verdict, ruling.blamed) == (Verdict.BREACH, "errorRate.max")


def test_a_single_bad_request_of_stable_is_no_outage() -> None:
    assert not only(hear(look((10, 0), (10, 1)))).held


def test_at_full_weight_a_plain_limit_judges_alone() -> None:
    state = hear(*[look((10, 0), (90, 0))] * 40, guards=(LIMIT, RATIO)).state
    ruling = hear(*[look((10, 0))] * 40, guards=(LIMIT, RATIO), state=restart_step(state), at_full=True)
    assert ruling.verdict is Verdict.HEALTHY
    assert ruling.findings[1].message == "stable gets no requests at 100%: the absolute limit judges"


@pytest.mark.parametrize("guard", [RATIO, POINTS])
def test_at_full_weight_stables_last_bound_is_the_limit_where_there_is_no_other(guard: Guard) -> None:
    state = hear(*[look((10, 0), (900, 9))] * 40, guards=(guard,)).state
    good = hear(*[look((10, 0))] * 40, guards=(guard,), state=restart_step(state), at_full=True)
    bad = hear(*[look((10, 4))] * 5, guards=(guard,), state=restart_step(state), at_full=True)
    assert (good.verdict, bad.verdict) == (Verdict.HEALTHY, Verdict.BREACH)
    assert "stable's last bound of" in only(good).message
    assert only(good).limit is not None


def test_at_full_weight_a_stable_nobody_ever_saw_limits_nothing() -> None:
    ruling = hear(*[look((10, 10))] * 40, guards=(RATIO,), at_full=True)
    assert only(ruling).log_e == pytest.approx(0.0)


def test_a_latency_ratio_compares_shares_above_each_ones_own_edge() -> None:
    edges = Edges(0.6, 0.5)
    alike = hear(*[look((10, 1), (90, 9), guard=SLOWER, edges=edges)] * 30, guards=(SLOWER,))
    assert (alike.verdict, only(alike).message) == (
        Verdict.HEALTHY,
        "10% slower than 600 ms (30 of 300) within stable's 10% (270 of 2700) slower than 500 ms",
    )
    slower = hear(*[look((10, 8), (90, 4), guard=SLOWER, edges=edges)] * 3, guards=(SLOWER,), state=alike.state)
    assert slower.blamed == "latency.p95.maxRatio"


def test_messages_do_without_edges_that_nobody_knows() -> None:
    ruling = hear(*[look((10, 0), (90, 4), guard=SLOWER)] * 30, guards=(SLOWER,))
    assert (
        "slower than the limit (0 of 300) within stable's 4.4% (120 of 2700) slower than its own percentile"
        in only(ruling).message
    )


def test_seconds_and_client_errors_are_told_in_words() -> None:
    slow = look((10, 0), guard=SLOW, edges=Edges(1.25, None))
    assert "slower than 1.25 s" in only(hear(slow, guards=(SLOW,))).message
    assert "0% client errors" in only(hear(look((10, 0), (1, 0), guard=REFUSED), guards=(REFUSED,))).message


def test_a_canary_no_request_reaches_is_unreachable() -> None:
    early = hear(*[look((0, 0), (95, 0))] * 2, weight=5)
    ruling = hear(look((0, 0), (95, 0)), state=early.state, weight=5)
    assert early.verdict is Verdict.UNDECIDED
    assert (ruling.verdict, ruling.blamed) == (Verdict.BREACH, None)
    assert ruling.message == "the canary counted no request while stable counted 285"


@pytest.mark.parametrize(
    ("seen", "weight", "at_full"),
    [
        (look((0, 0), (95, 0)), 0, False),
        (look((0, 0), (95, 0)), 100, True),
        (look((0, 0), (0, 0)), 5, False),
        (Look(counts={}, canary_arrived=None, stable_arrived=95), 5, False),
        (look((1, 0), (95, 0)), 5, False),
    ],
    ids=["weight unknown", "at full weight", "nobody has traffic", "canary unread", "a request came"],
)
def test_what_is_no_silence_makes_nobody_unreachable(seen: Look, weight: int, at_full: bool) -> None:
    assert hear(*[seen] * 20, weight=weight, at_full=at_full).verdict is not Verdict.BREACH


def test_a_canary_whose_metrics_cannot_be_read_for_five_looks_is_unreachable() -> None:
    dark = [Look(counts={}, stable_arrived=9, unreadable=number) for number in range(1, 6)]
    assert hear(*dark[:4]).verdict is Verdict.UNDECIDED
    ruling = hear(*dark)
    assert (ruling.verdict, ruling.blamed) == (Verdict.BREACH, None)
    assert ruling.message == "no metrics of any canary pod for 5 looks, while stable's were read"


def test_a_canary_that_has_no_traffic_yet_and_does_not_listen_yet_is_not_unreachable() -> None:
    dark = [Look(counts={}, stable_arrived=9, unreadable=number) for number in range(1, 60)]
    assert hear(*dark, weight=0).verdict is Verdict.UNDECIDED


def test_each_new_start_raises_the_threshold() -> None:
    assert [JudgeState(restarts=r).threshold for r in (0, 1, 2, 3)] == pytest.approx([100, 200, 600, 1200])


SIX = (LIMIT, RATIO, POINTS, REFUSED, SLOW, SLOWER)


def busy_look(bad: int) -> Look:
    pair = Pair(Count(1234, bad), Count(23456, 5 * bad))
    return Look(counts={guard.metric: pair for guard in SIX}, canary_arrived=1234, stable_arrived=23456)


def test_saved_judgement_goes_on_where_it_stopped_and_is_small() -> None:
    state = hear(*[busy_look(bad % 7) for bad in range(300)], guards=SIX).state
    text = json.dumps(state.to_wire(), separators=(",", ":"))
    restored = JudgeState.from_wire(json.loads(text))
    assert restored == state
    assert len(text) < 4096
    assert hear(busy_look(30), guards=SIX, state=restored) == hear(busy_look(30), guards=SIX, state=state)


@pytest.mark.parametrize("wrong", [{}, {"guards": []}, {"guards": {}, "histories": {}, "silence": 7}])
def test_a_judgement_saved_by_something_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no saved judgement"):
        JudgeState.from_wire(wrong)
