"""Requests of our own to a canary's pod, beside the passes and only while it stands at its gates."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tidegate.core.gatekeeping import NOT_SENT
from tidegate.core.gates import GateFinding, Outcome, SmokeGate, ThroughputGate
from tidegate.core.trials import (
    HASTE,
    MALFORMED,
    TRIES,
    Load,
    NoReply,
    Reply,
    Trial,
    Tried,
    example_answered,
    fault_of,
    load_answered,
    malformed_answered,
    taken,
    untried,
)
from tidegate.ports import Clock, ModelClient

#: Seconds between a failure, or an answer that did not come, and the next try.
AGAIN = 2.0
#: Loads at the same time, of all objects together: they cost the operator time that reverts may need.
LOADS = 1
Targets = Callable[[], Sequence[str]]
_Once = Callable[[str], Awaitable[GateFinding]]


@dataclass(slots=True, kw_only=True)
class _Watch:
    said: Tried
    targets: Targets
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    async def target(self) -> str:
        """The first pod that is ready: always the same one, as long as it is."""
        while not (urls := self.targets()):
            self.moved.clear()
            await self.moved.wait()
        return urls[0]


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    served: int = 0
    unheard: int = 0
    last: float = 0.0
    fault: str = ""
    taken: bool = False


class TrialWatch:
    """Sends what trials ask for, one step after the other, until everything passed or something failed.

    Args:
        models: Sends the requests. A pod that hangs costs its object its own time and nothing else.
        clock: For how long a load takes.
        on_change: Called with an object's key when something was found.
    """

    def __init__(self, models: ModelClient, clock: Clock, *, on_change: Callable[[str], None]) -> None:
        self._models = models
        self._clock = clock
        self._on_change = on_change
        self._watches: dict[str, _Watch] = {}
        self._loads = asyncio.Semaphore(LOADS)

    def follow(self, key: str, trial: Trial | None, targets: Targets) -> None:
        """Try this from now on, or nothing; a trial that is under way or over is not begun again. Returns at once.

        `targets` are the URLs of pods that are ready, without a path.
        """
        watch = self._watches.get(key)
        if watch is not None and watch.said.trial == trial:
            watch.targets = targets
            watch.moved.set()
            return
        self._end(key)
        if trial is not None:
            watch = self._watches[key] = _Watch(
                said=Tried(trial=trial, findings=untried(trial, NOT_SENT)), targets=targets
            )
            watch.task = asyncio.create_task(self._run(key, watch), name=f"trial of {trial.revision}")

    def tried(self, key: str) -> Tried | None:
        """How far the trial of an object is."""
        watch = self._watches.get(key)
        return watch.said if watch is not None else None

    async def close(self) -> None:
        """Send nothing any more, and forget what was found."""
        tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
        for key in list(self._watches):
            self._end(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: str) -> None:
        watch = self._watches.pop(key, None)
        if watch is not None and watch.task is not None:
            watch.task.cancel()

    async def _run(self, key: str, watch: _Watch) -> None:
        trial = watch.said.trial
        steps: list[_Once] = []
        if trial.smoke is not None:
            steps.append(partial(self._example, trial, trial.smoke))
            steps += [partial(self._malformed, trial)] if trial.smoke.malformed else []
        if trial.throughput is not None:
            steps.append(partial(self._load, trial, trial.throughput))
        for at, once in enumerate(steps):
            if (await self._settled(key, watch, at, once)).outcome is Outcome.FAILED:
                return

    async def _settled(self, key: str, watch: _Watch, at: int, once: _Once) -> GateFinding:
        """What one step finds in the end: what is waited for is asked again, and so is a failure, some times."""
        failures = 0
        while True:
            found = await once(await watch.target())
            failures = failures + 1 if found.outcome is Outcome.FAILED else 0
            if not 0 < failures < TRIES:
                self._tell(key, watch, at, found)
                if found.outcome is not Outcome.WAITING:
                    return found
            await asyncio.sleep(AGAIN)

    def _tell(self, key: str, watch: _Watch, at: int, found: GateFinding) -> None:
        findings = watch.said.findings
        unanswered = found.message if found.outcome is Outcome.WAITING else None
        said = replace(watch.said, findings=(*findings[:at], found, *findings[at + 1 :]), unanswered=unanswered)
        if said != watch.said:
            watch.said = said
            self._on_change(key)

    async def _example(self, trial: Trial, gate: SmokeGate, url: str) -> GateFinding:
        return example_answered(gate, await self._post(trial, url, trial.body))

    async def _malformed(self, trial: Trial, url: str) -> GateFinding:
        return malformed_answered(await self._post(trial, url, MALFORMED))

    async def _load(self, trial: Trial, gate: ThroughputGate, url: str) -> GateFinding:
        async with self._loads:
            load = await self._loaded(trial, gate, url)
        return load_answered(gate, load)

    async def _post(self, trial: Trial, url: str, body: str) -> Reply | NoReply:
        return await self._models.post(f"{url}{trial.path}", body, timeout=trial.patience)

    async def _loaded(self, trial: Trial, gate: ThroughputGate, url: str) -> Load:
        """A load at little more than the pace that is asked for, until enough was answered or its time is over.

        What is under way then is waited for: left alone it would be counted later, as if it were a client's.
        """
        tally, began = _Tally(), self._clock.monotonic()
        enough = math.ceil(gate.least * gate.seconds)

        async def worker() -> None:
            while tally.sent < enough and (tally.taken or tally.unheard < TRIES):
                due = began + tally.sent / (gate.least * HASTE)
                if due >= began + gate.seconds:
                    return
                tally.sent += 1
                await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
                if self._clock.monotonic() >= began + gate.seconds:
                    tally.sent -= 1
                    return
                self._count(tally, await self._post(trial, url, trial.body), end=began + gate.seconds)

        await asyncio.gather(*(worker() for _ in range(gate.concurrency)))
        seconds = tally.last - began if tally.served == enough else gate.seconds
        return Load(sent=tally.sent, served=tally.served, seconds=seconds, fault=tally.fault, taken=tally.taken)

    def _count(self, tally: _Tally, reply: Reply | NoReply, *, end: float) -> None:
        now = self._clock.monotonic()
        tally.fault = fault_of(reply) or tally.fault
        tally.taken = tally.taken or taken(reply)
        tally.unheard += not taken(reply)
        if isinstance(reply, Reply) and reply.served and now <= end:
            tally.served, tally.last = tally.served + 1, now
