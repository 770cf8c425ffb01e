"""Clients that are needed at once, in threads of their own, do not meet in the circle of mlflow's imports."""

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidegate.adapters.mlflow_failures import Access, access
from tidegate.adapters.mlflow_loading import Loader
from tidegate.ports import Login

NAMES = ("slow_first", "slow_second")
CLIENT = """
import sys
import time
sys.imports_under_way.append(__name__)
time.sleep(0.2)
alone = sys.imports_under_way == [__name__]
sys.imports_under_way.remove(__name__)

class Client:
    def __init__(self, *arguments, **options):
        self.alone = alone
"""


@pytest.fixture
def _slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two modules that take a while to import, and know whether they were imported together."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(CLIENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "imports_under_way", [], raising=False)
    yield
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("_slow")
async def test_what_two_threads_import_is_imported_one_after_the_other() -> None:
    where = access(Login(uri="http://127.0.0.1:1"))
    assert isinstance(where, Access)
    with ThreadPoolExecutor(2) as pool:
        loaders = [Loader[object](f"{name}:Client", pool, 1.0) for name in NAMES]
        made = await asyncio.gather(*(loader.client(where) for loader in loaders))
        again = await loaders[0].client(where)
    assert [vars(client) for client in made] == [{"alone": True}, {"alone": True}]
    assert again is made[0]
