"""Two pointers of a registry: the candidate's version comes, and a finished rollout moves the first pointer."""

from tests.integration.loop.stage import MODEL, Stage

from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.values import VersionId

ALIASES = {"name": MODEL, "alias": "champion", "candidate": {"alias": "challenger"}}


async def named(stage: Stage, kind: PointerKind, value: str) -> str | None:
    wish = (MODEL, Pointer(kind=kind, value=value))
    read = (await stage.registry.resolve([wish]))[wish]
    return read.number if isinstance(read, VersionId) else None


async def alias(stage: Stage, value: str) -> str | None:
    return await named(stage, PointerKind.ALIAS, value)


def challenge(stage: Stage) -> str:
    """A new version behind the candidate's alias."""
    number = stage.registry.add_version(MODEL)
    stage.registry.set_alias(MODEL, "challenger", number)
    return number


async def test_a_challenger_takes_the_steps_and_becomes_champion(stage: Stage) -> None:
    first = await stage.serve(stage.manifest(model=ALIASES))
    second = challenge(stage)
    await stage.rolling_of(second, 25)
    assert await alias(stage, "champion") == first
    look = await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    assert await alias(stage, "champion") == second
    assert await alias(stage, "challenger") is None
    assert look.condition("CandidateRejected")["status"] == "False"
    assert stage.registry_writes == ["set_alias", "delete_alias"]
    await stage.quiet()
