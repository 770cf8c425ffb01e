"""One replica's part in an election, step by step. Safety over all orders of events is in tests/property."""

from dataclasses import replace

from tidegate.core.election import (
    Candidacy,
    Lease,
    Read,
    Terms,
    Wait,
    Write,
    act,
    deposed,
    missed,
    released,
    told,
    written,
)

ME = Candidacy(identity="me", terms=Terms())
HELD = Lease(holder="other", lasts=4.0, acquired=10.0, renewed=20.0, transitions=2, version="5")
WALL = 1_760_000_000.0


def leading() -> Candidacy:
    taken = replace(HELD, holder="me", version="6")
    return written(ME, taken, asked=100.0, now=100.2)


def test_terms_keep_their_proportions() -> None:
    assert Terms.of(4) == Terms()
    assert Terms.of(20) == Terms(lasts=20.0, within=15.0, every=5.0, retry=2.5)


def test_a_newcomer_reads_before_it_does_anything() -> None:
    assert act(ME, now=0.0, wall=WALL) == Read()


def test_a_lease_that_does_not_exist_is_made() -> None:
    free = told(ME, None, now=1.0)
    assert act(free, now=1.0, wall=WALL) == Write(lease=Lease(holder="me", lasts=4.0, acquired=WALL, renewed=WALL))


def test_another_ones_lease_is_looked_at_again_and_left_alone() -> None:
    seen = told(ME, HELD, now=1.0)
    assert act(seen, now=1.2, wall=WALL) == Wait(until=1.5)
    assert act(seen, now=1.5, wall=WALL) == Read()


def test_a_lease_is_taken_once_it_was_seen_unchanged_for_as_long_as_it_lasts() -> None:
    seen = told(told(ME, HELD, now=1.0), HELD, now=4.9)
    assert seen.due == 5.0
    taken = replace(HELD, holder="me", acquired=WALL, renewed=WALL, transitions=3)
    assert act(seen, now=5.0, wall=WALL) == Write(lease=taken)


def test_a_renewal_by_its_holder_starts_the_wait_anew() -> None:
    seen = told(told(ME, HELD, now=1.0), replace(HELD, version="6"), now=4.9)
    assert act(seen, now=5.4, wall=WALL) == Read()


def test_the_times_in_the_lease_are_not_looked_at() -> None:
    old = told(ME, replace(HELD, renewed=-1e9, acquired=-1e9), now=1.0)
    assert act(old, now=1.5, wall=WALL) == Read()


def test_a_free_lease_is_taken_at_once() -> None:
    seen = told(ME, released(HELD, wall=30.0), now=1.0)
    assert isinstance(act(seen, now=1.0, wall=WALL), Write)


def test_a_leader_renews_what_it_holds_and_keeps_its_history() -> None:
    me = leading()
    assert act(me, now=100.5, wall=WALL) == Wait(until=101.0)
    renewed = replace(HELD, holder="me", renewed=WALL, version="6")
    assert act(me, now=101.0, wall=WALL) == Write(lease=renewed)


def test_a_leader_leads_until_its_deadline_counted_from_when_it_asked() -> None:
    me = leading()
    assert me.leads(102.99)
    assert not me.leads(103.0)
    assert not deposed(me).leads(100.3)


def test_a_leader_wakes_up_at_its_deadline() -> None:
    me = replace(leading(), due=110.0)
    assert act(me, now=101.0, wall=WALL) == Wait(until=103.0)
    assert act(me, now=104.0, wall=WALL) == Wait(until=110.0)


def test_after_a_failed_renewal_the_leader_reads_and_goes_on_leading_meanwhile() -> None:
    me = missed(leading(), asked=101.0, now=101.1)
    assert act(me, now=101.2, wall=WALL) == Wait(until=101.5)
    assert act(me, now=101.5, wall=WALL) == Read()
    assert me.leads(101.5)


def test_a_failure_that_took_long_is_not_waited_after() -> None:
    assert missed(leading(), asked=101.0, now=102.5).due == 102.5


def test_a_renewal_that_nobody_answered_may_have_landed_and_is_built_upon() -> None:
    me = told(missed(leading(), asked=101.0, now=102.5), replace(HELD, holder="me", version="7"), now=102.6)
    assert me.leads(102.6)
    wanted = act(me, now=102.6, wall=WALL)
    assert isinstance(wanted, Write)
    assert wanted.lease.version == "7"


def test_a_leader_that_reads_anothers_name_leads_no_more() -> None:
    me = told(missed(leading(), asked=101.0, now=101.1), replace(HELD, version="9"), now=101.6)
    assert not me.leads(101.6)


def test_a_leader_whose_lease_was_deleted_leads_no_more() -> None:
    me = told(missed(leading(), asked=101.0, now=101.1), None, now=101.6)
    assert not me.leads(101.6)
