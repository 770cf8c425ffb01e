"""Replicas that compete for a lease: at most one may act as the leader at any time, whatever is late or asleep."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.election import Candidacy, Lease, Read, Terms, Wait, Write, act, missed, released, told, written

TERMS = Terms()
#: The paces of two clocks must differ by less than `lasts` to `within`, which is 4 to 3.
SLOWEST, FASTEST = 0.88, 1.15


class Server:
    """Where the lease is: one write after another, each on the version that it was read at."""

    def __init__(self, *, careless: bool = False) -> None:
        self.lease: Lease | None = None
        self._careless = careless
        self._versions = count(1)

    def write(self, lease: Lease) -> Lease | None:
        known = self.lease.version if self.lease else ""
        if lease.version != known and not self._careless:
            return None
        self.lease = replace(lease, version=str(next(self._versions)))
        return self.lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What befalls one request: seconds there, seconds back, seconds that the process then sleeps, and its loss."""

    there: float
    back: float
    sleep: float
    lost: bool


@dataclass(slots=True, kw_only=True)
class Replica:
    """A candidate with a clock of its own."""

    candidacy: Candidacy
    offset: float
    pace: float
    trips: Iterator[Trip]
    pending: int = 0

    def local(self, time: float) -> float:
        return self.offset + self.pace * time

    def leads(self, time: float) -> bool:
        return self.candidacy.leads(self.local(time))


Written = Callable[..., Candidacy]


@dataclass
class Race:
    """All of them, in the order of real time."""

    replicas: Sequence[Replica]
    server: Server = field(default_factory=Server)
    on_written: Written = written
    leaders: list[tuple[float, str]] = field(default_factory=list)

    def run(self, until: float, *, since: float = 0.0) -> None:
        """Raises AssertionError in the moment that two may lead."""
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()
        for replica in self.replicas:
            self._at(since, lambda time, r=replica: self._act(r, time))
        while self._events and self._events[0][0] <= until:
            time, _, event = heapq.heappop(self._events)
            event(time)

    def _at(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), event))

    def _act(self, replica: Replica, time: float) -> None:
        now = replica.local(time)
        wanted = act(replica.candidacy, now=now, wall=now)
        if isinstance(wanted, Wait):
            self._at(time + (wanted.until - now) / replica.pace + 1e-9, lambda t: self._act(replica, t))
            return
        trip = next(replica.trips)
        limit = replica.candidacy.terms.within / 2
        if replica.candidacy.until is not None:
            limit = min(limit, replica.candidacy.until - now)
        replica.pending += 1
        self._at(time + trip.there, self._landing(replica, wanted, trip, asked=now, number=replica.pending))
        # Who waits longer than that gives up, and the request may land all the same.
        given_up = time + max(0.0, limit) / replica.pace
        self._at(given_up + trip.sleep, lambda t: self._give_up(replica, t, asked=now, number=number))
        number = replica.pending

    def _landing(
        self, replica: Replica, wanted: Read | Write, trip: Trip, *, asked: float, number: int
    ) -> Callable[[float], None]:
        def land(time: float) -> None:
            if isinstance(wanted, Read):
                answer, done = self.server.lease, True
            else:
                answer = self.server.write(wanted.lease)
                done = answer is not None
            if not trip.lost:
                at = time + trip.back + trip.sleep
                self._at(at, lambda t: self._answer(replica, wanted, answer, done, t, asked=asked, number=number))

        return land

    def _answer(
        self,
        replica: Replica,
        wanted: Read | Write,
        answer: Lease | None,
        done: bool,
        time: float,
        *,
        asked: float,
        number: int,
    ) -> None:
        if number != replica.pending:
            return
        replica.pending += 1
        now = replica.local(time)
        if not done:
            replica.candidacy = missed(replica.candidacy, asked=asked, now=now)
        elif isinstance(wanted, Read):
            replica.candidacy = told(replica.candidacy, answer, now=now)
        elif answer is not None:
            replica.candidacy = self.on_written(replica.candidacy, answer, asked=asked, now=now)
            self._check(time)
        self._act(replica, time)

    def _give_up(self, replica: Replica, time: float, *, asked: float, number: int) -> None:
        if number == replica.pending:
            replica.pending += 1
            replica.candidacy = missed(replica.candidacy, asked=asked, now=replica.local(time))
            self._act(replica, time)

    def _check(self, time: float) -> None:
        leading = [r.candidacy.identity for r in self.replicas if r.leads(time)]
        assert len(leading) <= 1, f"at {time:.3f}: {leading}"
        if leading:
            self.leaders.append((time, leading[0]))


