"""What really happened, kept without the record's help: the books that decisions are judged by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Record, Rollout, Verdict
from tidegate.core.values import Revision

Work = tuple[str, str]


def work(revision: Revision) -> Work:
    """What a revision does: version number and serving fields."""
    return revision.version.number, revision.serving


def weight_of(record: Record) -> int:
    return record.rollout.weight if record.rollout else 0


@dataclass
class Ledger:
    """What happened, kept without the record's help."""

    held: float = 0.0
    held_since_confirmation: bool = False
    zero_since: dict[str, float] = field(default_factory=dict)
    routed: dict[str, int] = field(default_factory=dict)
    ready_since: dict[str, tuple[int, float]] = field(default_factory=dict)
    rejected: dict[Work, str] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)
    failures: dict[Work, int] = field(default_factory=dict)
    not_before: dict[Work, float] = field(default_factory=dict)
    silent: set[Work] = field(default_factory=set)
    left: dict[Work, float] = field(default_factory=dict)
    attempts: set[str] = field(default_factory=set)
    restarts: dict[str, int] = field(default_factory=dict)
    had_weight: bool = False
    promoted_by_hand: set[str] = field(default_factory=set)
    condemned: dict[str, Verdict] = field(default_factory=dict)
    told: list[Alert] = field(default_factory=list)
    firing: dict[str, Alert] = field(default_factory=dict)
    dismissed: set[str] = field(default_factory=set)
    weight_since: float = 0.0
    words: dict[str, dict[int, tuple[float, bool]]] = field(default_factory=dict)
    course: list[Rollout] = field(default_factory=list)

    def heard(self, firing: Iterable[Alert], resolved: Iterable[Alert], record: Record) -> None:
        """What was told of alerts has arrived; what a person dismissed meanwhile is gone."""
        for alert in resolved:
            self.firing.pop(alert.fingerprint, None)
        for alert in firing:
            self.told.append(alert)
            if alert in record.alerts:
                self.firing[alert.fingerprint] = alert

    def spoke(self, attempt: str, weight: int, now: float, *, granted: bool) -> None:
        """Somebody approved or refused a step. Of two words in one moment the refusal counts."""
        said = self.words.setdefault(attempt, {})
        known = said.get(weight)
        if known is None or known[0] < now or not granted:
            said[weight] = (now, granted)

    def refused(self, attempt: str) -> bool:
        """Whether the last word on some step of an attempt is a no."""
        return any(not granted for _, granted in self.words.get(attempt, {}).values())

    def granted(self, attempt: str, weight: int) -> bool:
        """Whether the last word on a step is a yes."""
        return self.words.get(attempt, {}).get(weight, (0.0, False))[1]

    def holds(self, now: float, actions: Mapping[str, str]) -> list[Alert]:
        """Alerts that fire by the books: neither over nor dismissed."""
        named = actions.get("dismiss")
        for alert in list(self.firing.values()):
            if f"{alert.fingerprint}@{alert.since:.0f}" == named:
                del self.firing[alert.fingerprint]
        return [alert for alert in self.firing.values() if alert.until is None or alert.until > now]

    def passed(self, seconds: float, *, paused: bool) -> None:
        if self.held_since_confirmation and not paused:
            self.held += seconds

    def confirmed(self, weights: Mapping[str, int], now: float) -> None:
        """The router does what the route says."""
        self.routed = dict(weights)
        self.held_since_confirmation = True
        self.zero_since = {name: self.zero_since.get(name, now) for name, share in weights.items() if share == 0}

    def router_lost(self, now: float) -> None:
        """The route is gone: nobody gets anything from now on."""
        self.zero_since = dict.fromkeys(self.routed, now) | self.zero_since
        self.routed, self.held_since_confirmation, self.held = {}, False, 0.0

    def ready(self, revision: str, count: int, now: float) -> None:
        """Since when a revision has had at least so many ready pods."""
        known = self.ready_since.get(revision)
        if known is None or known[0] != count:
            self.ready_since[revision] = (count, now)

    def wrote(self, before: Record, after: Record, now: float, restarts: Mapping[str, int]) -> None:
        """A decision was carried out."""
        if weight_of(before) != weight_of(after) or (before.rollout is None) != (after.rollout is None):
            self.held, self.held_since_confirmation = 0.0, False
        old, new = before.rollout, after.rollout
        if new is not None and (old is None or old.weight != new.weight):
            self.course.append(new)
        if new is not None and (old is None or old.attempt != new.attempt or old.canary != new.canary):
            self.attempts.add(named(new))
            self.had_weight = False
        if weight_of(after) > 0 and not self.had_weight:
            self.had_weight, self.restarts, self.weight_since = True, dict(restarts), now
        verdict = new.verdict if new else None
        if new is not None and verdict is not None and verdict.rejects:
            self.rejected.setdefault(work(new.canary), named(new))
            self.left.pop(work(new.canary), None)
        for entry in after.rejected if old is None and new is None else ():
            if entry not in before.rejected:  # refused before anything of it was made
                name = f"{entry.revision.version.number}/{entry.attempt}"
                self.attempts.add(name)
                self.rejected.setdefault(work(entry.revision), name)
                self.left.pop(work(entry.revision), None)
        self._file(before, after, now)
        for entry in before.rejected:
            if work(entry.revision) not in {work(e.revision) for e in after.rejected}:
                self.rejected.pop(work(entry.revision), None)
                self.retried.add(f"{entry.revision.version.number}/{entry.attempt}")

    def _file(self, before: Record, after: Record, now: float) -> None:
        if before.stable is not None and after.stable != before.stable:
            self.left[work(before.stable)] = now
        if after.stable is not None and after.stable != before.stable:
            self.failures.pop(work(after.stable), None)
            self.silent.discard(work(after.stable))
        dropped = {work(p.revision) for p in before.parked} - {work(p.revision) for p in after.parked}
        for gone in dropped:
            self.failures.pop(gone, None)
            self.not_before.pop(gone, None)
            self.silent.discard(gone)
        old = before.rollout
        if old is None or old.verdict is None or after.rollout is not None or old.verdict.rejects:
            return
        (self.silent.add if old.verdict.reason is Reason.UNREACHABLE else self.silent.discard)(work(old.canary))
        if old.verdict.reason not in {Reason.WITHDRAWN, Reason.SUPERSEDED}:
            count = self.failures.get(work(old.canary), 0) + 1
            self.failures[work(old.canary)] = count
            self.not_before[work(old.canary)] = now + min(3600.0, 60.0 * 2 ** (count - 1))


def named(rollout: Rollout) -> str:
    return f"{rollout.canary.version.number}/{rollout.attempt}"
