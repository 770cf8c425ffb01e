"""The digest of a model directory: by content and path, by nothing else."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate_runtime.digest import digest_tree
from tidegate_runtime.faults import ArtifactCorrupt

NAMES = st.text(alphabet="abcü .", min_size=1, max_size=6).filter(lambda name: name.strip(" .") != "")
TREES = st.dictionaries(NAMES, st.binary(max_size=40), max_size=6)


def grow(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_it_is_the_sha256_over_sorted_path_size_and_sha256(tmp_path: Path) -> None:
    grow(tmp_path, {"b": b"two", "a/c": b"one"})
    content = [hashlib.sha256(part).hexdigest() for part in (b"one", b"two")]
    lines = f"a/c\x003\x00{content[0]}\nb\x003\x00{content[1]}\n"
    digest = digest_tree(tmp_path)
    assert digest.value == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert digest.size == 6


def test_the_file_that_the_mlflow_client_adds_does_not_count(tmp_path: Path) -> None:
    before = digest_tree(grow(tmp_path, {"MLmodel": b"x"}))
    grow(tmp_path, {"registered_model_meta": b"aliases of today"})
    assert digest_tree(tmp_path) == before


def test_a_file_of_that_name_deeper_down_does_count(tmp_path: Path) -> None:
    before = digest_tree(grow(tmp_path, {"MLmodel": b"x"}))
    grow(tmp_path, {"data/registered_model_meta": b"part of the model"})
    assert digest_tree(tmp_path) != before


def test_times_and_modes_do_not_count(tmp_path: Path) -> None:
    before = digest_tree(grow(tmp_path, {"MLmodel": b"x"}))
    os.utime(tmp_path / "MLmodel", (0, 0))
    (tmp_path / "MLmodel").chmod(0o600)
    assert digest_tree(tmp_path) == before


@settings(deadline=None)
@given(files=TREES, other=TREES)
def test_two_trees_share_a_digest_only_if_they_are_equal(
    files: dict[str, bytes], other: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = digest_tree(grow(tmp_path_factory.mktemp("one"), files))
    two = digest_tree(grow(tmp_path_factory.mktemp("two"), other))
    assert (one.value == two.value) == (files == other)


def test_a_symbolic_link_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/etc")
    with pytest.raises(ArtifactCorrupt, match="data is neither a file nor a directory"):
        digest_tree(tmp_path)
