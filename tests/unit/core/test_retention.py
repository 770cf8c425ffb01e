"""Which archived versions may be deleted: every reason that keeps one, and what is left when none does."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.core import builders as make

from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.record import (
    Discard,
    Leaving,
    Parking,
    Past,
    Promotion,
    Proven,
    Record,
    Rejection,
    Retiring,
)
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.retention import DAY, RULES, Claim, Keep, Terms, archived, claims_of, verdict

NOW = 1_760_000_000.0
AFTER = 90 * DAY
OLD = NOW - 91 * DAY
YOUNG = NOW - 89 * DAY
WHO = "tidegate.prod-eu.ml.fraud"


def version(number: str = "3", **fields: Any) -> RegisteredVersion:
    """Archived, and last changed 91 days ago."""
    made = RegisteredVersion(
        number=number, stage="Archived", created_ms=int((OLD - DAY) * 1000), updated_ms=int(OLD * 1000)
    )
    return replace(made, **fields)


def tags(state: str, at: float | None, who: str = WHO) -> dict[str, str]:
    stamp = {} if at is None else {f"{who}.at": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")}
    return {f"{who}.state": state, **stamp}


def model(*versions: RegisteredVersion, **aliases: str) -> RegisteredModel:
    """Those versions, and one that serves."""
    serves = RegisteredVersion(number="9", stage="Production", created_ms=1, updated_ms=1)
    return RegisteredModel(name="fraud-detector", created_ms=1, aliases=aliases, versions=(*versions, serves))


def kept(held: RegisteredModel, *claims: Claim, number: str = "3") -> Keep | None:
    return verdict(held, number, claims, after=AFTER, now=NOW).keep


def claim(**fields: Any) -> Claim:
    return replace(Claim(model="fraud-detector", number="3", words="ModelDeployment ml/fraud has pods of it"), **fields)


def test_what_is_archived_for_long_and_needed_by_nobody_may_go_and_it_is_said_why() -> None:
    said = verdict(model(version()), "3", (), after=AFTER, now=NOW)
    assert said.keep is None
    assert said.message == "archived, unchanged since 2025-07-10, and nothing needs it"


def test_ninety_days_and_a_dry_run_are_what_nobody_asks_for_otherwise() -> None:
    assert (Terms().days, Terms().dry_run, Terms().after) == (90, True, AFTER)


REGISTRY: dict[str, tuple[RegisteredModel, Keep | None, str]] = {
    "it is gone": (model(version("4")), Keep.GONE, "no such version"),
    "it is in no stage": (model(version(stage="None")), Keep.NOT_ARCHIVED, "it is in stage None"),
    "it is in Staging": (model(version(stage="Staging")), Keep.NOT_ARCHIVED, "it is in stage Staging"),
    "it is in Production": (model(version(stage="Production")), Keep.NOT_ARCHIVED, "Production"),
    "archived in small letters": (model(version(stage="archived")), None, "nothing needs it"),
    "its registration goes on": (model(version(ready=False)), Keep.NOT_READY, "not READY"),
    "it was archived yesterday": (
        model(version(updated_ms=int((NOW - DAY) * 1000))), Keep.RECENT, "changed on 2025-10-08",
    ),
    "a day is left": (model(version(updated_ms=int(YOUNG * 1000))), Keep.RECENT, "changed on"),
    "it was registered yesterday, by a clock that is right": (
        model(version(created_ms=int((NOW - DAY) * 1000))), Keep.RECENT, "changed on 2025-10-08",
    ),
    "it was changed in the future": (model(version(updated_ms=int((NOW + DAY) * 1000))), Keep.RECENT, "2025-10-10"),
    "it was changed beyond the calendar": (model(version(updated_ms=2**62)), Keep.RECENT, "9999-12-31"),
    "nobody knows when it was changed": (
        model(version(created_ms=0, updated_ms=0)), Keep.RECENT, "does not tell when",
    ),
    "it is the newest": (model(version("10")), Keep.NEWEST, "newest version"),
    "an alias names it": (model(version(), previous="3", champion="9"), Keep.ALIAS, "alias previous names it"),
    "an alias names another": (model(version(), previous="4", champion="9"), None, "nothing needs it"),
    "it is tagged": (model(version(tags={"tidegate.keep": ""})), Keep.TAGGED, "tidegate.keep"),
    "it is tagged with a no": (model(version(tags={"tidegate.keep": "false"})), Keep.TAGGED, "tidegate.keep"),
    "it has tags of others": (
        model(version(tags={"team": "risk", "tidegate.kept": "x", "app.state": "stable"})), None, "nothing needs it",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("held", "keep", "words"), REGISTRY.values(), ids=REGISTRY.keys())
def test_what_the_registry_says(held: RegisteredModel, keep: Keep | None, words: str) -> None:
    number = "10" if held.version("10") else "3"
    said = verdict(held, number, (), after=AFTER, now=NOW)
    assert (said.keep, said.number) == (keep, number)
    assert words in said.message


CLAIMS: dict[str, tuple[Claim, Keep | None]] = {
    "an object needs it": (claim(), Keep.IN_USE),
    "an object needed it until yesterday": (claim(since=NOW - DAY), Keep.IN_USE),
    "an object needed it long ago": (claim(since=OLD), None),
    "an object needs another version": (claim(number="4"), None),
    "an object needs a version of another model": (claim(model="churn"), None),
    "an object needs nobody knows which version": (claim(number=None), Keep.IN_USE),
    "an object needs nobody knows what": (claim(model=None, number=None), Keep.IN_USE),
}


@pytest.mark.parametrize(("said", "keep"), CLAIMS.values(), ids=CLAIMS.keys())
def test_what_objects_of_the_cluster_say(said: Claim, keep: Keep | None) -> None:
    assert kept(model(version()), said) == keep
    assert kept(model(version()), claim(model="churn"), said) == keep


TAGS: dict[str, tuple[RegisteredModel, Keep | None]] = {
    "stable": (model(version(tags=tags("stable", OLD))), Keep.USED_ELSEWHERE),
    "canary": (model(version(tags=tags("canary", OLD))), Keep.USED_ELSEWHERE),
    "rejected long ago": (model(version(tags=tags("rejected", OLD))), None),
    "rejected, and nobody knows when": (model(version(tags=tags("rejected", None))), Keep.USED_ELSEWHERE),
    "rejected at a time without a zone": (
        model(version(tags={f"{WHO}.state": "rejected", f"{WHO}.at": "2020-01-01T00:00:00"})), Keep.USED_ELSEWHERE,
    ),
    "rejected at no time": (
        model(version(tags={f"{WHO}.state": "rejected", f"{WHO}.at": "then"})), Keep.USED_ELSEWHERE,
    ),
    "rejected yesterday": (model(version(tags=tags("rejected", NOW - DAY))), Keep.USED_ELSEWHERE),
    "parked long ago": (model(version(tags=tags("parked", OLD))), None),
    "parked yesterday": (model(version(tags=tags("parked", NOW - DAY))), Keep.USED_ELSEWHERE),
    "a word of a newer Tidegate": (model(version(tags=tags("shadow", OLD))), Keep.USED_ELSEWHERE),
    "the last one that served before": (
        model(version(tags=tags("retired", OLD)), version("4", tags=tags("stable", OLD))), Keep.USED_ELSEWHERE,
    ),
    "one that served before others, long ago": (
        model(
            version(tags=tags("retired", OLD - DAY)),
            version("4", tags=tags("retired", OLD)),
            version("5", tags=tags("stable", OLD)),
        ),
        None,
    ),
    "one that served before others, until yesterday": (
        model(
            version(tags=tags("retired", NOW - DAY)),
            version("4", tags=tags("retired", NOW)),
            version("5", tags=tags("stable", NOW)),
        ),
        Keep.USED_ELSEWHERE,
    ),
    "one that served when nobody knows what came then": (
        model(version(tags=tags("retired", OLD)), version("4", tags=tags("retired", None))), Keep.USED_ELSEWHERE,
    ),
    "two that served until the same moment": (
        model(version(tags=tags("retired", OLD)), version("4", tags=tags("retired", OLD))), Keep.USED_ELSEWHERE,
    ),
    "one that served before another was rejected": (
        model(version(tags=tags("retired", OLD - DAY)), version("4", tags=tags("rejected", OLD))), Keep.USED_ELSEWHERE,
    ),
    "what followed it under another object": (
        model(
            version(tags=tags("retired", OLD - DAY)),
            version("4", tags=tags("retired", OLD, "tidegate.prod-us.ml.fraud")),
        ),
        Keep.USED_ELSEWHERE,
    ),
    "two objects, of which one needs it": (
        model(version(tags=tags("rejected", OLD) | tags("stable", OLD, "tidegate.prod-us.ml.fraud"))),
        Keep.USED_ELSEWHERE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("held", "keep"), TAGS.values(), ids=TAGS.keys())
def test_what_tags_of_objects_say(held: RegisteredModel, keep: Keep | None) -> None:
    assert kept(held) == keep


def test_a_tag_that_keeps_is_named_with_the_way_out() -> None:
    said = verdict(model(version(tags=tags("stable", OLD))), "3", (), after=AFTER, now=NOW)
    assert said.message == f"its tag {WHO}.state says stable; delete it if that object is gone for good"


def test_only_archived_versions_are_in_question() -> None:
    held = model(version("1"), version("2", stage="Staging"), version("3", stage="archived"))
    assert archived(held) == ("1", "3")


CANDIDATE = Pointer(kind=PointerKind.ALIAS, value="challenger")
#: What a record says of version 7, and whether it needs it: yes, no, or until a moment.
RECORDS: dict[str, tuple[Record, float | str | None]] = {
    "it serves": (Record(stable=make.V7), None),
    "it rolls out": (Record(stable=make.V6, rollout=make.rollout()), None),
    "it leaves": (Record(stable=make.V6, retiring=(Retiring(revision=make.V7, stage=Leaving.UNROUTED),)), None),
    "it is to be promoted": (
        Record(
            stable=make.V6,
            promotion=Promotion(
                version=make.version(7),
                pointer=Pointer(kind=PointerKind.STAGE, value="Production"),
                before=None,
                candidate=CANDIDATE,
                at=OLD,
            ),
        ),
        None,
    ),
    "another is to be promoted over it": (
        Record(
            stable=make.V8,
            promotion=Promotion(
                version=make.version(8),
                pointer=Pointer(kind=PointerKind.STAGE, value="Production"),
                before="7",
                candidate=CANDIDATE,
                at=OLD,
            ),
        ),
        None,
    ),
    "it is to be taken off a pointer": (
        Record(stable=make.V6, discards=(Discard(version=make.version(7), candidate=CANDIDATE, at=OLD),)), None,
    ),
    "it was tried by a pointer that still names it": (Record(stable=make.V6, tried=make.version(7)), None),
    "it is remembered as stable": (Record(recalled=make.version(7)), None),
    "it was remembered as stable, and something serves": (Record(stable=make.V6, recalled=make.version(7)), "no"),
    "it served before": (
        Record(stable=make.V8, proven=(Proven(revision=make.V7, at=OLD - DAY), Proven(revision=make.V8, at=OLD))), None,
    ),
    "it served before another did, and that before stable": (
        Record(
            stable=make.V8,
            proven=(
                Proven(revision=make.V7, at=OLD - DAY),
                Proven(revision=make.V6, at=OLD),
                Proven(revision=make.V8, at=OLD),
            ),
        ),
        OLD - DAY,
    ),
    "the same, within the window in which it goes to 100 at once": (
        Record(
            stable=make.V8,
            proven=(
                Proven(revision=make.V7, at=NOW - 3600),
                Proven(revision=make.V6, at=NOW - 1800),
                Proven(revision=make.V8, at=NOW - 900),
            ),
        ),
        None,
    ),
    "it was rejected": (
        Record(
            stable=make.V6,
            rejected=(Rejection(revision=make.V7, attempt=1, reason=Reason.GUARD_BREACHED, message="", at=OLD),),
        ),
        OLD,
    ),
    "it was parked": (
        Record(
            stable=make.V6,
            parked=(
                Parking(
                    revision=make.V7, attempt=1, reason=Reason.WITHDRAWN, message="", at=OLD, tries=1, retry_at=OLD
                ),
            ),
        ),
        OLD,
    ),
    "it was tried": (
        Record(
            stable=make.V6,
            history=(
                Past(revision=make.V7, attempt=1, reason=Reason.ABORTED, message="", started=OLD - DAY, ended=OLD),
            ),
        ),
        OLD,
    ),
    "it is unknown": (Record(stable=make.V6), "no"),
}  # fmt: skip


@pytest.mark.parametrize(("record", "until"), RECORDS.values(), ids=RECORDS.keys())
def test_what_a_record_needs(record: Record, until: float | str | None) -> None:
    found = list(claims_of("ModelDeployment ml/fraud", record, window=86_400.0, now=NOW))
    assert all(claim.words.startswith("ModelDeployment ml/fraud ") for claim in found)
    said = [claim.since for claim in found if (claim.model, claim.number) == ("fraud-detector", "7")]
    assert said == ([] if until == "no" else [until])


def test_every_rule_keeps_alone() -> None:
    """Left out, each of them would have something deleted that the others let go."""
    alone = [
        model(version(stage="None")),
        model(version(ready=False)),
        model(version(updated_ms=int(YOUNG * 1000))),
        RegisteredModel(name="fraud-detector", created_ms=1, aliases={}, versions=(version(),)),
        model(version(), old="3"),
        model(version(tags={"tidegate.keep": "x"})),
        model(version()),
        model(version(tags=tags("stable", OLD))),
    ]
    for rule, held in zip(RULES, alone, strict=True):
        claims = (claim(),) if rule.__name__ == "in_use" else ()
        others = [other for other in RULES if other is not rule]
        assert kept(held, *claims) is not None
        assert verdict(held, "3", claims, after=AFTER, now=NOW, rules=others).keep is None, rule.__name__
