"""What befalls the cluster: one thing at a time, each until what it hit is back."""

import threading
import time
import urllib.request
from collections.abc import Callable, Sequence

from tests.cluster import gateway
from tests.cluster.full import Cluster
from tests.driver import registry
from tests.driver.monitoring import Monitoring
from tests.driver.platform import NAMESPACE, OPERATORS, leader, wait_for
from tests.e2e.pods import killed, living, ready, signalled
from tests.soak.judge import Outage
from tests.soak.patience import Patient
from tests.soak.plan import Fault, Misfortune

BACK = 180.0  # seconds
MLFLOW = "app=mlflow"


class Misfortunes:
    """Brings them, and knows when each began and ended."""

    def __init__(self, cluster: Cluster, monitoring: Monitoring, note: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._access = cluster.access
        self._objects = Patient(cluster.access)
        self._monitoring = monitoring
        self._note = note
        self._known: list[Outage] = []
        self.failures: list[str] = []

    def outages(self) -> Sequence[Outage]:
        """All so far, the present one without an end."""
        return list(self._known)

    def run(self, planned: Sequence[Misfortune], begin: float, over: threading.Event) -> None:
        """All of a plan, each at its moment (seconds after `begin`, a `time.monotonic`) or after the one before."""
        for each in planned:
            if over.wait(max(0.0, begin + each.at - time.monotonic())):
                return
            self._note(f"{each.fault} ({each.lasts:g} s)")
            self._known.append(Outage(fault=each.fault, begin=time.time()))
            try:
                self._bring(each)
            except Exception as error:  # noqa: BLE001 (what does not come back is what a soak looks for)
                self.failures.append(f"{each.fault} at {each.at:g} s: {error!r}")
            self._known[-1] = Outage(fault=each.fault, begin=self._known[-1].begin, end=time.time())
            self._note(f"{each.fault}: over after {self._known[-1].end - self._known[-1].begin:.1f} s")

    def _bring(self, each: Misfortune) -> None:
        match each.fault:
            case Fault.API_SERVER:
                self._cluster.plane.restart(light=False)
            case Fault.MLFLOW:
                self._kill_mlflow()
            case Fault.PROMETHEUS:
                self._monitoring.prometheus.kill()
                time.sleep(each.lasts)  # it is away for so long
                self._monitoring.prometheus.start()
            case Fault.GATEWAY:
                self._cluster.gateway.kill_control_plane()
                time.sleep(each.lasts)  # it is away for so long
                self._cluster.gateway.start_control_plane()
                wait_for(self._envoy_is_told, seconds=BACK, what="Envoy hears of Contour again")
            case Fault.LEADER_KILLED | Fault.LEADER_ENDED | Fault.LEADER_HANGS:
                self._hit_leader(each)

    def _kill_mlflow(self) -> None:
        (pod,) = living(self._objects, registry.NAMESPACE, MLFLOW)
        name = pod["metadata"]["name"]
        killed(self._objects, registry.NAMESPACE, name)

        def back() -> bool:
            pods = living(self._objects, registry.NAMESPACE, MLFLOW)
            return [ready(pod) for pod in pods if pod["metadata"]["name"] != name] == [True]

        wait_for(back, seconds=BACK, what="MLflow is ready again")

    def _hit_leader(self, each: Misfortune) -> None:
        name = wait_for(lambda: leader(self._access) or None, seconds=BACK, what="a leader")
        match each.fault:
            case Fault.LEADER_KILLED:
                killed(self._objects, NAMESPACE, name)
            case Fault.LEADER_ENDED:
                self._access.kubectl("delete", "pod", name, "-n", NAMESPACE, "--wait=false")
            case _:
                signalled(self._objects, NAMESPACE, name, "SIGSTOP")
                time.sleep(each.lasts)  # it hangs for so long
                signalled(self._objects, NAMESPACE, name, "SIGCONT")
        dead = {""} if each.fault is Fault.LEADER_HANGS else {"", name}
        wait_for(lambda: leader(self._access) not in dead, seconds=BACK, what="a leader again")
        wait_for(self._two_replicas, seconds=BACK, what="two replicas")

    def _two_replicas(self) -> bool:
        return [ready(pod) for pod in living(self._objects, NAMESPACE, OPERATORS)] == [True, True]

    def _envoy_is_told(self) -> bool:
        url = f"{gateway.ADMIN_URL}/stats?filter=control_plane.connected_state"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with self._access.inside(), opener.open(url, timeout=5) as answer:
            return b"control_plane.connected_state: 1" in answer.read()
