"""A node that is only said to be there, with pods that are only said to run: kwok, beside the real node."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench.stage import Stage
from tests.cluster import build, components
from tests.driver.platform import wait_for

NODE = "simulated"
TAINT = "kwok.x-k8s.io/node"
#: Pods that the node takes, and addresses for them which nothing else here has.
PODS = 2000
ADDRESSES = "10.246.0.0/16"
LEASE = 40  # seconds; kwok renews the node's lease, so that no stage has to write heartbeats
#: What pods need to be put there, and nothing else is.
PLACE: dict[str, Any] = {
    "nodeSelector": {"type": NODE},
    "tolerations": [{"key": TAINT, "operator": "Exists", "effect": "NoSchedule"}],
}


class Kwok:
    """The program, with its node. Ends with its `with` block; the node and its pods stay as they were left."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        access = stage.access
        program = build.build([components.KWOK], stage.progress)["kwok"]
        stages = directory / "stages.yaml"
        stages.write_text("---\n".join(json.dumps(each) + "\n" for each in (_node_ready(), _pod_ready(), _pod_gone())))
        self._log = (directory / "kwok.log").open("wb")
        self._process = subprocess.Popen(
            # It must not outlive a benchmark that is killed.
            [
                "setpriv",
                "--pdeathsig",
                "TERM",
                "--",
                *access.command(
                    program,
                    f"--kubeconfig={access.kubeconfig}",
                    f"--config={stages}",
                    f"--manage-nodes-with-label-selector=type={NODE}",
                    f"--node-lease-duration-seconds={LEASE}",
                    f"--cidr={ADDRESSES}",
                    "--node-ip=10.246.0.1",
                ),
            ],
            env={**access.environment(), "HOME": str(directory)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        access.apply([_node()])

        def ready() -> bool:
            if self._process.poll() is not None:
                raise AssertionError(f"kwok ended: {(directory / 'kwok.log').read_text()[-1500:]}")
            conditions = access.get("node", NODE).get("status", {}).get("conditions", [])
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        wait_for(ready, seconds=60, what="the simulated node", every=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


def _node() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"type": NODE}, "annotations": {TAINT: "fake"}},
        "spec": {"taints": [{"key": TAINT, "value": "fake", "effect": "NoSchedule"}]},
    }


def _stage(name: str, kind: str, where: list[dict[str, Any]], what: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": where},
            "next": what,
        },
    }


def _is(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_SINCE = "lastTransitionTime: {{ Now | Quote }}"


def _node_ready() -> dict[str, Any]:
    room = f"{{cpu: '1000', memory: 1Ti, pods: '{PODS}'}}"
    status = f"""
conditions:
- type: Ready
  status: "True"
  reason: Simulated
  message: there is no kubelet
  lastHeartbeatTime: {{{{ Now | Quote }}}}
  {_SINCE}
addresses: [{{type: InternalIP, address: {{{{ NodeIP | Quote }}}}}}]
allocatable: {room}
capacity: {room}
phase: Running
"""
    return _stage("node-ready", "Node", [_is(_READY, "NotIn", "True")], {"statusTemplate": status})


def _pod_ready() -> dict[str, Any]:
    status = f"""
conditions:
{{{{ range list "Initialized" "ContainersReady" "Ready" }}}}
- {{type: {{{{ . }}}}, status: "True", {_SINCE}}}
{{{{ end }}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: true
  started: true
  restartCount: 0
  state: {{running: {{startedAt: {{{{ Now | Quote }}}}}}}}
{{{{ end }}}}
hostIP: {{{{ NodeIPWith .spec.nodeName | Quote }}}}
{{{{ with PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}}}
podIP: {{{{ . | Quote }}}}
podIPs: [{{ip: {{{{ . | Quote }}}}}}]
{{{{ end }}}}
phase: Running
startTime: {{{{ Now | Quote }}}}
"""
    where = [_is(".metadata.deletionTimestamp", "DoesNotExist"), _is(".status.phase", "In", "Pending")]
    return _stage("pod-ready", "Pod", where, {"statusTemplate": status})


def _pod_gone() -> dict[str, Any]:
    return _stage("pod-gone", "Pod", [_is(".metadata.deletionTimestamp", "Exists")], {"delete": True})
