"""Requests of our own to one pod of a canary that has had none yet: what is sent, and what its answers mean.

An answer that can't get better fails; no answer at all, or the word that it is not ready, is waited for. Nothing here
sends anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.core.gates import GateFinding, Gates, Outcome, SmokeGate, ThroughputGate, VersionDetails
from tidegate.core.record import Rollout
from tidegate.core.values import Unavailable, VersionId

#: What no server can read as JSON.
MALFORMED = '{"inputs": [[1, 2'
#: Failures in a row that are believed: the first request to a process is its slowest, and machines have neighbours.
TRIES = 3
#: Seconds that an answer is waited for at least, however short its limit: it is better said how late it was, and what
#: was left unanswered would be counted later, as if it were a client's.
PATIENCE = 10.0
#: How much faster than asked for a load goes at the most: it is to show that the least is there, and no more.
HASTE = 1.25
_SERVED, _REFUSED, _FAULTY = 200, 400, 500
#: A server's word that it can't answer now: 429 and 503.
_LATER = frozenset({429, 503})
_EXAMPLE, _MALFORMED, _THROUGHPUT = "smoke", "smoke.malformed", "throughput"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a pod of a revision is asked in one attempt: a POST of `body` (JSON) to `path`, by these gates."""

    revision: str
    attempt: int
    path: str
    body: str
    smoke: SmokeGate | None
    throughput: ThroughputGate | None

    @property
    def patience(self) -> float:
        """Seconds that an answer is waited for."""
        return max(PATIENCE, self.smoke.limit if self.smoke is not None else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: its HTTP status, the seconds that it took, and the beginning of what it says."""

    status: int
    seconds: float
    words: str = ""

    @property
    def served(self) -> bool:
        """Whether it is a 2xx."""
        return _SERVED <= self.status < _SERVED + 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """No answer. `late`: it was waited for and did not come; otherwise nobody took the request."""

    reason: str
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of a short load: requests `sent`, those answered 2xx in its time, and its `seconds`.

    `fault` is what was wrong with the last of the others; `taken` says whether any request was taken at all.
    """

    sent: int
    served: int
    seconds: float
    fault: str = ""
    taken: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How far a trial is. `unanswered` says why the pod could not be asked the last time, None where it could."""

    trial: Trial
    findings: tuple[GateFinding, ...]
    unanswered: str | None = None

    @property
    def over(self) -> bool:
        """Whether there is nothing left to ask: everything passed, or something failed."""
        outcomes = {finding.outcome for finding in self.findings}
        return Outcome.FAILED in outcomes or outcomes == {Outcome.PASSED}


def trial_of(gates: Gates, rollout: Rollout, details: Mapping[VersionId, VersionDetails | Unavailable]) -> Trial | None:
    """What the pods of a rollout are asked; None where nothing is, or its input example is not known."""
    told = details.get(rollout.canary.version)
    body = gates.body
    if body is None and isinstance(told, VersionDetails):
        body = told.example
    if not gates.tries or body is None:
        return None
    return Trial(
        revision=rollout.canary.name,
        attempt=rollout.attempt,
        path=gates.path,
        body=body,
        smoke=gates.smoke,
        throughput=gates.throughput,
    )


def untried(gates: Gates | Trial, why: str) -> tuple[GateFinding, ...]:
    """The findings before anything was sent."""
    asked: list[tuple[str, str]] = []
    if gates.smoke is not None:
        asked.append((_EXAMPLE, _within(gates.smoke)))
        asked += [(_MALFORMED, "4xx")] if gates.smoke.malformed else []
    if gates.throughput is not None:
        asked.append((_THROUGHPUT, _least(gates.throughput)))
    return tuple(GateFinding(gate=gate, outcome=Outcome.WAITING, message=why, limit=limit) for gate, limit in asked)


def example_answered(gate: SmokeGate, reply: Reply | NoReply) -> GateFinding:
    """What the answer to the request means."""
    limit = _within(gate)
    if isinstance(reply, NoReply):
        return _unanswered(_EXAMPLE, reply, limit)
    if reply.status in _LATER:
        return _later(_EXAMPLE, reply, limit)
    value = f"{reply.status} in {_span(reply.seconds)}"
    message = f"the request was answered {value}, asked for is {limit}{_said(reply)}"
    outcome = Outcome.PASSED if reply.served and reply.seconds <= gate.limit else Outcome.FAILED
    return GateFinding(gate=_EXAMPLE, outcome=outcome, message=message, value=value, limit=limit)


def malformed_answered(reply: Reply | NoReply) -> GateFinding:
    """What the answer to a body that is no JSON means."""
    if isinstance(reply, NoReply):
        return _unanswered(_MALFORMED, reply, "4xx")
    if reply.status in _LATER:
        return _later(_MALFORMED, reply, "4xx")
    refused = _REFUSED <= reply.status < _FAULTY
    outcome = Outcome.PASSED if refused else Outcome.FAILED
    message = f"a body that is no JSON was answered {reply.status}, asked for is a 4xx"
    if not refused:
        message += _said(reply)
    return GateFinding(gate=_MALFORMED, outcome=outcome, message=message, value=str(reply.status), limit="4xx")


def load_answered(gate: ThroughputGate, load: Load) -> GateFinding:
    """What came of the load."""
    limit = _least(gate)
    if not load.taken:
        return _unanswered(_THROUGHPUT, NoReply(reason=load.fault), limit)
    rate = load.served / load.seconds if load.seconds > 0 else 0.0
    value = f"{rate:.4g}/s"
    message = (
        f"{load.served} of {load.sent} requests were answered 2xx in {_span(load.seconds)}, {gate.concurrency} at a "
        f"time: {value}, asked for is {limit}"
    )
    if load.fault:
        message += f"; the last that was not: {load.fault}"
    outcome = Outcome.PASSED if rate >= gate.least else Outcome.FAILED
    return GateFinding(gate=_THROUGHPUT, outcome=outcome, message=message, value=value, limit=limit)


def fault_of(reply: Reply | NoReply) -> str:
    """What is wrong with an answer in a load; nothing where it is a 2xx."""
    if isinstance(reply, NoReply):
        return reply.reason
    return "" if reply.served else f"{reply.status}{_said(reply)}"


def taken(reply: Reply | NoReply) -> bool:
    """Whether a server took the request, and not only refused to listen."""
    return reply.late if isinstance(reply, NoReply) else reply.status not in _LATER


def _unanswered(gate: str, reply: NoReply, limit: str) -> GateFinding:
    outcome = Outcome.FAILED if reply.late else Outcome.WAITING
    return GateFinding(gate=gate, outcome=outcome, message=reply.reason, limit=limit)


def _later(gate: str, reply: Reply, limit: str) -> GateFinding:
    # Without the time that it took: what is said while one waits must not change with each look.
    message = f"the pod says that it can't answer now: {reply.status}{_said(reply)}"
    return GateFinding(gate=gate, outcome=Outcome.WAITING, message=message, value=str(reply.status), limit=limit)


def _within(gate: SmokeGate) -> str:
    return f"2xx within {_span(gate.limit)}"


def _least(gate: ThroughputGate) -> str:
    return f"at least {gate.least}/s"


def _said(reply: Reply) -> str:
    return "" if reply.served or not reply.words else f"; it says: {reply.words}"


def _span(seconds: float) -> str:
    """`12 ms`, `3.2 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"
