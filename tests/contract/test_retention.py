"""Retention on the fake registry and on a real MLflow server: what goes, what is only told, and all that keeps."""

import itertools
from collections.abc import AsyncIterator

import pytest
from tests.fakes.registry import FakeRegistry
from tests.fixtures.mlflow import MlflowServer, RegistryEditor
from tests.fixtures.retention import DELETES, Retaining
from tests.unit.core import builders as make

from tidegate.adapters.clock import SteadyClock
from tidegate.adapters.mlflow_writes import MlflowWriter
from tidegate.api.record import encode
from tidegate.core.labels import KIND, MODEL, RECORD, VERSION
from tidegate.core.record import Record
from tidegate.core.retention import Keep, Terms
from tidegate.core.revision import revision_of
from tidegate.ports import Login

_NUMBERS = itertools.count(1)


@pytest.fixture(params=["fake", "mlflow"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Retaining]:
    name = f"retained {next(_NUMBERS)}"
    if request.param == "fake":
        fake = FakeRegistry()
        fake._clock_ms = int(SteadyClock().now() * 1000)
        yield Retaining(name=name, writer=fake.writer, edit=fake)
        return
    running: MlflowServer = request.getfixturevalue("server")
    writer = MlflowWriter(Login(uri=running.url), timeout=30)
    yield Retaining(name=name, writer=writer, edit=RegistryEditor(running))
    await writer.close()


async def test_a_dry_run_tells_what_would_go_and_the_next_look_deletes_it_with_a_trail(subject: Retaining) -> None:
    await subject.archive(2)
    subject.deploy()
    subject.clock.days = 91
    told = await subject.look(Terms())
    assert (told.due, [one.number for one in told.first], told.deleted, told.fault) == (2, ["1", "2"], (), "")
    assert await subject.numbers() == ["1", "2", "3"]
    assert subject.trail.events == []
    done = await subject.look(DELETES)
    assert ([one.number for one in done.deleted], done.due, done.fault) == (["1", "2"], 0, "")
    assert await subject.numbers() == ["3"]
    said = [(event.version, event.act, event.outcome) for event in subject.trail.events]
    assert said == [(number, "deleted", outcome) for number in ("1", "2") for outcome in ("begun", "done")]
    (first, *_), ids = subject.trail.events, {event.id for event in subject.trail.events}
    assert (first.kind, first.ref.key, first.model, len(ids)) == (KIND, "ml/fraud", subject.name, 4)
    assert first.message.startswith("archived, unchanged since ")
    assert subject.metrics.versions_deleted.labels(outcome="done")._value.get() == 2
    again = await subject.look(DELETES)
    assert (again.due, again.deleted, again.kept) == (0, (), ())


async def test_nothing_goes_before_its_time_and_nothing_of_a_model_that_nobody_asks_for(subject: Retaining) -> None:
    await subject.archive(1)
    subject.clock.days = 365
    assert (await subject.look(DELETES)).due == 0
    subject.deploy()
    subject.clock.days = 89
    for _ in range(2):
        told = await subject.look(DELETES)
    assert [(keep, count) for keep, count, _ in told.kept] == [(Keep.RECENT, 1)]
    assert await subject.numbers() == ["1", "2"]


async def test_every_reason_to_keep_keeps(subject: Retaining) -> None:
    await subject.archive(11)
    subject.deploy()
    kept = {
        "2": (Keep.ALIAS, "alias old names it"),
        "3": (Keep.TAGGED, "it has the tag tidegate.keep"),
        "4": (Keep.IN_USE, "ModelDeployment other/pinned asks for it"),
        "5": (Keep.IN_USE, "ModelDeployment ml/fraud has pods of it"),
        "6": (Keep.IN_USE, "ModelDeployment ml/lost has pods of it"),
        "7": (Keep.IN_USE, "Deployment ml/left runs it"),
        "8": (Keep.IN_USE, "ModelPromotion ml/asked is about it"),
        "9": (Keep.USED_ELSEWHERE, "its tag tidegate.prod-us.ml.fraud.state says stable"),
        "11": (Keep.NEWEST, "it is the newest version of its model"),
    }
    subject.edit.set_alias(subject.name, "old", "2")
    subject.edit.set_tag(subject.name, "3", "tidegate.keep", "audit 2025-17")
    subject.deploy("pinned", "other", version="4")
    records = {
        number: encode(Record(stable=revision_of("fraud", await subject.version(number), make.SERVING, "p")))
        for number in (5, 6)
    }
    subject.put("HTTPRoute", "fraud", annotations={RECORD: records[5]})
    # An object whose route is lost has its record in status, and reads the model by another registry's name.
    asks = {"name": subject.name, "alias": "champion", "registry": {"name": "team"}}
    subject.put(KIND, "lost", spec={"model": asks}, status={"record": records[6]})
    pod = {"metadata": {"annotations": {MODEL: subject.name, VERSION: "7"}}}
    subject.put("Deployment", "left", spec={"template": pod})
    subject.put("ModelPromotion", "asked", spec={"model": subject.name, "version": "8"}, status={"phase": "Pending"})
    subject.put("ModelPromotion", "over", spec={"model": subject.name, "version": "10"}, status={"phase": "Done"})
    for key, value in {"state": "stable", "at": "2020-01-01T00:00:00Z"}.items():
        subject.edit.set_tag(subject.name, "9", f"tidegate.prod-us.ml.fraud.{key}", value)
    subject.edit.delete_version(subject.name, "12")
    subject.clock.days = 91
    told = await subject.look(Terms())
    assert [one.number for one in told.first] == ["1", "10"]
    examples = {words.split(" ")[1]: (keep, words) for keep, _, words in told.kept}
    for number, (keep, words) in examples.items():
        assert kept[number][0] is keep
        assert kept[number][1] in words
    done = await subject.look(DELETES)
    assert [one.number for one in done.deleted] == ["1", "10"]
    assert {keep: count for keep, count, _ in done.kept} == {
        Keep.NEWEST: 1, Keep.ALIAS: 1, Keep.TAGGED: 1, Keep.IN_USE: 5, Keep.USED_ELSEWHERE: 1,
    }  # fmt: skip
    assert set(await subject.numbers()) == set(kept)
