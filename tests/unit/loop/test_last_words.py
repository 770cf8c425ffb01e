"""What a process said before it ended well is read once, bounded, and put where the kubelet would have put it."""

import asyncio
from typing import Any

from tests.fakes.cluster import FakeCluster
from tests.fixtures.until import until

from tidegate.loop.words import KEPT, LastWords
from tidegate.ports import Manifest


class Slow(FakeCluster):
    """Logs that are told when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, bool]] = []
        self.may = asyncio.Event()

    async def last_line(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        self.asked.append((pod, previous))
        await self.may.wait()
        return await super().last_line(namespace, pod, container, previous=previous)


def pod(name: str = "a", *, end: str = "1", code: int = 0, message: str = "", state: str = "waiting") -> Manifest:
    ended: dict[str, Any] = {"exitCode": code, "reason": "Completed", "containerID": f"containerd://{end}"}
    if message:
        ended["message"] = message
    now: dict[str, Any] = {"terminated": ended} if state == "terminated" else {state: {}}
    container = {"name": "model", "restartCount": 1, "state": now, "lastState": {"terminated": ended}}
    return {
        "metadata": {"namespace": "ml", "name": name, "uid": f"uid-{name}"},
        "status": {"containerStatuses": [container]},
    }


def said(words: LastWords, body: Manifest) -> str:
    container = words.told([body])[0]["status"]["containerStatuses"][0]
    ended = container["state"].get("terminated") or container["lastState"]["terminated"]
    return str(ended.get("message", ""))


async def test_a_silent_end_is_asked_for_once_and_told_to_the_object() -> None:
    logs, told = Slow(), list[str]()
    logs.logs["ml", "a", "model"] = "nothing to serve"
    words = LastWords(logs, told.append)
    words.ask("ml/fraud", [pod()])
    words.ask("ml/fraud", [pod()])
    assert said(words, pod()) == ""
    logs.may.set()
    await until(lambda: told == ["ml/fraud"])
    words.ask("ml/fraud", [pod()])
    assert said(words, pod()) == "nothing to serve"
    assert logs.asked == [("a", False)]
    await words.close()


async def test_each_end_is_an_own_one_and_that_of_a_container_that_runs_again_is_the_previous() -> None:
    logs = Slow()
    logs.may.set()
    words = LastWords(logs, print)
    words.ask("ml/fraud", [pod(end="1")])
    words.ask("ml/fraud", [pod(end="2", state="running"), pod("b", state="terminated")])
    await until(lambda: len(logs.asked) == 3)
    assert logs.asked == [("a", False), ("a", True), ("b", False)]
    await words.close()


async def test_the_line_before_stands_until_the_newest_end_is_read_also_if_it_cannot_be() -> None:
    logs, told = Slow(), list[str]()
    logs.may.set()
    logs.logs["ml", "a", "model"] = "nothing to serve"
    words = LastWords(logs, told.append)
    words.ask("ml/fraud", [pod(end="1", state="running")])
    await until(lambda: told == ["ml/fraud"])
    # The one that ran while the first end was read has ended: the restarts are as many as before.
    logs.logs["ml", "a", "model"] = ""
    second = pod(end="2", state="terminated")
    words.ask("ml/fraud", [second])
    assert said(words, second) == "nothing to serve"
    await until(lambda: len(logs.asked) == 2)
    assert said(words, second) == "nothing to serve"
    logs.logs["ml", "a", "model"] = "still nothing"
    third = pod(end="3")
    words.ask("ml/fraud", [third])
    await until(lambda: len(told) == 2)
    assert said(words, third) == "still nothing"
    await words.close()


async def test_an_end_that_is_told_already_or_has_an_error_code_is_not_asked_for() -> None:
    logs = Slow()
    words = LastWords(logs, print)
    words.ask("ml/fraud", [pod(message="said"), pod(code=1), {"metadata": {"uid": "c"}, "status": {}}])
    assert said(words, pod(message="said")) == "said"
    assert logs.asked == []
    await words.close()


async def test_a_log_that_cannot_be_read_changes_nothing_and_is_not_asked_for_again() -> None:
    logs, told = Slow(), list[str]()
    logs.may.set()
    words = LastWords(logs, told.append)
    words.ask("ml/fraud", [pod()])
    await until(lambda: len(logs.asked) == 1)
    await asyncio.sleep(0)
    words.ask("ml/fraud", [pod()])
    assert words.told([pod()]) == [pod()]
    assert told == []
    assert len(logs.asked) == 1
    await words.close()


async def test_only_so_many_containers_are_remembered_and_nobody_is_waited_for_at_the_end() -> None:
    logs = Slow()
    words = LastWords(logs, print)
    words.ask("ml/fraud", [pod(f"{n}") for n in range(KEPT + 10)])
    await until(lambda: len(logs.asked) == KEPT + 10)
    assert len(words._said) == KEPT
    await words.close()


async def test_where_nobody_can_be_asked_nothing_happens() -> None:
    words = LastWords(None, print)
    words.ask("ml/fraud", [pod()])
    assert words.told([pod()]) == [pod()]
    await words.close()
