"""What a soak came to: a table for a person, and JSON. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.driver.load import Answer
from tests.driver.traffic import tally
from tests.soak import growth, judge
from tests.soak.growth import MIB, Trend, Vital
from tests.soak.judge import Episode, Outage
from tests.soak.plan import Plan

SHOWN = 5  # of each site's answers that are wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Everything that one object's clients got, and what they were to send (a second), from `begin` to `end`."""

    site: str
    answers: Sequence[Answer]
    rate: float
    begin: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """All that was seen, in so many seconds."""

    plan: Plan
    clients: Sequence[Clients]
    episodes: Sequence[Episode]
    outages: Sequence[Outage]
    vitals: Sequence[Vital]
    seconds: float
    troubles: Sequence[str] = ()

    def trends(self) -> list[Trend]:
        """How each operator process did."""
        return list(growth.trends(self.vitals))

    def failures(self) -> list[str]:
        """A sentence for each thing that is not as it has to be; none of a soak that is passed."""
        found = list(self.troubles)
        for one in self.clients:
            own = [each for each in self.episodes if each.site == one.site]
            found += _wrong(one.site, "failures that no bad version gave", judge.stains(one.answers, own, self.outages))
            found += _wrong(one.site, "answers of a version that was off", judge.strays(one.answers, own, self.outages))
            found += judge.exposed(one.answers, own, self.outages)
            found += judge.idle_drivers(one.site, one.answers, rate=one.rate, begin=one.begin, end=one.end)
        found += judge.wrong_ends(self.episodes, self.outages)
        # One that takes its time moves those after it, so the last ones may never come.
        wanted = {each.fault for each in self.plan.misfortunes if each.at < self.plan.seconds / 2}
        found += judge.idle_plan(self.episodes, [each.fault for each in self.outages], wanted)
        found += judge.starved(self.outages, self.seconds)
        found += growth.grown(self.trends())
        return found

    def torn(self) -> int:
        """How many answers of the gateway's own are excused."""
        return sum(judge.torn(answer, self.outages) for one in self.clients for answer in one.answers)

    def document(self) -> dict[str, Any]:
        """Everything but the single answers, as JSON has it."""
        failures = self.failures()
        return {
            "seed": self.plan.seed,
            "seconds": self.plan.seconds,
            "passed": not failures,
            "failures": failures,
            "answers": {one.site: tally(one.answers) for one in self.clients},
            "torn": self.torn(),
            "rollouts": [asdict(each) | {"revisions": sorted(each.revisions)} for each in self.episodes],
            "outages": [asdict(each) | {"end": _number(each.end)} for each in self.outages],
            "growth": [asdict(each) for each in self.trends()],
            "readings": [asdict(each) for each in self.vitals],
        }

    def table(self) -> str:
        """The summary for a person."""
        rows = [("rollouts of", "n", "ends", "seconds: median", "most")]
        for kind in sorted({each.kind for each in self.episodes}):
            own = [each for each in self.episodes if each.kind is kind]
            rows.append((str(kind), str(len(own)), _ends(own), *_seconds(e.ended - e.began for e in own if e.ended)))
        rows.append(("faults", "n", "", "seconds: median", "most"))
        for fault in sorted({each.fault for each in self.outages}):
            times = [each.end - each.begin for each in self.outages if each.fault is fault]
            rows.append((str(fault), str(len(times)), "", *_seconds(times)))
        rows.append(("clients of", "answers", "not 2xx", "by version and status", ""))
        for one in self.clients:
            bad = [answer for answer in one.answers if not answer.good]
            rows.append((one.site, str(len(one.answers)), str(len(bad)), _statuses(bad), ""))
        rows.append(("of these the gateway's own, just after it was cut off", "", str(self.torn()), "", ""))
        rows.append(("operator", "readings", "measure", "first third", "last third (most)"))
        for trend in self.trends():
            unit = MIB if trend.measure == "rss" else 1
            name = f"{trend.process.partition('@')[0]} {'leads' if trend.leads else 'stands by'}"
            values = f"{trend.last / unit:.4g} ({trend.most / unit:.4g})"
            rows.append((name, str(trend.readings), trend.measure, f"{trend.first / unit:.4g}", values))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
        return "\n".join(lines)


def _wrong(site: str, what: str, answers: Sequence[Answer]) -> list[str]:
    if not answers:
        return []
    return [f"{site}: {len(answers)} {what}: {tally(answers)}; first {list(answers[:SHOWN])}"]


def _number(moment: float) -> float | None:
    """JSON knows no infinity."""
    return moment if math.isfinite(moment) else None


def _ends(episodes: Iterable[Episode]) -> str:
    words = [str(each.end or "none") for each in episodes]
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))


def _seconds(times: Iterable[float]) -> tuple[str, str]:
    found = list(times)
    return (f"{statistics.median(found):.1f}", f"{max(found):.1f}") if found else ("-", "-")


def _statuses(answers: Sequence[Answer]) -> str:
    counted: dict[int, int] = {}
    for answer in answers:
        counted[answer.status] = counted.get(answer.status, 0) + 1
    return ", ".join(f"{count} of {status}" for status, count in sorted(counted.items()))
