"""The parts of the embedded cluster that need no cluster: cache, images, mirrors, and what is said when it fails."""

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import environment
from tests.cluster import base, cache, host, scratch
from tests.cluster.errors import BuildError, HostError
from tests.cluster.existing import _choose, _url
from tests.cluster.progress import Progress

SOURCES = """Types: deb
URIs: http://c.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
# a comment
URIs: http://c.example/debian
Suites: bookworm bookworm-updates
Components: main
"""


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_entry_is_made_once_however_many_want_it_at_the_same_time(empty_cache: Path) -> None:
    made: list[Path] = []
    together = threading.Barrier(8)

    def make(work: Path) -> None:
        made.append(work)
        (work / "file").write_text("content")

    def want() -> None:
        together.wait()
        found.append((cache.obtain("kind", "name", "key", make) / "file").read_text())

    found: list[str] = []
    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["content"] * 8
    assert len(made) == 1


def test_an_entry_whose_making_fails_is_not_there_and_can_be_made_again(empty_cache: Path) -> None:
    def fail(work: Path) -> None:
        (work / "half").write_text("half")
        raise BuildError("the compiler failed")

    with pytest.raises(BuildError):
        cache.obtain("kind", "name", "key", fail)
    assert [path.name for path in (empty_cache / "kind").iterdir()] == [".name-key.lock"]
    assert cache.obtain("kind", "name", "key", lambda work: None).is_dir()


def test_what_a_killed_maker_left_is_removed_by_the_next_one(empty_cache: Path) -> None:
    stale = empty_cache / "kind" / ".name-key.tmp-1"
    stale.mkdir(parents=True)
    cache.obtain("kind", "name", "key", lambda work: None)
    assert not stale.exists()


def test_a_digest_changes_with_every_part_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = cache.digest(tmp_path, "flags")
    assert first == cache.digest(tmp_path, "flags")
    assert first != cache.digest(tmp_path, "other flags")
    # The same bytes, parted otherwise, are another recipe.
    assert cache.digest("ab", "c") != cache.digest("a", "bc")
    (tmp_path / "a").rename(tmp_path / "b")
    assert cache.digest(tmp_path, "flags") != first


def test_an_image_of_static_files_is_the_same_each_time_and_holds_what_it_says(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!")
    program.chmod(0o755)
    for name in ("one.tar", "two.tar"):
        scratch.write(tmp_path / name, name="localhost/x:1", files={"/bin/x": program}, entrypoint=["/bin/x"])
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        blobs = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]  # files all
    entry = json.loads(blobs["index.json"])["manifests"][0]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "localhost/x:1"
    manifest = json.loads(blobs[f"blobs/sha256/{entry['digest'].removeprefix('sha256:')}"])
    layer = blobs[f"blobs/sha256/{manifest['layers'][0]['digest'].removeprefix('sha256:')}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tree:
        assert [(member.name, member.mode) for member in tree] == [("bin/x", 0o755)]


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("sources.list", "deb http://a.example/debian bookworm main contrib\n", "http://a.example/debian"),
        ("sources.list", "deb [arch=amd64 signed-by=/k] https://b.example/d trixie main\n", "https://b.example/d"),
        (
            "sources.list.d/debian.sources",
            SOURCES,
            "http://c.example/debian",
        ),
    ],
)
def test_the_debian_mirror_is_the_one_that_apt_uses(
    file: str, text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    monkeypatch.setattr(base, "APT", tmp_path)
    assert base.mirror() == expected


def test_a_machine_without_a_debian_mirror_is_told_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "APT", tmp_path)
    with pytest.raises(HostError, match=r"no Debian mirror is named in .*: name one there$"):
        base.mirror()


def test_a_machine_without_apt_is_told_which_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(host, "_SBIN", "/nonexistent")
    with pytest.raises(HostError, match="no apt-get to install them with: nftables, openssl"):
        host.prepare({"openssl": "openssl", "nft": "nftables"}, Progress(stream=io.StringIO()))


def test_whoever_is_not_root_is_told_so_in_one_line_before_work_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match=r"^the embedded cluster needs Linux and root: .*$"):
        host.prepare({}, Progress(stream=io.StringIO()))


def gateway(name: str, **status: object) -> dict[str, object]:
    listeners = [{"name": "http", "protocol": "HTTP", "port": 8080}]
    return {"metadata": {"namespace": "edge", "name": name}, "spec": {"listeners": listeners}, "status": status}


def test_the_only_gateway_is_taken_and_of_several_the_named_one() -> None:
    one, two = gateway("one"), gateway("two")
    assert _choose([one], {}) is one
    assert _choose([one, two], {"GATEWAY": "edge/two"}) is two
    with pytest.raises(HostError, match="must name one; has edge/one, edge/two"):
        _choose([one, two], {})
    with pytest.raises(HostError, match="has none"):
        _choose([], {})


def test_a_gateways_address_comes_from_its_status_or_the_remedy_is_named() -> None:
    assert _url(gateway("one", addresses=[{"value": "192.0.2.7"}])) == "http://192.0.2.7:8080"
    with pytest.raises(HostError, match=r"edge/one .* set GATEWAY_URL"):
        _url(gateway("one"))


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with io.StringIO() as stream:
        yield stream


def test_progress_counts_its_steps_and_says_how_each_ended(lines: io.StringIO) -> None:
    progress = Progress(1, stream=lines)
    with progress.step("compiling"):
        progress.expect(1)
    with pytest.raises(BuildError), progress.step("linking"):
        raise BuildError("no")
    said = lines.getvalue().splitlines()
    assert said[0] == "[1/1] compiling ..."
    assert said[1].startswith("[1/1] compiling: in 0.")
    assert said[3].startswith("[2/2] linking: failed after 0.")


def test_the_environment_is_made_once_taken_by_every_checkout_and_again_for_another_lock(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "LOCK", tmp_path / "lock.txt")
    environment.LOCK.write_text("# nothing\n")
    forgotten = empty_cache / "python" / "dev-forgotten"
    forgotten.mkdir(parents=True)
    os.utime(forgotten, (1, 1))

    def taken(checkout: str) -> Path:
        monkeypatch.setattr(environment, "VENV", tmp_path / checkout)
        environment.ensure()
        where = [str(tmp_path / checkout / "bin" / "python"), "-c", "import pip, tidegate; print(pip.__file__)"]
        return Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout)

    (packages,) = {taken("one"), taken("two")}
    assert packages.is_relative_to(empty_cache / "python")
    assert not forgotten.exists()
    environment.LOCK.write_text("no-such-package==0\n")
    with pytest.raises(HostError, match="no-such-package"):
        taken("one")
