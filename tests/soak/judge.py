"""Whether what clients saw and how rollouts ended is what had to be. Pure: times are seconds since the epoch."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.moments import longest_pause
from tests.driver.load import Answer
from tests.e2e.clean import SLACK
from tests.soak.plan import DESERVED, End, Fault, Kind

#: Seconds within which a rollout has its end where nothing befalls the cluster: some times what one takes, and the
#: pauses between three attempts.
DUE = 240.0 + 60.0 + 120.0
#: Seconds within which a version that fails from its first request on has left.
EXPOSED = 30.0
#: Seconds after its end in which a fault still delays: a new leader reads first.
RECOVERY = 15.0
#: The same where clients wait longer and longer before they ask again, up to half a minute, each watch and each stream
#: by itself: client-go's reflectors for the API server; Envoy's gRPC streams for Contour, one for each kind and one for
#: the endpoints of each cluster.
REJOINING: Mapping[Fault, float] = {Fault.API_SERVER: 30.0, Fault.GATEWAY: 30.0}
#: What keeps a write of the route from its effect, and what keeps a verdict from being written.
DELAYS_EFFECT = frozenset({Fault.API_SERVER, Fault.GATEWAY, Fault.STARVED})
DELAYS_REVERT = DELAYS_EFFECT | {Fault.LEADER_KILLED, Fault.LEADER_ENDED, Fault.LEADER_HANGS}
#: Kinds whose own failures clients may see while they have traffic.
FAILS = frozenset({Kind.ERRORS, Kind.SOME_ERRORS, Kind.REFUSES, Kind.CRASHES, Kind.HANGS, Kind.TURNS})
#: Those of them for which the gateway answers, or nobody: a process that ended or hangs puts no name to anything.
SILENT = frozenset({Kind.CRASHES, Kind.HANGS})
#: What a gateway answers that knows no such backend, or none alive.
NO_BACKEND = 503
#: Of what a driver had to send it sent at least this share, and it never paused for longer (seconds).
SENT, PAUSE = 0.8, 10.0
#: Seconds that the API server may take for an answer, or no leader keeps its Lease (a quarter of the chart's 4 s), and
#: the share of a soak in which it may take longer: more shows a busy machine and nothing else.
SLOWEST, STARVED = 1.0, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A fault from its begin until what it hit was back; without an end as long as it isn't."""

    fault: Fault
    begin: float
    end: float = math.inf

    @property
    def felt(self) -> float:
        """Until when it still delays."""
        return self.end + REJOINING.get(self.fault, RECOVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One rollout as it went.

    Attributes:
        site: the object's name.
        version: its number.
        kind: what the version was like.
        revisions: names under which it had traffic.
        began: when it was pointed at.
        spans: each time that it had traffic, from when until when (None: it kept it); more than one where it was parked
            and tried again.
        ended: when its end was seen; None where it had none in time.
        end: which it was.
        reason: the reason that the object gave.
    """

    site: str
    version: str
    kind: Kind
    revisions: frozenset[str] = frozenset()
    began: float
    spans: tuple[tuple[float, float | None], ...] = ()
    ended: float | None = None
    end: End | None = None
    reason: str = ""

    @property
    def reached(self) -> float | None:
        """When it first got traffic; None where it never did."""
        return self.spans[0][0] if self.spans else None

    @property
    def left(self) -> float | None:
        """When it last lost it; None where it kept it or never had any."""
        return self.spans[-1][1] if self.spans else None


def due(began: float, within: float, outages: Iterable[Outage]) -> float:
    """The moment by which something that began then has to be over: the clock stands during outages and recoveries.

    `inf` while one lasts.
    """
    moment, counted = began + within, began
    for outage in sorted(outages, key=lambda each: each.begin):
        begin, end = max(counted, outage.begin), outage.felt
        if begin < moment and end > begin:
            moment, counted = moment + end - begin, end
    return moment


def wrong_ends(episodes: Iterable[Episode], outages: Sequence[Outage]) -> Iterator[str]:
    """A sentence for each rollout that did not end as it deserved, or not in time."""
    for each in episodes:
        name = f"{each.site} version {each.version} ({each.kind})"
        limit = due(each.began, DUE, outages)
        if each.end is None or each.ended is None:
            yield f"{name}: no end within {limit - each.began:.0f} s; {each.reason}"
        elif each.end is not DESERVED[each.kind]:
            yield f"{name}: {each.end} for {each.reason or 'no reason'}, deserved to be {DESERVED[each.kind]}"
        elif each.kind is Kind.ALERT and each.reason != "AlertFiring":
            yield f"{name}: {each.end} for {each.reason}, not for the alert"
        elif each.end is End.REJECTED and each.reached is not None and each.left is None:
            yield f"{name}: rejected, and was never seen to leave the route"
        elif each.ended > limit:
            yield f"{name}: {each.end} after {each.ended - each.began:.0f} s of {limit - each.began:.0f}"


def stains(answers: Iterable[Answer], episodes: Sequence[Episode], outages: Sequence[Outage]) -> list[Answer]:
    """Failures at one site that no client should have seen: not those of a bad version while it had traffic.

    Nor what a gateway answers itself while its proxies have a part of their configuration only.
    """
    bad = [each for each in episodes if each.kind in FAILS and each.reached is not None]
    return [
        answer
        for answer in answers
        if not answer.good and not torn(answer, outages) and not any(_own(answer, each, outages) for each in bad)
    ]


def torn(answer: Answer, outages: Iterable[Outage]) -> bool:
    """Whether the gateway said itself that it has no such backend, or none alive, just after it was cut off."""
    own = answer.status == NO_BACKEND and not answer.revision
    return own and any(each.begin <= answer.started <= each.felt for each in outages if each.fault in REJOINING)


def _own(answer: Answer, episode: Episode, outages: Sequence[Outage]) -> bool:
    own = answer.revision in episode.revisions
    nobodys = episode.kind in SILENT and answer.revision == "" and answer.version in {episode.version, ""}
    begin = (episode.reached or math.inf) - SLACK
    return (own or nobodys) and begin <= answer.started <= _gone(episode, outages)


def _gone(episode: Episode, outages: Sequence[Outage]) -> float:
    """When the last request may have gone to a version that left."""
    if episode.left is None:
        return math.inf if episode.reached is not None else -math.inf
    return due(episode.left, SLACK, [each for each in outages if each.fault in DELAYS_EFFECT])


def strays(answers: Iterable[Answer], episodes: Iterable[Episode], outages: Sequence[Outage]) -> list[Answer]:
    """Answers of one site, good or not, of a version that had been taken off, or was never to have any traffic."""
    off = {each.version: _gone(each, outages) for each in episodes if each.end in {End.REJECTED, End.PARKED}}
    revisions = {name: each.version for each in episodes if each.version in off for name in each.revisions}
    found = []
    for answer in answers:
        version = revisions.get(answer.revision, answer.version)
        if version in off and answer.started > off[version]:
            found.append(answer)
    return found


def exposed(answers: Iterable[Answer], episodes: Iterable[Episode], outages: Sequence[Outage]) -> Iterator[str]:
    """A sentence for each version whose failures clients got for too long."""
    failures = [answer for answer in answers if not answer.good]
    delays = [each for each in outages if each.fault in DELAYS_REVERT]
    for each in episodes:
        own = [a.ended for a in failures if a.revision in each.revisions]
        for reached, left in each.spans:
            seen = [at for at in own if at >= reached and (left is None or at <= left)]
            begin = reached if each.kind in SILENT else min(seen, default=None)
            if begin is not None and left is not None and left > due(begin, EXPOSED, delays):
                yield f"{each.site} version {each.version} ({each.kind}): failed for {left - begin:.1f} s"


def idle_drivers(site: str, answers: Sequence[Answer], *, rate: float, begin: float, end: float) -> Iterator[str]:
    """A sentence where the load that was to be there was not: nothing is shown by clients that ask nothing."""
    count = sum(begin <= answer.started <= end for answer in answers)
    if count < SENT * rate * (end - begin):
        yield f"{site}: {count} requests in {end - begin:.0f} s, not {rate:g} a second"
    if (pause := longest_pause(answers, since=begin, until=end)) > PAUSE:
        yield f"{site}: no request for {pause:.1f} s"


def idle_plan(episodes: Sequence[Episode], faults: Sequence[Fault], wanted: Iterable[Fault]) -> Iterator[str]:
    """A sentence for each thing that never came to happen: a soak of nothing proves nothing."""
    for end in (End.PROMOTED, End.REJECTED):
        if not any(each.end is end for each in episodes):
            yield f"no version was {end}"
    for fault in sorted(set(wanted) - set(faults)):
        yield f"never befell: {fault}"


def starved(outages: Iterable[Outage], seconds: float) -> Iterator[str]:
    """A sentence where the machine was too busy for so long that what went well, or didn't, says nothing."""
    lost = sum(each.end - each.begin for each in outages if each.fault is Fault.STARVED)
    if lost > STARVED * seconds:
        yield f"the machine is too busy: answers took over {SLOWEST:g} s in {lost:.0f} of {seconds:.0f} s"
