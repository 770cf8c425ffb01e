"""What every audit trail owes whoever tells it: the fake and the one that writes lines alike."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.fakes.audit import FakeTrail

from tidegate.adapters.audit import STREAM, AuditLines
from tidegate.core.audit import Act, AuditEvent
from tidegate.core.values import ObjectRef
from tidegate.errors import AuditFailed
from tidegate.ports import AuditTrail
from tidegate.process import audit_trail
from tidegate.settings import Settings

EVENT = AuditEvent(
    id="u-1/12/9xkw2bqz",
    at=1_760_000_000.25,
    kind="ModelDeployment",
    ref=ObjectRef(namespace="ml", name="fraud", uid="u-1"),
    act=Act.REVERTED,
    actor="user:jürgen@example.com",
    model="fraud-detector",
    version="7",
    source="25%",
    target="0%",
    reason="GuardBreached",
    message='8.1% errors,\n"34 of 420"',
    decision="x7c2kq9b",
    sequence=12,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A trail, the ids that it has, and how it is filled up."""

    trail: AuditTrail
    ids: Callable[[], Sequence[str]]
    fill: Callable[[], None]


@pytest.fixture(params=["fake", "file"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    if request.param == "fake":
        fake = FakeTrail()
        return Case(
            trail=fake, ids=lambda: [event.id for event in fake.events], fill=lambda: setattr(fake, "full", True)
        )
    path = tmp_path / "audit.jsonl"

    def fill() -> None:
        path.unlink()
        path.symlink_to("/dev/full")

    def ids() -> list[str]:
        return [json.loads(line)["id"] for line in path.read_text().splitlines()]

    return Case(trail=AuditLines(path), ids=ids, fill=fill)


def test_events_are_there_in_their_order_when_it_returns(case: Case) -> None:
    for number in range(3):
        case.trail.append(replace(EVENT, id=f"{number}"))
        assert case.ids() == [f"{count}" for count in range(number + 1)]


def test_a_trail_that_takes_nothing_says_so(case: Case) -> None:
    case.trail.append(EVENT)
    case.fill()
    with pytest.raises(AuditFailed, match=r"[Nn]o space left"):
        case.trail.append(EVENT)


def test_a_line_has_every_field_and_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    AuditLines(path, cluster="prod").append(EVENT)
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == {
        "stream": STREAM,
        "time": "2025-10-09T08:53:20.250Z",
        "id": "u-1/12/9xkw2bqz",
        "sequence": 12,
        "cluster": "prod",
        "object": {
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "ModelDeployment",
            "namespace": "ml",
            "name": "fraud",
            "uid": "u-1",
        },
        "act": "reverted",
        "actor": "user:jürgen@example.com",
        "model": "fraud-detector",
        "version": "7",
        "from": "25%",
        "to": "0%",
        "reason": "GuardBreached",
        "message": '8.1% errors,\n"34 of 420"',
        "decision": "x7c2kq9b",
        "outcome": "done",
    }


def test_a_file_that_was_rotated_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = AuditLines(path)
    trail.append(EVENT)
    path.rename(tmp_path / "audit.jsonl.1")
    trail.append(EVENT)
    assert len(path.read_text().splitlines()) == 1


def test_a_setting_chooses_where_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit_trail(Settings(audit="off")) is None
    standard, file = audit_trail(Settings()), audit_trail(Settings(audit=str(tmp_path / "lines")))
    assert standard is not None
    assert file is not None
    standard.append(EVENT)
    assert json.loads(capsys.readouterr().out)["stream"] == STREAM
    file.append(EVENT)
    assert (tmp_path / "lines").exists()
