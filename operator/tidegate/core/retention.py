"""Which archived versions of a registered model may be deleted from the registry, and what keeps each other one.

Nobody brings a deleted version back. So every rule here keeps, each by itself, and only what none of them keeps may go.
What can't be told (a time that is not there, a word that this version of Tidegate does not know) keeps as well. Pure:
`loop/retention.py` reads, and deletes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tidegate.core.pointers import ARCHIVED
from tidegate.core.record import Promotion, Record
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.tags import State
from tidegate.core.values import VersionId

#: The tag by which people keep a version, whatever its value.
KEEP_TAG = "tidegate.keep"
#: Seconds of a day.
DAY = 86_400.0
#: The end of the calendar: a registry may hold any number.
_LAST = 253_402_300_799.0
_PREFIX, _STATE, _AT = "tidegate.", ".state", ".at"


class Keep(StrEnum):
    """Why a version is kept. The first that is true is told."""

    GONE = "Gone"  # the registry has no such version any more
    NOT_ARCHIVED = "NotArchived"
    NOT_READY = "NotReady"  # its registration goes on, or failed
    RECENT = "Recent"  # it was changed within the retention
    NEWEST = "Newest"  # it is the newest version of its model
    ALIAS = "Alias"  # an alias names it
    TAGGED = "Tagged"  # somebody tagged it to be kept
    IN_USE = "InUse"  # an object of this cluster needs it, or did within the retention
    USED_ELSEWHERE = "UsedElsewhere"  # its tags say the same of an object, maybe in another cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What somebody asked for: how many days an archived version stays, and whether it is only told what would go."""

    days: int = 90
    dry_run: bool = True

    @property
    def after(self) -> float:
        """The retention in seconds."""
        return self.days * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an object of the cluster needs a version for, in words.

    `model` and `number` are None where it can't be told which: all are meant. Whose registry it is does not matter: one
    server may be known by several URLs. `since`: the time (seconds since the epoch) from which it needs it no more, and
    the retention runs; None while it does.
    """

    model: str | None
    number: str | None
    words: str
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one version: `keep` is None where it may go."""

    number: str
    keep: Keep | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A version that may go. `changed` is when it was last changed (seconds since the epoch)."""

    model: str
    number: str
    changed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A version that was deleted, and when (seconds since the epoch)."""

    model: str
    number: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What a look at the archived versions of a registry came to.

    `due` counts those that may go and are still there, `first` are some of them. `kept` counts the others by why, each
    with an example in words. `fault` says why the look did not come to its end.
    """

    dry_run: bool
    due: int = 0
    first: tuple[Due, ...] = ()
    kept: tuple[tuple[Keep, int, str], ...] = ()
    deleted: tuple[Deleted, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One version with everything that is known about it. `after` in seconds, `now` in seconds since the epoch."""

    version: RegisteredVersion
    model: RegisteredModel
    claims: Sequence[Claim]
    after: float
    now: float

    def within(self, at: float) -> bool:
        """Whether something that ended at that time still keeps."""
        return self.now - at < self.after


Rule = Callable[[Case], tuple[Keep, str] | None]


def not_archived(case: Case) -> tuple[Keep, str] | None:
    """Only what people, or a promotion, have archived is ever deleted."""
    stage = case.version.stage
    return None if stage.lower() == ARCHIVED.lower() else (Keep.NOT_ARCHIVED, f"it is in stage {stage}")


def not_ready(case: Case) -> tuple[Keep, str] | None:
    """Whoever registers it is not done."""
    return None if case.version.ready else (Keep.NOT_READY, "it is not READY")


def recent(case: Case) -> tuple[Keep, str] | None:
    """Archiving changes a version, so this is what the retention runs from."""
    changed = changed_at(case.version)
    if changed <= 0:
        return Keep.RECENT, "the registry does not tell when it was changed"
    return (Keep.RECENT, f"it was changed on {_day(changed)}") if case.within(changed) else None


def newest(case: Case) -> tuple[Keep, str] | None:
    """Who asks for the latest version means it, by no pointer that anybody could see."""
    last = max(case.model.versions, key=lambda version: int(version.number))
    return (Keep.NEWEST, "it is the newest version of its model") if last.number == case.version.number else None


def aliased(case: Case) -> tuple[Keep, str] | None:
    """MLflow deletes the aliases of a version with it."""
    names = sorted(alias for alias, number in case.model.aliases.items() if number == case.version.number)
    return (Keep.ALIAS, f"alias {names[0]} names it") if names else None


def tagged(case: Case) -> tuple[Keep, str] | None:
    """A person's word, whatever the value: `false` would be too easy to get wrong."""
    return (Keep.TAGGED, f"it has the tag {KEEP_TAG}") if KEEP_TAG in case.version.tags else None


