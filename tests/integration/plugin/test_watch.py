"""`watch` at a terminal, which is a pseudo-terminal here, and without one."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.plugin.conftest import Person, Place, rolling

pytestmark = pytest.mark.apiserver
PATIENCE = 30.0


class Output:
    """What a program has printed so far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = ""

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def until(self, said: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while not said(self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"never came: {what}; printed:\n{self.text!r}"
            if select.select([self._descriptor], [], [], left)[0]:
                try:
                    read = os.read(self._descriptor, 65536)
                except OSError:  # the other end of a pseudo-terminal is gone
                    read = b""
                assert read, f"it ended before: {what}; printed:\n{self.text!r}"
                self.text += read.decode()
        return self.text


@contextmanager
def watching(person: Person, *arguments: str, terminal: bool) -> Iterator[tuple[subprocess.Popen[bytes], Output]]:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    environment = {**person.environment(), **({"COLUMNS": "100", "LINES": "40"} if terminal else {})}
    # What runs these tests in the background may have Ctrl-C ignored; a program that a person starts has not.
    prefix = ["env", "--default-signal=INT"]
    if terminal:
        # With the terminal as its own, so that Ctrl-C means the program, as it does for people.
        prefix += ["setsid", "--ctty"]
    process = subprocess.Popen(
        [*prefix, *person.command("watch", *arguments)],
        stdin=theirs if terminal else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs if terminal else subprocess.PIPE,
        env=environment,
    )
    os.close(theirs)
    output = Output(ours)
    try:
        yield process, output
    finally:
        process.kill()
        process.wait()
        output.close()
        if process.stderr is not None:
            process.stderr.close()


def child_of(process: subprocess.Popen[bytes]) -> int | None:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(found[0]) if found else None


def test_a_terminal_shows_the_newest_state_in_place_until_ctrl_c(place: Place) -> None:
    place.apply(**rolling(25))
    with watching(place.viewer, place.name, terminal=True) as (process, output):
        output.until(lambda text: "25% of the traffic" in text and "Ctrl-C ends" in text, "the state at 25%")
        assert "\x1b[" not in output.text
        place.status(**rolling(50))
        text = output.until(lambda text: "50% of the traffic" in text and text.count("Ctrl-C ends") >= 2, "50%")
        # Drawn over what was there: up as many lines as it had.
        first = text.split("\x1b[", 1)[0]
        assert re.search(rf"\x1b\[{first.count(chr(10))}A\r\x1b\[J", text)
        assert all(len(line) < 100 for line in re.sub(r"\x1b\[\d*[AJ]", "", text).splitlines())
        os.write(output._descriptor, b"\x03")
        assert process.wait(PATIENCE) == 130


def test_without_a_terminal_each_change_is_a_line(place: Place) -> None:
    place.apply(**rolling(25))
    with watching(place.viewer, place.name, terminal=False) as (_, output):
        output.until(lambda text: " 7/2 25%" in text, "25%")
        place.status(**rolling(50))
        text = output.until(lambda text: " 7/2 50%" in text, "50%")
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2
    assert f"{place.team.namespace}/{place.name} Progressing serves 6" in text


def test_programs_get_one_object_a_line_and_a_lost_connection_repeats_none(place: Place) -> None:
    place.apply(**rolling(25))
    with watching(place.viewer, place.name, "-o", "json", terminal=False) as (process, output):
        output.until(lambda text: text.count("\n") == 1, "the first")
        child = child_of(process)
        assert child is not None
        os.kill(child, signal.SIGKILL)
        place.status(**rolling(50))
        text = output.until(lambda text: text.count("\n") >= 2, "the next, by another connection")
        assert child_of(process) not in {child, None}
    assert [json.loads(line)["status"]["weight"] for line in text.splitlines()] == [25, 50]


def test_a_reader_that_has_enough_ends_it_without_a_word(place: Place) -> None:
    place.apply(**rolling(25))
    with watching(place.viewer, place.name, terminal=False) as (process, output):
        output.until(lambda text: "25%" in text, "25%")
        output.close()
        place.status(**rolling(50))
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_an_object_that_is_deleted_ends_it(place: Place) -> None:
    place.apply(**rolling(25))
    with watching(place.viewer, place.name, terminal=False) as (process, output):
        output.until(lambda text: "25%" in text, "25%")
        place.delete()
        assert process.wait(PATIENCE) == 3
        assert process.stderr is not None
        assert b"was deleted" in process.stderr.read()


def test_all_objects_of_a_namespace_are_watched_together(place: Place) -> None:
    place.apply(**rolling(25))
    other = Place(team=place.team, name=f"{place.name}-too")
    with watching(place.viewer, terminal=True) as (_, output):
        output.until(lambda text: place.name in text, "one")
        other.apply(**rolling(50))
        output.until(lambda text: f"{other.name}" in text and "50%" in text, "the other")
        other.delete()
        output.until(lambda text: other.name not in text.rpartition("\x1b[J")[2], "without the other")


def test_nothing_is_left_running_when_it_is_ended(place: Place) -> None:
    place.apply(**rolling(25))
    with watching(place.viewer, place.name, terminal=False) as (process, output):
        output.until(lambda text: "25%" in text, "25%")
        child = child_of(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert not Path(f"/proc/{child}").exists()
