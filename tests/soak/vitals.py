"""The operator's own metrics, read from every replica all the time."""

import http.client
import threading
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.access import Access
from tests.driver.platform import NAMESPACE, OPERATORS
from tests.e2e.objects import Objects
from tests.e2e.pods import living
from tests.soak.growth import Vital
from tests.soak.judge import SLOWEST, Outage
from tests.soak.plan import Fault

EVERY, BEAT = 2.0, 0.25  # seconds
PORT = 8080
MEASURES = {"rss": "process_resident_memory_bytes", "fds": "process_open_fds", "tasks": "tidegate_asyncio_tasks"}
START, LEADER = "process_start_time_seconds", "tidegate_leader"


class Vitals:
    """A thread that reads; what does not answer (it hangs, or is gone) is left out."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._objects = Objects(access)
        self._found: list[Vital] = []

    def found(self) -> list[Vital]:
        """All readings so far."""
        return list(self._found)

    def run(self, over: threading.Event) -> None:
        """Until it is over."""
        while not over.wait(EVERY):
            try:
                pods = living(self._objects, NAMESPACE, OPERATORS)
            except (OSError, http.client.HTTPException, AssertionError):
                continue  # the API server is away
            for pod in pods:
                if address := pod["status"].get("podIP"):
                    self._read(pod["metadata"]["name"], address)

    def _read(self, name: str, address: str) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with self._access.inside(), opener.open(f"http://{address}:{PORT}/metrics", timeout=1) as answer:
                text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return
        vital = parse(text, pod=name, at=time.time())
        self._found.append(vital)


class Machine:
    """A thread that asks the API server for next to nothing: when that takes long, everything does."""

    def __init__(self, access: Access) -> None:
        self._objects = Objects(access)
        self._known: list[Outage] = []

    def outages(self) -> Sequence[Outage]:
        """The times in which an answer was too slow to keep a Lease by."""
        return list(self._known)

    def run(self, over: threading.Event) -> None:
        """Until it is over."""
        while not over.wait(BEAT):
            begin = time.time()
            with suppress(OSError, http.client.HTTPException, AssertionError):
                self._objects.get(f"/api/v1/namespaces/{NAMESPACE}")
                if (end := time.time()) - begin > SLOWEST:
                    self._known.append(Outage(fault=Fault.STARVED, begin=begin, end=end))


def parse(text: str, *, pod: str, at: float) -> Vital:
    """One exposition; a process is its pod and when it started, as a container may start anew in its pod."""
    wanted = {START, LEADER, *MEASURES.values()}
    values = {
        s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples if s.name in wanted
    }
    return Vital(
        at=at,
        process=f"{pod}@{values[START]:.0f}",
        leads=values[LEADER] == 1,
        values={measure: values[name] for measure, name in MEASURES.items()},
    )
