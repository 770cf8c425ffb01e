import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.api.builders import CANARY, STABLE, records

from tidegate.api.record import decode, encode, restore
from tidegate.core.reasons import Reason
from tidegate.core.record import Record, Rejection, Rollout, Stopwatch, Verdict
from tidegate.core.values import Revision
from tidegate.errors import UnreadableRecord

ROLLING = Record(
    stable=STABLE,
    rollout=Rollout(
        canary=CANARY,
        attempt=2,
        started=1000.0,
        deadline=Stopwatch(since=1000.0),
        weight=25,
        raised=1010.0,
        hold=Stopwatch(spent=3.5, since=1011.25),
        canary_since=1005.0,
        restarts=(("fraud-v7-lmnpqrst-x", 1),),
    ),
    attempts=((CANARY.name, 2),),
)


@given(records)
def test_what_was_written_is_read_again(record: Record) -> None:
    assert decode(encode(record)) == record


@given(records)
def test_a_record_has_one_wire_form(record: Record) -> None:
    assert encode(decode(encode(record))) == encode(record)


def test_an_empty_record_is_its_format_and_nothing_else() -> None:
    assert encode(Record()) == '{"v":2}'


def test_what_an_earlier_version_wrote_is_read_and_written_as_today() -> None:
    def spelt(revision: Revision) -> dict[str, object]:
        version = revision.version
        return {
            "name": revision.name,
            "preset": revision.preset,
            "serving": revision.serving,
            "version": {
                "model": version.model,
                "model_created_ms": version.model_created_ms,
                "number": version.number,
                "registry": version.registry,
            },
        }

    fields = json.loads(encode(ROLLING))
    del fields["shared"]
    earlier = fields | {"v": 1, "stable": spelt(STABLE), "rollout": fields["rollout"] | {"canary": spelt(CANARY)}}
    assert decode(json.dumps(earlier)) == ROLLING
    with pytest.raises(UnreadableRecord):
        decode(json.dumps(earlier | {"shared": []}))


def test_revisions_that_differ_by_version_alone_are_told_by_name_and_number() -> None:
    def rejection(number: int) -> Rejection:
        version = replace(CANARY.version, number=str(number))
        revision = replace(CANARY, name=f"fraud-v{number}-lmnpqrst", version=version)
        return Rejection(revision=revision, attempt=1, reason=Reason.GUARD_BREACHED, message="8% errors", at=1000.0)

    one, many = (encode(Record(rejected=tuple(map(rejection, range(10, 10 + count))))) for count in (1, 51))
    assert (len(many) - len(one)) / 50 < 150


@pytest.mark.parametrize(
    "revision",
    [[], ["fraud-v6-x"], ["fraud-v6-x", "6", 9], ["fraud-v6-x", "6", -1], ["fraud-v6-x", "6", "0"], ["a", "6", None]],
)
def test_a_revision_that_leads_nowhere_is_unreadable(revision: list[object]) -> None:
    with pytest.raises(UnreadableRecord):
        decode(_edited(stable=revision))


@pytest.mark.parametrize("shared", [None, [], {}, [[]], [["p", "s", "m", 1]], "x", 7])
def test_what_revisions_share_is_not_made_up(shared: object) -> None:
    with pytest.raises(UnreadableRecord):
        decode(_edited(shared=shared))


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_a_deep_nest_is_unreadable_and_nothing_worse(depth: int) -> None:
    for text in ('{"a":' * depth + "1" + "}" * depth, "[" * depth + "]" * depth):
        with pytest.raises(UnreadableRecord):
            decode(f'{{"v":2,"stable":{text}}}')


def test_text_of_any_script_stays_readable() -> None:
    assert "Betrug (neu)" in encode(Record(stable=STABLE))


@given(st.text() | st.binary().map(lambda junk: junk.decode("latin-1")))
def test_any_other_text_is_unreadable_and_nothing_worse(text: str) -> None:
    with pytest.raises(UnreadableRecord):
        decode(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_any_other_json_is_unreadable_and_nothing_worse(value: object) -> None:
    with pytest.raises(UnreadableRecord):
        decode(json.dumps(value))


def _edited(**changes: object) -> str:
    return json.dumps(json.loads(encode(ROLLING)) | changes)


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        pytest.param(_edited(v=3), "format 3", id="a later format"),
        pytest.param(_edited(v=None), "format None", id="no format"),
        pytest.param(_edited(candidate={}), "does not know", id="a field of another version"),
        pytest.param(_edited(stable={"name": "fraud-v6-x"}), "stable.version", id="half a revision"),
        pytest.param(_edited(stable="fraud-v6-x"), "stable", id="a name in place of a revision"),
        pytest.param(_edited(attempts=[["fraud-v7-x", "2"]]), "attempts.0.1", id="a number as text"),
        pytest.param(_edited(rejected=[{"reason": "Bored"}]), "rejected.0", id="a reason of another vocabulary"),
        pytest.param(_edited(retiring=None), "retiring", id="null for a list"),
        pytest.param(encode(ROLLING)[:-1], "no JSON", id="a truncated record"),
        pytest.param(encode(ROLLING).replace("1010.0", "NaN"), "no JSON", id="a time that is no number"),
        pytest.param("", "no JSON", id="nothing"),
        pytest.param("[" * 100_000, "no JSON", id="a nest without end"),
    ],
)
def test_a_record_that_tidegate_did_not_write_is_unreadable_and_says_where(edited: str, told: str) -> None:
    with pytest.raises(UnreadableRecord, match=told):
        decode(edited)


def test_a_lost_route_is_restored_with_all_traffic_on_stable_and_nothing_forgotten() -> None:
    verdict = Verdict(reason=Reason.GUARD_BREACHED, message="8% errors", rejects=True, at=1020.0)
    assert ROLLING.rollout is not None
    record = replace(ROLLING, rollout=replace(ROLLING.rollout, verdict=verdict))

    restored = restore({"record": encode(record)})

    assert restored.weights() == {STABLE.name: 100, CANARY.name: 0}
    assert restored.rollout == replace(record.rollout, weight=0, raised=None, hold=None)
    assert replace(restored, rollout=None) == replace(record, rollout=None)


def test_a_status_without_a_record_restores_nothing() -> None:
    assert restore({"observedGeneration": -1}) == Record()


def test_a_status_with_a_corrupt_record_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(UnreadableRecord):
        restore({"record": "{}"})


@pytest.mark.parametrize(
    ("said", "torn", "named"),
    [
        ('"weight":25', '"weight":250', "weight is 250"),
        ('"weight":25', '"weight":-1', "weight is -1"),
        ('"attempt":2', '"attempt":0', "attempt is 0"),
        ('"started":1000.0', '"started":1e15', "started is 1"),
        ('"started":1000.0', '"started":1e999', "1e999 is no time"),
    ],
)
def test_a_number_that_none_of_ours_would_be_is_unreadable_and_named(said: str, torn: str, named: str) -> None:
    text = encode(ROLLING)
    assert said in text
    with pytest.raises(UnreadableRecord, match=named):
        decode(text.replace(said, torn, 1))


def test_a_name_that_none_of_ours_would_be_is_unreadable() -> None:
    text = encode(ROLLING).replace(CANARY.name, "x" * 64)
    with pytest.raises(UnreadableRecord, match="a revision or a version"):
        decode(text)
