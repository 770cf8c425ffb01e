"""What an auditor has: every act that was posted to him, and the lines of it in what the operator's replicas said."""

import json
from collections.abc import Iterable
from typing import Any

from tests.driver.outside import Heard

STREAM = "tidegate.audit"
Act = dict[str, Any]


class Auditor:
    """Takes events for as long as the stage stands."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def acts(self, namespace: str) -> list[Act]:
        """What was done to the objects of a namespace, as it was told, repetitions included."""
        events = self._heard.all()
        told = [{**event["data"], "id": event["id"], "time": event["time"]} for event in events]
        return [act for act in told if act["object"]["namespace"] == namespace]

    def of(self, namespace: str, uid: str) -> list[Act]:
        """What the journal of one object has: each act once."""
        return once(act for act in counted(self.acts(namespace)) if act["object"]["uid"] == uid)


def lines(said: str) -> list[Act]:
    """The acts among the lines of a log."""
    found = [json.loads(line) for line in said.splitlines() if STREAM in line]
    return [{name: value for name, value in act.items() if name != "stream"} for act in found]


def counted(acts: Iterable[Act]) -> list[Act]:
    """Without what no journal has: deletions of versions, and tags."""
    return [act for act in acts if act["sequence"] is not None]


def once(acts: Iterable[Act]) -> list[Act]:
    """Without repetitions, as whoever reads is asked to: by id. One that is not the same each time fails."""
    first: dict[str, Act] = {}
    for act in acts:
        assert first.setdefault(act["id"], act) == act, f"told twice, and differently: {first[act['id']]}, {act}"
    return list(first.values())


def complaints(acts: Iterable[Act]) -> list[str]:
    """Where the acts on an object are not complete and in their order. Those that nobody counts are left out."""
    last: dict[str, int] = {}
    found: list[str] = []
    for act in once(counted(acts)):
        uid, number = act["object"]["uid"], act["sequence"]
        if act["act"] == "gap" or number != last.get(uid, 0) + 1:
            found.append(f"{act['object']['name']}: after number {last.get(uid, 0)} came {act}")
        last[uid] = number
    return found
