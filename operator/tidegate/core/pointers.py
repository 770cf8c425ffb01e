"""Two pointers of a registry: which version they ask for together, and how they are moved after a rollout.

The first pointer is what is asked for, the candidate what is tried. After a finished rollout the first pointer is moved
by a saga: the intent is on the route before the first write, each write says what shall be, and `next_write` tells from
what the registry holds which one is missing. So whoever leads next goes on where the last one was killed.
"""

from dataclasses import dataclass, replace

from tidegate.core.decision import Decision, Situation, action_value
from tidegate.core.observed import Observed
from tidegate.core.plan import Plan, Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.record import Discard, Handled, Intent, Parking, Promotion, Record, Rejection
from tidegate.core.registered import RegisteredModel
from tidegate.core.revert import MOST_TRIES
from tidegate.core.revision import serving_digest
from tidegate.core.values import Revision, Unavailable, VersionId

#: Answers of a registry that are a fact: the pointer names nothing.
EMPTY = frozenset({Reason.ALIAS_NOT_FOUND, Reason.STAGE_EMPTY})
#: Rejected versions that wait for a registry; more than a registry is away for.
DISCARDS = 10
#: Where versions go that nobody needs any more.
ARCHIVED = "Archived"


def empty(reading: VersionId | Unavailable | None) -> bool:
    """Whether a pointer is known to name nothing."""
    return isinstance(reading, Unavailable) and reading.reason in EMPTY


def first_pointer(plan: Plan, record: Record, seen: Observed) -> VersionId | Unavailable:
    """What the first pointer asks for: where it waits to be moved, what it is to be moved to."""
    pending = record.promotion
    if pending is None or not _still(plan, pending, seen):
        return seen.wanted
    waits = empty(seen.wanted) if isinstance(seen.wanted, Unavailable) else seen.wanted.number == pending.before
    return pending.version if waits else seen.wanted


def _recalled_first(plan: Plan, record: Record, wanted: VersionId | Unavailable) -> VersionId | Unavailable:
    """What is deployed first where nothing serves: what the registry remembers as stable, and then what is asked for.

    One that does not get up makes way for what is asked for, unless that was rejected.
    """
    known = record.recalled
    if known is None or record.stable is not None or known.model != plan.model or isinstance(wanted, Unavailable):
        return wanted
    rejected = {entry.revision.version for entry in record.rejected}
    parked = {entry.revision.version for entry in record.parked}
    if known in rejected or (known in parked and wanted not in rejected):
        return wanted
    return known


def asked_for(plan: Plan, record: Record, seen: Observed) -> VersionId | Unavailable:
    """The version that is to be brought up next: where nothing serves, first what is remembered as stable."""
    return _recalled_first(plan, record, _pointed(plan, record, seen))


def _pointed(plan: Plan, record: Record, seen: Observed) -> VersionId | Unavailable:
    """The version that both pointers together ask for.

    The first one goes first. Where it is satisfied, the candidate is asked for unless it was rejected.
    """
    first = first_pointer(plan, record, seen)
    if plan.candidate is None or record.promotion is not None:
        return first
    if record.stable is None:
        # With a first pointer that names nothing yet, the candidate is the first version.
        usable = empty(first) and isinstance(seen.candidate, VersionId) and refusal(plan, record, seen) is None
        return seen.candidate if usable and seen.candidate is not None else first
    if isinstance(first, Unavailable) or not _serves(plan, record, first) or empty(seen.candidate):
        return first
    if isinstance(seen.candidate, VersionId):
        over = seen.candidate == record.tried or refusal(plan, record, seen) is not None
        return first if over else seen.candidate
    waiting = record.rollout is not None or seen.candidate is None or seen.candidate.reason == Reason.NOT_POLLED_YET
    return seen.candidate if waiting and seen.candidate is not None else first