def in_use(case: Case) -> tuple[Keep, str] | None:
    """What objects of this cluster need, by their specs and records."""
    for claim in case.claims:
        meant = claim.model in {None, case.model.name} and claim.number in {None, case.version.number}
        if meant and (claim.since is None or case.within(claim.since)):
            return Keep.IN_USE, claim.words
    return None


def used_elsewhere(case: Case) -> tuple[Keep, str] | None:
    """What Tidegate tagged, in this cluster or another one: each object's own word on the version."""
    for key, said in sorted(case.version.tags.items()):
        if key.startswith(_PREFIX) and key.endswith(_STATE):
            who = key.removesuffix(_STATE)
            if _needs(case, who, said):
                return Keep.USED_ELSEWHERE, f"its tag {key} says {said}; delete it if that object is gone for good"
    return None


#: Each of them keeps by itself; their order is that in which they are told.
RULES: tuple[Rule, ...] = (not_archived, not_ready, recent, newest, aliased, tagged, in_use, used_elsewhere)


def verdict(
    model: RegisteredModel,
    number: str,
    claims: Sequence[Claim],
    *,
    after: float,
    now: float,
    rules: Sequence[Rule] = RULES,
) -> Verdict:
    """What becomes of a version, by what the registry holds and objects need at this moment."""
    version = model.version(number)
    if version is None:
        return Verdict(number=number, keep=Keep.GONE, message="the registry has no such version any more")
    case = Case(version=version, model=model, claims=claims, after=after, now=now)
    kept = next((found for rule in rules if (found := rule(case)) is not None), None)
    if kept is not None:
        return Verdict(number=number, keep=kept[0], message=kept[1])
    message = f"archived, unchanged since {_day(changed_at(version))}, and nothing needs it"
    return Verdict(number=number, keep=None, message=message)


def archived(model: RegisteredModel) -> tuple[str, ...]:
    """The numbers of the versions that are in question at all, oldest first."""
    return model.within(ARCHIVED)


def changed_at(version: RegisteredVersion) -> float:
    """When a version was last changed (seconds since the epoch); tags and aliases are no change to MLflow."""
    return max(version.updated_ms, version.created_ms) / 1000


def claims_of(owner: str, record: Record, *, window: float, now: float) -> Iterator[Claim]:
    """What an object's record needs: what serves, what a revert goes back to, what it still has to say of a version.

    `window` is its rollback window in seconds.
    """
    for revision in record.revisions():
        yield _claim(revision.version, f"{owner} has pods of it")
    for intent in record.intents():
        yield _claim(intent.version, f"{owner} is to move its pointers")
        if isinstance(intent, Promotion) and intent.before is not None:
            yield Claim(model=intent.version.model, number=intent.before, words=f"{owner} is promoting over it")
    recalled = record.recalled if record.stable is None else None
    for version in (record.tried, recalled):
        if version is not None:
            yield _claim(version, f"{owner} remembers it")
    yield from _served(owner, record, window=window, now=now)
    for refused in record.rejected:
        yield _claim(refused.revision.version, f"{owner} rejected it on {_day(refused.at)}", refused.at)
    for parked in record.parked:
        yield _claim(parked.revision.version, f"{owner} parked it on {_day(parked.at)}", parked.at)
    for past in record.history:
        yield _claim(past.revision.version, f"{owner} tried it until {_day(past.ended)}", past.ended)


def _served(owner: str, record: Record, *, window: float, now: float) -> Iterator[Claim]:
    """What served before. Its time runs from when it stopped to; the last one is what people go back to."""
    stable = record.stable.version if record.stable is not None else None
    before = [entry for entry in record.proven if entry.revision.version != stable]
    last = max((entry.at for entry in before), default=None)
    for entry in before:
        back = entry.at == last or now - entry.at <= window
        words = "may go back to it" if back else f"served it until {_day(entry.at)}"
        yield _claim(entry.revision.version, f"{owner} {words}", None if back else entry.at)


def _needs(case: Case, who: str, said: str) -> bool:
    """Whether the object `who` (the beginning of its tags' keys) needs the version that it says this of."""
    at = _time(case.version.tags.get(who + _AT))
    if at is None or said not in {State.REJECTED, State.PARKED, State.RETIRED} or case.within(at):
        return True
    if said != State.RETIRED:
        return False
    tags = [version.tags for version in case.model.versions if version.tags.get(who + _STATE) == State.RETIRED]
    return all((_time(other.get(who + _AT)) or at) <= at for other in tags)


def _claim(version: VersionId, words: str, since: float | None = None) -> Claim:
    return Claim(model=version.model, number=version.number, words=words, since=since)


def _time(stamp: str | None) -> float | None:
    try:
        found = datetime.fromisoformat(stamp or "")
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def _day(at: float) -> str:
    return datetime.fromtimestamp(min(at, _LAST), UTC).date().isoformat()
