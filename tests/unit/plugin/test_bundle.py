"""The one file: it needs Python and nothing else, and says so to a Python that won't do."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.plugin import SHEBANG, START, bundle

from tidegate import VERSION


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "kubectl-tidegate"
    path.write_bytes(bundle())
    return path


def run(plugin: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Without this environment's packages, source root or variables; kubectl is not on the PATH."""
    command = [sys.executable, "-I", "-S", str(plugin), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env={"PATH": "/nowhere"})


def test_it_runs_on_the_standard_library_alone(plugin: Path) -> None:
    done = run(plugin, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit codes" in done.stdout


def test_it_says_its_version_and_that_of_the_resource(plugin: Path) -> None:
    assert run(plugin, "--version").stdout == f"kubectl tidegate {VERSION}, for tidegate.dev/v1alpha1\n"


def test_without_kubectl_it_says_so(plugin: Path) -> None:
    done = run(plugin, "status")
    assert (done.returncode, done.stderr) == (3, "error: kubectl is not on the PATH: this plugin needs it\n")


@pytest.mark.parametrize("arguments", [[], ["stats"], ["status", "-o", "yaml"], ["abort"], ["lint"]])
def test_a_wrong_command_line_is_refused(plugin: Path, arguments: list[str]) -> None:
    done = run(plugin, *arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_same_sources_make_the_same_file() -> None:
    assert bundle() == bundle()


def test_it_starts_with_the_interpreter_and_holds_no_more_than_it_needs() -> None:
    content = bundle()
    assert content.startswith(SHEBANG)
    names = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    assert {name.split("/")[0] for name in names} == {"__main__.py", "tidegate"}
    assert {"tidegate/plugin/cli.py", "tidegate/plugin/schema.json"} <= names
    assert not any("/api/" in name for name in names)


def test_an_old_python_is_told_before_it_meets_a_word_that_it_does_not_know() -> None:
    old = START.replace("sys.version_info", "(3, 9)").partition("from tidegate")[0]
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: kubectl tidegate needs Python 3.11 or newer, not 3.9\n")