def refusal(plan: Plan, record: Record, seen: Observed) -> Rejection | Parking | None:
    """Why the version that the candidate names is not tried: rejected, or failed too often. A person's word goes on."""
    work = (seen.candidate, serving_digest(plan.serving))
    known: list[Rejection | Parking] = [*record.rejected, *(p for p in record.parked if p.tries > MOST_TRIES)]
    found = next((entry for entry in known if (entry.revision.version, entry.revision.serving) == work), None)
    return None if found is None or _urged(record, seen, found) else found


def rejection_shown(plan: Plan, record: Record, seen: Observed) -> Rejection | Parking | None:
    """The refusal that people are to hear of: of the candidate, or of the last attempt where it was taken away."""
    last = record.history[-1] if record.history else None
    if empty(seen.candidate) and last is not None:
        return next((entry for entry in record.rejected if entry.revision == last.revision), None)
    return refusal(plan, record, seen)


def _urged(record: Record, seen: Observed, entry: Rejection | Parking) -> bool:
    value = action_value(entry.revision, entry.attempt)
    asked = [action for action in ("retry", "abort") if seen.actions.get(action) == value]
    return any(Handled(action=action, value=value) not in record.handled for action in asked)


def _serves(plan: Plan, record: Record, version: VersionId) -> bool:
    stable = record.stable
    return stable is not None and (stable.version, stable.serving) == (version, serving_digest(plan.serving))


def _still(plan: Plan, intent: Intent, seen: Observed) -> bool:
    """Whether the plan still has the pointers that an intent is about, in the registry that it is about."""
    if seen.registry not in {None, intent.version.registry}:
        return False
    if plan.candidate is None or intent.candidate != plan.candidate.pointer or plan.model != intent.version.model:
        return False
    return isinstance(intent, Discard) or intent.pointer == plan.pointer


def promoting(s: Situation, record: Record, canary: Revision) -> Record:
    """The record of a finished rollout with the intent to move the first pointer, where it names another version."""
    named = s.seen.wanted
    known = canary.version in (named, record.recalled)
    record = replace(record, recalled=None)
    if s.plan.candidate is None or record.promotion is not None or known:
        return record
    intent = Promotion(
        version=canary.version,
        pointer=s.plan.pointer,
        before=None if isinstance(named, Unavailable) else named.number,
        candidate=s.plan.candidate.pointer,
        at=s.now,
    )
    return replace(record, promotion=intent)


def discarding(s: Situation, record: Record, canary: Revision) -> Record:
    """The record of a rejected rollout with the intent to take the version off the candidate, where that is asked for.

    What the first pointer names is left to people.
    """
    rejected = any(entry.revision.same_work(canary) for entry in record.rejected)
    if s.plan.candidate is None or not s.plan.candidate.discard or not rejected or s.seen.wanted == canary.version:
        return record
    intent = Discard(version=canary.version, candidate=s.plan.candidate.pointer, at=s.now)
    others = tuple(d for d in record.discards if d.version != canary.version)
    return replace(record, discards=(*others, intent)[-DISCARDS:])


def pointing(s: Situation) -> Decision | None:
    """An intent that is carried out, that a person's wish has overtaken, or whose pointers left the spec, is closed."""
    intents = s.record.intents()
    if not intents:
        return None
    intent, errand = intents[0], s.seen.errand
    number = intent.version.number
    if not _still(s.plan, intent, s.seen):
        message = f"spec.model names other pointers now: those of version {number} are left as they are"
        return s.go(_without(s.record, intent), Reason.POINTER_KEPT, message)
    if errand is None or errand.intent != intent or errand.failed is not None:
        return None
    record = _without(s.record, intent)
    if isinstance(intent, Promotion) and s.seen.candidate == intent.version:
        record = replace(record, tried=intent.version)
    reason = Reason.POINTER_MOVED if errand.pointed else Reason.POINTER_KEPT
    return s.go(record, reason, _told(intent, pointed=errand.pointed))


def renewed(s: Situation) -> Decision | None:
    """The candidate names something else than what was tried: should it ever name that again, it is a new wish."""
    known = isinstance(s.seen.candidate, VersionId) or empty(s.seen.candidate) or s.plan.candidate is None
    if s.record.tried is None or not known or s.seen.candidate == s.record.tried:
        return None
    number = s.record.tried.number
    return s.go(replace(s.record, tried=None), Reason.NO_CANDIDATE, f"version {number} is no candidate any more")


