"""Promotions of one model at once, killed anywhere, on a registry whose transactions overlap: one version is left."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest
from tests.unit.core import builders as make

from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.pointers import ARCHIVED, Point, Release, Write, next_write, pointed
from tidegate.core.record import Intent, Promotion
from tidegate.core.registered import RegisteredModel, RegisteredVersion

PRODUCTION = Pointer(kind=PointerKind.STAGE, value="Production")
STAGING = Pointer(kind=PointerKind.STAGE, value="Staging")
CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")
CHALLENGER = Pointer(kind=PointerKind.ALIAS, value="challenger")
Saga = Callable[[Intent, RegisteredModel], Write | None]
#: More turns than any promotion takes, with everything that is lost and killed.
TURNS = 60


def model(*numbers: str) -> RegisteredModel:
    """Version 6 under both first pointers, and some candidates."""
    stages = {"6": "Production"} | dict.fromkeys(numbers, "Staging")
    versions = tuple(RegisteredVersion(number=n, stage=stages.get(n, "None")) for n in ("5", "6", "7", "8", "9"))
    aliases = {"champion": "6", "challenger": numbers[0]}
    return RegisteredModel(name="fraud-detector", created_ms=1, aliases=aliases, versions=versions)


def intent(number: str, first: Pointer, candidate: Pointer) -> Promotion:
    return Promotion(version=make.version(number), pointer=first, before="6", candidate=candidate, at=0.0)


@dataclass(slots=True, kw_only=True)
class Promoter:
    """One object's leader. `begun` is the write under way and what its transaction saw when it began."""

    intent: Promotion
    seen: RegisteredModel | None = None
    begun: tuple[Write, RegisteredModel] | None = None
    over: bool = False


def applied(write: Write, saw: RegisteredModel, held: RegisteredModel) -> RegisteredModel:
    """The registry after a write whose transaction began when it held `saw`: nobody locks what he only reads."""
    if write.pointer.kind is PointerKind.ALIAS:
        aliases = {alias: of for alias, of in held.aliases.items() if alias != write.pointer.value}
        return replace(
            held, aliases=aliases | ({write.pointer.value: write.number} if isinstance(write, Point) else {})
        )
    if isinstance(write, Point):
        archived = {number for number in saw.within(write.pointer.value) if number != write.number}
        stages = dict.fromkeys(archived, ARCHIVED) | {write.number: write.pointer.value}
    else:
        stages = {write.number: ARCHIVED}
    versions = tuple(replace(v, stage=stages.get(v.number, v.stage)) for v in held.versions)
    return replace(held, versions=versions)


def turn(actor: Promoter, held: RegisteredModel, saga: Saga, random: Random) -> RegisteredModel:
    """The next thing that happens to one of them: it reads, begins a write, ends it, or is killed."""
    if random.random() < 0.15:
        # Killed: a write under way is lost, or done and nobody knows.
        begun, actor.seen, actor.begun = actor.begun, None, None
        return applied(*begun, held) if begun is not None and random.random() < 0.5 else held
    if actor.begun is not None:
        begun, actor.begun, actor.seen = actor.begun, None, None
        return applied(*begun, held)
    if actor.seen is None:
        actor.seen = held
        return held
    write = saga(actor.intent, actor.seen)
    if write is None:
        actor.over = True
    else:
        actor.begun = (write, held)
    return held


def played(actors: list[Promoter], held: RegisteredModel, saga: Saga, seed: int) -> RegisteredModel:
    """The registry when all have closed their intents."""
    random = Random(seed)
    for _ in range(TURNS * len(actors)):
        left = [actor for actor in actors if not actor.over]
        if not left:
            break
        held = turn(random.choice(left), held, saga, random)
    assert all(actor.over for actor in actors), "never came to an end"
    return held


