"""What is told the registry of each version, and what a cluster that knows nothing makes of it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.unit.core import builders as make

from tidegate.core.decide import decide
from tidegate.core.observed import Memory
from tidegate.core.plan import Candidate, Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Proven, Record, Rejection, Verdict
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.tags import LONGEST, OTHERS, Note, State, blank, notes, prefix, recollection

KEY = "tidegate.blue.ml.fraud"
FOUND = Memory(stable=make.version(6), rejected=((make.version(7), "Crashed: pod exited: boom"),))


def rejection(number: int, at: float = make.NOW, message: str = "8% errors") -> Rejection:
    return Rejection(revision=make.revision(number), attempt=1, reason=Reason.GUARD_BREACHED, message=message, at=at)


def parking(number: int) -> Parking:
    return Parking(
        revision=make.revision(number), attempt=1, reason=Reason.EXITED, message="exit 3", at=make.NOW, tries=1,
        retry_at=make.NOW,
    )  # fmt: skip


def told(record: Record) -> Mapping[str, tuple[State, int, str]]:
    return {version.number: (note.state, note.weight, note.reason) for version, note in notes(record).items()}


def test_the_key_names_cluster_namespace_and_object() -> None:
    assert prefix("blue", make.plan().ref) == KEY
    assert prefix("", make.plan().ref) == "tidegate.default.ml.fraud"


def test_tags_are_text() -> None:
    note = Note(state=State.CANARY, weight=25, reason="Advancing", at=1_760_000_000.9)
    assert note.tags(KEY) == {
        f"{KEY}.state": "canary",
        f"{KEY}.weight": "25",
        f"{KEY}.reason": "Advancing",
        f"{KEY}.at": "2025-10-09T08:53:20Z",
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(Record(), {}, id="nothing is known"),
        pytest.param(make.idle(), {"6": ("stable", 100, "Promoted")}, id="one serves"),
        pytest.param(make.record(), {"6": ("stable", 95, "Promoted"), "7": ("canary", 5, "Advancing")}, id="one comes"),
        pytest.param(
            make.record(rollout=make.starting()),
            {"6": ("stable", 100, "Promoted"), "7": ("canary", 0, "Starting")},
            id="one is brought up",
        ),
        pytest.param(
            make.record(
                rollout=make.rollout(
                    weight=0, verdict=Verdict(reason=Reason.CRASHED, message="boom", rejects=True, at=make.NOW)
                )
            ),
            {"6": ("stable", 100, "Promoted"), "7": ("rejected", 0, "Crashed: boom")},
            id="a verdict is told before it is filed",
        ),
        pytest.param(
            make.record(
                rollout=make.rollout(
                    weight=0, verdict=Verdict(reason=Reason.WITHDRAWN, message="gone", rejects=False, at=make.NOW)
                )
            ),
            {"6": ("stable", 100, "Promoted"), "7": ("parked", 0, "Withdrawn: gone")},
            id="also one that only parks",
        ),
        pytest.param(
            make.idle(rejected=(rejection(7),), parked=(parking(8),)),
            {
                "6": ("stable", 100, "Promoted"),
                "7": ("rejected", 0, "GuardBreached: 8% errors"),
                "8": ("parked", 0, "Exited: exit 3"),
            },
            id="those that did not make it",
        ),
        pytest.param(
            make.idle(stable=make.V7, proven=(Proven(revision=make.V6, at=5.0), Proven(revision=make.V7, at=6.0))),
            {"7": ("stable", 100, "Promoted"), "6": ("retired", 0, "Superseded")},
            id="and who served before",
        ),
    ],
)
def test_each_version_is_told_of_by_the_first_that_is_true_of_it(
    record: Record, expected: Mapping[str, tuple[str, int, str]]
) -> None:
    assert told(record) == expected


def test_only_those_are_told_of_that_something_happened_to_last() -> None:
    record = make.idle(rejected=tuple(rejection(n, at=float(n)) for n in range(10, 30)))
    assert list(told(record)) == ["6", *(str(n) for n in range(29, 29 - OTHERS - 1, -1))]


def test_long_words_are_cut() -> None:
    assert len(told(make.idle(rejected=(rejection(7, message="x" * 900),)))["7"][2]) == LONGEST


def registered(**states: tuple[str, str]) -> RegisteredModel:
    versions = (
        RegisteredVersion(
            number=number.removeprefix("v"),
            ready=state != "unready",
            tags={
                f"{KEY}.state": state.replace("unready", "stable"),
                f"{KEY}.at": at,
                f"{KEY}.reason": "Crashed: x",
            },
        )
        for number, (state, at) in states.items()
    )  # fmt: skip
    return RegisteredModel(name="fraud-detector", created_ms=1, aliases={}, versions=tuple(versions))


def test_the_newest_of_those_that_were_stable_is_remembered() -> None:
    model = registered(v5=("stable", "2026-01-02"), v6=("stable", "2026-01-03"), v7=("unready", "2026-01-04"))
    assert recollection(KEY, "http://mlflow", model) == Memory(stable=make.version(6))
    assert recollection("tidegate.other.ml.fraud", "http://mlflow", model) == Memory()


def test_rejections_are_remembered_with_their_words() -> None:
    model = registered(v6=("stable", "1"), v7=("rejected", "2"), v8=("canary", "3"))
    found = recollection(KEY, "http://mlflow", model)
    assert found == Memory(stable=make.version(6), rejected=((make.version(7), "Crashed: x"),))


def test_none_of_many_rejections_is_forgotten() -> None:
    rejected = tuple((make.version(number), "Crashed: x") for number in range(3, 20))
    decision = decide(
        make.plan(), Record(), make.seen(Record(), memory=Memory(rejected=rejected), wanted=make.version(3))
    )
    assert [entry.revision.version.number for entry in decision.record.rejected] == [str(n) for n in range(3, 20)]


def test_without_a_record_what_the_registry_remembers_comes_first() -> None:
    first = decide(make.plan(), Record(), make.seen(Record(), memory=FOUND))
    assert first.reason is Reason.RECALLED
    assert "version 6 was stable, version 7 was rejected" in first.message
    assert first.record.recalled == make.version(6)
    entry = first.record.rejected[0]
    assert (entry.revision, entry.reason, entry.message) == (make.V7, Reason.CRASHED, "pod exited: boom")
    assert not blank(first.record)
    second = decide(make.plan(), first.record, make.seen(first.record, memory=FOUND))
    assert second.reason is Reason.STARTING
    assert second.record.rollout is not None
    assert second.record.rollout.canary == make.V6


def test_what_it_remembers_as_stable_serves_before_what_is_asked_for_comes() -> None:
    rolling = Record(rollout=make.starting(canary=make.V6), recalled=make.version(6), rejected=(rejection(7),))
    done = decide(make.plan(), rolling, make.seen(rolling)).record
    assert (done.stable, done.recalled) == (make.V6, None)
    assert decide(make.plan(), done, make.seen(done)).reason is Reason.GUARD_BREACHED


def test_with_a_candidate_what_was_stable_is_not_promoted_anew() -> None:
    candidate = Candidate(pointer=Pointer(kind=PointerKind.ALIAS, value="challenger"))
    rolling = Record(rollout=make.starting(canary=make.V6), recalled=make.version(6))
    look = make.seen(rolling, wanted=make.version(8), candidate=make.version(7))
    assert decide(make.plan(candidate=candidate), rolling, look).record.promotion is None


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        pytest.param(Record(recalled=make.version(6)), make.V6, id="first"),
        pytest.param(Record(recalled=make.version(6), parked=(parking(6),)), make.V7, id="did not get up"),
        pytest.param(
            Record(recalled=make.version(6), parked=(replace(parking(6), retry_at=0.0),), rejected=(rejection(7),)),
            make.V6,
            id="did not get up, and the other one is bad",
        ),
        pytest.param(Record(recalled=make.version(6), rejected=(rejection(6),)), make.V7, id="given up"),
        pytest.param(Record(recalled=replace(make.version(6), model="other")), make.V7, id="another model"),
    ],
)
def test_what_was_stable_makes_way_where_it_does_not_get_up(record: Record, wanted: object) -> None:
    made = decide(make.plan(), record, make.seen(record)).record.rollout
    assert made is not None
    assert made.canary == wanted


def test_until_the_registry_was_asked_nothing_begins() -> None:
    waiting = decide(make.plan(), Record(), make.seen(Record(), memory=make.unavailable("NotPolledYet")))
    assert (waiting.record, waiting.reason) == (Record(), Reason.NOT_POLLED_YET)


@pytest.mark.parametrize("memory", [None, Memory()], ids=["not asked", "nothing"])
def test_a_registry_that_remembers_nothing_holds_nothing_up(memory: Memory | None) -> None:
    assert decide(make.plan(), Record(), make.seen(Record(), memory=memory)).reason is Reason.STARTING


def test_what_is_known_here_counts_more_than_what_the_registry_says() -> None:
    record = make.idle()
    assert decide(make.plan(), record, make.seen(record, memory=FOUND)).reason is Reason.STARTING


def test_only_a_rejection_or_only_a_stable_is_remembered_as_well() -> None:
    only = decide(make.plan(), Record(), make.seen(Record(), memory=Memory(stable=make.version(6))))
    assert only.record == Record(recalled=make.version(6))
    words = ((make.version(7), "a person's own words"),)
    other = decide(make.plan(), Record(), make.seen(Record(), memory=Memory(rejected=words)))
    assert other.record.recalled is None
    entry = other.record.rejected[0]
    assert (entry.reason, entry.message) == (Reason.GUARD_BREACHED, "by the registry's tags")
    stays = decide(make.plan(), other.record, make.seen(other.record))
    assert (stays.stalled, stays.reason) == (True, Reason.GUARD_BREACHED)
