"""What kubectl prints, in parts of any size, and what its complaints mean."""

import json
from pathlib import Path

import pytest

from tidegate.plugin import live
from tidegate.plugin.failures import Declined, Denied, Failure, Lost, Missing, Usage, from_kubectl
from tidegate.plugin.kubectl import Kubectl, objects

BODIES = [{"a": {"b": "}{"}}, {"c": [1, 2]}, {}]
TEXT = "\n".join(json.dumps(body, indent=4) for body in BODIES) + "\n"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_objects_come_whole_however_they_were_cut(size: int) -> None:
    parts = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    assert list(objects(iter(parts))) == BODIES


def test_an_object_is_there_as_soon_as_its_last_line_is() -> None:
    lines = iter(TEXT.splitlines(keepends=True))
    found = objects(lines)
    assert next(found) == BODIES[0]
    assert "".join(lines).count("\n") == TEXT.count("\n") - json.dumps(BODIES[0], indent=4).count("\n") - 1


def test_nothing_and_half_an_object_are_no_object() -> None:
    assert list(objects("")) == []
    assert list(objects('{"a": {}')) == []


@pytest.mark.parametrize(
    ("said", "kind", "code", "words"),
    [
        (
            'Error from server (NotFound): modeldeployments.tidegate.dev "x" not found',
            Missing,
            3,
            'modeldeployments.tidegate.dev "x" not found',
        ),
        ('error: the server doesn\'t have a resource type "modeldeployments"', Missing, 3, "is not installed"),
        ('Error from server (Forbidden): x is forbidden: User "u" cannot patch', Denied, 4, 'User "u" cannot patch'),
        ("error: You must be logged in to the server (Unauthorized)", Denied, 4, "logged in"),
        ("error: You must be logged in to the server", Denied, 4, "logged in"),
        ("Error from server (Conflict): the UID in the precondition", Declined, 1, "made anew"),
        ('The ModelDeployment "x" is invalid: metadata.uid: Invalid value: "u": immutable', Declined, 1, "made anew"),
        ("Unable to connect to the server: dial tcp: i/o timeout", Lost, 5, "Unable to connect"),
        ("The connection to the server 127.0.0.1:1 was refused - did you", Lost, 5, "was refused"),
        ('error: the path "x.yaml" does not exist', Usage, 2, "x.yaml"),
        ("error: error parsing x.yaml: error converting YAML to JSON: yaml: line 3", Declined, 1, "line 3"),
        ('error: context "prod" does not exist', Failure, 5, "prod"),
        ("", Failure, 5, "without a word"),
    ],
)
def test_a_complaint_of_kubectl_has_a_meaning_and_keeps_its_words(
    said: str, kind: type[Failure], code: int, words: str
) -> None:
    failure = from_kubectl(said)
    assert (type(failure), failure.code) == (kind, code)
    assert words in str(failure)


def test_a_watch_that_the_api_server_ends_is_a_lost_connection(tmp_path: Path) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "message": "too old resource version"}}
    events = [{"type": "ADDED", "object": {"metadata": {"name": "fraud"}}}, gone]
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\ncat <<'EOF'\n" + "\n".join(json.dumps(event) for event in events) + "\nEOF\n")
    program.chmod(0o755)
    with Kubectl(program=str(program)).watching("fraud") as found:
        assert next(found.events) == ("ADDED", {"metadata": {"name": "fraud"}})
        with pytest.raises(Lost, match="too old resource version"):
            next(found.events)


#: Shows an object and then nothing, as kubectl does of one that was deleted before its watch began.
_TOO_LATE = """#!/bin/sh
case "$*" in
*--watch*) echo '{event}'; exec sleep 60 ;;
*) echo 'Error from server (NotFound): modeldeployments.tidegate.dev "fraud" not found' >&2; exit 1 ;;
esac
"""


def test_an_object_that_is_deleted_before_its_watch_begins_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "FIRST_DOUBT", 0.1)
    program = tmp_path / "kubectl"
    meta = {"namespace": "ml", "name": "fraud", "uid": "u", "generation": 1, "resourceVersion": "7"}
    event = {"type": "ADDED", "object": {"metadata": meta, "spec": {}}}
    program.write_text(_TOO_LATE.replace("{event}", json.dumps(event)))
    program.chmod(0o755)
    with pytest.raises(Missing, match="fraud was deleted"):
        live.watch(Kubectl(program=str(program)), "fraud", everywhere=False, as_json=True)
    assert '"fraud"' in capsys.readouterr().out
