from typing import Any

from tidegate.intake.handlers import Intake, _handler


async def test_what_kopf_goes_on_holding_of_an_object_is_its_name_and_little_more() -> None:
    taken: list[tuple[str, dict[str, Any]]] = []
    handle = _handler("Pod", Intake(seen=lambda kind, body: taken.append((kind, dict(body))), gone=lambda *_: None))
    told: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "ml", "uid": "u", "managedFields": [{}]},
        "spec": {"containers": []},
        "status": {"phase": "Running"},
    }
    await handle(type=None, event={"type": None, "object": told})
    kind, body = taken[0]
    assert kind == "Pod"
    assert body["spec"] == {"containers": []}
    assert body["status"] == {"phase": "Running"}
    assert told == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ml", "uid": "u"}}


async def test_a_deleted_object_is_said_to_be_gone() -> None:
    gone: list[str] = []
    handle = _handler(
        "Pod", Intake(seen=lambda *_: None, gone=lambda kind, body: gone.append(body["metadata"]["name"]))
    )
    await handle(type="DELETED", event={"type": "DELETED", "object": {"metadata": {"name": "a"}, "kind": "Pod"}})
    assert gone == ["a"]