brief = st.sampled_from([0.0, 0.01, 0.2, 0.9])
trips = st.builds(
    Trip,
    there=st.one_of(brief, st.floats(0.0, 8.0)),
    back=st.one_of(brief, st.floats(0.0, 3.0)),
    sleep=st.one_of(st.just(0.0), st.floats(0.0, 12.0)),
    lost=st.sampled_from([False, False, False, True]),
)
smooth = st.just(Trip(there=0.005, back=0.005, sleep=0.0, lost=False))
replicas = st.builds(
    Replica,
    candidacy=st.just(Candidacy(identity="", terms=TERMS)),
    offset=st.floats(-1e6, 1e6),
    pace=st.floats(SLOWEST, FASTEST),
    trips=st.lists(st.one_of(smooth, trips), min_size=1, max_size=25).map(cycle),
)


def race(found: Sequence[Replica], terms: Terms = TERMS, **options: object) -> Race:
    for number, replica in enumerate(found):
        replica.candidacy = Candidacy(identity=f"r{number}", terms=terms, due=replica.local(0.0))
    return Race(found, **options)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(st.lists(replicas, min_size=2, max_size=4))
def test_at_most_one_may_act_as_the_leader_at_any_time(found: list[Replica]) -> None:
    race(found).run(120.0)


def steady(pace: float = 1.0, *, sleeps: Sequence[float] = (), there: float = 0.005) -> Replica:
    """One whose requests take ten milliseconds; after some of them it sleeps."""
    naps = [Trip(there=there, back=0.005, sleep=nap, lost=False) for nap in (*sleeps, 0.0, 0.0, 0.0)]
    return Replica(candidacy=Candidacy(identity="", terms=TERMS), offset=0.0, pace=pace, trips=cycle(naps))


def test_a_leader_that_hears_of_its_renewal_late_counts_from_when_it_asked() -> None:
    def from_the_answer(candidacy: Candidacy, lease: Lease, *, asked: float, now: float) -> Candidacy:
        return written(candidacy, lease, asked=now, now=now)

    there, nowhere = Trip(there=0.0, back=0.0, sleep=0.0, lost=False), Trip(there=1e9, back=0.0, sleep=0.0, lost=True)
    # One renewal whose answer takes long, and after that none gets through.
    late = [there, replace(there, back=1.4), *[nowhere] * 20]

    def found() -> list[Replica]:
        slow = Replica(candidacy=Candidacy(identity="", terms=TERMS), offset=0.0, pace=0.9, trips=cycle(late))
        return [slow, steady(1.1)]

    race(found()).run(20.0)
    with pytest.raises(AssertionError, match="'r0', 'r1'"):
        race(found(), on_written=from_the_answer).run(20.0)


def test_a_holder_that_outlasted_its_lease_would_share_it() -> None:
    there, nowhere = Trip(there=0.0, back=0.0, sleep=0.0, lost=False), Trip(there=1e9, back=0.0, sleep=0.0, lost=True)

    def found() -> list[Replica]:
        cut = Replica(
            candidacy=Candidacy(identity="", terms=TERMS),
            offset=0.0,
            pace=1.0,
            trips=cycle([there] * 4 + [nowhere] * 40),
        )
        return [cut, steady()]

    race(found()).run(20.0)
    with pytest.raises(AssertionError, match="'r0', 'r1'"):
        race(found(), replace(TERMS, within=6.0)).run(20.0)


def test_without_compare_and_set_two_would_lead() -> None:
    with pytest.raises(AssertionError):
        race([steady(there=0.3), steady(there=0.3)], server=Server(careless=True)).run(60.0)


@pytest.mark.parametrize("pace", [SLOWEST, 1.0, FASTEST])
def test_when_the_leader_dies_the_next_one_leads_within_its_lease_and_two_looks(pace: float) -> None:
    died = 30.0
    found = [steady(), steady(pace)]
    running = race(found)
    running.run(died)
    heir = next(r for r in found if not r.leads(died))
    heir.pending += 1
    again = Race([heir], server=running.server)
    again.run(60.0, since=died)
    assert again.leaders[0][0] - died <= (TERMS.lasts + 2 * TERMS.retry) / pace


def test_a_released_lease_is_taken_at_the_next_look() -> None:
    heir = steady()
    server = Server()
    held = server.write(Lease(holder="other", lasts=4.0, acquired=0.0, renewed=0.0))
    assert held is not None
    server.write(released(held, wall=1.0))
    running = race([heir], server=server)
    running.run(TERMS.retry)
    assert [who for _, who in running.leaders][:1] == ["r0"]


def test_a_leader_with_quick_requests_never_loses_its_lease() -> None:
    found = [steady(), steady(), steady()]
    running = race(found)
    running.run(600.0)
    assert {who for _, who in running.leaders} == {running.leaders[0][1]}
    assert len(running.leaders) > 500
