"""A registry of ten thousand models, of which some dozens are watched: what is asked for is found, and found again."""

from pathlib import Path

from tests.fixtures.mlflow import RegistryEditor, mlflow_server

from tidegate.adapters.mlflow import SINGLE_READS, MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login

CHAMPION = Pointer(kind=PointerKind.ALIAS, value="champion")
NAMES = [f"watched-{number:03}" for number in range(SINGLE_READS + 5)]


async def test_more_names_than_are_read_singly_are_found_among_ten_thousand(tmp_path: Path) -> None:
    with mlflow_server(tmp_path) as server:
        edit = RegistryEditor(server)
        for name in NAMES:
            edit.register(name)
            edit.set_alias(name, "champion", edit.add_version(name))
        edit.crowd(10_000)
        registry = MlflowRegistry(Login(uri=server.url), timeout=60)
        wishes = [(name, CHAMPION) for name in [*NAMES, "crowd-09999", "nobody"]]
        read = await registry.resolve(wishes)
        numbers = [found.number for name in NAMES if isinstance(found := read[name, CHAMPION], VersionId)]
        assert numbers == ["1"] * len(NAMES)
        others = [read[wish] for wish in wishes[-2:]]
        missing = [found.reason for found in others if isinstance(found, Unavailable)]
        assert missing == [Reason.ALIAS_NOT_FOUND, Reason.MODEL_NOT_FOUND]
        assert registry.pace == 1, "the server was walked, page by page"
        edit.set_alias(NAMES[0], "champion", edit.add_version(NAMES[0]))
        moved = (await registry.resolve(wishes))[NAMES[0], CHAMPION]
        await registry.close()
    assert isinstance(moved, VersionId)
    assert moved.number == "2"
