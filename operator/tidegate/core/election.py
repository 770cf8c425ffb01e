"""Who leads: one replica's part in the competition for a Lease. Values in, values out.

The rules are those of client-go's `tools/leaderelection`, with clocks made explicit. A holder leads until a deadline
on its own monotonic clock, counted from the moment *before* it asked for its last successful renewal. The others take
the lease only after they have seen it unchanged for longer than that, by their own monotonic clocks. No clock is
ever compared with another; they only must not differ in pace by more than `lasts` to `within`.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a lease is kept, in seconds.

    `lasts`: others may take a lease that they have seen unchanged for so long. `within`: who has not renewed it for so
    long leads no more. `every`: time between two renewals. `retry`: between two tries, and two looks at another's.
    """

    lasts: float = 4.0
    within: float = 3.0
    every: float = 1.0
    retry: float = 0.5

    @classmethod
    def of(cls, lasts: float) -> "Terms":
        """Terms in the usual proportions."""
        return cls(lasts=lasts, within=lasts * 0.75, every=lasts * 0.25, retry=lasts * 0.125)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A Lease as it was read or is to be written.

    `holder` is empty where nobody holds it. `lasts` in seconds. `acquired` and `renewed` are seconds since the epoch
    by the holder's clock, for people alone. `version` changes with every write; empty: there is no such object yet.
    """

    holder: str
    lasts: float
    acquired: float
    renewed: float
    transitions: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before `until`."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Read the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Write this lease if it is still at its `version`."""

    lease: Lease


Act = Wait | Read | Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """What one replica knows. Times are of its own monotonic clock.

    `lease` is the last one that was read or written, `since` when it was first seen like that. `sure`: nothing has
    cast doubt on it since. `until` is how long this replica may act as the leader, None if it does not lead. `due`
    is when it acts next.
    """

    identity: str
    terms: Terms
    lease: Lease | None = None
    since: float = 0.0
    sure: bool = False
    until: float | None = None
    due: float = 0.0

    def leads(self, now: float) -> bool:
        """Whether this replica may act as the leader."""
        return self.until is not None and now < self.until


def act(candidacy: Candidacy, *, now: float, wall: float) -> Act:
    """What to do now. `wall` is the time since the epoch that a written lease shows."""
    c = candidacy
    if now < c.due:
        return Wait(until=min(c.due, c.until) if c.leads(now) and c.until is not None else c.due)
    if not c.sure:
        return Read()
    if c.lease is None:
        return Write(lease=Lease(holder=c.identity, lasts=c.terms.lasts, acquired=wall, renewed=wall))
    if now < _free_from(c, c.lease):
        return Read()
    mine = c.lease.holder == c.identity
    wanted = replace(c.lease, holder=c.identity, lasts=c.terms.lasts, renewed=wall)
    if not mine:
        wanted = replace(wanted, acquired=wall, transitions=c.lease.transitions + 1)
    return Write(lease=wanted)


def told(candidacy: Candidacy, lease: Lease | None, *, now: float) -> Candidacy:
    """The lease was read; `now` is the time after the answer came."""
    known = candidacy.lease
    same = known is not None and lease is not None and known.version == lease.version
    since = candidacy.since if same else now
    mine = lease is not None and lease.holder == candidacy.identity
    seen = replace(candidacy, lease=lease, since=since, sure=True, until=candidacy.until if mine else None)
    free = now if lease is None else _free_from(seen, lease)
    return replace(seen, due=max(now, min(free, now + candidacy.terms.retry)))


def written(candidacy: Candidacy, lease: Lease, *, asked: float, now: float) -> Candidacy:
    """The lease was written as this replica's, and is `lease` now; it was asked for at `asked`."""
    terms = candidacy.terms
    return replace(
        candidacy, lease=lease, since=now, sure=True, until=asked + terms.within, due=max(now, asked + terms.every)
    )


def missed(candidacy: Candidacy, *, asked: float, now: float) -> Candidacy:
    """A read or a write failed, conflicted, or nobody knows: what stands there has to be read."""
    return replace(candidacy, sure=False, due=max(now, asked + candidacy.terms.retry))


def deposed(candidacy: Candidacy) -> Candidacy:
    """This replica leads no more."""
    return replace(candidacy, until=None)


def released(lease: Lease, *, wall: float) -> Lease:
    """The lease as its holder leaves it behind, free for anybody at once."""
    return replace(lease, holder="", renewed=wall)


def _free_from(candidacy: Candidacy, lease: Lease) -> float:
    """From when on this replica may write the lease."""
    if lease.holder in {"", candidacy.identity}:
        return candidacy.since
    return candidacy.since + lease.lasts
