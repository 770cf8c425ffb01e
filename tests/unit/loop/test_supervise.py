"""A part that fails is started again and costs nobody anything; what was asked of it is asked anew."""

import asyncio
from collections.abc import Iterator

import pytest

from tidegate.loop import supervise
from tidegate.loop.supervise import Supervisor
from tidegate.telemetry import Metrics


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(supervise, "LAST_BACKOFF", 0.002)


class Part:
    """Fails as often as it is told, then runs until cancelled."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.runs = asyncio.Event()
        self.told: list[str] = []

    async def run(self) -> None:
        self.told.append("begins")
        if self.left:
            self.left -= 1
            raise _half_imported()
        self.runs.set()
        await asyncio.Event().wait()


def _half_imported() -> Exception:
    return ExceptionGroup("of a group", [RuntimeError("half imported")])


async def test_what_fails_begins_again_after_everybody_was_asked_to_ask_anew() -> None:
    part, metrics = Part(failures=3), Metrics()
    supervisor = Supervisor(metrics, lambda: part.told.append("asked anew"))
    task = asyncio.create_task(supervisor.keep("tags", part.run))
    await part.runs.wait()
    assert part.told == ["begins", *["asked anew", "begins"] * 3]
    assert metrics.registry.get_sample_value("tidegate_part_failures_total", {"part": "tags"}) == 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_has_nothing_to_do_is_not_started_again() -> None:
    begun: Iterator[None] = iter([None])

    async def run() -> None:
        next(begun)

    await Supervisor(Metrics(), lambda: None).keep("retrainings", run)
    assert list(begun) == []
