"""The load program seen from a test: started in the cluster's network, read while it runs."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.access import Access
from tests.driver.load import Answer, parse

ROOT = Path(__file__).resolve().parents[2]


class Traffic:
    """Steady requests to one host through the gateway. Ends with its `with` block."""

    def __init__(
        self,
        access: Access,
        host: str,
        *,
        rate: float = 50.0,
        bodies: Path | None = None,
        timeout: float = 10.0,
        seconds: float = 600.0,
    ) -> None:
        self._file = tempfile.NamedTemporaryFile("w+", suffix=".jsonl")  # noqa: SIM115 (closed in __exit__)
        command = [sys.executable, "-m", "tests.driver.load", "--url", f"{access.gateway_url}/invocations"]
        command += ["--host", host, "--rate", str(rate), "--timeout", str(timeout), "--seconds", str(seconds)]
        if bodies is not None:
            command += ["--bodies", str(bodies)]
        self._process = subprocess.Popen(
            access.command(*command), cwd=ROOT, env=access.environment(), stdout=self._file, stderr=subprocess.PIPE
        )
        self._read = Path(self._file.name).open()  # noqa: SIM115 (closed in __exit__)
        self._answers: list[Answer] = []
        self._partial = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._read.close()
        self._file.close()

    def stop(self) -> None:
        """Send nothing more; what is in flight is waited for."""
        if self._process.poll() is None:
            self._process.terminate()
        _, words = self._process.communicate(timeout=60)
        if self._process.returncode != 0:
            raise AssertionError(f"the load driver failed: {words.decode()[-2000:]}")

    def answers(self) -> list[Answer]:
        """Every answer so far, by the time of its end."""
        if self._process.poll() not in {None, 0}:
            raise AssertionError("the load driver died")
        text = self._partial + self._read.read()
        *lines, self._partial = text.split("\n")
        self._answers += [parse(line) for line in lines if line]
        return self._answers

    def since(self, moment: float) -> list[Answer]:
        """Answers to requests that started at or after a moment (seconds since the epoch)."""
        return [answer for answer in self.answers() if answer.started >= moment]

    def wait(self, enough: Callable[[list[Answer]], bool], *, seconds: float = 60.0, what: str = "answers") -> None:
        """Wait until the answers so far are enough; fail after `seconds`."""
        end = time.monotonic() + seconds
        while not enough(self.answers()):
            if time.monotonic() > end:
                raise AssertionError(f"no {what} after {seconds:g} s: {tally(self.answers())}")
            time.sleep(0.05)  # the load driver is another process: there is nothing to wait on


def tally(answers: Iterable[Answer]) -> dict[str, dict[str, int]]:
    """How many answers of each status, by version; `-` is an answer that names none."""
    counted: dict[str, Counter[str]] = {}
    for answer in answers:
        counted.setdefault(answer.version or "-", Counter())[str(answer.status)] += 1
    return {version: dict(sorted(statuses.items())) for version, statuses in sorted(counted.items())}


def unclean(answers: Iterable[Answer], *, bad: Iterable[str] = ()) -> list[Answer]:
    """Answers that no client should have got: neither 2xx nor given by one of the `bad` revisions' own pods."""
    allowed = set(bad)
    return [answer for answer in answers if not answer.good and answer.revision not in allowed]
