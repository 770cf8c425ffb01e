"""A gateway that routes nothing and confirms everything: for objects that nobody sends requests to."""

import http.client
import json
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from tests.bench.wire import Editor
from tests.cluster.access import Access
from tests.e2e.objects import Watch

CONTROLLER = "tidegate.dev/simulated-gateway"
EVERY = 0.2  # seconds between two looks at what the watch told


class SimulatedGateway:
    """Writes `Accepted` and `ResolvedRefs` for each generation of each route of a namespace. Ends with its block.

    A thousand routes through the real gateway would measure Contour, which computes all of Envoy's configuration anew
    for each change of one.
    """

    def __init__(self, access: Access, namespace: str) -> None:
        self._path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
        self._editor = Editor(access)
        self._watch = Watch(self._editor, self._path)
        self._told: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated gateway", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(30)
        self._watch.close()
        self._editor.close()

    def _run(self) -> None:
        seen = 0
        while not self._over.wait(EVERY):
            events = list(self._watch)
            newest = {route["metadata"]["name"]: route for _, kind, route in events[seen:] if kind != "DELETED"}
            seen = len(events)
            for name, route in newest.items():
                self._confirm(name, route)

    def _confirm(self, name: str, route: dict[str, Any]) -> None:
        generation = route["metadata"]["generation"]
        if self._told.get(name) == generation:
            return
        try:
            self._editor.patch(f"{self._path}/{name}/status", {"status": _status(route, generation)})
        except (AssertionError, OSError, http.client.HTTPException, json.JSONDecodeError):
            return  # gone, or told of again: a route that stays unconfirmed is seen by whoever waits for it
        self._told[name] = generation


def _status(route: dict[str, Any], generation: int) -> dict[str, Any]:
    now = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": kind,
            "message": "simulated",
            "observedGeneration": generation,
            "lastTransitionTime": now,
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    parents = route["spec"]["parentRefs"]
    return {"parents": [{"parentRef": p, "controllerName": CONTROLLER, "conditions": conditions} for p in parents]}
