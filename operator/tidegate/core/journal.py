"""What a decision does is entered in the record that it writes, so that no act can be carried out and not be told.

Entries are told from the record, by whoever leads, and by the next leader where one died in between (`loop/audit.py`).
To enter further acts, add a function to `SOURCES`: it compares the records before and after.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from tidegate.core.audit import Act, Actor, Entry
from tidegate.core.decision import Decision, action_value
from tidegate.core.labels import DISMISS
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Promotion, Record, Rejection, Rollout
from tidegate.core.transition import decision_id
from tidegate.core.values import ObjectRef, Revision, VersionId

#: Entries that a record keeps, newest last: some rollouts' worth. They are told long before they go.
KEPT = 24
#: Characters of a message: what counts is in the history, too.
LONGEST = 200
#: Who is behind a decision, where that isn't Tidegate itself.
_BEHIND = {
    Reason.ABORTED: Actor.PERSON,
    Reason.PAUSED: Actor.PERSON,
    Reason.INVALID_SPEC: Actor.PERSON,
    Reason.ALERT_FIRING: Actor.ALERT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One decision: from which record to which, why and when. `pinned`: the spec names the version itself."""

    before: Record
    after: Record
    reason: Reason
    message: str
    now: float
    pinned: bool

    @property
    def same(self) -> Rollout | None:
        """The attempt that was under way before and still is, as it was before."""
        was, is_ = self.before.rollout, self.after.rollout
        if was is None or is_ is None or (was.canary, was.attempt) != (is_.canary, is_.attempt):
            return None
        return was

    def act(self, act: Act, version: VersionId, actor: str, **more: str) -> Entry:
        """An entry about one version; its number and decision are filled in later."""
        return Entry(
            number=0,
            at=self.now,
            act=act,
            actor=actor,
            model=version.model,
            version=version.number,
            **({"reason": self.reason.value} | more),
        )


Source = Callable[[Change], Iterable[Entry]]


def _requests(change: Change) -> Iterator[Entry]:
    before, rollout = change.before, change.before.rollout
    ended: tuple[Rejection | Parking, ...] = (*before.rejected, *before.parked)
    named = {action_value(entry.revision, entry.attempt): entry.revision for entry in ended}
    if rollout is not None:
        named[action_value(rollout.canary, rollout.attempt)] = rollout.canary
    for done in change.after.handled:
        # What is dismissed is an alert; it holds whatever is to come, and is told with what serves.
        about = before.stable if done.action == DISMISS else named.get(done.value)
        if done not in before.handled and about is not None:
            yield change.act(Act.REQUESTED, about.version, Actor.PERSON, target=done.action)


def _start(change: Change) -> Iterator[Entry]:
    rollout = change.after.rollout
    if rollout is None or change.same is not None:
        return
    old, new = change.after.stable, rollout.canary
    moved = old is None or old.version != new.version
    actor = Actor.REGISTRY if moved and not change.pinned else Actor.PERSON
    yield change.act(Act.STARTED, new.version, actor, source=_number(old), target=_number(new))


def _pauses(change: Change) -> Iterator[Entry]:
    was, is_ = change.same, change.after.rollout
    if was is None or is_ is None:
        return
    # While approval is waited for the deadline stands as well, and nobody has paused anything.
    before = was.deadline.since is None and was.asked is None
    after = is_.deadline.since is None and is_.asked is None
    if before != after:
        yield change.act(Act.PAUSED if after else Act.RESUMED, is_.canary.version, Actor.PERSON)


def _approvals(change: Change) -> Iterator[Entry]:
    was, is_ = change.same, change.after.rollout
    if is_ is None:
        return
    for word in is_.approvals:
        if was is None or word not in was.approvals:
            act = Act.APPROVED if word.granted else Act.REFUSED
            yield change.act(act, is_.canary.version, f"user:{word.approver}", target=f"{word.weight}%")


def _weights(change: Change) -> Iterator[Entry]:
    is_ = change.after.rollout
    if is_ is None:
        return
    was = change.same.weight if change.same is not None else 0
    verdict, version = is_.verdict, is_.canary.version
    told = change.same is not None and change.same.verdict == verdict
    moved = {"source": f"{was}%", "target": f"{is_.weight}%"}
    if verdict is not None and (not told or was != is_.weight):
        actor = _BEHIND.get(verdict.reason, Actor.TIDEGATE)
        why = {"reason": verdict.reason.value, "message": verdict.message[:LONGEST]}
        yield change.act(Act.REVERTED, version, actor, **(moved | why))
    elif was != is_.weight:
        yield change.act(Act.STEP, version, Actor.TIDEGATE, **moved)


def _promotion(change: Change) -> Iterator[Entry]:
    was, old, new = change.before.rollout, change.before.stable, change.after.stable
    if was is None or change.after.rollout is not None or new != was.canary or new == old:
        return
    yield change.act(Act.PROMOTED, was.canary.version, Actor.TIDEGATE, source=_number(old), target=_number(new))


def _write_backs(change: Change) -> Iterator[Entry]:
    left = change.after.intents()
    for intent in change.before.intents():
        if intent in left:
            continue
        pointer = intent.pointer if isinstance(intent, Promotion) else intent.candidate
        source = (intent.before or "") if isinstance(intent, Promotion) else intent.version.number
        moved = {"source": source, "target": f"{pointer.kind.value} {pointer.value}"}
        # What a person's wish has overtaken, or what there was no room for, is in no registry.
        moved["outcome"] = "done" if change.reason is Reason.POINTER_MOVED else "superseded"
        yield change.act(Act.WRITTEN_BACK, intent.version, Actor.TIDEGATE, **moved, message=change.message[:LONGEST])


def _number(revision: Revision | None) -> str:
    return revision.version.number if revision is not None else ""


#: In the order in which the acts of one decision happen.
SOURCES: tuple[Source, ...] = (_requests, _start, _pauses, _approvals, _weights, _promotion, _write_backs)


def deleted(record: Record, *, now: float) -> tuple[Entry, ...]:
    """The journal of an object that was deleted, whose last rollout may never end. Whoever did it, nobody says."""
    rollout, stable = record.rollout, record.stable
    about = rollout.canary if rollout is not None else stable
    if about is None:
        return record.journal
    share = rollout.weight if rollout is not None else 100
    gone = Entry(
        number=(record.journal[-1].number if record.journal else 0) + 1,
        at=now,
        act=Act.WITHDRAWN,
        actor=Actor.PERSON,
        model=about.version.model,
        version=about.version.number,
        source=f"{share}%",
        message=f"the ModelDeployment was deleted{' in mid-rollout' if rollout is not None else ''}",
    )
    return (*record.journal, gone)[-KEPT:]


def entered(
    ref: ObjectRef,
    before: Record,
    decision: Decision,
    *,
    now: float,
    pinned: bool,
    sources: tuple[Source, ...] = SOURCES,
) -> Decision:
    """The decision with what it does entered in its record's journal."""
    after = decision.record
    change = Change(
        before=before, after=after, reason=decision.reason, message=decision.message, now=now, pinned=pinned
    )
    acts = [act for source in sources for act in source(change)] if after != before else []
    if not acts:
        return decision
    last = after.journal[-1].number if after.journal else 0
    name = decision_id(ref, before, after, decision.reason)
    new = [replace(act, number=last + count, decision=name) for count, act in enumerate(acts, start=1)]
    return replace(decision, record=replace(after, journal=(*after.journal, *new)[-KEPT:]))
