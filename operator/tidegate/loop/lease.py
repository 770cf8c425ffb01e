"""Runs for leader: keeps the Lease, holds the fence up, and lets the leader's work run for as long."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from tidegate.core.election import Candidacy, Read, Terms, Wait, Write, act, deposed, missed, released, told, written
from tidegate.errors import ClusterError, Conflict
from tidegate.loop.fence import Fence
from tidegate.ports import Clock, Leases

_log = structlog.get_logger("tidegate")


class Elector:
    """One replica's candidacy. Time is the event loop's: what sleeps and what is fenced must go by one clock.

    Args:
        leases: The Lease that all replicas compete for.
        clock: For the times that the Lease shows to people.
        identity: Of this process, and of no other.
        terms: How the lease is kept.
        fence: Held up while this replica leads.
        lead: The leader's work, run until cancelled; when it fails, `run` does.
        rest: Called when this replica led and does no more.
    """

    def __init__(
        self,
        *,
        leases: Leases,
        clock: Clock,
        identity: str,
        terms: Terms,
        fence: Fence,
        lead: Callable[[], Coroutine[Any, Any, None]],
        rest: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._fence = fence
        self._lead = lead
        self._rest = rest
        self._candidacy = Candidacy(identity=identity, terms=terms)
        self._work: asyncio.Task[None] | None = None
        self._trouble = ""
        self._heard: float | None = None

    @property
    def terms(self) -> Terms:
        """How the lease is kept."""
        return self._candidacy.terms

    @property
    def silence(self) -> float:
        """Seconds since the API server last answered about the lease, whatever it said; infinite before it did."""
        return math.inf if self._heard is None else _now() - self._heard

    @property
    def leads(self) -> bool:
        """Whether this replica leads now."""
        return self._fence.open

    @property
    def leader(self) -> str:
        """Where the holder of the lease is reached, as its identity says after an `@`; empty where it says nothing."""
        held = self._candidacy.lease
        return held.holder.partition("@")[2] if held is not None else ""

    async def run(self) -> None:
        """Compete until cancelled. The lease stays held then, until `release` or its end."""
        try:
            while True:
                await self._step()
                await self._settle()
        finally:
            await self._end()

    async def release(self) -> None:
        """Leave the lease to whoever comes first. Only after `run` ended: from here on nothing may be led."""
        held = self._candidacy
        self._candidacy = deposed(held)
        self._fence.hold(None)
        if held.lease is None or not held.leads(_now()):
            return
        try:
            async with asyncio.timeout(held.terms.every):
                await self._leases.write(released(held.lease, wall=self._clock.now()))
        except (ClusterError, TimeoutError) as error:
            _log.warning("lease not released, it ends by itself", error=str(error))

    async def _step(self) -> None:
        now = _now()
        match act(self._candidacy, now=now, wall=self._clock.now()):
            case Wait(until=until):
                await self._pause(until - now)
            case Read():
                await self._ask(now)
            case Write(lease=lease):
                await self._ask(now, lease)

    async def _ask(self, asked: float, wanted: Any = None) -> None:
        """Read the lease, or write it. No answer counts after the deadline of the lease that is held."""
        c = self._candidacy
        limit = c.terms.within / 2
        if c.until is not None:
            limit = min(limit, c.until - asked)
        try:
            async with asyncio.timeout(limit):
                lease = await (self._leases.read() if wanted is None else self._leases.write(wanted))
        except (ClusterError, TimeoutError) as error:
            self._candidacy = missed(c, asked=asked, now=_now())
            if isinstance(error, Conflict):
                self._heard = _now()
            self._complain("" if isinstance(error, Conflict) else str(error) or "no answer in time")
            return
        self._heard = _now()
        self._complain("")
        if wanted is None or lease is None:
            self._candidacy = told(c, lease, now=_now())
        else:
            self._candidacy = written(c, lease, asked=asked, now=_now())

    def _complain(self, trouble: str) -> None:
        """Say what keeps this replica from the lease, once."""
        if trouble and trouble != self._trouble:
            _log.warning("lease not reached", error=trouble)
        self._trouble = trouble

    async def _settle(self) -> None:
        """Let work and fence follow the candidacy."""
        if self._work is not None and self._work.done():
            self._work.result()
        leads = self._candidacy.leads(_now())
        self._fence.hold(self._candidacy.until if leads else None)
        if leads and self._work is None:
            _log.info("leads", identity=self._candidacy.identity)
            self._work = asyncio.create_task(self._lead(), name="lead")
        elif not leads and self._work is not None:
            _log.warning("leads no more", identity=self._candidacy.identity)
            self._candidacy = deposed(self._candidacy)
            await self._end()
            self._rest()

    async def _pause(self, seconds: float) -> None:
        if self._work is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait({self._work}, timeout=seconds)

    async def _end(self) -> None:
        """End the leader's work. What was being written is given up: the next leader decides on what stands there."""
        work, self._work = self._work, None
        self._fence.hold(None)
        if work is not None:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
