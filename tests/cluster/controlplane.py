"""etcd and kube-apiserver of a run: how they are called and when they are ready."""

import json
import secrets
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.build import Toolbox
from tests.cluster.pki import Authority
from tests.cluster.sandbox import Run

SERVICE_CIDR = "10.96.0.0/16"
FIRST_SERVICE_IP = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc"
READY_SECONDS = 60.0

# User -> groups. Everything but the admin has just the rights of its role.
USERS = {
    "admin": ("system:masters",),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    "system:kube-proxy": (),
    "system:node:node": ("system:nodes",),
    "contour": ("system:masters",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where etcd and kube-apiserver listen."""

    address: str
    apiserver_port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.apiserver_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """etcd and kube-apiserver in a run."""

    run: Run
    tools: Toolbox
    endpoints: Endpoints
    authority: Authority
    tokens: dict[str, str] = field(default_factory=lambda: {user: secrets.token_hex(16) for user in USERS})

    def start(self, *, light: bool) -> None:
        """Starts both and waits until kube-apiserver says that it is ready."""
        self._write_tokens()
        names = [f"IP:{self.endpoints.address}", "IP:127.0.0.1", f"IP:{FIRST_SERVICE_IP}", "DNS:localhost"]
        names += [f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc")]
        self.authority.issue("apiserver", subject="/CN=kube-apiserver", hosts=names)
        self.run.spawn("etcd", self._etcd())
        self._serve(light=light)

    def restart(self, *, light: bool) -> None:
        """Kills kube-apiserver and starts it anew on the same data. Watches begin anew, and old ones have expired."""
        self.run.finish("kube-apiserver", seconds=READY_SECONDS, how="KILL")
        self._serve(light=light)

    def compact(self) -> None:
        """Has etcd forget every state of its data but the present one."""
        revision = self._etcd_answer("maintenance/status", {})["header"]["revision"]
        self._etcd_answer("kv/compaction", {"revision": revision, "physical": True})

    def _etcd_answer(self, call: str, body: dict[str, object]) -> dict[str, Any]:
        """One call of etcd's API, in its form as JSON (etcd, "gRPC gateway")."""
        url = f"http://127.0.0.1:{self.endpoints.etcd_port}/v3/{call}"
        request = urllib.request.Request(url, data=json.dumps(body).encode())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _serve(self, *, light: bool) -> None:
        self.run.spawn("kube-apiserver", [*self._apiserver(), *(LIGHT_FLAGS if light else self._full_flags())])
        self.run.wait_for("kube-apiserver", self.is_ready, seconds=READY_SECONDS)

    def kubeconfig(self, user: str = "admin") -> Path:
        """Writes (once) and returns the user's kubeconfig; JSON, which is YAML."""
        file = self.run.directory / f"{user.replace(':', '-')}.kubeconfig"
        if not file.exists():
            cluster = {
                "server": self.endpoints.server,
                "certificate-authority": str(self.authority.certificate("ca")),
            }
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "tidegate", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": self.tokens[user]}}],
                "contexts": [{"name": "tidegate", "context": {"cluster": "tidegate", "user": user}}],
                "current-context": "tidegate",
            }
            file.touch(mode=0o600)
            file.write_text(json.dumps(config, indent=1))
        return file

    def is_ready(self) -> bool:
        """Whether /readyz says ok."""
        return self.run.in_network(self._readyz)

    def _readyz(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority.certificate("ca")))
        headers = {"Authorization": f"Bearer {self.tokens['admin']}"}
        request = urllib.request.Request(f"{self.endpoints.server}/readyz", headers=headers)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _write_tokens(self) -> None:
        lines = [f'{self.tokens[user]},{user},{user},"{",".join(groups)}"\n' for user, groups in USERS.items()]
        file = self.authority.directory / "tokens.csv"
        file.write_text("".join(lines))

    def _etcd(self) -> list[str]:
        client = f"http://127.0.0.1:{self.endpoints.etcd_port}"
        peer = f"http://127.0.0.1:{self.endpoints.etcd_peer_port}"
        return [
            self.tools["etcd"],
            # A test's data may be lost with the machine; waiting for the disk may not.
            "--unsafe-no-fsync",
            "--name=etcd",
            f"--data-dir={self.run.directory}/etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=etcd={peer}",
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        keys = self.authority
        return [
            self.tools["kube-apiserver"],
            f"--etcd-servers=http://127.0.0.1:{self.endpoints.etcd_port}",
            f"--bind-address={'127.0.0.1' if self.endpoints.address == '127.0.0.1' else '0.0.0.0'}",
            f"--advertise-address={self.endpoints.address}",
            f"--secure-port={self.endpoints.apiserver_port}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--cert-dir={self.run.directory}/apiserver",
            f"--tls-cert-file={keys.certificate('apiserver')}",
            f"--tls-private-key-file={keys.key('apiserver')}",
            f"--client-ca-file={keys.certificate('ca')}",
            f"--token-auth-file={keys.directory}/tokens.csv",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={keys.key('service-accounts')}",
            f"--service-account-signing-key-file={keys.key('service-accounts')}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--profiling=false",
        ]

    def _full_flags(self) -> list[str]:
        keys = self.authority
        keys.issue("kubelet-client", subject="/O=system:masters/CN=kube-apiserver")
        return [
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-certificate-authority={keys.certificate('ca')}",
            f"--kubelet-client-certificate={keys.certificate('kubelet-client')}",
            f"--kubelet-client-key={keys.key('kubelet-client')}",
            "--kubelet-preferred-address-types=InternalIP",
        ]


# Nobody makes service accounts here (that is the controller manager's), and nobody can reach an endpoint on loopback.
LIGHT_FLAGS = ("--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none")
