from typing import Any

from tidegate.intake.handlers import Intake, _handler


async def unlisted(kind: str, namespace: str | None) -> str | None:
    raise AssertionError(f"{kind} is listed")


def intake(**given: Any) -> Intake:
    return Intake(**{"seen": void, "gone": void, "listed": unlisted, **given})


def void(kind: str, body: Any) -> None:
    raise AssertionError(f"{kind} {body} is told of")


async def test_an_object_that_is_told_of_is_seen() -> None:
    seen: list[tuple[str, str]] = []
    handle = _handler("Pod", intake(seen=lambda kind, body: seen.append((kind, body["metadata"]["name"]))))
    for told in ("ADDED", "MODIFIED"):
        await handle(type=told, event={"type": told, "object": {"metadata": {"name": "a"}, "kind": "Pod"}})
    assert seen == [("Pod", "a"), ("Pod", "a")]


async def test_a_deleted_object_is_said_to_be_gone() -> None:
    gone: list[str] = []
    handle = _handler("Pod", intake(gone=lambda kind, body: gone.append(body["metadata"]["name"])))
    await handle(type="DELETED", event={"type": "DELETED", "object": {"metadata": {"name": "a"}, "kind": "Pod"}})
    assert gone == ["a"]
