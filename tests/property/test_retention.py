"""Months of rollouts in two clusters with one registry: what retention deletes, nobody needed, whatever was done."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from tests.unit.core import builders as make

from tidegate.core.begin import finished
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rejection, Stopwatch
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.retention import DAY, RULES, Claim, Rule, archived, claims_of, verdict
from tidegate.core.tags import notes

AFTER = 90 * DAY
WINDOW = DAY
TURNS = 120


@dataclass(slots=True, kw_only=True)
class Site:
    """One cluster's object. `served` and `refused` are when each version did or was for the last time."""

    tags: str
    record: Record = field(default_factory=Record)
    served: dict[str, float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    before: str | None = None

    @property
    def serves(self) -> str | None:
        return self.record.stable.version.number if self.record.stable is not None else None

    def roll_out(self, number: str, now: float) -> None:
        """This version serves from now on; whatever did leaves at once."""
        if self.serves is not None and self.serves != number:
            self.served[self.serves] = now
            self.before = self.serves
        rollout = make.rollout(canary=make.revision(number), started=now, deadline=Stopwatch(since=now))
        self.record = replace(finished(self.record, rollout, now), retiring=())

    def refuse(self, number: str, now: float) -> None:
        self.refused[number] = now
        entry = Rejection(revision=make.revision(number), attempt=1, reason=Reason.GUARD_BREACHED, message="8%", at=now)
        self.record = replace(self.record, rejected=(*self.record.rejected, entry))


class Months:
    """A registry, this cluster (whose record is read) and another one (of which only tags are known)."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.now = 1_700_000_000.0
        self.model = RegisteredModel(name="fraud-detector", created_ms=1, aliases={}, versions=())
        self.pinned: set[str] = set()
        self.here, self.there = Site(tags="tidegate.here.ml.fraud"), Site(tags="tidegate.there.ml.fraud")
        self.newest = 0
        self.deleted: list[str] = []

    def turn(self, random: Random) -> None:
        """Some days go by, and somebody does something. Then retention looks."""
        self.now += random.choice((0.1, 1, 5, 20)) * DAY
        numbers = [version.number for version in self.model.versions]
        number = random.choice(numbers) if numbers else ""
        site = random.choice((self.here, self.there))
        what = random.choice(("register", "roll out", "roll out", "refuse", "archive", "archive", "archive", "else"))
        if what == "register" or not numbers:
            self.newest += 1
            new = RegisteredVersion(number=str(self.newest), created_ms=self._ms(), updated_ms=self._ms())
            self.model = replace(self.model, versions=(*self.model.versions, new))
        elif what == "roll out":
            site.roll_out(number, self.now)
        elif what == "refuse":
            if number not in {site.serves, site.before}:
                site.refuse(number, self.now)
        elif what == "archive":
            self._change(number, stage="Archived", updated_ms=self._ms())
        else:
            self._meddle(number, random)
        self._write_back()
        self._look()

    def _meddle(self, number: str, random: Random) -> None:
        version = self.model.version(number)
        assert version is not None
        match random.randrange(5):
            case 0:
                self.model = replace(self.model, aliases={random.choice(("old", "champion")): number})
            case 1:
                self.model = replace(self.model, aliases={})
            case 2:
                self._change(number, tags={**version.tags, "tidegate.keep": "x"})
            case 3:
                self.pinned = {number}
            case _:
                self._change(number, ready=not version.ready)

    def _ms(self) -> int:
        return int(self.now * 1000)

    def _change(self, number: str, **fields: object) -> None:
        versions = tuple(
            replace(version, **fields) if version.number == number else version  # type: ignore[arg-type]  # a table
            for version in self.model.versions
        )
        self.model = replace(self.model, versions=versions)

    def _write_back(self) -> None:
        for site in (self.here, self.there):
            for said, note in notes(site.record).items():
                version = self.model.version(said.number)
                if version is not None:
                    self._change(said.number, tags={**version.tags, **note.tags(site.tags)})

    def _look(self) -> None:
        claims = list(claims_of("ModelDeployment ml/fraud", self.here.record, window=WINDOW, now=self.now))
        claims += [Claim(model="fraud-detector", number=number, words="asks for it") for number in self.pinned]
        for number in archived(self.model):
            said = verdict(self.model, number, claims, after=AFTER, now=self.now, rules=self.rules)
            if said.keep is None:
                self._hold(number)
                self.deleted.append(number)
                left = tuple(version for version in self.model.versions if version.number != number)
                self.model = replace(self.model, versions=left)
        if len(self.rules) < len(RULES):
            # A mutant may also delete what is not archived.
            self._look_everywhere(claims)

    def _look_everywhere(self, claims: Sequence[Claim]) -> None:
        for version in self.model.versions:
            said = verdict(self.model, version.number, claims, after=AFTER, now=self.now, rules=self.rules)
            if said.keep is None:
                self._hold(version.number)

    def _hold(self, number: str) -> None:
        """Nobody needs a version that goes; by what was done, not by what anybody remembers of it."""
        version = self.model.version(number)
        assert version is not None
        assert version.stage == "Archived", "it is not archived"
        assert version.ready, "it is being registered"
        assert self._ms() - version.updated_ms >= AFTER * 1000, "it was changed a short while ago"
        assert number != str(self.newest), "it is the newest"
        assert number not in self.model.aliases.values(), "an alias names it"
        assert "tidegate.keep" not in version.tags, "it is tagged"
        assert number not in self.pinned, "it is pinned"
        for site in (self.here, self.there):
            assert number != site.serves, f"it serves: {site.tags}"
            assert number != site.before, f"it is what one goes back to: {site.tags}"
            # A tag has whole seconds.
            for when in (site.served.get(number), site.refused.get(number)):
                assert when is None or self.now - when >= AFTER - 1, f"it served or was refused lately: {site.tags}"


def lived(rules: Sequence[Rule], seed: int) -> Months:
    months, random = Months(rules), Random(seed)
    for _ in range(TURNS):
        months.turn(random)
    return months


SEEDS = 40


def test_nothing_goes_that_anybody_needs_and_what_nobody_needs_goes() -> None:
    deleted = [number for seed in range(SEEDS) for number in lived(RULES, seed).deleted]
    assert len(deleted) > SEEDS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_without_any_of_the_rules_something_goes_that_is_needed(rule: Rule) -> None:
    for seed in range(SEEDS):
        try:
            lived([other for other in RULES if other is not rule], seed)
        except AssertionError:
            return
    raise AssertionError(f"without {rule.__name__} nothing is lost in {SEEDS} lives")
