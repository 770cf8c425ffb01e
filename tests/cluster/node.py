"""The one node of a full cluster: its network, kubelet and kube-proxy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cgroups
from tests.cluster.build import Toolbox
from tests.cluster.containerd import POD_CIDR, socket_of
from tests.cluster.controlplane import ControlPlane
from tests.cluster.sandbox import Run

NAME = "node"
# All runs use the same addresses: each has a network of its own with no way out.
ADDRESS = "10.243.0.1"
DNS_ADDRESS = "10.96.0.10"
DNS_DOMAIN = "cluster.local"
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Starts what makes a machine a node, inside a run."""

    run: Run
    tools: Toolbox
    plane: ControlPlane

    def prepare_network(self) -> None:
        """Gives the run's network namespace an address that is not loopback, and lets it forward."""
        for command in (
            # The kernel may have no dummy device; a bridge without ports is one.
            "ip link add node0 type bridge",
            f"ip address add {ADDRESS}/24 dev node0",
            "ip link set node0 up",
            "ip route add default dev node0",
        ):
            self.run.call(command.split())
        self.run.call(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])

    def start_kubelet(self) -> None:
        """Starts kubelet with a cgroup root of the run's own."""
        base = self.run.directory / "kubelet"
        base.mkdir()
        keys = self.plane.authority
        keys.issue("kubelet", subject=f"/CN=system:node:{NAME}", hosts=[f"DNS:{NAME}", f"IP:{ADDRESS}"])
        config = kubelet_config(self.run.directory, cgroups.create(self.run.id), str(socket_of(self.run.id)))
        (base / "config.json").write_text(json.dumps(config, indent=1))
        self.run.spawn(
            "kubelet",
            [
                self.tools["kubelet"],
                f"--config={base}/config.json",
                f"--kubeconfig={self.plane.kubeconfig(f'system:node:{NAME}')}",
                f"--hostname-override={NAME}",
                f"--node-ip={ADDRESS}",
                f"--root-dir={base}",
                f"--cert-dir={base}/pki",
            ],
        )

    def start_proxy(self) -> None:
        """Starts kube-proxy. It may not write the sysctls of conntrack, so it is told to leave them."""
        self.run.spawn(
            "kube-proxy",
            [
                self.tools["kube-proxy"],
                f"--kubeconfig={self.plane.kubeconfig('system:kube-proxy')}",
                f"--hostname-override={NAME}",
                f"--cluster-cidr={POD_CIDR}",
                "--proxy-mode=nftables",
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ],
        )


def kubelet_config(directory: Path, cgroup_root: str, socket: str) -> Mapping[str, Any]:
    """kubelet's configuration: resources of pods are enforced, the machine's own are left alone."""
    pki = directory / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup_root,
        "cgroupsPerQOS": True,
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "protectKernelDefaults": False,
        "podLogsDir": str(directory / "logs" / "pods"),
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DNS_DOMAIN,
        "resolvConf": "",
        "healthzPort": 0,
        "makeIPTablesUtilChains": False,
        "maxPods": 200,
        "registerNode": True,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "nodeStatusUpdateFrequency": "10s",
        "syncFrequency": "10s",
        "shutdownGracePeriod": "0s",
    }
