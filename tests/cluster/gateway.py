"""Gateway API on the cluster: Contour, with Envoy, as processes beside kubelet.

Contour holds one Gateway (it is not its provisioner): listener `http`, port 80, for
routes from all namespaces.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.build import Toolbox
from tests.cluster.controlplane import ControlPlane
from tests.cluster.node import ADDRESS
from tests.cluster.sandbox import Run

CLASS = "contour"
NAMESPACE = "gateways"
NAME = "public"
URL = f"http://{ADDRESS}"
ADMIN_URL = f"http://{ADDRESS}:9001"
XDS_PORT = 8001
# Contour lets Envoy listen on a listener's port plus 8000, so that Envoy needs no right to low ports.
ENVOY_PORT = 8080
# The standard channel of the CRDs lacks these kinds, and Contour ends when it cannot watch them.
MISSING_KINDS = ("tlsroutes", "tcproutes", "backendtlspolicies")

REDIRECT = f"""
table ip tidegate {{
  chain prerouting {{
    type nat hook prerouting priority -110;
    ip daddr {ADDRESS} tcp dport 80 redirect to :{ENVOY_PORT}
  }}
  chain output {{
    type nat hook output priority -110;
    ip daddr {ADDRESS} tcp dport 80 redirect to :{ENVOY_PORT}
  }}
}}
"""


def manifests() -> list[dict[str, Any]]:
    """The GatewayClass and the Gateway that routes attach to."""
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": CLASS},
            "spec": {"controllerName": "projectcontour.io/gateway-controller"},
        },
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "gatewayClassName": CLASS,
                "listeners": [
                    {
                        "name": "http",
                        "protocol": "HTTP",
                        "port": 80,
                        "allowedRoutes": {"namespaces": {"from": "All"}},
                    }
                ],
            },
        },
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Starts Contour and Envoy in a run."""

    run: Run
    tools: Toolbox
    plane: ControlPlane

    def start(self) -> None:
        """Starts both; they find each other and the Gateway by themselves."""
        base = self.run.directory / "gateway"
        base.mkdir()
        config = {"gateway": {"gatewayRef": {"namespace": NAMESPACE, "name": NAME}}}
        (base / "contour.yaml").write_text(json.dumps(config))
        self.run.call(["nft", "-f", "-"], text=REDIRECT)
        self.start_control_plane()
        self.run.call(
            [
                *(self.tools["contour"], "bootstrap", f"{base}/envoy.json"),
                f"--admin-address={base}/admin.sock",
                *("--xds-address=127.0.0.1", f"--xds-port={XDS_PORT}", f"--namespace={NAMESPACE}"),
            ]
        )
        self._publish_admin(base / "envoy.json")
        self.run.spawn(
            "envoy",
            [
                *(self.tools["envoy"], "-c", f"{base}/envoy.json"),
                *("--service-cluster", NAMESPACE, "--service-node", "envoy"),
                *("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"),
            ],
        )

    def start_control_plane(self) -> None:
        """Starts Contour alone."""
        base = self.run.directory / "gateway"
        self.run.spawn(
            "contour",
            [
                self.tools["contour"],
                "serve",
                f"--config-path={base}/contour.yaml",
                f"--kubeconfig={self.plane.kubeconfig('contour')}",
                "--insecure",
                "--disable-leader-election",
                f"--ingress-status-address={ADDRESS}",
                f"--xds-port={XDS_PORT}",
                "--kubernetes-client-qps=100",
                "--kubernetes-client-burst=200",
                "--envoy-http-access-log=/dev/null",
                *(f"--disable-feature={kind}" for kind in MISSING_KINDS),
            ],
        )

    def kill_control_plane(self) -> None:
        """Kills Contour; Envoy goes on with the configuration that it has."""
        self.run.finish("contour", seconds=10.0, how="KILL")

    def _publish_admin(self, file: Path) -> None:
        # Tests read Envoy's own statistics; Contour's bootstrap knows a socket's path only.
        config = json.loads(file.read_text())
        host, port = ADMIN_URL.removeprefix("http://").split(":")
        config["admin"]["address"] = {"socket_address": {"address": host, "port_value": int(port)}}
        file.write_text(json.dumps(config))
