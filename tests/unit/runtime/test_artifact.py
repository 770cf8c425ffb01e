"""A model directory: whole or refused, and placed by a rename."""

from pathlib import Path

import pytest

from tidegate_runtime.artifact import already_there, check_model_directory, place, staging, verify
from tidegate_runtime.digest import Digest, digest_tree
from tidegate_runtime.faults import ArtifactCorrupt, ArtifactMissing, DigestMismatch, StorageUnavailable
from tidegate_runtime.settings import DownloadSettings

GOOD = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.skops\n"


def settings(model_dir: Path, *, version: str = "7", digest: str | None = None) -> DownloadSettings:
    return DownloadSettings(model_name="fraud", model_version=version, model_dir=model_dir, expected_digest=digest)


def model(root: Path, mlmodel: str = GOOD) -> Path:
    root.mkdir(parents=True)
    (root / "MLmodel").write_text(mlmodel)
    (root / "model.skops").write_bytes(b"weights")
    return root


def placed(wanted: DownloadSettings) -> Digest:
    with staging(wanted) as directory:
        source = model(directory / "model")
        digest = digest_tree(source)
        place(source, digest, wanted)
    return digest


def test_a_whole_model_passes(tmp_path: Path) -> None:
    check_model_directory(model(tmp_path / "m"))


def test_a_model_logged_from_code_keeps_its_file_under_the_last_part_of_the_path_it_had(tmp_path: Path) -> None:
    root = model(tmp_path / "m", GOOD + "    model_code_path: /home/me/wrapped.py\n")
    (root / "wrapped.py").write_text("")
    check_model_directory(root)


def test_a_directory_without_mlmodel_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="no MLmodel file"):
        check_model_directory(tmp_path)


@pytest.mark.parametrize(
    ("mlmodel", "why"),
    [
        ("a: [", "MLmodel is no YAML"),
        ("", "no python_function flavor"),
        ("- a", "no python_function flavor"),
        ("flavors: []", "no python_function flavor"),
        ("flavors: {sklearn: {}}", "no python_function flavor"),
        (GOOD.replace("model.skops", "gone.skops"), "names gone.skops as model_path"),
        (GOOD + "    code: lost\n", "names lost as code"),
        (GOOD + "    model_code_path: /home/me/lost.py\n", "names lost.py as model_code_path"),
    ],
)
def test_what_mlflow_could_not_serve_is_corrupt_and_says_why(tmp_path: Path, mlmodel: str, why: str) -> None:
    with pytest.raises(ArtifactCorrupt, match=why):
        check_model_directory(model(tmp_path / "m", mlmodel))


def test_mlmodel_that_is_no_text_is_corrupt(tmp_path: Path) -> None:
    root = model(tmp_path / "m")
    (root / "MLmodel").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactCorrupt, match="MLmodel is no YAML"):
        check_model_directory(root)


def test_a_placed_model_is_there_already_the_next_time(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "models" / "model")
    digest = placed(wanted)
    assert already_there(wanted) == digest
    assert (wanted.model_dir / "MLmodel").read_text() == GOOD


def test_another_version_in_its_place_is_not_there_already(tmp_path: Path) -> None:
    placed(settings(tmp_path / "model", version="6"))
    assert already_there(settings(tmp_path / "model", version="7")) is None


def test_a_file_changed_since_is_not_there_already(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "model")
    placed(wanted)
    (wanted.model_dir / "model.skops").write_bytes(b"half")
    assert already_there(wanted) is None


def test_a_directory_without_a_note_is_not_there_already(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "model")
    model(wanted.model_dir)
    assert already_there(wanted) is None


def test_placing_replaces_what_an_interrupted_run_left(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "model")
    wanted.model_dir.mkdir()
    (wanted.model_dir / "half").write_bytes(b"x")
    (tmp_path / ".model.partial-old").mkdir()
    placed(wanted)
    assert sorted(path.name for path in wanted.model_dir.iterdir()) == ["MLmodel", "model.skops"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.json", "model"]


def test_a_failure_in_the_middle_leaves_the_old_model_and_no_litter(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "model")
    digest = placed(wanted)
    with pytest.raises(ArtifactMissing), staging(wanted) as directory:
        check_model_directory(directory)
    assert already_there(wanted) == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.json", "model"]


def test_a_parent_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StorageUnavailable, match="mount a writable volume"), staging(settings(tmp_path / "file" / "m")):
        pass


def test_the_recorded_digest_passes_and_another_is_refused(tmp_path: Path) -> None:
    found = digest_tree(model(tmp_path / "m"))
    verify(found, settings(tmp_path, digest=found.value))
    verify(found, settings(tmp_path, digest=None))
    with pytest.raises(DigestMismatch, match="version 7 of fraud has digest"):
        verify(found, settings(tmp_path, digest=f"sha256:{'0' * 64}"))
