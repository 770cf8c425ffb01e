"""Whom an API server knows us as: by a kubeconfig, or by a pod's service account."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.certificate import certify

from tidegate.adapters.access import Access, Identity, find_identity, own_namespace
from tidegate.errors import Unreachable

CERTIFICATE = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")


def kubeconfig(path: Path, *, user: dict[str, Any], **cluster: Any) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return str(path)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's service account, in a directory of the test's."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "ca.crt").write_text(CERTIFICATE.read_text())
    return tmp_path


async def test_a_kubeconfig_that_is_not_there_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(Unreachable, match="set KUBECONFIG"):
        await find_identity()


async def test_without_any_kubeconfig_the_error_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("tidegate.adapters.access._KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(Unreachable, match="set KUBECONFIG"):
        await find_identity()


@pytest.mark.parametrize("text", ["{", "{}", '{"current-context": "x"}'])
async def test_a_kubeconfig_that_says_nothing_is_an_error_and_no_crash(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(Unreachable, match="no access to a cluster"):
        await find_identity()


async def test_a_kubeconfig_that_trusts_anybody_is_obeyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "t"}, **{"insecure-skip-tls-verify": True})
    monkeypatch.setenv("KUBECONFIG", path)
    identity = await find_identity()
    access = Access(identity)
    assert access.server == "https://127.0.0.1:9"
    assert identity.tls.verify_mode is ssl.CERT_NONE
    assert await identity.headers() == {"Authorization": "Bearer t"}
    await access.close()


async def test_a_user_who_needs_a_plug_in_gets_the_plug_ins_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugin = tmp_path / "cloud-login"
    granted = {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"token": "granted"},
    }
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(granted)}'\n")
    plugin.chmod(0o755)
    asked = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", user={"exec": asked}))
    assert await (await find_identity()).headers() == {"Authorization": "Bearer granted"}


async def test_a_plug_in_that_is_missing_leaves_nobody_that_we_could_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-login", "interactiveMode": "Never"}
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", user={"exec": asked}))
    with pytest.raises(Unreachable, match="no plug-in gave it one"):
        await find_identity()


async def test_a_pod_is_known_by_its_service_account(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = await find_identity(account)
    assert identity.server == "https://10.0.0.1:443"
    assert await identity.headers() == {"Authorization": "Bearer one"}
    assert identity.tls.verify_mode is ssl.CERT_REQUIRED
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert (await find_identity(account)).server == "https://[fd00::1]:443"


async def test_a_pods_token_is_read_again_and_the_last_one_outlives_a_file_that_is_gone(account: Path) -> None:
    kept, identity = await find_identity(account), await find_identity(account, token_age=0.0)
    (account / "token").write_text("two")
    assert await kept.headers() == {"Authorization": "Bearer one"}
    assert await identity.headers() == {"Authorization": "Bearer two"}
    (account / "token").unlink()
    assert await identity.headers() == {"Authorization": "Bearer two"}


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
async def test_a_service_account_without_its_files_is_an_error_that_names_them(account: Path, missing: str) -> None:
    (account / missing).unlink()
    with pytest.raises(Unreachable, match="no access to a cluster"):
        await find_identity(account)


def test_outside_a_pod_the_namespace_is_the_default() -> None:
    assert own_namespace("ours") == "ours"


def test_an_operator_in_a_pod_does_not_carry_the_client_library() -> None:
    program = "import sys, tidegate.process; assert not [m for m in sys.modules if m.startswith('kubernetes')]"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Mute:
    """A TLS server in a thread: it answers half, and says no farewell."""

    def __init__(self, folder: Path) -> None:
        cert, key = folder / "tls.crt", folder / "tls.key"
        certify(cert, key)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.left = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with self._tls.wrap_socket(connection, server_side=True) as client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
            # Below TLS, which would answer a farewell by itself.
            with socket.socket(fileno=client.detach()) as bare:
                bare.settimeout(5)
                self.left = self._ends(bare)

    @staticmethod
    def _ends(bare: socket.socket) -> bool:
        try:
            while bare.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        return True

    def end(self) -> bool:
        """Whether the client closed its connection."""
        self._thread.join(10)
        self._listener.close()
        return self.left


async def give_up(server: Mute) -> None:
    """A watch is cancelled in the middle of its answer, and all is closed."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def nobody() -> dict[str, str]:
        return {}

    access = Access(Identity(server=server.url, tls=trusting, headers=nobody))

    heard = asyncio.Event()

    async def watch() -> None:
        async with access.session.get(access.server) as answer:
            async for _ in answer.content.iter_any():
                heard.set()

    task = asyncio.create_task(watch())
    await asyncio.wait_for(heard.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await access.close()


def test_a_watch_that_is_given_up_leaves_no_connection_behind_when_the_loop_ends(tmp_path: Path) -> None:
    server = Mute(tmp_path)
    asyncio.run(give_up(server))
    assert server.end()
