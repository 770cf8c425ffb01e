"""What may start a rollout, and what keeps one from starting."""

from dataclasses import replace

from tidegate.core import waits
from tidegate.core.approvals import approved, signed
from tidegate.core.causes import ABORTED
from tidegate.core.decision import MEMORY, REJECTIONS, Decision, Situation, handle, next_attempt, remember
from tidegate.core.entry import kept_out, untried
from tidegate.core.pointers import PASSING, discarding, promoting
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Proven, Record, Rejection, Retiring, Rollout, Stopwatch
from tidegate.core.revert import MOST_TRIES
from tidegate.core.values import Unavailable


def unknown(s: Situation) -> Decision | None:
    """The registry does not say what is wanted: what serves goes on serving, nothing is raised."""
    if not isinstance(s.wished, Unavailable):
        return None
    reason = Reason(s.wished.reason)
    return s.stay(reason, s.wished.message, stalled=reason not in PASSING and s.record.rollout is None)


def up_to_date(s: Situation) -> Decision | None:
    """What is asked for is what serves."""
    stable = s.record.stable
    if stable is None or s.record.rollout is not None:
        return None
    if isinstance(s.wished, Unavailable) or not s.wished.same_work(stable):
        return None
    refusal = s.seen.route.refusal if s.seen.route else None
    if refusal is not None:
        return s.stay(Reason.ROUTE_NOT_ACCEPTED, refusal, stalled=True)
    return s.stay(Reason.UP_TO_DATE, f"version {stable.version.number} serves all requests")


def rejected(s: Situation) -> Decision | None:
    """A rejected version is never tried again by itself; `retry` clears it once."""
    if s.record.rollout is not None or isinstance(s.wished, Unavailable):
        return None
    entry = next((r for r in s.record.rejected if r.revision.same_work(s.wished)), None)
    if entry is None:
        return None
    if s.asked("retry", entry.revision, entry.attempt):
        left = tuple(r for r in s.record.rejected if r != entry)
        record = replace(handle(s.record, "retry", entry.revision, entry.attempt), rejected=left)
        return s.go(record, Reason.STARTING, f"version {entry.revision.version.number} is tried again on request")
    serves = f"; version {s.record.stable.version.number} serves" if s.record.stable else "; nothing serves"
    message = f"version {entry.revision.version.number} rejected: {entry.message}{serves}"
    return s.stay(entry.reason, message, stalled=True)


def parked(s: Situation) -> Decision | None:
    """A parked version waits for its next try; after the last one a person has to act."""
    wished = None if s.record.rollout is not None or isinstance(s.wished, Unavailable) else s.wished
    entry = s.record.parking(wished)
    if entry is None:
        return None
    number = entry.revision.version.number
    if s.asked("abort", entry.revision, entry.attempt):
        record = discarding(s, _given_up(s, entry), entry.revision)
        return s.go(record, Reason.ABORTED, f"version {number} is not tried again on request")
    if s.asked("retry", entry.revision, entry.attempt):
        left = tuple(p for p in s.record.parked if p != entry)
        record = replace(handle(s.record, "retry", entry.revision, entry.attempt), parked=left)
        return s.go(record, Reason.STARTING, f"version {number} is tried again on request")
    if entry.tries > MOST_TRIES:
        message = f"version {number} failed {entry.tries} times, last: {entry.message}; annotate retry to go on"
        return s.stay(Reason.RETRIES_EXHAUSTED, message, stalled=True)
    wait = entry.retry_at - s.now
    if wait <= 0:
        return None
    message = f"version {number} is tried again later ({entry.tries} of {MOST_TRIES}), last: {entry.message}"
    return s.stay(Reason.RETRY_PENDING, message, requeue=wait)


def _given_up(s: Situation, entry: Parking) -> Record:
    refused = Rejection(
        revision=entry.revision, attempt=entry.attempt, reason=Reason.ABORTED, message=ABORTED, at=s.now
    )
    return replace(
        handle(s.record, "abort", entry.revision, entry.attempt),
        parked=tuple(p for p in s.record.parked if p != entry),
        rejected=(*s.record.rejected, refused)[-REJECTIONS:],
        proven=tuple(p for p in s.record.proven if not p.revision.same_work(entry.revision)),
    )


def resting(s: Situation) -> Decision | None:
    """`spec.paused`: nothing new is started. A first deployment is: nothing serves yet."""
    if s.record.rollout is not None or s.record.stable is None or not s.plan.paused:
        return None
    return s.stay(Reason.PAUSED, "paused: nothing new is started")


def begin(s: Situation) -> Decision | None:
    """A new revision is wanted: its objects are made and the route names it at weight 0."""
    if s.record.rollout is not None or isinstance(s.wished, Unavailable):
        return None
    canary = s.wished
    if canary.name in s.seen.diverted:
        number = canary.version.number
        return s.stay(Reason.STARTING, f"version {number} starts once the diverted Service of its last attempt is gone")
    attempt, attempts = next_attempt(s.record, canary)
    rollout = Rollout(
        canary=canary,
        attempt=attempt,
        started=s.now,
        deadline=Stopwatch(since=s.now),
        direct=s.proven(canary, s.now),
        full=_full(s),
    )
    record = replace(
        s.record,
        rollout=rollout,
        retiring=tuple(r for r in s.record.retiring if r.revision != canary),
        attempts=attempts,
    )
    return s.go(record, Reason.STARTING, f"version {canary.version.number} is brought up as {canary.name}")


def first(s: Situation) -> Decision | None:
    """Nothing serves yet, so there is nothing to compare with: to 100 once ready, if it is still wanted."""
    rollout = s.record.rollout
    if s.record.stable is not None or rollout is None:
        return None
    waiting = (
        kept_out(s)
        or waits.for_pods(s, rollout)
        or waits.for_router(s, rollout)
        or untried(s)
        or unknown(s)
        or approved(s, rollout)
    )
    if waiting is not None:
        return waiting
    record = promoting(s, finished(s.record, rollout, s.now), rollout.canary)
    return s.go(record, Reason.PROMOTED, f"{rollout.canary.name} serves all requests")


def finished(record: Record, rollout: Rollout, now: float) -> Record:
    """The record after a rollout that reached its end: the canary is stable, the old revision retires."""
    canary = rollout.canary
    proven = (*(p for p in record.proven if not p.revision.same_work(canary)), Proven(revision=canary, at=now))
    # Whatever left for this one begins its time as a proven version when it stops to serve.
    if record.stable is not None:
        proven = tuple(replace(p, at=now) if p.revision == record.stable else p for p in proven)
    old = (Retiring(revision=record.stable),) if record.stable else ()
    message = f"version {canary.version.number} serves all requests{signed(rollout)}"
    return replace(
        remember(record, rollout, Reason.PROMOTED, message, now),
        stable=canary,
        rollout=None,
        retiring=(*record.retiring, *old),
        parked=tuple(p for p in record.parked if not p.revision.same_work(canary)),
        proven=proven[-MEMORY:],
        full=rollout.full,
        full_since=now if rollout.full else 0.0,
    )


def _full(s: Situation) -> int:
    """The pods that stable has, where more than the spec asks for have proven necessary.

    With autoscaling in any case: the spec's least may be another before the rollout is over.
    """
    stable = s.record.stable
    if stable is None:
        return 0
    scaled = s.facts(stable).scaled
    size = s.record.full if scaled is None else scaled
    return size if s.plan.serving.autoscaling is not None or size > s.plan.serving.replicas else 0
