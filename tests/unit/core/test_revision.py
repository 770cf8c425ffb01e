"""One wish is one revision, by content."""

from dataclasses import replace

import pytest
from tests.unit.core import builders as make

from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.record import Parking, Proven, Record, Rejection, Retiring
from tidegate.core.revision import revision_of, serving_digest, wished_revision
from tidegate.core.values import HASH_LENGTH, SAFE_ALPHABET, ObjectRef, Revision, Unavailable

PINNED = make.plan(pointer=Pointer(kind=PointerKind.VERSION, value="7"))
DOWN = make.unavailable()


def test_a_name_says_object_version_and_content() -> None:
    name, version, letters = make.V7.name.rsplit("-", 2)
    assert (name, version, len(letters)) == ("fraud", "v7", HASH_LENGTH)
    assert set(letters) <= set(SAFE_ALPHABET)


def test_the_name_is_the_same_on_every_machine() -> None:
    assert make.V7.name == "fraud-v7-hlqqhv5d"


@pytest.mark.parametrize(
    "other",
    [
        revision_of("fraud", replace(make.version(7), model_created_ms=2), make.SERVING, make.PRESET),
        revision_of("fraud", replace(make.version(7), registry="http://other"), make.SERVING, make.PRESET),
        revision_of("fraud", replace(make.version(7), model="other"), make.SERVING, make.PRESET),
        revision_of("fraud", make.version(7), replace(make.SERVING, canonical={"runtime": "custom"}), make.PRESET),
        revision_of("fraud", make.version(7), make.SERVING, "preset-2"),
    ],
    ids=["re-created model", "registry", "model", "serving", "preset"],
)
def test_another_content_has_another_name(other: Revision) -> None:
    assert other.name != make.V7.name


def test_replicas_and_the_order_of_keys_are_no_content() -> None:
    one = replace(make.SERVING, canonical={"a": 1, "b": 2}, replicas=1)
    other = replace(make.SERVING, canonical={"b": 2, "a": 1}, replicas=9)
    assert serving_digest(one) == serving_digest(other)


def test_the_same_work_under_another_preset_is_what_stands_already() -> None:
    record = make.record(retiring=(Retiring(revision=make.V8),))
    for known in (make.V6, make.V7, make.V8):
        assert wished_revision(make.plan(), record, known.version, "preset-2") is known


def test_what_owns_nothing_any_more_is_made_anew_under_the_present_preset() -> None:
    record = Record(stable=make.V6, proven=(Proven(revision=make.V7, at=0.0),))
    assert wished_revision(make.plan(), record, make.version(7), "preset-2") == make.revision(7, preset="preset-2")


@pytest.mark.parametrize(
    "record",
    [
        make.idle(stable=make.V7),
        make.record(),
        make.idle(proven=(Proven(revision=make.V7, at=0),)),
        make.idle(rejected=(Rejection(revision=make.V7, attempt=1, reason=Reason.ABORTED, message="", at=0),)),
        make.idle(
            parked=(
                Parking(revision=make.V7, attempt=1, reason=Reason.WITHDRAWN, message="", at=0, tries=0, retry_at=0),
            )
        ),
    ],
    ids=["stable", "canary", "proven", "rejected", "parked"],
)
def test_a_pinned_version_that_is_remembered_needs_no_registry(record: Record) -> None:
    assert wished_revision(PINNED, record, DOWN, make.PRESET) == make.V7


@pytest.mark.parametrize(
    ("plan", "record"),
    [
        (make.plan(), make.record()),
        (PINNED, make.idle()),
        (replace(PINNED, model="other"), make.record()),
    ],
    ids=["an alias", "a pinned version that nobody knows", "the same number of another model"],
)
def test_what_only_the_registry_knows_stays_unknown(plan: object, record: Record) -> None:
    assert wished_revision(plan, record, DOWN, make.PRESET) is DOWN  # type: ignore[arg-type]  # parametrized


def test_a_pinned_version_is_remembered_of_the_registry_that_is_asked_and_of_no_other() -> None:
    record = make.idle(stable=make.V7)
    assert wished_revision(PINNED, record, DOWN, make.PRESET, make.V7.version.registry) == make.V7
    assert wished_revision(PINNED, record, DOWN, make.PRESET, "http://another") is DOWN


def test_where_the_registry_itself_is_not_there_nothing_is_remembered_of_it() -> None:
    missing = Unavailable(reason=Reason.REGISTRY_NOT_FOUND, message="no ModelRegistry")
    assert wished_revision(PINNED, make.idle(stable=make.V7), missing, make.PRESET) is missing


def test_the_same_work_is_told_from_other_work() -> None:
    assert make.V7.same_work(make.revision(7, preset="preset-2"))
    assert not make.V7.same_work(make.V6)
    assert not make.V7.same_work(None)


def test_a_key_is_namespace_and_name() -> None:
    assert ObjectRef(namespace="ml", name="fraud", uid="u").key == "ml/fraud"