def _told(intent: Intent, *, pointed: bool) -> str:
    number = intent.version.number
    if not pointed:
        return f"somebody moved the registry's pointers while they were to follow version {number}: that is kept"
    if isinstance(intent, Discard):
        return f"rejected version {number} was taken off {_words(intent.candidate)}"
    return f"{_words(intent.pointer)} names version {number}"


def unpointed(s: Situation) -> Decision | None:
    """What serves is what the first pointer is to name, and it does not yet."""
    pending = s.record.promotion
    if pending is None or s.record.rollout is not None or isinstance(s.wished, Unavailable):
        return None
    if not s.wished.same_work(s.record.stable):
        return None
    failed = s.seen.errand.failed if s.seen.errand is not None and s.seen.errand.intent == pending else None
    why = f": {failed.message}" if failed is not None else ""
    message = (
        f"version {pending.version.number} serves all requests; {_words(pending.pointer)} is still to name it{why}"
    )
    stalled = failed is not None and failed.reason not in PASSING
    return s.stay(Reason.POINTER_PENDING, message, stalled=stalled)


#: Reasons of the registry that say «not now» rather than «no».
PASSING = frozenset(
    {
        Reason.NOT_POLLED_YET,
        Reason.REGISTRY_UNREACHABLE,
        Reason.REGISTRY_FAILING,
        Reason.REGISTRY_DATABASE_DOWN,
    }
)


def _without(record: Record, intent: Intent) -> Record:
    if intent == record.promotion:
        return replace(record, promotion=None)
    return replace(record, discards=tuple(d for d in record.discards if d != intent))


def _words(pointer: Pointer) -> str:
    return f"{pointer.kind.value} {pointer.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Set an alias to a version, or move a version to a stage and archive what else is there."""

    pointer: Pointer
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Delete an alias that names this version, or archive the version."""

    pointer: Pointer
    number: str


Write = Point | Release


def next_write(intent: Intent, model: RegisteredModel) -> Write | None:
    """The next write that carries an intent out, None where there is none left (see `pointed`)."""
    number = intent.version.number
    if model.created_ms != intent.version.model_created_ms or model.version(number) is None:
        return None
    if isinstance(intent, Discard):
        return _release(intent.candidate, number, model)
    names = _names(intent.pointer, model)
    if _pending(intent, model) or (names[-1:] == (number,) and len(names) > 1):
        return Point(pointer=intent.pointer, number=number)
    if names[-1:] != (number,):
        # Another promotion came in between, and both are in the stage: the one that the pointer means stays.
        return _release(intent.pointer, number, model)
    return _release(intent.candidate, number, model) if intent.candidate.kind is PointerKind.ALIAS else None


def _release(pointer: Pointer, number: str, model: RegisteredModel) -> Release | None:
    return Release(pointer=pointer, number=number) if number in _names(pointer, model) else None


def pointed(intent: Intent, model: RegisteredModel) -> bool:
    """Whether the registry is as an intent wants it, rather than as somebody else did."""
    if isinstance(intent, Discard):
        return intent.version.number not in _names(intent.candidate, model)
    same = model.created_ms == intent.version.model_created_ms
    return same and _names(intent.pointer, model) == (intent.version.number,)


def _pending(intent: Promotion, model: RegisteredModel) -> bool:
    names = _names(intent.pointer, model)
    if not names:
        # Nothing there from the beginning, or what was there is deleted. A person's removal is a wish.
        return intent.before is None or model.version(intent.before) is None
    return names[-1] == intent.before


def _names(pointer: Pointer, model: RegisteredModel) -> tuple[str, ...]:
    """The versions behind a pointer, the one that it means last."""
    if pointer.kind is PointerKind.ALIAS:
        return (model.aliases[pointer.value],) if pointer.value in model.aliases else ()
    return model.within(pointer.value)