def two_at_once(saga: Saga, seed: int) -> None:
    actors = [Promoter(intent=intent(number, PRODUCTION, STAGING)) for number in ("7", "8")]
    held = played(actors, model("7", "8"), saga, seed)
    assert len(held.within("Production")) == 1, held
    assert held.within("Production") != ("6",)


def one_alias(saga: Saga, seed: int) -> None:
    actor = Promoter(intent=intent("7", CHAMPION, CHALLENGER))
    held = played([actor], model("7"), saga, seed)
    assert held.aliases == {"champion": "7"}
    assert pointed(actor.intent, held)


def one_mixed(saga: Saga, seed: int) -> None:
    actor = Promoter(intent=intent("7", PRODUCTION, CHALLENGER))
    held = played([actor], model("7"), saga, seed)
    assert held.within("Production") == ("7",)
    assert "challenger" not in held.aliases


def next_challenger(saga: Saga, seed: int) -> None:
    """Somebody names the next challenger while this one is promoted."""
    actor = Promoter(intent=intent("7", CHAMPION, CHALLENGER))
    held = replace(model("7"), aliases={"champion": "6", "challenger": "8"})
    assert played([actor], held, saga, seed).aliases == {"champion": "7", "challenger": "8"}


def person(saga: Saga, seed: int) -> None:
    """A person moves the champion between two lives of the operator."""
    random = Random(seed)
    actor, held = Promoter(intent=intent("7", CHAMPION, CHALLENGER)), model("7")
    for _ in range(random.randrange(8)):
        if not actor.over:
            held = turn(actor, held, saga, random)
    if actor.begun is not None:
        held, actor.begun = applied(*actor.begun, held), None
    held, actor.seen = replace(held, aliases={**held.aliases, "champion": "9"}), None
    assert played([] if actor.over else [actor], held, saga, seed).aliases["champion"] == "9"


STORIES = {story.__name__: story for story in (two_at_once, one_alias, one_mixed, next_challenger, person)}
SEEDS = 300


@pytest.mark.parametrize("story", STORIES)
def test_whatever_happens_the_registry_ends_as_one_of_them_wants_it(story: str) -> None:
    for seed in range(SEEDS):
        STORIES[story](next_write, seed)


def _forgets(kind: type[Point] | None, pointer: Pointer) -> Saga:
    """Leaves out some of the writes."""

    def saga(wish: Intent, held: RegisteredModel) -> Write | None:
        write = next_write(wish, held)
        skipped = write is not None and write.pointer == pointer and isinstance(write, Point) is (kind is Point)
        return None if skipped else write

    return saga


def _insists(wish: Intent, held: RegisteredModel) -> Write | None:
    """Moves the first pointer wherever it is."""
    assert isinstance(wish, Promotion)
    if held.aliases.get("champion") != wish.version.number:
        return Point(pointer=wish.pointer, number=wish.version.number)
    return next_write(wish, held)


def _tidies(wish: Intent, held: RegisteredModel) -> Write | None:
    """Clears the candidate pointer, whatever it names."""
    found = next_write(wish, held)
    if found is None and "challenger" in held.aliases:
        return Release(pointer=CHALLENGER, number=wish.version.number)
    return found


def _once(wish: Intent, held: RegisteredModel) -> Write | None:
    """Does not look again whether it is alone."""
    number = wish.version.number
    return None if number in held.within("Production") else next_write(wish, held)


MUTANTS: dict[str, Saga] = {
    "forgets to archive itself": _forgets(None, PRODUCTION),
    "leaves the challenger's alias": _forgets(None, CHALLENGER),
    "never moves the champion": _forgets(Point, CHAMPION),
    "overwrites a person": _insists,
    "takes the next challenger away": _tidies,
    "does not look again": _once,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_saga_with_one_thing_wrong_is_found_out(mutant: str) -> None:
    def survives() -> bool:
        try:
            for story in STORIES.values():
                for seed in range(SEEDS):
                    story(MUTANTS[mutant], seed)
        except AssertionError:
            return False
        return True

    assert not survives()
