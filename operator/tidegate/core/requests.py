"""The acts on what people ask for with objects of their own: promotions, and requests for training.

The status of such an object is its record: it is written with a compare-and-set before the registry is, and after. What
a write of it does is entered in its journal by that write, as `core/journal.py` does for the record of a route.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tidegate.core.audit import Act, Actor, Entry
from tidegate.core.journal import KEPT, LONGEST
from tidegate.core.promotion import VOTES, Outcome, Standing, Vote, moment
from tidegate.core.retraining import Handing
from tidegate.core.values import safe_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks for what, by an object's spec. `at`: when it was made, in seconds since the epoch."""

    uid: str
    requester: str
    at: float
    model: str
    version: str
    source: str = ""
    target: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The last word of an approver as the status has it. `at` in whole seconds since the epoch."""

    approver: str
    granted: bool
    name: str
    at: float


def promotion_acts(
    asked: Asked,
    journal: Sequence[Entry],
    before: tuple[Standing, Sequence[Voice]],
    outcome: Outcome,
    votes: Sequence[Vote],
    *,
    now: float,
) -> tuple[Entry, ...]:
    """The journal of a promotion's status after a write of it.

    `before` is how far it was, with the voices that its status has; `outcome` is how far it is. `votes` are all that
    were ever said about it and are still there, taken back or not.
    """
    was, voices = before
    acts = [*_requested(asked, journal), *_said(asked, voices, votes)]
    if was is Standing.PENDING:  # later on nobody's word counts any more
        acts += _withdrawn(asked, voices, votes, now)
    acts += _went(asked, was, outcome, now)
    return _entered(asked, journal, acts, was, outcome.standing)


def handing_acts(
    asked: Asked, journal: Sequence[Entry], was: Handing, phase: Handing, message: str, *, now: float
) -> tuple[Entry, ...]:
    """The journal of the status of a request for training after a write of it."""
    acts = list(_requested(asked, journal))
    if was is not phase:
        outcome = "done" if phase is Handing.DELIVERED else phase.value.lower()
        acts.append(_act(asked, Act.HANDED_OVER, Actor.TIDEGATE, now, message=message, outcome=outcome))
    return _entered(asked, journal, acts, was, phase)


def deleted_acts(asked: Asked, journal: Sequence[Entry], *, now: float) -> tuple[Entry, ...]:
    """The journal of an object that was deleted before it was decided. Whoever did it, the API server does not say."""
    gone = _act(asked, Act.WITHDRAWN, Actor.PERSON, now, message="deleted before it was decided")
    return _entered(asked, journal, [gone], Standing.PENDING, Standing.PENDING)


def _requested(asked: Asked, journal: Sequence[Entry]) -> Iterator[Entry]:
    if not journal:
        yield _act(asked, Act.REQUESTED, f"user:{asked.requester}", asked.at, message=asked.comment)


def _said(asked: Asked, voices: Sequence[Voice], votes: Sequence[Vote]) -> Iterator[Entry]:
    """Every word since the one that the status has of the same approver."""
    heard = {voice.approver: voice for voice in voices}
    # Who is not in a full status either is new, or was there before all who are.
    since = _turn(voices[0]) if len(voices) >= VOTES else None
    for vote in sorted(votes, key=moment):
        said = Voice(approver=vote.approver, granted=vote.granted, name=vote.name, at=float(int(vote.at)))
        known = heard.get(vote.approver)
        after = _turn(known) if known is not None else since
        if vote.approver != asked.requester and (after is None or _turn(said) > after):
            act = Act.APPROVED if vote.granted else Act.REFUSED
            yield _act(asked, act, f"user:{vote.approver}", said.at, message=vote.name)


def _withdrawn(asked: Asked, voices: Sequence[Voice], votes: Sequence[Vote], now: float) -> Iterator[Entry]:
    here = {vote.name for vote in votes}
    for voice in voices:
        if voice.name not in here:
            words = f"{voice.name}, by which {voice.approver} {'approved' if voice.granted else 'refused'}, was deleted"
            yield _act(asked, Act.WITHDRAWN, Actor.PERSON, now, message=words)


def _went(asked: Asked, was: Standing, outcome: Outcome, now: float) -> Iterator[Entry]:
    if was is outcome.standing:
        return
    match outcome.standing:
        case Standing.APPROVED:
            act, result = Act.STARTED, "done"
        case Standing.REFUSED:
            act, result = Act.REFUSED, "done"
        case Standing.DONE:
            # Where it was never begun, somebody else had moved it already.
            act, result = Act.WRITTEN_BACK, "done" if was is Standing.APPROVED else "unneeded"
        case _:
            act, result = Act.WRITTEN_BACK, "failed"
    reason = outcome.reason.value
    yield _act(asked, act, Actor.TIDEGATE, now, message=outcome.message, reason=reason, outcome=result)


def _act(asked: Asked, act: Act, actor: str, at: float, **more: str) -> Entry:
    entry = Entry(
        number=0,
        at=float(int(at)),
        act=act,
        actor=actor,
        model=asked.model,
        version=asked.version,
        source=asked.source,
        target=asked.target,
        **more,
    )
    return replace(entry, message=entry.message[:LONGEST])


def _entered(
    asked: Asked, journal: Sequence[Entry], acts: Sequence[Entry], was: StrEnum, is_: StrEnum
) -> tuple[Entry, ...]:
    last = journal[-1].number if journal else 0
    name = safe_hash(repr((asked.uid, last, was.value, is_.value, acts)))
    new = (replace(act, number=last + count, decision=name) for count, act in enumerate(acts, start=1))
    return (*journal, *new)[-KEPT:]


def _turn(voice: Voice) -> tuple[float, bool, str]:
    return voice.at, not voice.granted, voice.name
