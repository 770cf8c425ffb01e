"""One story: an alias moves, and what comes of it is measured by what clients saw."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.driver.load import Answer
from tests.driver.traffic import Traffic, tally

from examples.demo.view import View
from examples.demo.watch import Seen, Watch

LIMIT = 0.5  # seconds, the latency guard of the object
SETTLED = 50  # good answers after the end of a story


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a story went.

    `answers` counts by version and status. `failed` are the answers that no client should have got: neither 2xx nor
    given by the bad version. `bad_to_last_seconds` runs from the end of the first bad answer of the version to the
    start of the last request that it answered; None where it never was bad.
    """

    name: str
    version: str
    outcome: str
    reason: str
    weights: list[int]
    answers: dict[str, dict[str, int]]
    failed: int
    bad_to_last_seconds: float | None
    seconds: float

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class Teller:
    """Waits for a story's end and measures it."""

    def __init__(self, watch: Watch, traffic: Traffic, view: View) -> None:
        self._watch = watch
        self._traffic = traffic
        self._view = view

    def tell(self, name: str, version: str, since: float, *, seconds: float) -> Told:
        """Follow a version from the move of the alias (`since`) until it serves or was sent away."""
        ended = self._watch.wait(lambda seen: _over(seen, version), seconds=seconds, beat=self._beat)
        if ended is not None:
            self._settle()
        answers = self._traffic.since(since)
        weights = self._watch.weights(version, since)
        outcome, reason = _outcome(self._watch.last, version) if ended is not None else ("timeout", "")
        return Told(
            name=name,
            version=version,
            outcome=outcome,
            reason=reason,
            weights=weights,
            answers=tally(answers),
            failed=failed(answers, version if outcome == "reverted" else None),
            bad_to_last_seconds=bad_to_last(answers, version),
            seconds=round(time.time() - since, 1),
        )

    def _beat(self) -> None:
        self._view.show(self._watch.last, self._traffic.answers())

    def _settle(self) -> None:
        moment = time.time()
        self._traffic.wait(lambda found: sum(a.started >= moment for a in found) >= SETTLED, what="answers afterwards")


def _over(seen: Seen, version: str) -> bool:
    ready = seen.condition("Ready").get("status") == "True"
    return (ready and seen.status.get("version") == version) or _rejection(seen, version) is not None


def _rejection(seen: Seen, version: str) -> dict[str, Any] | None:
    if seen.status.get("rollout"):
        return None
    ends = [*seen.status.get("rejected", []), *seen.status.get("parked", [])]
    return next((entry for entry in ends if entry["version"] == version), None)


def _outcome(seen: Seen, version: str) -> tuple[str, str]:
    rejection = _rejection(seen, version)
    if rejection is None:
        return "promoted", "Promoted"
    return "reverted", f"{rejection['reason']}: {rejection['message']}"


def _bad(answer: Answer) -> bool:
    return not answer.good or answer.ended - answer.started > LIMIT


def bad_to_last(answers: Sequence[Answer], version: str) -> float | None:
    """Seconds from the end of a version's first bad answer to the start of the last request that it answered."""
    own = [a for a in answers if f"-v{version}-" in a.revision]
    bad = [a.ended for a in own if _bad(a)]
    return round(max(0.0, max(a.started for a in own) - min(bad)), 3) if bad else None


def failed(answers: Sequence[Answer], bad_version: str | None) -> int:
    """Answers that are not 2xx and that the bad version did not give itself."""
    own = f"-v{bad_version}-" if bad_version else "\0"
    return sum(not a.good and own not in a.revision for a in answers)
