"""Events reach the cache in the event loop's own thread: cache, queue and revert lane are no thread's but its."""

import inspect
import threading
from typing import Any

import kopf

from tidegate.intake.handlers import WATCHED, Intake, register


def _handlers(intake: Intake) -> list[Any]:
    registry = kopf.OperatorRegistry()
    register(registry, intake)
    return [handler.fn for handler in registry._watching.get_all_handlers()]


async def test_every_handler_runs_in_the_event_loop_and_not_in_a_thread_of_kopf() -> None:
    threads: list[tuple[str, int]] = []

    def note(kind: str, _: Any) -> None:
        threads.append((kind, threading.get_ident()))

    handlers = _handlers(Intake(seen=note, gone=note))
    assert len(handlers) == len(WATCHED)
    for handler in handlers:
        assert inspect.iscoroutinefunction(handler), "kopf runs plain functions in threads"
        await handler(type="ADDED", body={})
    assert threads == [(kind, threading.get_ident()) for _, _, _, kind, _ in WATCHED]


async def test_a_deleted_object_is_told_as_gone_and_every_other_event_as_seen() -> None:
    told: list[tuple[str, str]] = []
    intake = Intake(seen=lambda kind, _: told.append(("seen", kind)), gone=lambda kind, _: told.append(("gone", kind)))
    first = _handlers(intake)[0]
    for event in (None, "ADDED", "MODIFIED", "DELETED"):
        await first(type=event, body={})
    assert [word for word, _ in told] == ["seen", "seen", "seen", "gone"]
